"""Notebook 04: an L on the workbench, turned by hand; and the two exercises."""

import math

import numpy as np
import pytest
from teaching.answers import Answers, exercises_of, judge
from teaching.known import Reddish
from teaching.seeing import close, flat, is_described, shown, tinted

from vosedu.teaching import augmentation
from vosedu.teaching.augmentation import WarpBench

GROUND, COAT = (60, 120, 90), (200, 180, 20)
LONG, SHORT = (slice(50, 60), slice(40, 80)), (slice(30, 60), slice(40, 50))
"""An L: a long arm to the right and a short one upwards; all of it is 40 columns wide and 30 rows high."""


@pytest.fixture()
def bench():
    frame, mask = flat(GROUND, (120, 160)), np.zeros((120, 160), np.uint8)
    for part in (LONG, SHORT):
        frame[part], mask[part] = COAT, 1
    return WarpBench(frame, mask, Reddish())


def turned(bench, degrees, factor=1.0, right=0):
    """The L's pixels, turned clockwise about their mean, with ordinary trigonometry: bool (H, W)."""
    rows, columns = np.nonzero(bench.pieces.mask)
    y, x = np.indices(bench.pieces.mask.shape)
    a = math.radians(degrees)
    dx, dy = (x - right - columns.mean()) / factor, (y - rows.mean()) / factor
    back = columns.mean() + math.cos(a) * dx + math.sin(a) * dy, rows.mean() - math.sin(a) * dx + math.cos(a) * dy
    column, row = (np.rint(part).astype(int) for part in back)
    inside = (row >= 0) & (row < 120) & (column >= 0) & (column < 160)
    return inside & (bench.pieces.mask[row.clip(0, 119), column.clip(0, 159)] > 0)


def test_as_it_starts_it_pastes_what_it_cut_out(bench):
    image, mask = bench.sample()
    assert np.array_equal(mask, bench.pieces.mask) and close(image[LONG], COAT, 0) and close(image[:25], GROUND, 0)


@pytest.mark.parametrize("degrees", [90, -90, 30, -60])
def test_angles_turn_clockwise_about_the_target_s_middle(bench, degrees):
    bench.angle.value = degrees
    image, mask = bench.sample()
    assert (mask != turned(bench, degrees)).mean() < 0.01
    inner = turned(bench, degrees, 1.0) & (mask > 0)
    assert np.median(np.abs(image[inner].astype(int) - COAT)) <= 1, "the colours turn with the label"


def test_a_quarter_turn_brings_the_long_arm_down(bench):
    bench.angle.value = 90
    mask = bench.sample()[1]
    rows, columns = np.nonzero(mask)
    assert np.ptp(rows) == 39 and np.ptp(columns) == 29, "40 high and 30 wide"
    assert mask[rows.max(), columns.min() : columns.min() + 10].all() and not mask[rows.max(), columns.max()]


def test_scale_and_shift_act_about_the_middle_and_to_the_right(bench):
    bench.scale.value = 2.0
    assert (bench.sample()[1] != turned(bench, 0, 2.0)).mean() < 0.02
    bench.scale.value, bench.shift.value = 1.0, 30
    assert (bench.sample()[1] != turned(bench, 0, 1.0, 30)).sum() == 0
    bench.shift.value = -30
    assert (bench.sample()[1] != turned(bench, 0, 1.0, -30)).sum() == 0


def test_blur_softens_the_image_and_not_its_label(bench):
    sharp, label = bench.sample()
    bench.blur.value = 3.0
    soft, same = bench.sample()
    assert np.array_equal(label, same)
    steps = [np.abs(np.diff(image[55, 70:90].astype(int), axis=0)).max() for image in (sharp, soft)]
    assert steps[0] > 100 > 40 > steps[1], "along the end of the long arm"


