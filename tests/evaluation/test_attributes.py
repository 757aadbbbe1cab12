"""Attributes of hand-made masks: a square of one size that moves, grows, is cut or leaves."""

import numpy as np
import pytest
from helpers import save_frames

from vosedu.evaluation.attributes import FAST, KINDS, attributes, second_piece, with_attribute
from vosedu.files import datasets
from vosedu.files.images import write_mask

SIZE = (54, 96)
"""A twentieth of Full HD: 20 pixels there are one here."""


def box(top, left, height=24, width=24):
    """A mask (H, W) with one rectangle, by default a ninth of the frame."""
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def test_a_square_that_keeps_still_has_none():
    assert attributes({k: box(10, 30) for k in range(4)}) == set()
    assert attributes({0: box(10, 30)}) == set() and attributes({0: box(0, 0, 0)}) == set()


@pytest.mark.parametrize(("step", "fast"), [(1, False), (2, True)])
def test_motion_is_fast_above_twenty_pixels_of_full_hd(step, fast):
    """The mean counts, whatever the direction: three steps down, right and back. One long step of three is slow on average."""
    assert FAST * SIZE[0] == 1
    path = [(10, 30), (10 + step, 30), (10 + step, 30 + step), (10 + step, 30)]
    assert ("fast motion" in attributes({k: box(*at) for k, at in enumerate(path)})) == fast
    assert "fast motion" not in attributes({k: box(10 + 3 * (k > 2), 30) for k in range(4)})


def test_a_way_over_frames_without_a_mask_is_divided_by_their_number():
    """Four pixels in five frames are slow; four in two are fast, though the object is hidden in between."""
    assert "fast motion" not in attributes({0: box(10, 30), 5: box(10, 34)})
    assert "fast motion" in attributes({0: box(10, 30), 1: box(0, 0, 0), 2: box(10, 34)})


@pytest.mark.parametrize(("side", "varies"), [(18, False), (16, True)])
def test_scale_varies_where_a_box_has_less_than_half_of_another_s_area(side, varies):
    """24² = 576; 18² = 324 is more than half of it, 16² = 256 less; the smallest comes in the middle. Boxes count, not pixels:
    an L in the same box changes nothing."""
    hook = box(10, 30)
    hook[10:30, 34:54] = 0
    masks = {0: box(10, 30), 1: box(10, 30, side, side), 2: hook}
    assert ("scale variation" in attributes(masks)) == varies


def test_resolution_is_low_where_boxes_cover_less_than_a_tenth_on_average():
    """518.4 of 54 x 96 pixels are a tenth: 500 and 520 are less on average, 500 and 560 are more."""
    assert "low resolution" in attributes({0: box(10, 30, 20, 25), 1: box(10, 30, 20, 26)})
    assert "low resolution" not in attributes({0: box(10, 30, 20, 25), 1: box(10, 30, 20, 28)})


@pytest.mark.parametrize("at", [(0, 30), (30, 30), (10, 0), (10, 72)])
def test_an_object_at_any_border_is_out_of_view(at):
    top, left = at
    inside = box(min(max(top, 1), 29), min(max(left, 1), 71))
    assert "out of view" in attributes({0: box(10, 30), 1: box(*at)}) and "out of view" not in attributes({0: inside})


def test_a_bar_across_the_object_cuts_it():
    """The smaller piece has 3 of 22 columns, or 1 of 22; diagonal neighbours are one piece."""
    cut, rim = box(10, 30), box(10, 30)
    cut[:, 33:35] = 0
    rim[:, 31:33] = 0
    assert second_piece(cut) == pytest.approx(3 / 22) and second_piece(box(10, 30)) == 0
    assert second_piece(np.eye(5, dtype=np.uint8)) == 0
    assert attributes({0: box(10, 30), 1: cut, 2: box(10, 30)}) == {"cut or hidden"}
    assert attributes({0: box(10, 30), 1: rim}) == set()
    assert attributes({0: cut, 1: cut}) == set(), "it was never in one piece"


def test_an_object_that_goes_is_hidden_and_one_that_is_not_there_yet_is_not():
    assert attributes({0: box(10, 30), 1: box(0, 0, 0)}) == {"cut or hidden"}
    assert attributes({0: box(0, 0, 0), 1: box(10, 30), 2: box(10, 30)}) == set()


def test_a_video_has_what_one_of_its_objects_has(tmp_path):
    """Two videos of three frames: in `still` nothing happens; in `busy` the second object, small, leaves at the left. The
    second frame of `busy` has no mask."""
    for name in ("busy", "still"):
        save_frames(tmp_path / "JPEGImages" / name, np.zeros((3, *SIZE, 3), np.uint8))
        (tmp_path / "Annotations" / name).mkdir(parents=True)
        for k in range(3):
            ids = box(10, 60)
            if name == "busy":
                ids[10:20, 20 - 10 * k : 30 - 10 * k] = 2
            if name == "still" or k != 1:
                write_mask(tmp_path / "Annotations" / name / f"{k:05d}.png", ids)
    found = with_attribute(datasets.load("folder", tmp_path))
    assert found == {"fast motion": ["busy"], "low resolution": ["busy"], "out of view": ["busy"]}
    assert list(found) == [kind for kind in KINDS if kind in found]
