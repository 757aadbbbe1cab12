"""The mixture, on numbers along a line, against NumPy."""

import numpy as np
import pytest
import torch
from rivals.toys import first_frame, pixels

from vosedu.config import WHOLE
from vosedu.rivals import generative
from vosedu.rivals.family import principal
from vosedu.rivals.generative import Generative, log_likelihood, mixture


def test_likelihoods_by_hand():
    """x = 3 under N(1, 4) and N(3, 1), without the constant: -(2²/4 + log 4)/2 and 0."""
    found = log_likelihood(torch.tensor([[[3.0]]]), torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[4.0], [1.0]]]))
    np.testing.assert_allclose(found[0, 0], [-(1 + np.log(4)) / 2, 0], rtol=1e-6)


def test_two_components_and_those_for_the_hard_pixels(monkeypatch):
    """Background at 0 and 2, the object at 10 but for two pixels at 1.5, among the background: they get a component."""
    monkeypatch.setattr(generative, "FLOOR", 0.01)
    x = np.array([0.0] * 10 + [2.0] * 10 + [10.0] * 18 + [1.5] * 2)
    y = np.array([0.0] * 20 + [1.0] * 20)
    means, variances = (part[0, :, 0].numpy() for part in mixture(torch.tensor(x)[None, :, None], torch.tensor(y)[None]))

    def gaussian(x, weights):
        mean = (weights * x).sum() / weights.sum()
        return mean, ((weights * (x - mean) ** 2).sum() + 0.01) / weights.sum()

    base = [gaussian(x, 1 - y), gaussian(x, y)]
    density = np.stack([np.exp(-((x - m) ** 2) / v / 2) / np.sqrt(v) for m, v in base])
    posterior = density / density.sum(0)
    assert posterior[1][-1] < 0.1, "the hard pixels are hard"
    hard = gaussian(x, np.maximum(0, y - posterior[1]))
    np.testing.assert_allclose(means[[0, 1, 3]], [base[0][0], base[1][0], hard[0]], rtol=1e-4)
    np.testing.assert_allclose(variances[[0, 1]], [base[0][1], base[1][1]], rtol=1e-4)
    assert means[3] == pytest.approx(1.5, abs=0.7) and means[1] == pytest.approx(9.15)
    assert means[2] == pytest.approx(means[0]), "of the background nothing is hard: its second component is its first"


def test_principal_components_are_uncorrelated_and_of_unit_variance():
    x = torch.randn(1, 50, 6, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 7))
    mean, basis = principal(x, 3)
    projected = (x - mean) @ basis
    np.testing.assert_allclose(projected[0].T @ projected[0] / 50, np.eye(3), atol=1e-4)


def test_the_score_is_the_log_odds_and_the_parameters_follow_the_mask(monkeypatch):
    """Two looks, one component each: log-odds by hand; after a frame of another look every mean has moved by a tenth."""
    monkeypatch.setattr(generative, "DIMENSIONS", 1)
    targets = Generative(WHOLE)
    features = torch.tensor([[[0.0, 1.0, 9.0, 10.0]]])
    targets.learn(first_frame(features, [[0, 0, 1, 1]]), 0)
    p = {name: part.double().numpy() for name, part in targets.parts.items()}
    z = (features[0, 0].double().numpy() - p["centre"][0, 0, 0]) * p["basis"][0, 0, 0]
    logs = -((z[:, None] - p["means"][0, :, 0]) ** 2 / p["variances"][0, :, 0] + np.log(p["variances"][0, :, 0])) / 2
    odds = np.log(np.exp(logs[:, [1, 3]]).sum(1)) - np.log(np.exp(logs[:, [0, 2]]).sum(1))
    np.testing.assert_allclose(targets.scores(features)[0, 0].numpy(), odds, rtol=1e-3)
    assert odds[0] < 0 < odds[3]
    other = features + 2
    targets.scores(other)
    targets.remember(pixels([[0, 0, 1, 1]])[None])
    new = mixture((other.flatten(1).T[None] - targets.parts["centre"]) @ targets.parts["basis"], torch.tensor([[0.0, 0, 1, 1]]))
    np.testing.assert_allclose(targets.parts["means"], 0.9 * p["means"] + 0.1 * new[0].numpy(), rtol=1e-4, atol=1e-5)


def test_an_object_that_is_hardly_there_is_not_learned_from(monkeypatch):
    targets = Generative(WHOLE)
    targets.learn(first_frame(torch.randn(3, 4, 4), np.eye(4)), 0)
    before = targets.parts["means"].clone()
    targets.scores(torch.randn(3, 4, 4))
    targets.remember(torch.zeros(1, 16, 16))
    assert torch.equal(before, targets.parts["means"])