def test_its_score_map_is_of_the_sample_as_it_is_now():
    """By a D that is learned from the frame alone, and the mean of it over the target."""
    frame, mask, engine = flat((0, 0, 90), (128, 160)), np.zeros((128, 160), np.uint8), Reddish()
    frame[48:80, 48:80], mask[48:80, 48:80] = (204, 0, 0), 1
    bench = WarpBench(frame, mask, engine)
    assert engine.last.config.samples == 1 and engine.config.samples > 1
    (seen, given), = engine.last.started
    assert np.array_equal(seen, frame) and np.array_equal(given, mask)
    before = np.hsplit(shown(bench), 3)[2].astype(int)
    assert 0.6 < bench.found() < 0.8 and f"{bench.found():.2f}" in bench.words(), "cells at its rim are half of it"
    bench.shift.value = 48
    after = np.hsplit(shown(bench), 3)[2].astype(int)
    assert 0.6 < bench.found() < 0.8 and np.abs(before - after)[50:78, 50:78].mean() > 30, "the map follows the target"
    bench.shift.value = -80
    assert not bench.sample()[1].any() and bench.found() == 0, "out of the frame"


def test_its_picture_has_the_filled_background_left_and_the_sample_in_the_middle(bench):
    bench.shift.value = 40
    left, right, _ = np.hsplit(shown(bench), 3)
    assert left.shape == (120, 160, 3)
    assert close(left, GROUND, 12), "nothing of the target is left"
    assert close(right[52:58, 84:116], tinted(COAT), 25), "the sample's target is tinted"
    assert close(right[52:58, 46:76], GROUND, 25) and close(right[80:, :150], GROUND)


def test_its_controls(bench):
    assert is_described(bench.widget) and len(bench.widget.children) == 5
    assert (bench.angle.min, bench.angle.max, bench.shift.max) == (-90, 90, 80)


def affine(centre, angle, scale, origin=None):
    """Where three points must go, and the map through them."""
    def goes(x, y):
        x, y = (x, y) if origin else (x - centre[0], y - centre[1])
        turned = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
        return [scale * turned[0] + (0 if origin else centre[0]), scale * turned[1] + (0 if origin else centre[1])]

    zero, one, two = goes(0, 0), goes(1, 0), goes(0, 1)
    return np.array([[one[0] - zero[0], two[0] - zero[0], zero[0]], [one[1] - zero[1], two[1] - zero[1], zero[1]]])


def shifted(centre, angle, scale):
    found = affine(centre, angle, scale, origin=True)
    found[:, 2] = centre
    return found


def share(mask, label, warp, power=1):
    return label.sum() / (mask.sum() * abs(np.linalg.det(warp[:, :2])) ** power)


def by_cross_product(mask, label, warp):
    (a, b, _), (c, d, _) = warp.tolist()
    return float((label > 0).sum()) / ((mask > 0).sum() * abs(a * d - b * c))


TABLE = {
    "about": Answers(
        [affine],
        [(lambda c, a, s: affine(c, a, s, origin=True), "corner"), (shifted, "not taken away"),
         (lambda c, a, s: affine(c, -a, s), "other way"), (lambda c, a, s: affine(c, a, 1.0), "scale is missing"),
         (lambda c, a, s: affine(c[::-1], a, s), "in place"), (lambda c, a, s: affine(c, math.degrees(a), s), "rotation"),
         (lambda c, a, s: affine(c, a, s)[:, :2], "shape"), (lambda c, a, s: affine(c, a, s).T, "shape")],
    ),
    "visible_share": Answers(
        [share, by_cross_product],
        [(lambda m, l, w: share(m, l, w, 0), "before the warp"), (lambda m, l, w: share(m, l, w, 0.5), "root"),
         (lambda m, l, w: share(m, l, w, -1), "multiplies"), (lambda m, l, w: 7, "linear part"),
         (lambda m, l, w: l.sum() / m.sum() / np.linalg.det(w[:, :2]), "mirrored"),
         (lambda m, l, w: (l * m).sum() / m.sum(), "linear part"), (lambda m, l, w: float("nan"), "NaN"),
         (lambda m, l, w: [share(m, l, w)], "a number")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(augmentation, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(augmentation) == set(TABLE)
