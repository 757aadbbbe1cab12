"""Labels at another size, against bilinear resampling written out in NumPy."""

import numpy as np
import pytest
import torch

from vosedu.aggregation import labels_at


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
