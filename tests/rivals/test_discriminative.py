"""Other ways to learn a filter, against dense solutions, autograd and the cross-entropy of the labels themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rivals.toys import first_frame

from vosedu.config import WHOLE
from vosedu.loss import apply_filter, pixel_weights
from vosedu.rivals import discriminative
from vosedu.rivals.discriminative import CrossEntropy, Descent, Logistic, Ridge, components, cross_entropy
from vosedu.segmenter import READOUT
from vosedu.target_model import first_frame_problem

CONFIG = replace(WHOLE, samples=1, capacity=4, channels=4, min_pixels=1)
MASK = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])


@pytest.fixture
def frame():
    """Features of six numbers, one of them louder on the object."""
    x = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1))
    return first_frame(torch.cat([x[:1] + 4 * MASK, x[1:]]), MASK)


def upsampled(scores, size):
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=False)


def test_the_cross_entropy_is_that_of_the_labels_where_scores_are_constant_and_never_below_it(frame):
    """At the labels' resolution: Σ v² (log(1 + e^l) - y l), with U as PyTorch upsamples."""
    normal, y = frame.normal(CONFIG), frame.labels
    squared = pixel_weights(y).square()

    def literal(scores):
        logits = upsampled(READOUT[0] * scores + READOUT[1], y.shape[1:])[0]
        return (squared * (F.softplus(logits) - y * logits)).sum().item()

    gamma = torch.ones(1, 1)
    for level in (0.0, 0.5, 0.8):
        flat = torch.full((1, 1, 4, 5), level)
        assert cross_entropy(flat, normal, gamma).item() == pytest.approx(literal(flat), rel=1e-4)
    varied = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    found = cross_entropy(varied, normal, gamma).item()
    assert literal(varied) < found < 2 * literal(varied)
    assert cross_entropy(varied, normal, 2 * gamma).item() == pytest.approx(2 * found)


def test_ridge_is_the_dense_solution_of_eq_2(frame):
    """Every column of U X by convolving with one tap at a time, then least squares at the labels' resolution by NumPy."""
    targets = Ridge(CONFIG)
    targets.learn(frame, 0)
    w1, offset = components(frame.features)
    assert w1.shape == (1, 7, 6) and offset[0, -1] == 1 and not w1[0, -1].any()
    z = (w1 @ frame.features[:, 0] + offset).double()
    taps = torch.eye(9 * 7, dtype=torch.float64).view(63, 9, 7)
    columns = upsampled(apply_filter(taps, z[:, None].expand(63, 1, 7, 20), (4, 5)), frame.labels.shape[1:])
    a = (columns.flatten(1) * pixel_weights(frame.labels).double().flatten()).numpy()
    b = (frame.labels * pixel_weights(frame.labels)).double().flatten().numpy()
    expected = np.linalg.solve(a @ a.T + discriminative.DECAY * np.eye(63), a @ b)
    np.testing.assert_allclose(targets.model.taps.flatten(), expected, rtol=1e-3, atol=1e-5)
    scores = targets.scores(frame.features[0, 0].view(6, 4, 5))[0]
    assert scores[MASK > 0].mean() > scores[MASK == 0].mean() + 0.3


def test_logistic_regression_ends_where_the_gradient_is_nothing(frame, monkeypatch):
    monkeypatch.setattr(discriminative, "NEWTON", 30)
    targets = Logistic(CONFIG)
    targets.learn(frame, 0)
    taps = targets.model.taps
    assert not taps[:, [0, 1, 2, 3, 5, 6, 7, 8]].any(), "position by position"
    w1, offset = components(frame.features)
    z = (w1 @ frame.features[:, 0] + offset)[:, None]
    taps = taps.clone().requires_grad_()
    weights = READOUT[0] * taps[:, 4] + F.pad(torch.tensor([[READOUT[1]]]), (6, 0))  # of the logits
    kept = discriminative.DECAY / 2 * weights.square().sum()
    (cross_entropy(apply_filter(taps, z, (4, 5)), frame.normal(CONFIG), torch.ones(1, 1)).sum() + kept).backward()
    assert taps.grad[:, 4].abs().max() < 0.05 * READOUT[0] and taps.grad[:, 4].abs().max() < 1
    scores = targets.scores(frame.features[0, 0].view(6, 4, 5))[0]
    assert scores[MASK > 0].mean() > 0.5 > scores[MASK == 0].mean()


@pytest.mark.parametrize("kind", [CrossEntropy, Descent])
def test_steps_lower_the_cross_entropy_and_updates_change_only_the_second_layer(frame, kind, monkeypatch):
    found = []
    for steps in (1, 40):
        monkeypatch.setattr(discriminative, "STEPS", steps)
        targets = kind(replace(CONFIG, projection_decay=1.0, filter_decay=1.0))
        targets.learn(frame, 3)
        scores = targets.scores(frame.features[0, 0].view(6, 4, 5))
        found.append(cross_entropy(scores[:, None], frame.normal(CONFIG), torch.ones(1, 1)).item())
    assert found[1] < 0.8 * found[0]
    before = targets.model
    with torch.inference_mode():  # as the engine calls it
        targets.remember(frame.labels)
        targets.update()
    assert torch.equal(before.projection, targets.model.projection) and not torch.equal(before.taps, targets.model.taps)
    assert targets.memory.filled == 2


def test_a_step_of_sgd_is_the_gradient_of_the_loss_per_pixel(frame, monkeypatch):
    """By finite differences at D's start, w2 alone: 16 x 20 pixels; the first step has no momentum yet."""
    monkeypatch.setattr(discriminative, "STEPS", 1)
    config = replace(CONFIG, conditioning="none", projection_decay=0.0, filter_decay=0.0)
    targets = Descent(config)
    targets.learn(frame, 3)
    normal, gamma = frame.normal(config), torch.ones(1, 1)
    problem, start, _ = first_frame_problem(frame.features, normal, gamma, config, 3)
    w1, w2 = problem.split(start.double())

    def loss(taps):
        x, n = frame.features.double(), type(normal)(*(part.double() for part in normal))
        return cross_entropy(apply_filter(taps @ w1, x, (4, 5)), n, gamma.double()).item() / (16 * 20)

    for tap, channel in ((4, 0), (1, 2), (8, 3)):
        more, less = w2.clone(), w2.clone()
        more[0, tap, channel] += 1e-4
        less[0, tap, channel] -= 1e-4
        slope = (loss(more) - loss(less)) / 2e-4
        expected = w2[0, tap, channel].item() - discriminative.DESCENT_RATE * slope
        assert targets.model.taps[0, tap, channel].item() == pytest.approx(expected, abs=1e-6) and abs(slope) > 1e-3


@pytest.mark.parametrize("kind", [Ridge, Logistic])
def test_an_update_learns_from_what_came_later(frame, kind, monkeypatch):
    """The object has changed its look; the new frame is in the memory, so its score rises there."""
    monkeypatch.setattr(discriminative, "DECAY", 1.0)
    targets = kind(CONFIG)
    targets.learn(frame, 0)
    other = 3 * torch.tensor([0, 0, 1, 0, 0, 0])[:, None, None] * MASK
    new = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(5)) + other
    before = targets.scores(new)[0][MASK > 0].mean()
    for _ in range(2):
        targets.scores(new)
        targets.remember(frame.labels)
        targets.update()
    after = targets.scores(new)[0]
    assert after[MASK > 0].mean() > before + 0.1 and after[MASK > 0].mean() > after[MASK == 0].mean() + 0.05
