"""The engine's low-resolution form against eqs. (1) to (4) written out (vosedu.literal), in float64."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vosedu import literal
from vosedu.config import PAPER, Config
from vosedu.loss import NormalForm, WeightedSamples, apply_stencil, normal_form, pixel_weights, upsampling_matrix
from vosedu.solver import gauss_newton
from vosedu.target_model import FirstFrameProblem, TargetModel, UpdateProblem, conditioning, initial_weights, learn, update

DOUBLE = torch.float64
TOLERANCE = 1e-9


def relative(a, b):
    return float((a - b).norm() / b.norm().clamp_min(1e-300))


def problem_data(seed, objects, samples, features, size, label_size):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(objects, samples, features, *size, generator=g, dtype=DOUBLE)
    y = (torch.rand(objects, samples, *label_size, generator=g, dtype=DOUBLE) < 0.3).to(DOUBLE)
    gamma = torch.rand(objects, samples, generator=g, dtype=DOUBLE)
    return x, y, gamma / gamma.sum(dim=1, keepdim=True)


def kernels(problem, w, n):
    """Row n of flat unknowns as the two convolution kernels of the literal form."""
    w1, w2 = problem.split(w)
    return w1[n][:, :, None, None], w2[n].T.reshape(1, -1, 3, 3)


def flat(pair):
    return torch.cat([pair[0].flatten(), pair[1].reshape(-1, 9).T.flatten()])


SIZES = [((3, 4), (48, 64)), ((5, 7), (71, 103)), ((4, 1), (33, 5)), ((2, 3), (2, 3)), ((6, 5), (50, 77))]


@pytest.mark.parametrize("size,label_size", SIZES)
@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("power", ["root", "printed"])
def test_loss_gradient_and_product_equal_literal(size, label_size, objects, power):
    channels, decay = 4, (0.3, 0.07)
    x, y, gamma = problem_data(1, objects, 3, 6, size, label_size)
    v = pixel_weights(y, 0.2, weight_power=power)
    samples = WeightedSamples(x.flatten(3), normal_form(y, v, size), gamma)
    problem = FirstFrameProblem(samples, conditioning(x.flatten(3), "none"), channels, decay)
    g = torch.Generator().manual_seed(2)
    w = initial_weights(objects, 6, channels, g).to(DOUBLE)
    p = torch.randn(w.shape, generator=g, dtype=DOUBLE)
    loss, (gradient, product) = problem.loss(w), problem.linearise(w)
    scores = samples.scores(problem.split(w)[1] @ problem.split(w)[0])
    for n in range(objects):
        pair, data = kernels(problem, w, n), (x[n], y[n], v[n], gamma[n], decay)
        assert relative(scores[n], literal.target_model(x[n], pair)) < TOLERANCE
        assert relative(loss[n], literal.loss(pair, *data)) < TOLERANCE
        assert relative(gradient[n], flat(literal.gradient(pair, *data))) < TOLERANCE
        expected = flat(literal.normal_product(pair, kernels(problem, p, n), *data))
        assert relative(product(p)[n], expected) < TOLERANCE


def test_jacobian_products_are_adjoint():
    """<J p, q> = <p, Jᵀ q> with J p the scores' derivative: `scores` and `scores_transposed` belong together."""
    x, y, gamma = problem_data(3, 2, 4, 5, (4, 6), (64, 96))
    samples = WeightedSamples(x.flatten(3), normal_form(y, torch.ones_like(y), (4, 6)), gamma)
    g = torch.Generator().manual_seed(4)
    taps = torch.randn(2, 9, 5, generator=g, dtype=DOUBLE)
    maps = torch.randn(2, 4, 4, 6, generator=g, dtype=DOUBLE)
    left = (samples.scores(taps) * maps).sum()
    right = (taps * samples.scores_transposed(maps)).sum()
    assert relative(left, right) < TOLERANCE


@given(h=st.integers(1, 7), w=st.integers(1, 7), scale=st.integers(1, 20), extra=st.integers(0, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_stencil_is_exact_for_any_size(h, w, scale, extra, seed):
    """sᵀK s - 2 bᵀs + c equals the loss at label resolution for sizes that are no multiples of one another."""
    g = torch.Generator().manual_seed(seed)
    labels = (torch.rand(1, h * scale + extra, w * scale + extra, generator=g, dtype=DOUBLE) < 0.4).to(DOUBLE)
    v = torch.rand(labels.shape, generator=g, dtype=DOUBLE)
    s = torch.randn(1, h, w, generator=g, dtype=DOUBLE)
    form = normal_form(labels, v, (h, w))
    expected = (v * (labels - literal.upsample(s, labels.shape[-2:]))).square().sum()
    found = (s * apply_stencil(form.stencil, s)).sum() - 2 * (form.rhs * s).sum() + form.constant.sum()
    assert relative(found, expected) < TOLERANCE


def test_upsampling_matrix_by_hand():
    """Two positions to four pixels: pixel centres at 1/4, 3/4, 5/4, 7/4 of a position, clamped at the ends."""
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], dtype=DOUBLE)
    assert torch.equal(upsampling_matrix(4, 2, expected), expected)


