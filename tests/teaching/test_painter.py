"""The painter without a browser: strokes go in, labels and pixels come out."""

import cv2
import numpy as np
import pytest
from teaching.seeing import close, flat

from vosedu.errors import InputError
from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.images import image_files, read_image
from vosedu.teaching.painter import Painter, rasterise, snap

EMPTY = np.zeros((60, 100), np.uint8)
RED, GREEN = (128, 0, 0), (0, 128, 0)
"""Objects 1 and 2 in the palette of DAVIS."""


def stroke(kind, points, i=1, radius=5):
    return {"kind": kind, "id": i, "radius": radius, "points": points}


def test_box_and_ellipse_fill_between_their_corners():
    box = rasterise([stroke("box", [[70, 40], [3, 3], [10, 20]])], EMPTY)
    assert box[20:41, 10:71].all() and box.sum() == 21 * 61
    ellipse = rasterise([stroke("ellipse", [[10, 10], [50, 30]], 7)], EMPTY)
    assert (ellipse == 7).sum() == pytest.approx(np.pi * 20.5 * 10.5, rel=0.03) and ellipse[20, 30] == 7
    assert ellipse[11, 11] == 0 and set(np.unique(ellipse)) == {0, 7} and not EMPTY.any()


def test_brush_is_round_follows_its_points_and_zero_erases():
    line = stroke("brush", [[20, 30], [80, 30]], 3, radius=6)
    painted = rasterise([line], EMPTY)
    assert (painted[25:36, 20:80] == 3).all() and painted[30, 15] == 3 and painted[30, 12] == 0 and painted[40].max() == 0
    assert rasterise([stroke("brush", [[50, 30]], 3, 6)], EMPTY).sum() / 3 == pytest.approx(np.pi * 36, rel=0.15)
    bent = rasterise([stroke("brush", [[20, 10], [60, 10], [60, 50]], 1, 2)], EMPTY)
    assert bent[10, 40] and bent[30, 60] and bent[50, 60] and not bent[30, 40], "by all its points, not straight to the last"
    erased = rasterise([line, stroke("box", [[0, 0], [99, 59]], 0)], EMPTY)
    assert not erased.any() and painted.any()


def test_later_strokes_lie_on_top_of_earlier_ones_and_of_the_base():
    base = EMPTY + 5
    found = rasterise([stroke("box", [[0, 0], [40, 40]], 1), stroke("box", [[20, 20], [60, 50]], 2)], base)
    assert (found[5, 5], found[30, 30], found[45, 50], found[5, 90]) == (1, 2, 2, 5) and (base == 5).all()


def test_an_empty_stroke_is_nothing_and_a_strange_one_is_refused():
    assert not rasterise([stroke("brush", [])], EMPTY).any()
    assert rasterise([stroke("box", [[1, 1]], 255)], EMPTY).max() == 255
    for bad in (stroke("spray", [[1, 1]]), stroke("box", [[1, 1]], 256), stroke("box", [[1, 1]], -1)):
        with pytest.raises(InputError, match="stroke"):
            rasterise([bad], EMPTY)


def test_snap_pulls_a_rough_ellipse_to_the_object():
    scene = datasets.scene("huddle")
    frame, truth = read_image(image_files(scene.frames)[0]), scene.labels(0) == 3
    ys, xs = np.nonzero(truth)
    rough = rasterise([stroke("ellipse", [[xs.min(), ys.min()], [xs.max(), ys.max()]], 3)], np.zeros(truth.shape, np.uint8))
    tidy = snap(frame, rough)
    assert set(np.unique(tidy)) == {0, 3}
    assert jaccard(tidy == 3, truth) > jaccard(rough == 3, truth) + 0.05


def test_snap_finds_two_sharp_shapes_and_keeps_their_ids():
    """Two coloured wedges on grey, marked by boxes that are too large on one side."""
    frame, truth = flat((120, 120, 120), (90, 140)), np.zeros((90, 140), np.uint8)
    for i, (corner, colour) in enumerate((((15, 20), (220, 40, 40)), ((80, 30), (40, 40, 220))), start=4):
        points = np.array([corner, (corner[0] + 40, corner[1]), (corner[0], corner[1] + 40)])
        cv2.fillPoly(frame, [points], colour)
        cv2.fillPoly(truth, [points], i)
    rough = rasterise([stroke("ellipse", [[12, 18], [46, 52]], 4), stroke("ellipse", [[78, 27], [112, 62]], 5)],
                      np.zeros_like(truth))
    tidy = snap(frame, rough)
    for i in (4, 5):
        assert jaccard(tidy == i, truth == i) > 0.9 > jaccard(rough == i, truth == i)
    assert np.array_equal(tidy, snap(frame, rough)), "twice the same"


def test_snap_keeps_what_it_cannot_improve():
    labels = np.full((60, 100), 2, np.uint8)
    assert np.array_equal(snap(np.zeros((60, 100, 3), np.uint8), labels), labels)


def pixels(painter):
    return cv2.imdecode(np.frombuffer(painter.value, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_painter_shows_what_is_painted():
    painter = Painter(flat((90, 90, 90), (60, 100)))
    assert painter.size == (100, 60) and close(pixels(painter), 90, 3) and not painter.labels.any()
    painter.strokes = [stroke("box", [[8, 8], [40, 40]], 1)]
    painter.strokes = [*painter.strokes, stroke("box", [[60, 8], [92, 40]], 2)]
    assert (painter.labels == 1).sum() == (painter.labels == 2).sum() == 33 * 33
    assert close(pixels(painter)[14:34, 14:34], 0.55 * 90 + 0.45 * np.array(RED), 12)
    assert close(pixels(painter)[14:34, 66:86], 0.55 * 90 + 0.45 * np.array(GREEN), 12)
    assert close(pixels(painter)[50:, :], 90, 12)
    painter.strokes = painter.strokes[:-1]  # as the button "undo" does
    assert (painter.labels == 2).sum() == 0 and close(pixels(painter)[14:34, 66:86], 90, 12)


def test_labels_that_are_set_take_the_strokes_place():
    painter = Painter(flat((90, 90, 90), (60, 100)), EMPTY + 2)
    assert (painter.labels == 2).all() and close(pixels(painter)[10:50, 10:90], 0.55 * 90 + 0.45 * np.array(GREEN), 3)
    painter.strokes = [stroke("box", [[10, 10], [40, 40]], 1)]
    painter.labels = EMPTY + 1
    assert painter.strokes == [] and (painter.labels == 1).all()
    assert close(pixels(painter)[10:50, 10:90], 0.55 * 90 + 0.45 * np.array(RED), 3)
    with pytest.raises(InputError, match="mask"):
        painter.labels = np.zeros((3, 3), np.uint8)


def test_undo_takes_back_a_stroke_then_what_replaced_the_strokes():
    """Snapping, or a mask that was read, sets `labels`: the strokes from before come back."""
    painter = Painter(np.full((40, 60, 3), 90, np.uint8))
    stroke = {"kind": "box", "id": 2, "radius": 1, "points": [[5, 5], [20, 20]]}
    painter.strokes = [stroke]
    painted = painter.labels.copy()
    painter.labels = np.ones((40, 60), np.uint8)
    painter.strokes = [{**stroke, "id": 3}]
    shown = painter.value
    painter.undo()
    assert (painter.labels == 1).all() and painter.value != shown
    painter._handle_custom_msg("undo", [])  # as the browser's button does
    assert np.array_equal(painter.labels, painted) and painter.strokes == [stroke]
    painter.undo()
    assert not painter.labels.any()
    painter.undo()
    assert not painter.labels.any(), "there is nothing before that"
