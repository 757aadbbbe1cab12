"""The warp of the first-frame samples (Section 3.1): about the target, within its limits, and all of them used."""

import math

import numpy as np
import pytest
from tiny_training import Scripted

from vosedu.augmentation import MAX_ROTATION, MAX_SCALE, MAX_SHEAR, MAX_SHIFT, random_warp

MASK = np.zeros((60, 100), np.uint8)
MASK[10:20, 70:81] = 1
MIDDLE = np.array([75, 14.5])


def test_a_known_warp():
    angle, shear, shift = 0.2, 0.1, np.array([0.15, -0.05])
    matrix = random_warp(MASK, Scripted(uniform=[angle, 0.5, shear, shift]))
    scale = math.sqrt(MAX_SCALE)
    np.testing.assert_allclose(matrix @ [*MIDDLE, 1], MIDDLE + shift * (100, 60), atol=1e-9)
    np.testing.assert_allclose(matrix[:, 0], scale * np.array([math.cos(angle), math.sin(angle)]))
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(scale**2)
    assert matrix[:, 1] @ [math.cos(angle), math.sin(angle)] == pytest.approx(scale * shear)


def test_warps_fill_their_limits_and_keep_to_them():
    rng = np.random.default_rng(0)
    warps = [random_warp(MASK, rng) for _ in range(600)]
    measured = {
        "angle": ([math.atan2(m[1, 0], m[0, 0]) for m in warps], MAX_ROTATION),
        "scale": ([math.log(math.hypot(m[0, 0], m[1, 0])) for m in warps], math.log(MAX_SCALE)),
        "shear": ([m[:, 0] @ m[:, 1] / (m[:, 0] @ m[:, 0]) for m in warps], MAX_SHEAR),
        "right": ([(m @ [*MIDDLE, 1] - MIDDLE)[0] / 100 for m in warps], MAX_SHIFT),
        "down": ([(m @ [*MIDDLE, 1] - MIDDLE)[1] / 60 for m in warps], MAX_SHIFT),
    }
    for name, (values, limit) in measured.items():
        assert 0.97 * limit < max(values) < limit + 1e-9, name
        assert 0.97 * limit < -min(values) < limit + 1e-9, name
        assert np.std(values) == pytest.approx(limit / math.sqrt(3), rel=0.1), name  # uniform
