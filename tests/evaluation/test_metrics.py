"""J and F on masks small enough to count by hand, and F against a slow version of its definition."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vosedu.evaluation.metrics import SequenceScorer, boundary, boundary_f, jaccard, near, overall_g, report, summarise


def box(rows, columns, size=(100, 100)):
    mask = np.zeros(size, np.uint8)
    mask[slice(*rows), slice(*columns)] = 1
    return mask


EMPTY, FULL = np.zeros((100, 100), np.uint8), np.ones((100, 100), np.uint8)


def test_jaccard_by_hand():
    assert jaccard(EMPTY, EMPTY) == 1
    assert jaccard(EMPTY, FULL) == jaccard(FULL, EMPTY) == 0
    square, shifted = box((10, 20), (10, 20)), box((10, 20), (11, 21))
    assert jaccard(square, shifted) == pytest.approx(90 / 110)
    assert jaccard(box((0, 10), (0, 10)), box((0, 10), (0, 5))) == 0.5


def test_boundary_by_hand():
    # a 3x3 square at rows 2..4: its rim on the inside east and south, on the outside west and north
    found = boundary(box((2, 5), (2, 5), (7, 7)))
    expected = np.array([
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 0, 0, 1, 0, 0],
        [0, 1, 0, 0, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ], bool)
    assert np.array_equal(found, expected)
    assert not boundary(FULL).any() and not boundary(EMPTY).any()
    # at the image's border there is no boundary: nothing lies beyond it
    assert boundary(box((0, 100), (0, 50))).sum() == 100


def test_f_by_hand():
    assert boundary_f(EMPTY, EMPTY) == 1 and boundary_f(FULL, EMPTY) == 1  # neither has a boundary
    assert boundary_f(box((10, 20), (10, 20)), EMPTY) == 0 and boundary_f(EMPTY, box((10, 20), (10, 20))) == 0
    # ceil(0.008 * 141.4) = 2 pixels of tolerance
    square = box((10, 30), (10, 30))
    assert boundary_f(square, box((10, 30), (12, 32))) == 1
    far = boundary_f(square, box((10, 30), (14, 34)))
    assert 0 < far < 1
    assert boundary_f(box((10, 20), (10, 20)), box((60, 70), (60, 70))) == 0
    assert boundary_f(box((0, 30), (0, 30)), box((0, 30), (0, 30))) == 1


def slow_f(prediction, truth):
    """The definition, point by point."""
    radius = math.ceil(0.008 * math.hypot(*truth.shape))

    def edge(mask):
        h, w = mask.shape
        return [(y, x) for y in range(h) for x in range(w)
                if any(y + dy < h and x + dx < w and mask[y, x] != mask[y + dy, x + dx] for dy, dx in ((0, 1), (1, 0), (1, 1)))]

    a, b = edge(prediction), edge(truth)
    if not a or not b:
        return float(bool(a) == bool(b))

    def share(points, others):
        return np.mean([any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in points])

    p, r = share(a, b), share(b, a)
    return 2 * p * r / (p + r) if p + r else 0.0


@given(seed=st.integers(0, 10**6), h=st.integers(2, 14), w=st.integers(2, 14), density=st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_f_equals_its_definition(seed, h, w, density):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((h, w)) < density for _ in range(2))
    assert boundary_f(a, b) == pytest.approx(slow_f(a, b))


def test_f_equals_its_definition_at_a_larger_radius():
    a, b = box((20, 60), (30, 90), (150, 200)), box((22, 64), (31, 95), (150, 200))
    assert boundary_f(a, b) == pytest.approx(slow_f(a, b))


@pytest.mark.parametrize("size, radius", [((480, 854), 8), ((1080, 1920), 18), ((300, 40), 3), ((100, 75), 1)])
def test_the_tolerance_is_a_disk_of_that_radius(size, radius):
    """0.008 of the diagonal, rounded up: 7.84, 17.6, 2.42 and exactly 1 pixels."""
    y, x = size[0] // 2, size[1] // 3
    others = np.zeros(size, bool)
    others[y, x] = True
    found = near(np.ones(size, bool), others)
    rows, columns = np.indices(size)
    assert np.array_equal(found, (rows - y) ** 2 + (columns - x) ** 2 <= radius**2)
    assert not near(np.ones(size, bool), np.zeros(size, bool)).any()


def test_f_weighs_precision_and_recall_alike_but_they_are_not_exchanged_for_one_another():
    """A right boundary and a foreign one beside it: precision a half, recall one."""
    truth = box((10, 30), (10, 40), (120, 90))
    twice = truth + box((60, 80), (30, 60), (120, 90))
    assert boundary(truth).sum() == boundary(twice).sum() / 2 > 0
    assert boundary_f(twice, truth) == boundary_f(truth, twice) == pytest.approx(2 * 0.5 / 1.5)
    assert jaccard(twice, truth) == 0.5


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 7, 9, 10, 18, 40, 77, 78, 79, 80, 257, 300])
def test_decay_by_the_benchmarks_rule(frames):
    """ids = round(linspace(1, n, 5) + 1e-10) - 1, bins from ids[k] to ids[k + 1] with both ends; in fractions."""
    values = np.random.default_rng(frames).random(frames)
    borders = [math.floor(1 + Fraction(k * (frames - 1), 4) + Fraction(1, 2)) for k in range(5)]
    first, last = ([values[n - 1] for n in range(borders[k], borders[k + 1] + 1)] for k in (0, 3))
    found = summarise(values)
    assert found["decay"] == pytest.approx(sum(first) / len(first) - sum(last) / len(last), abs=1e-12)
    assert found["mean"] == pytest.approx(sum(values) / frames)
    assert found["recall"] == pytest.approx(sum(v > 0.5 for v in values) / frames)


def test_summary_by_hand_beyond_256_frames():
    values = [1.0] * 150 + [0.25] * 150
    # borders round(linspace(1, 300, 5)) = 1, 76, 150, 225, 300: the first bin has 76 frames, the last 76
    assert summarise(values) == {"mean": 0.625, "recall": 0.5, "decay": 0.75}
    assert summarise([0.5]) == {"mean": 0.5, "recall": 0.0, "decay": 0.0}
    with pytest.raises(ValueError, match="no frames"):
        summarise([])


def test_protocol_leaves_out_first_and_last_frame():
    scorer = SequenceScorer({1: 0, 2: 1}, frames=5)
    truth = box((10, 30), (10, 30)) + 2 * box((50, 70), (50, 70))
    for index in range(5):
        scorer.add(index, truth if index in (0, 4) else EMPTY, truth)
    assert scorer.j == {1: [0, 0, 0], 2: [0, 0]}  # the given and the last frame would have been perfect
    late = SequenceScorer({1: 0}, frames=3, drop_last=False)
    for index in range(3):
        late.add(index, truth, truth)
    assert late.j == {1: [1, 1]}


def test_every_object_is_scored_by_its_own_id():
    """Ids need neither begin at 1 nor follow each other; one that is predicted and not given counts for none."""
    truth = 3 * box((10, 30), (10, 40), (80, 110)) + 7 * box((40, 70), (60, 90), (80, 110))
    found = np.where(truth == 3, 3, 0) + 7 * box((40, 70), (70, 100), (80, 110)) + 9 * box((0, 5), (0, 5), (80, 110))
    scorer = SequenceScorer({7: 0, 3: 0}, frames=4)
    scorer.add(1, found, truth)
    scorer.add(2, np.where(found == 7, 3, 0), truth)
    assert scorer.j == {7: [0.5, 0.0], 3: [1.0, 0.0]}
    expected = [slow_f(found == 7, truth == 7), 0.0]
    assert scorer.f == {7: pytest.approx(expected), 3: [1.0, 0.0]} and 0 < expected[0] < 0.5
    assert list(scorer.objects()) == [7, 3] and scorer.objects()[7]["J"]["mean"] == 0.25
    assert scorer.objects()[7]["F"]["mean"] == pytest.approx(expected[0] / 2)


def filled(j, f):
    """A scorer that holds these values per object."""
    scorer = SequenceScorer(dict.fromkeys(j, 0), 9)
    scorer.j, scorer.f = j, f
    return scorer


def test_report_by_hand():
    """J and F with different values everywhere, so that nothing can stand in for another figure."""
    scores = {"a": filled({1: [0.9, 0.7, 0.2], 4: [0.4, 0.4, 0.4]}, {1: [0.6, 0.8, 0.1], 4: [0.3, 0.9, 0.9]}),
              "b": filled({2: [0.8, 0.6, 0.7]}, {2: [0.55, 0.45, 0.95]})}
    found = report(scores, {"a": 5, "b": 6})
    assert found["J"]["mean"] == pytest.approx((0.6 + 0.4 + 0.7) / 3)
    assert found["J"]["recall"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["F"]["mean"] == pytest.approx((0.5 + 0.7 + 0.65) / 3)
    assert found["F"]["recall"] == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 3)
    # three frames: borders 1, 2, 2, 3, 3, so the first bin is frames 1 and 2, the last frame 3
    assert found["J"]["decay"] == pytest.approx((0.6 + 0.0 + 0.0) / 3)
    assert found["F"]["decay"] == pytest.approx((0.6 - 0.3 - 0.45) / 3)
    assert found["JF_mean"] == pytest.approx((1.7 / 3 + 1.85 / 3) / 2)
    assert found["sequences"]["a"] == pytest.approx(
        {"J_mean": 0.5, "F_mean": 0.6, "JF_mean": 0.55, "frames": 5, "objects": 2})
    assert found["sequences"]["b"] == pytest.approx(
        {"J_mean": 0.7, "F_mean": 0.65, "JF_mean": 0.675, "frames": 6, "objects": 1})


def test_a_sequence_without_a_scored_frame_has_no_mean_and_counts_for_nothing():
    found = report({"a": filled({1: [0.5]}, {1: [0.25]}), "b": filled({1: []}, {1: []})}, {"a": 3, "b": 2})
    assert found["J"]["mean"] == 0.5 and found["F"]["mean"] == 0.25
    assert math.isnan(found["sequences"]["b"]["J_mean"]) and found["sequences"]["b"]["objects"] == 1


def test_report_averages_over_objects_not_sequences():
    a, b = SequenceScorer({1: 0, 2: 0}, 3), SequenceScorer({1: 0}, 3)
    square = box((10, 30), (10, 30))
    a.add(1, square, square + 2 * box((50, 70), (50, 70)))
    b.add(1, EMPTY, square)
    found = report({"a": a, "b": b}, {"a": 3, "b": 3})
    assert found["J"]["mean"] == pytest.approx(1 / 3)  # objects 1, 0, 0; sequences would give 1/4
    assert found["sequences"]["a"] == {"J_mean": 0.5, "F_mean": 0.5, "JF_mean": 0.5, "frames": 3, "objects": 2}
    with pytest.raises(ValueError, match="three frames"):
        report({"c": SequenceScorer({1: 0}, 2)}, {"c": 2})


def test_g_is_the_mean_over_seen_and_unseen_classes():
    square = box((10, 30), (10, 30))
    scorer = SequenceScorer({1: 0, 2: 0, 3: 0}, 3)
    scorer.add(1, square, square + 2 * box((50, 70), (50, 70)))  # objects 1 right, 2 missed, 3 absent and not predicted
    found = overall_g({"v": scorer}, {"v": {1: True, 2: True, 3: False}})
    assert found == {"G": 0.75, "F_seen": 0.5, "F_unseen": 1.0, "J_seen": 0.5, "J_unseen": 1.0}
    assert overall_g({"v": scorer}, {"v": {1: True}}) is None


def test_g_by_hand_with_different_j_and_f():
    scores = {"a": filled({1: [0.9], 2: [0.5]}, {1: [0.8], 2: [0.1]}), "b": filled({1: [0.3], 5: [0.2]}, {1: [0.6], 5: [0.0]})}
    found = overall_g(scores, {"a": {1: True, 2: False}, "b": {1: True}})  # of b's object 5 the class is not known
    assert found == pytest.approx({"G": (0.6 + 0.5 + 0.7 + 0.1) / 4, "J_seen": 0.6, "J_unseen": 0.5, "F_seen": 0.7,
                                   "F_unseen": 0.1})
