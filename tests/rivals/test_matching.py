"""Matching, on features of two numbers whose cosines are known."""

import pytest
import torch
from rivals.toys import first_frame, pixels

from vosedu.beyond.nearest import first_cells
from vosedu.config import WHOLE
from vosedu.rivals import matching
from vosedu.rivals.matching import LocalMatching, Matching, top_mean

RIGHT, BETWEEN, UP = (3.0, 0.0), (0.8, 0.6), (0.0, 2.0)  # lengths do not matter: the cosines are 1, 0.8, 0.6, 0


def plane(*rows):
    """Rows of pairs of numbers -> features (2, h, w)."""
    return torch.tensor(rows).permute(2, 0, 1)


def test_the_mean_of_the_best_by_hand():
    """Three members of four; the last is none: the best two of 0.9, 0.1, 0.5, and of one member alone, and of none."""
    similarities = torch.tensor([0.9, 0.1, 0.5, 1.0])[None, :, None]
    for members, mean in (([1, 1, 1, 0], 0.7), ([0, 1, 0, 0], 0.1), ([0, 0, 0, 0], -1.0)):
        found = top_mean(similarities, torch.tensor([members], dtype=torch.bool), 2)
        assert found.item() == pytest.approx(mean)


def test_a_score_is_the_difference_of_two_means():
    """Object: cosines 1 and 0.8 to the right, 0 and 0.6 upwards; background: up, four times. K = 2."""
    targets = Matching(WHOLE, k=2)
    targets.learn(first_frame(plane((RIGHT, BETWEEN, UP), (UP, UP, UP)), [[1, 1, 0], [0, 0, 0]]), 0)
    found = targets.scores(plane((RIGHT, UP, BETWEEN), (RIGHT, UP, BETWEEN)))
    assert found.shape == (1, 2, 3)
    right, up, between = (1 + 0.8) / 2 - 0, (0 + 0.6) / 2 - 1, (0.8 + 1) / 2 - 0.6
    torch.testing.assert_close(found[0, 0], torch.tensor([right, up, between]))
    torch.testing.assert_close(found[0, 1], found[0, 0])


def test_later_frames_come_into_the_banks_and_the_oldest_leaves_them():
    """A look that only the second frame shows scores high after the update; two updates later that frame is forgotten. A cell
    that the mask covers in part goes into no bank."""
    targets = Matching(WHOLE, k=1)
    targets.learn(first_frame(plane((RIGHT, RIGHT, (-1.0, 0.0))), [[1, 0, 0]]), 0)
    new = plane((UP, RIGHT, (0.0, -1.0)))
    assert targets.scores(new)[0, 0, 0] == pytest.approx(0.0)
    mask = pixels([[1, 0, 0]], 4)
    mask[:, 4:6] = 1  # half of the second cell
    targets.scores(new)
    targets.remember(mask[None])
    targets.update()
    assert targets.scores(new)[0, 0].tolist() == pytest.approx([1.0 - 0, 0.0, -1.0], abs=1e-6)
    assert targets.parts["inside"][0, 1].tolist() == [True, False, False]
    assert targets.parts["outside"][0, 1].tolist() == [False, False, True]
    other = plane((RIGHT, RIGHT, RIGHT))
    for _ in range(matching.RECENT):
        targets.scores(other)
        targets.remember(pixels([[1, 0, 0]])[None])
        targets.update()
    assert targets.scores(new)[0, 0, 0] == pytest.approx(0.0), "the first frame stays, that one is gone"


def test_the_local_map_tells_a_twin_from_its_place(monkeypatch):
    """One row of seven cells: the object in the first, its like in the last. The window is two cells wide: what is far from
    where the object was has no foreground there, and its local map is -1 less the cosine to the background."""
    monkeypatch.setattr(matching, "WINDOW", 2)
    first = plane((RIGHT, UP, UP, UP, UP, UP, BETWEEN))
    globally, locally = Matching(WHOLE, k=1), LocalMatching(WHOLE, k=1)
    for targets in (globally, locally):
        targets.learn(first_frame(first, [[1, 0, 0, 0, 0, 0, 0]]), 0)
    now = plane((UP, RIGHT, UP, UP, UP, UP, RIGHT))
    everywhere, near = globally.scores(now)[0, 0], locally.scores(now)[0, 0]
    torch.testing.assert_close(everywhere[[1, 6]], torch.tensor([1 - 0.8, 1 - 0.8]))
    torch.testing.assert_close(near[1], torch.tensor((0.2 + (1 - 0)) / 2), msg="it moved by one cell")
    torch.testing.assert_close(near[6], torch.tensor((0.2 + (-1 - 0.8)) / 2), msg="its twin is too far away")
    locally.remember(pixels([[0, 1, 0, 0, 0, 0, 0]])[None])
    assert locally.parts["last_inside"].tolist() == [[False, True, False, False, False, False, False]]


def test_an_object_smaller_than_half_a_cell_has_a_cell():
    share = torch.tensor([[0.0, 0.3, 0.1], [0.0, 0.6, 0.5]])
    assert first_cells(share)[0].tolist() == [[False, True, False], [False, True, True]]
