"""Notebook 06: thumbnails whose areas are weighed, and the three exercises."""

import ipywidgets
import numpy as np
import pytest
import torch
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import flat, is_described, parts, says, shown

from vosedu.teaching import inference_and_updating
from vosedu.teaching.inference_and_updating import MemoryStrip

COLOURS = [(250, 0, 0), (0, 120, 0), (0, 0, 250), (240, 160, 0), (120, 0, 120)]
GAMMAS = np.array([[0.5, 0.5, 0.0, 0.0, 0.0], [0.4, 0.3, 0.3, 0.0, 0.0], [0.16, 0.04, 0.3, 0.25, 0.25]])


@pytest.fixture()
def strip():
    return MemoryStrip([flat(colour, (40, 80)) for colour in COLOURS], GAMMAS, first=2)


def where(picture, number):
    """Rows and columns of a thumbnail."""
    return np.nonzero((np.abs(picture.astype(int) - COLOURS[number]) <= 40).all(axis=2))


@pytest.mark.parametrize("t", range(3))
def test_areas_are_in_proportion_to_the_frame_s_weights(strip, t):
    strip.index.value = t
    picture = shown(strip)
    assert picture.shape == (320, 860, 3)
    areas = np.array([len(where(picture, number)[0]) for number in range(5)])
    assert np.allclose(areas / areas.sum(), GAMMAS[t], atol=0.02) and (areas[GAMMAS[t] == 0] == 0).all()
    whole = [[len(where(strip.picture(index), number)[0]) for number in range(5)] for index in range(3)]
    assert np.ptp([sum(areas) for areas in whole]) < 0.06 * sum(whole[0]), "one scale for all frames"


def test_first_frame_samples_stand_above_and_others_below_in_order(strip):
    picture = strip.picture(2)
    places = [where(picture, number) for number in range(5)]
    assert all(rows.max() < 160 for rows, _ in places[:2]) and all(rows.min() >= 160 for rows, _ in places[2:])
    for rows, columns in places:
        assert np.ptp(columns) + 1 == pytest.approx(2 * (np.ptp(rows) + 1), abs=1), "shaped like the picture"
    assert places[0][1].max() < places[1][1].min() and places[2][1].max() < places[3][1].min() < places[4][1].min()
    tops = [rows.min() for rows, _ in places]
    assert tops == [20, 20, 180, 180, 180], "below the headings"


def test_headings_count_and_add_up(strip):
    for t, (first, own) in enumerate((("2, together 1.00", "0, together 0.00"), ("2, together 0.70", "1, together 0.30"),
                                      ("2, together 0.20", "3, together 0.80"))):
        above, below = np.vsplit(strip.picture(t), 2)
        assert says(above[:20], f"samples of the first frame: {first} of all weight", scale=0.45)
        assert says(below[:20], f"masks of its own: {own} of all weight", scale=0.45)


def test_a_full_line_is_followed_by_another():
    gammas = np.full((1, 24), 1 / 24)
    strip = MemoryStrip([flat(COLOURS[k % 5], (40, 120)) for k in range(24)], gammas, first=1)
    below = strip.picture(0)[160:]
    rows, columns = np.nonzero((below[20:] < 130).any(axis=2))
    assert columns.max() > 700 and len(np.unique(rows)) > 2 * 20, "several lines"
    filled = (below[20:] != 255).any(axis=2).sum()
    above = (strip.picture(0)[20:160] != 255).any(axis=2).sum()
    assert filled == 23 * above, "all of them are there, each as large as the first-frame sample"


def test_its_controls(strip):
    assert (strip.index.max, strip.index.value) == (2, 2) and is_described(strip.widget)
    assert [p.max for p in parts(strip.widget) if isinstance(p, ipywidgets.Play)] == [2]


def gammas(count, eta, each=True):
    weights, newest = [1.0], eta
    for _ in range(count):
        newest /= 1 - eta
        weights.append(newest)
        if each:
            weights = [w / sum(weights) for w in weights]
            newest = weights[-1]
    return weights