def test_pixel_weights_share_and_switches():
    labels = torch.zeros(1, 10, 10, dtype=DOUBLE)
    labels[0, :2, :2] = 1  # 4 % of the image
    v = pixel_weights(labels, 0.1)
    squared = v.square()
    assert squared.sum().item() == pytest.approx(100)
    assert (squared * labels).sum().item() == pytest.approx(10)  # kappa_min of the sum, exactly
    # printed: v = (0.1 / 0.04, 0.9 / 0.96) itself
    assert torch.allclose(pixel_weights(labels, 0.1, weight_power="printed"), squared)
    # the printed min leaves a small target as it is
    assert torch.allclose(pixel_weights(labels, 0.1, share_rule="min"), torch.ones_like(labels))
    # a target that is large enough is not touched by max, and is weakened by min
    large = 1 - labels
    assert torch.allclose(pixel_weights(large, 0.1), torch.ones_like(labels))
    assert (pixel_weights(large, 0.1, share_rule="min").square() * large).sum().item() == pytest.approx(10)
    with pytest.raises(ValueError, match="target_share"):
        pixel_weights(labels, 1.0)


@pytest.mark.parametrize("rule", ["max", "min"])
@pytest.mark.parametrize("power", ["root", "printed"])
@pytest.mark.parametrize("target", [0, 1, 7, 99, 100])
def test_pixel_weights_equal_literal_and_stay_finite(rule, power, target):
    labels = torch.zeros(100, dtype=DOUBLE)
    labels[:target] = 1
    labels = labels.view(10, 10)
    found = pixel_weights(labels, 0.1, rule, power)
    expected = literal.pixel_weights(labels, 0.1, {"max": max, "min": min}[rule], {"root": 0.5, "printed": 1}[power])
    assert torch.isfinite(found).all() and (found >= 0).all()
    if 0 < target < 100:
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("kind", ["none", "scale", "whiten"])
def test_learned_model_is_the_optimised_filter(kind):
    """Conditioning folded into w1 and offset gives the scores of the conditioned problem, borders included."""
    x, y, gamma = problem_data(5, 2, 3, 6, (5, 6), (80, 96))
    config = Config(channels=4, conditioning=kind)
    normal = normal_form(y, pixel_weights(y), (5, 6))
    model = learn(x.flatten(3), normal, gamma, config, seed=7)
    for n in range(2):
        condition = conditioning(x[n : n + 1].flatten(3), kind, config.shrinkage)
        seen = (condition.matrix @ (x[n].flatten(2) - condition.mean)).view_as(x[n])
        start = initial_weights(2, 6, 4, torch.Generator().manual_seed(7)).to(DOUBLE)
        problem = FirstFrameProblem(None, conditioning(x.flatten(3), "none"), 4, (0, 0))
        data = (seen, y[n], pixel_weights(y)[n], gamma[n], (config.projection_decay, config.filter_decay))
        pair = literal.gauss_newton(kernels(problem, start, n), config.gn_schedule(), *data)
        expected = literal.target_model(seen, pair)
        found = model.scores(model.project(x[n, 0]))[n]
        assert relative(found, expected[0]) < 1e-6  # 45 CG iterations amplify rounding


def test_whitening_gives_unit_covariance():
    g = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, 5, generator=g, dtype=DOUBLE)
    x = (mixing @ torch.randn(1, 2, 5, 400, generator=g, dtype=DOUBLE)) + 3
    condition = conditioning(x, "whiten", shrinkage=0.0)
    seen = (condition.matrix @ (x - condition.mean))[0].transpose(0, 1).flatten(1)
    assert torch.allclose(seen @ seen.T / seen.shape[1], torch.eye(5, dtype=DOUBLE), atol=1e-6)
    assert seen.mean().abs() < 1e-12
    scaled = conditioning(x, "scale")
    assert (scaled.matrix @ x).square().mean().item() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["none", "scale", "whiten"])
def test_zero_features_stay_finite(kind):
    x, y, gamma = problem_data(6, 1, 2, 4, (3, 3), (48, 48))
    config = Config(channels=3, conditioning=kind)
    model = learn(torch.zeros_like(x).flatten(3), normal_form(y, pixel_weights(y), (3, 3)), gamma, config)
    assert all(torch.isfinite(t).all() for t in (model.projection, model.offset, model.taps))


