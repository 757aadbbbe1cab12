"""What happens to pictures: each effect on pixels that are known, with a random generator whose answers are known."""

import math

import numpy as np
import pytest
from tiny_training import Scripted

from vosedu.training.effects import bend, camera, lay, mirrored, motion, recolour, shade, streak, to_bytes

NEVER = [0.99] * 4
"""`camera` asks four times whether: motion blur, defocus, noise, compression."""


def spot(row, column, size=(24, 40)):
    """A white pixel on black, float32."""
    picture = np.zeros((*size, 3), np.float32)
    picture[row, column] = 1
    return picture


def test_recolour_is_saturation_contrast_balance_and_brightness_in_that_order():
    image = np.random.default_rng(0).random((2, 3, 3))
    balance = np.array([0.5, 0.0, -0.7])
    rng = Scripted(normal=[math.log(2), math.log(0.5), balance, 0.1])
    found = recolour(image, rng, 0.4)
    expected = np.empty_like(image)
    for y in range(2):
        for x in range(3):
            grey = sum(image[y, x]) / 3
            for c in range(3):
                expected[y, x, c] = grey + 2 * (image[y, x, c] - grey)
    mean = expected.mean()
    for c in range(3):
        expected[..., c] = (mean + 0.5 * (expected[..., c] - mean)) * math.exp(balance[c]) + 0.1
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert [scale for _, scale, *_ in rng.asked["normal"]] == pytest.approx([0.12, 0.1, 0.048, 0.032])


def test_shade_multiplies_by_smooth_light_that_is_the_same_for_all_channels():
    gains = np.linspace(-0.4, 0.6, 15).reshape(3, 5)
    small = np.random.default_rng(1).random((3, 5, 3)).astype(np.float32)
    rng = Scripted(normal=[gains])
    np.testing.assert_allclose(shade(small, rng), small * np.exp(gains)[..., None], rtol=1e-5)
    assert rng.asked["normal"] == [(0, 0.25, (3, 5))]
    wide = shade(np.ones((60, 100, 3), np.float32), Scripted(normal=[gains]))
    assert np.ptp(wide, axis=2).max() < 1e-6 and np.abs(np.diff(wide, axis=1)).max() < 0.05
    assert (np.diff(wide[..., 0], axis=1)[:, 10:-10] > 0).all() and (np.diff(wide[..., 0], axis=0)[10:-10] > 0).all()


@pytest.mark.parametrize(("length", "angle", "cells"), [
    (5, 0.0, [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
    (5, math.pi / 2, [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]),
    (3, math.pi / 4, [(0, 0), (1, 1), (2, 2)]),
])
def test_a_streak_is_a_line_through_the_middle(length, angle, cells):
    expected = np.zeros((length, length))
    for cell in cells:
        expected[cell] = 1 / len(cells)
    np.testing.assert_allclose(streak(length, angle), expected, atol=1e-7)


def test_a_camera_may_do_nothing():
    picture = np.random.default_rng(2).random((24, 40, 3)).astype(np.float32)
    rng = Scripted(random=NEVER)
    assert np.array_equal(camera(picture, rng), picture) and not rng.answers["random"]


def test_a_moving_camera_draws_a_point_out():
    found = camera(spot(8, 20), Scripted(random=[0.1, *NEVER[1:]], integers=[5], uniform=[0.0]))
    expected = np.zeros((24, 40, 3))
    expected[8, 18:23] = 0.2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_defocus_is_a_gaussian():
    rng = Scripted(random=[0.9, 0.1, *NEVER[2:]], uniform=[1.2])
    found = camera(spot(8, 20), rng)[..., 1]
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.2) ** 2)
    kernel /= kernel.sum()
    np.testing.assert_allclose(found[4:13, 16:25], np.outer(kernel, kernel), atol=2e-3)
    assert rng.asked["uniform"] == [(0.3, 1.3)]


def test_noise_is_added():
    noise = np.random.default_rng(3).normal(0, 0.02, (24, 40, 3))
    rng = Scripted(random=[0.9, 0.9, 0.1, 0.9], normal=[noise])
    np.testing.assert_allclose(camera(spot(8, 20), rng), spot(8, 20) + noise, atol=1e-6)
    assert rng.asked["normal"] == [(0, 0.02, (24, 40, 3))]