def normal(weights):
    weights = torch.as_tensor(weights, dtype=torch.float32)
    return weights / weights.sum(0)


def evicted(samples, capacity, eta, first=2.0, extra=0):
    weights, marks, newest, count = np.array([first, *[1.0] * (samples - 1)]), list(range(samples)), eta, 0
    weights /= weights.sum()
    while 0 in marks:
        if len(weights) == capacity:
            marks.pop(weights.argmin())
            weights = np.delete(weights, weights.argmin())
        weights = np.append(weights, newest / (1 - eta))
        weights /= weights.sum()
        newest, count = weights[-1], count + 1
        marks.append(-count)
    return count + extra


def aggregated(p, odds=True):
    everyone = torch.cat([(1 - p).prod(0, keepdim=True), p])
    values = everyone / (1 - everyone) if odds else everyone
    return values / values.sum(0)


def log_odds(p):
    """A softmax over log-odds, in NumPy, pixel by pixel."""
    p = p.double().numpy()
    found = np.empty((len(p) + 1, *p.shape[1:]))
    for row, column in np.ndindex(p.shape[1:]):
        each = np.array([np.prod([1 - q for q in p[:, row, column]]), *p[:, row, column]])
        logits = np.log(each) - np.log1p(-each)
        found[:, row, column] = np.exp(logits) / np.exp(logits).sum()
    return found


def in_place(p):
    return torch.cat([(1 - p).prod(0, keepdim=True), p]).logit_().softmax(0)


TABLE = {
    "memory_weights": Answers(
        [gammas, lambda n, eta: normal([1] + [eta / (1 - eta) ** k for k in range(1, n + 1)])],
        [(lambda n, eta: gammas(n, eta, each=False), "sum to one"), (lambda n, eta: gammas(n, eta)[::-1], "oldest first"),
         (lambda n, eta: torch.softmax(-torch.arange(n + 1) * np.log(1 - eta), 0), "gamma_0"),
         (lambda n, eta: torch.ones(n + 1) / (n + 1), "newest should weigh"),
         (lambda n, eta: normal([1] + [eta / (1 - eta) ** k for k in range(n)]), "eta itself"),
         (lambda n, eta: gammas(n - 1, eta), "shape"), (lambda n, eta: gammas(n, 0.1), "newest should weigh")],
    ),
    "eviction": Answers(
        [evicted, lambda *a: float(evicted(*a))],
        [(lambda k, c, e: c - k + 1, "first eviction"), (lambda k, c, e: evicted(k, c, e, 1.0), "twice as much"),
         (lambda k, c, e: evicted(k, c, e, extra=-1), "Off by one"), (lambda k, c, e: evicted(k, c, e, extra=1), "Off by one"),
         (lambda k, c, e: c, "small eta"), (lambda k, c, e: 0, "should be"), (lambda k, c, e: float("nan"), "is nan"),
         (lambda k, c, e: evicted(k, c, e) + 0.5, "should be")],
    ),
    "soft_aggregation": Answers(
        [aggregated, log_odds, in_place],
        [(lambda p: aggregated(p, odds=False), "odds, p / (1 - p)"), (lambda p: aggregated(p).roll(-1, 0), "background comes"),
         (lambda p: torch.cat([(1 - p).prod(0, True), p]).softmax(0), "over probabilities"),
         (lambda p: torch.logit(torch.cat([(1 - p).prod(0, True), p])).exp().softmax(0), "over the odds themselves"),
         (lambda p: normal(torch.logit(torch.cat([(1 - p).amin(0, True), p])).exp()), "not the least"),
         (lambda p: aggregated(p).flip(2), "Background: "), (lambda p: aggregated(p)[1:], "shape"), (lambda p: p, "shape")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(inference_and_updating, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(inference_and_updating) == set(TABLE)