def test_update_to_convergence_is_the_least_squares_solution():
    x, y, gamma = problem_data(8, 2, 4, 3, (4, 5), (64, 80))
    normal = normal_form(y, pixel_weights(y), (4, 5))
    config = Config(channels=3, cg_update=200, filter_decay=0.5)
    model = TargetModel(*(torch.zeros(2, *shape, dtype=DOUBLE) for shape in [(3, 3), (3, 1), (9, 3)]))
    found = update(model, x.flatten(3), normal, gamma, config).taps
    for n in range(2):
        columns = []
        for unit in torch.eye(27, dtype=DOUBLE):
            kernel = unit.view(9, 3).T.reshape(1, 3, 3, 3)
            maps = literal.upsample(torch.nn.functional.conv2d(x[n], kernel, padding=1)[:, 0], (64, 80))
            columns.append((gamma[n].sqrt()[:, None, None] * pixel_weights(y)[n] * maps).flatten())
        a = torch.cat([torch.stack(columns, 1), 0.5**0.5 * torch.eye(27, dtype=DOUBLE)])
        b = torch.cat([(gamma[n].sqrt()[:, None, None] * pixel_weights(y)[n] * y[n]).flatten(), torch.zeros(27, dtype=DOUBLE)])
        expected = torch.linalg.lstsq(a, b[:, None]).solution[:, 0]
        assert relative(found[n].flatten(), expected) < 1e-7


def test_update_equals_literal_with_frozen_projection():
    x, y, gamma = problem_data(9, 1, 4, 6, (4, 5), (64, 80))
    normal = normal_form(y, pixel_weights(y), (4, 5))
    g = torch.Generator().manual_seed(1)
    projection, taps = torch.randn(1, 3, 6, generator=g, dtype=DOUBLE), torch.randn(1, 9, 3, generator=g, dtype=DOUBLE)
    model = TargetModel(projection, torch.zeros(1, 3, 1, dtype=DOUBLE), taps)
    found = update(model, model.project(x.flatten(3)), normal, gamma, PAPER).taps
    projected = torch.nn.functional.conv2d(x[0], projection[0][:, :, None, None])
    data = (projected, y[0], pixel_weights(y)[0], gamma[0], (PAPER.filter_decay,))
    (expected,) = literal.gauss_newton((taps[0].T.reshape(1, 3, 3, 3),), [PAPER.cg_update], *data)
    assert relative(found[0].T.reshape(1, 3, 3, 3), expected) < TOLERANCE


def test_objects_are_independent():
    """Learning two objects together gives each what it gets alone, a zero-weight sample has no part."""
    x, y, gamma = problem_data(10, 2, 3, 5, (4, 4), (64, 64))
    gamma[:, 2] = 0
    normal = normal_form(y, pixel_weights(y), (4, 4))
    plain = Config(channels=3, conditioning="none")
    together = learn(x.flatten(3), normal, gamma, plain, seed=3)
    first = NormalForm(*(part[:1, :2] for part in normal))
    alone = learn(x[:1, :2].flatten(3), first, gamma[:1, :2], plain, seed=3)
    assert relative(together.projection[0], alone.projection[0]) < 1e-7


@pytest.mark.parametrize("steps", [[5], [5, 10], [5, 10, 10, 10, 10]])
def test_each_step_lowers_the_loss(steps):
    x, y, gamma = problem_data(11, 1, 5, 8, (6, 7), (96, 112))
    samples = WeightedSamples(x.flatten(3), normal_form(y, pixel_weights(y), (6, 7)), gamma)
    problem = FirstFrameProblem(samples, conditioning(x.flatten(3), "whiten"), 4, (1e-4, 1e-2))
    w = initial_weights(1, 8, 4, torch.Generator().manual_seed(0)).to(DOUBLE)
    losses = [problem.loss(w).item()]
    for count in steps:
        w = gauss_newton(problem, w, [count])
        losses.append(problem.loss(w).item())
    assert all(b < a for a, b in pairwise(losses))


def test_update_problem_loss_matches_first_frame_problem():
    x, y, gamma = problem_data(12, 1, 2, 5, (3, 4), (48, 64))
    samples = WeightedSamples(x.flatten(3), normal_form(y, pixel_weights(y), (3, 4)), gamma)
    taps = torch.randn(1, 9, 5, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    both = FirstFrameProblem(samples, conditioning(x.flatten(3), "none"), 5, (0.0, 0.2))
    w = torch.cat([torch.eye(5, dtype=DOUBLE).flatten()[None], taps.flatten(1)], dim=1)
    assert relative(UpdateProblem(samples, 0.2).loss(taps.flatten(1)), both.loss(w)) < TOLERANCE