def test_compression_keeps_colours_and_loses_detail():
    picture = np.full((32, 48, 3), (0.9, 0.2, 0.4), np.float32)
    picture[:, 24:] = (0.1, 0.6, 0.8)
    picture += np.random.default_rng(4).normal(0, 0.03, (32, 48, 1)).astype(np.float32)
    coarse, fine = (camera(picture, Scripted(random=[0.9, 0.9, 0.9, 0.1], integers=[q])) for q in (30, 95))
    for found in (coarse, fine):
        np.testing.assert_allclose(found * 255, (found * 255).round(), atol=1e-3)
        assert np.abs(found[:, :16].mean((0, 1)) - (0.9, 0.2, 0.4)).max() < 0.03
        assert np.abs(found[:, -16:].mean((0, 1)) - (0.1, 0.6, 0.8)).max() < 0.03
    assert np.abs(coarse - picture).mean() > 1.5 * np.abs(fine - picture).mean() > 0


def test_motion_turns_about_the_middle_of_the_mask():
    mask = np.zeros((60, 100), np.uint8)
    mask[10:20, 70:81] = 1  # middle: x 75, y 14.5
    angle, scale, stretch, shear, shift = 0.3, 1.2, 1.1, 0.05, np.array([0.1, -0.2])
    rng = Scripted(normal=[angle, math.log(scale), math.log(stretch), shear, shift])
    matrix = motion(mask, rng, 0.5)
    middle = np.array([75, 14.5])
    np.testing.assert_allclose(matrix @ [*middle, 1], middle + shift * (100, 60), atol=1e-9)
    right, down = matrix[:, 0], matrix[:, 1]  # where one pixel to the right, and one down, go
    np.testing.assert_allclose(right, scale * stretch * np.array([math.cos(angle), math.sin(angle)]))
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(scale**2)
    np.testing.assert_allclose(down @ [math.cos(angle), math.sin(angle)], scale * shear)
    assert [args[1] for args in rng.asked["normal"]] == pytest.approx([0.11, 0.15, 0.05, 0.05, 0.05])
    np.testing.assert_allclose(motion(mask, np.random.default_rng(0), 0), [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_bend_takes_pixels_where_the_matrix_says():
    matrix = np.array([[0.0, -1, 30], [1, 0, 2]])  # (x, y) -> (30 - y, x + 2)
    still = np.zeros((5, 8, 2))
    mask = spot(7, 12)[..., 0]
    picture, moved = bend([spot(7, 12), mask], matrix, Scripted(normal=[still]), 3.0)
    expected = np.zeros((24, 40), np.float32)
    expected[14, 23] = 1
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    np.testing.assert_allclose(picture[:, :36, 2], expected[:, :36], atol=1e-5)  # beyond, the edge mirrors it


def test_bend_displaces_smoothly_and_fills_from_outside():
    push = np.zeros((5, 8, 2))
    push[..., 0] = 6  # everything is taken from six pixels to the right
    ones = np.ones((24, 40), np.float32)
    ramp = np.repeat(np.arange(40, dtype=np.float32)[None], 24, axis=0)
    picture, mask = bend([np.stack([ramp] * 3, 2), ones], np.eye(2, 3), Scripted(normal=[push]), 1.0)
    np.testing.assert_allclose(picture[10, :34, 0], np.arange(6, 40), atol=1e-4)
    np.testing.assert_allclose(picture[10, 34:, 0], [38, 37, 36, 35, 34, 33], atol=1e-4)  # mirrored at the edge
    assert mask[10, :34].min() > 0.999 and mask[10, 35:].max() == 0


def test_small_ones():
    image = np.arange(12).reshape(2, 3, 2)
    flipped, mask = mirrored(image, np.array([[1, 0, 0], [0, 0, 0]]))
    assert flipped[1].tolist() == [[10, 11], [8, 9], [6, 7]] and mask.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert to_bytes(np.array([-0.3, 0.0, 0.0019, 0.0021, 0.5, 1.0, 1.7])).tolist() == [0, 0, 0, 1, 128, 255, 255]
    ground, colours = np.full((1, 3, 3), 0.2), np.full((1, 3, 3), 0.8)
    np.testing.assert_allclose(lay(ground, colours, np.array([[0, 0.25, 1]]))[0, :, 0], [0.2, 0.35, 0.8])
