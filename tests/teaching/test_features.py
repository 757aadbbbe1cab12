"""Notebook 01: the probe on features whose cosines are known, and its two exercises."""

import numpy as np
import pytest
import torch
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, over, shown

from vosedu.teaching import features
from vosedu.teaching.features import Probe

STRIDES = (4, 4, 8, 16, 32)
HOT = ((0, 0), (3, 20), (9, 2), (1, 6), (2, 0))
"""Per depth, the only cell of the second frame that has the features of the probed one."""


@pytest.fixture()
def probe():
    """Frames 96 x 128. At each depth all cells have features of the kind (1, 0), but (0, 1) at the probed cell and at HOT."""
    maps = [[], []]
    for stride, hot in zip(STRIDES, HOT, strict=True):
        for side, cell in enumerate(((72 // stride, 40 // stride), hot)):
            x = torch.zeros(1, 2, 96 // stride, 128 // stride)
            x[:, 0] = 2.0
            x[0, :, cell[0], cell[1]] = torch.tensor([0.0, 5.0])
            maps[side].append(x)
    probe = Probe([flat((60, 120, 90)), flat((150, 40, 90))], maps)
    with probe.at_once():
        probe.x.value, probe.y.value = 40, 72  # a column and a row
    return probe


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_similarity_is_the_cosine_at_the_probed_depth(probe, depth):
    probe.depth.value = depth
    wanted = np.zeros((96 // STRIDES[depth], 128 // STRIDES[depth]))
    wanted[HOT[depth]] = 1
    assert np.allclose(probe.similarity(), wanted, atol=1e-6)
    probe.x.value = 100
    assert np.allclose(probe.similarity(), 1 - wanted, atol=1e-6), "another position is of the other kind"


def test_similarity_less_the_mean_of_both_maps(probe):
    probe.centred.value = True
    first, second = (maps[3][0].numpy().reshape(2, -1) for maps in probe.maps)
    mean = (first.mean(axis=1) + second.mean(axis=1)) / 2
    probed, others = np.array([0, 5]) - mean, second - mean[:, None]
    wanted = probed @ others / np.linalg.norm(probed) / np.linalg.norm(others, axis=0)
    assert np.allclose(probe.similarity().ravel(), wanted, atol=1e-5) and wanted.min() < -0.9


def test_its_picture_marks_the_position_and_colours_the_second_frame(probe):
    left, right = np.hsplit(shown(probe), 2)
    assert left.shape == (96, 128, 3)
    assert close(left[72, 36:45], (200, 0, 0), 40) and close(left[68:77, 40], (200, 0, 0), 40), "a red cross"
    assert close(left[:46, :112], (60, 120, 90)) and close(left[72, 66:112], (60, 120, 90))
    frame, limits = (150, 40, 90), (0.0, 1.0)
    assert close(right[23:25, 103:105], over(frame, 0.94, limits), 36), "depth 3: 16 pixels per cell"
    assert close(right[40:60, 4:70], over(frame, 0.0, limits)) and close(right[:10, 4:60], over(frame, 0.0, limits))
    probe.depth.value = 4
    right = np.hsplit(shown(probe), 2)[1]
    assert close(right[79:81, 2:12], over(frame, 0.98, limits), 36) and close(right[:30, 90:], over(frame, 0.0, limits))


def test_a_click_on_the_first_frame_moves_the_probe(probe):
    drawn = []
    probe.image.observe(lambda change: drawn.append(change), "value")
    probe.image.point = (70, 41)
    assert (probe.x.value, probe.y.value) == (70, 41) and len(drawn) == 1
    probe.image.point = (128, 3)
    assert (probe.x.value, probe.y.value) == (70, 41), "the second frame is not probed"
    probe.image.point = (127, 3)
    assert (probe.x.value, probe.y.value) == (127, 3)


def test_it_is_described(probe):
    assert is_described(probe.widget) and probe.depth.value == 3 and probe.depth.options[0] == ("conv2_x", 1)


def inner(f, x):
    return torch.stack([sum(f[c] * x[c, i] for c in range(len(f))) for i in range(x.shape[1])])


def lengths(x):
    return sum(channel**2 for channel in x) ** 0.5


def coordinates(x, count, centre=True, order=slice(None, None, -1), unit=False):
    """By eigenvectors of the covariance, in NumPy."""
    flat = x.flatten(1).double().numpy()
    flat = flat - flat.mean(axis=1, keepdims=True) if centre else flat
    directions = np.linalg.eigh(flat @ flat.T)[1][:, order][:, :count]
    found = directions.T @ flat
    found = found / np.linalg.norm(found, axis=1, keepdims=True) if unit else found
    return torch.from_numpy(found).view(count, *x.shape[1:])


TABLE = {
    "similarity": Answers(
        [lambda f, x: inner(f, x) / lengths(f) / lengths(x)],
        [(inner, "inner product"), (lambda f, x: inner(f, x) / lengths(x), "norm of f too"),
         (lambda f, x: inner(f, x) / lengths(f), "norm at each position"),
         (lambda f, x: x[0], "first dimension"), (lambda f, x: x, "shape"),
         (lambda f, x: (inner(f, x) / lengths(f) / lengths(x)).roll(1, 1), "first dimension"),
         (lambda f, x: (inner(f, x) / lengths(f) / lengths(x)).abs(), "first dimension")],
    ),
    "principal_components": Answers(
        [coordinates, lambda x, count: -coordinates(x, count),
         lambda x, count: coordinates(x, count) * torch.tensor([1.0, -1.0])[:, None, None]],
        [(lambda x, count: coordinates(x, count, centre=False), "mean over positions"),
         (lambda x, count: coordinates(x, count, order=slice(1, None, -1)), "varies least"),
         (lambda x, count: coordinates(x, count, unit=True), "unit length"),
         (lambda x, count: coordinates(x, count).flip(0), "directions of most variance"),
         (lambda x, count: x[:count], "directions of most variance"),
         (lambda x, count: coordinates(x, 3), "shape"), (lambda x, count: coordinates(x, 2).flatten(1), "shape")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(features, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(features) == set(TABLE)
