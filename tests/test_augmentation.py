"""First-frame samples: binary masks, a visible object, a filled hole, the same for the same seed."""

import numpy as np
import pytest
from helpers import moving_shapes

from vosedu.augmentation import cut_out, first_frame_samples, paste


def test_original_first_and_every_label_binary_and_visible():
    frames, labels = moving_shapes(1)
    images, masks = first_frame_samples(frames[0], labels[0], 20, seed=3)
    assert images.shape == (20, *frames[0].shape) and images.dtype == np.uint8
    assert np.array_equal(images[0], frames[0]) and np.array_equal(masks[0], labels[0])
    assert set(np.unique(masks)) == {0, 1}
    areas = masks.sum((1, 2))
    assert (areas >= 0.4 * 0.5 / 1.5**2 * areas[0]).all()
    assert len({m.tobytes() for m in masks}) == 20


def test_seed_decides():
    frames, labels = moving_shapes(1)
    a, b, c = (first_frame_samples(frames[0], labels[0], 5, seed=s)[0] for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_cut_out_leaves_no_trace_of_the_target():
    frame = np.full((120, 160, 3), 60, np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 50:100] = 1
    frame[mask > 0] = 240
    background = cut_out(frame, mask).background
    # Telea's gradient term overshoots a little on a flat ground; the target was 180 levels away
    assert background.max() <= 70 and background.min() >= 50


def test_identity_warp_gives_the_frame_back():
    frames, labels = moving_shapes(1)
    image, label = paste(cut_out(frames[0], labels[0]), np.array([[1.0, 0, 0], [0, 1, 0]]), 0.0)
    assert np.array_equal(label, labels[0])
    assert np.array_equal(image[label > 0], frames[0][label > 0])


def test_shifted_target_is_where_its_label_is():
    frame = np.zeros((64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:20, 10:20] = 1
    frame[mask > 0] = 200
    image, label = paste(cut_out(frame, mask), np.array([[1.0, 0, 30], [0, 1, 20]]), 0.0)
    expected = np.zeros_like(mask)
    expected[30:40, 40:50] = 1
    assert np.array_equal(label, expected)
    assert (image[label > 0] == 200).all()


@pytest.mark.parametrize("kind", ["one pixel", "all but one", "corner", "everything"])
def test_hard_masks(kind):
    frames, _ = moving_shapes(1, size=(40, 50))
    mask = np.zeros((40, 50), np.uint8)
    mask[{"one pixel": np.s_[20, 25], "all but one": np.s_[:], "corner": np.s_[:3, :3], "everything": np.s_[:]}[kind]] = 1
    if kind == "all but one":
        mask[0, 0] = 0
    images, masks = first_frame_samples(frames[0], mask, 6)
    assert images.shape[0] == 6 and (masks.sum((1, 2)) > 0).all()
