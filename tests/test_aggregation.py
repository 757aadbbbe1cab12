"""Soft aggregation: by hand, at two sizes, with what is given laid over."""

import numpy as np
import pytest
import torch

from vosedu.aggregation import aggregate, answer, labels_at, laid_over


def test_aggregation_by_hand():
    p = torch.tensor([0.8, 0.5]).view(2, 1, 1)
    found = aggregate(p)[:, 0, 0]
    odds = torch.tensor([0.1 / 0.9, 0.8 / 0.2, 1.0])  # background (1 - 0.8)(1 - 0.5) = 0.1
    assert torch.allclose(found, odds / odds.sum(), atol=1e-4)
    least = aggregate(p, "min")[:, 0, 0]
    assert torch.allclose(least, torch.tensor([0.2 / 0.8, 4.0, 1.0]).softmax(0), atol=1e-4)
    for rule in ("softmax", "min"):
        extreme = aggregate(torch.tensor([0.0, 1.0]).view(2, 1, 1), rule)
        assert torch.isfinite(extreme).all() and extreme.argmax() == 2


def test_labels_are_the_ids_of_the_likeliest():
    """Ids in any order, and the background where it is likelier than each object; equal ones go to the first."""
    p = torch.tensor([[0.1, 0.5, 0.3, 0.4], [0.7, 0.2, 0.3, 0.2], [0.2, 0.3, 0.4, 0.4]])[:, None]
    assert labels_at(p, [9, 4], (1, 4)).tolist() == [[9, 0, 4, 0]]


def test_labels_at_another_size_follow_the_probabilities():
    """A border that runs between two pixels is found to half a pixel of the larger size."""
    slope = torch.linspace(0, 1, 128).expand(96, 128)  # object 2 right of the middle
    large = labels_at(torch.stack([torch.zeros_like(slope), 1 - slope, slope]), [1, 2], (288, 384))
    assert large.shape == (288, 384) and large.dtype == torch.uint8
    assert (large[:, :192] == 1).all() and (large[:, 192:] == 2).all()


def matrix(n, m):
    """Bilinear resampling of n values to m (m, n): values lie at half-integers, the border is repeated."""
    found = np.zeros((m, n))
    for i in range(m):
        x = min(max((i + 0.5) * n / m - 0.5, 0), n - 1)
        k = min(int(x), n - 2)
        found[i, k], found[i, k + 1] = k + 1 - x, x - k
    return found


@pytest.mark.parametrize("size", [(7, 5), (14, 10), (23, 11), (4, 3), (3, 40)])
def test_labels_are_the_greatest_of_the_resampled_probabilities(size):
    p = np.random.default_rng(0).dirichlet(np.ones(4), (7, 5)).transpose(2, 0, 1)
    ids = [9, 2, 200]
    larger = np.einsum("ih,jw,nhw->nij", matrix(7, size[0]), matrix(5, size[1]), p)
    expected = np.array([0, *ids])[larger.argmax(0)]
    found = labels_at(torch.from_numpy(p), ids, size)
    assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), expected)
    assert set(np.unique(expected)) == {0, 2, 9, 200}


def test_ids_between_two_objects_do_not_arise():
    """Resampling the ids themselves would put 2 between 1 and 3."""
    p = torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]])
    assert labels_at(p, [1, 3], (1, 8)).tolist() == [[1, 1, 1, 1, 3, 3, 3, 3]]


def test_where_all_are_equal_the_background_wins():
    assert labels_at(torch.full((3, 2, 2), 1 / 3), [1, 2], (2, 2)).tolist() == [[0, 0], [0, 0]]


def test_an_answer_is_aggregated_by_the_rule_and_labelled_at_both_sizes():
    """Logits of -2 … 2 in three columns; the rule decides what the probabilities are."""
    logits = torch.tensor([[-2.0, 1.0, 2.0], [-2.0, 2.0, -2.0]])[:, None].expand(2, 4, 3)
    p = 1 / (1 + np.exp(-logits.numpy()))
    everyone = np.concatenate([np.prod(1 - p, axis=0, keepdims=True), p])
    odds = everyone / (1 - everyone)
    soft = answer(logits, [5, 3], (4, 3))
    np.testing.assert_allclose(soft.probabilities, odds / odds.sum(0), atol=1e-4)
    assert soft.small is soft.labels and soft.labels[0].tolist() == [0, 3, 5]
    least = np.concatenate([np.min(1 - p, axis=0, keepdims=True), p])
    least = np.exp(least / (1 - least))
    found = answer(logits, [5, 3], (8, 6), "min")
    np.testing.assert_allclose(found.probabilities, least / least.sum(0), rtol=1e-3)
    assert found.small[0].tolist() == [0, 3, 5] and found.labels.shape == (8, 6)
    assert found.labels[3].tolist() == [0, 0, 3, 3, 5, 5]


def test_what_is_given_lies_over_the_answer():
    labels = torch.tensor([[1, 1, 0], [0, 2, 2]], dtype=torch.uint8)
    given = np.array([[0, 3, 3], [0, 0, 0]])
    assert laid_over(labels, given).tolist() == [[1, 3, 3], [0, 2, 2]] and labels[0].tolist() == [1, 1, 0]
