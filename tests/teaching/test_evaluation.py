"""Notebook 08: a curve with its frames, all known, and the two exercises."""

import numpy as np
import pytest
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, over, red_marker, says, shown

from vosedu.teaching import evaluation
from vosedu.teaching.evaluation import CurveReader

GREYS = [40, 80, 120, 160, 200]
SCORES = [1.2, 0.9, 0.6, 0.3, 0.0]
WIDTHS = [40, 40, 30, 10, 20]
"""How many of the target's 40 columns the prediction has; J is this share."""


def video(frames):
    """Frames of one grey each; the target is columns 40 to 79; another object, which does not count, is right of it."""
    truth = np.zeros((96, 128), np.uint8)
    truth[24:72, 40:80], truth[24:72, 90:110] = 1, 2
    labels = []
    for width in WIDTHS[:frames]:
        labels.append(np.zeros_like(truth))
        labels[-1][24:72, 40 : 40 + width] = 1
    return [flat(g) for g in GREYS[:frames]], labels, [truth] * frames, [np.full((6, 8), s) for s in SCORES[:frames]]


@pytest.fixture()
def reader():
    return CurveReader({"long": video(5), "short": video(3)})


def test_a_video_opens_at_its_worst_frame(reader):
    assert np.allclose(reader.curves["long"], [1, 1, 0.75, 0.25, 0.5]) and len(reader.curves["short"]) == 3
    assert (reader.video.value, reader.index.value, reader.index.max) == ("long", 3, 4)
    drawn = []
    reader.image.observe(lambda change: drawn.append(change), "value")
    reader.video.value = "short"
    assert (reader.index.value, reader.index.max) == (2, 2) and len(drawn) == 1
    reader.video.value = "long"
    assert (reader.index.value, reader.index.max) == (3, 4) and len(drawn) == 2


@pytest.mark.parametrize("t", [0, 2, 3, 4])
def test_frame_scores_boundaries_and_marker_belong_together(reader, t):
    reader.index.value = t
    picture = shown(reader)
    assert picture.shape == (96 + 48, 256, 3)
    grey = (GREYS[t],) * 3
    assert close(picture[8:60, 8:120], over(grey, SCORES[t]), 10), "the score map over its frame"
    assert close(picture[8:16, 136:250], 0.45 * GREYS[t], 10), "the same frame, darkened"
    assert close(picture[40:56, 128 + 39], (60, 220, 90), 70), "the left edges agree: green"
    if WIDTHS[t] < 40:
        assert close(picture[40:56, 128 + 79], 255, 70), "the true edge is missed: white"
        if WIDTHS[t] < 35:
            assert close(picture[40:56, 128 + 39 + WIDTHS[t]], (255, 60, 220), 90), "the predicted one is false: magenta"
    x, y = red_marker(picture[96:])
    level = WIDTHS[t] / 40
    assert (x, y) == pytest.approx((12 + 232 / 4 * t, 36 - 8 * level), abs=1.5)
    assert says(reader.picture()[96:120], f"scored frame {t + 1}, J {level:.3g}")


def test_a_picture_of_another_video_can_be_asked_for(reader):
    before = reader.image.value
    picture = reader.picture("short", 1)
    assert close(picture[8:60, 8:100], over((GREYS[1],) * 3, SCORES[1]), 3) and says(picture[96:120], "scored frame 2, J 1")
    assert red_marker(picture[96:])[0] == pytest.approx(12 + 232 / 2, abs=1), "on its own curve"
    assert reader.image.value == before


def test_its_controls(reader):
    assert is_described(reader.widget) and reader.widget.children[0].children == (reader.video,)


def counted(a, b):
    """Pixel by pixel."""
    pairs = list(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    either = sum(p or q for p, q in pairs)
    return sum(p and q for p, q in pairs) / either if either else 1


def three(j, cut=slice(1, -1), sign=1, parts=4, recall=None):
    """Mean, recall and decay, the quarters counted by hand."""
    x = [float(v) for v in j][cut]
    borders = [int(k * (len(x) - 1) / parts + 0.5) for k in range(parts + 1)]
    first, last = x[: borders[1] + 1], x[borders[-2] :]
    above = [v for v in x if v > 0.5]
    share = len(above) / len(x) if recall is None else recall(above)
    return [sum(x) / len(x), share, sign * (sum(first) / len(first) - sum(last) / len(last))]


def halves(j):
    x = j[1:-1]
    half = len(x) // 2
    return [*three(j)[:2], x[:half].mean() - x[-half:].mean()]


TABLE = {
    "jaccard": Answers(
        [counted, lambda a, b: 1.0 if not (a | b).any() else np.float64((a & b).sum() / (a | b).sum())],
        [(lambda a, b: 2 * (a & b).sum() / max(1, a.sum() + b.sum()), "Dice"),
         (lambda a, b: (a & b).sum() / max(1, b.sum()), "recall"), (lambda a, b: (a & b).sum() / max(1, a.sum()), "precision"),
         (lambda a, b: (a == b).mean(), "accuracy"), (lambda a, b: (a & b).sum() / (a | b).sum(), "empty"),
         (lambda a, b: (a & b).sum() / max(1, (a | b).sum()), "empty"), (lambda a, b: 1 - counted(a, b), "J is"),
         (lambda a, b: (a & b).sum() / ((a | b).sum() + 1), "J is"), (lambda a, b: a & b, "a number")],
    ),
    "summary": Answers(
        [three, lambda j: np.array(three(j))],
        [(lambda j: three(j, slice(0, -1)), "first frame is given"), (lambda j: three(j, slice(1, None)), "last frame counts"),
         (lambda j: three(j, sign=-1), "sign"), (lambda j: three(j, slice(None)), "leaves out both"),
         (halves, "compares halves"),
         (lambda j: three(j, recall=lambda above: sum(above) / len(above)), "it is their share"),
         (lambda j: (0, *three(j)[1:]), "mean should be otherwise"), (lambda j: (*three(j)[:2], 0), "decay should be"),
         (lambda j: three(j, parts=5), "decay should be otherwise"), (lambda j: [1, 2], "three numbers"),
         (lambda j: (three(j)[0], float("nan"), three(j)[2]), "recall should be")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(evaluation, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(evaluation) == set(TABLE)
