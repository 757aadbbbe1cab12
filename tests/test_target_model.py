"""D: conditioning, both problems, first-frame optimisation and update against eqs. (1) to (4) written out, in float64; what
`OnlineTargets` makes of them in a video."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DOUBLE, random_problem, relative

from vosedu import literal
from vosedu.config import FAST, PAPER, Config
from vosedu.loss import NormalForm, WeightedSamples, normal_form, pixel_weights
from vosedu.solver import gauss_newton
from vosedu.target_model import (
    FirstFrame,
    FirstFrameProblem,
    OnlineTargets,
    TargetModel,
    UpdateProblem,
    conditioning,
    initial_weights,
    learn,
    update,
)

TOLERANCE = 1e-9


def kernels(problem, w, n):
    """Row n of flat unknowns as the two convolution kernels of the literal form."""
    w1, w2 = problem.split(w)
    return w1[n][:, :, None, None], w2[n].T.reshape(1, -1, 3, 3)


def flat(pair):
    """Two convolution kernels as a row of unknowns."""
    return torch.cat([pair[0].flatten(), pair[1].reshape(-1, 9).T.flatten()])


SIZES = [((3, 4), (48, 64)), ((5, 7), (71, 103)), ((4, 1), (33, 5)), ((2, 3), (2, 3)), ((6, 5), (50, 77))]


@pytest.mark.parametrize("size,label_size", SIZES)
@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("power", ["root", "printed"])
def test_loss_gradient_and_product_equal_literal(size, label_size, objects, power):
    channels, decay = 4, (0.3, 0.07)
    x, y, gamma = random_problem(1, objects, 3, 6, size, label_size)
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


def numpy_conditioning(x, kind, shrinkage):
    """Mean (C,) and matrix (C, C) for one object's features (K, C, P)."""
    samples = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
    mean, eye = np.zeros(len(samples)), np.eye(len(samples))
    if kind == "none":
        return mean, eye
    if kind == "scale":
        return mean, eye / np.sqrt((samples**2).mean())
    covariance = np.cov(samples, bias=True)
    shrunk = covariance + shrinkage * covariance.trace() / len(samples) * eye
    return samples.mean(1), np.linalg.inv(np.linalg.cholesky(shrunk))


@pytest.mark.parametrize(("kind", "shrinkage"), [("none", 0.1), ("scale", 0.1), ("whiten", 0.0), ("whiten", 0.1),
                                                 ("whiten", 3.0)])
def test_conditioning_is_that_of_numpy(kind, shrinkage):
    """Per object, over its samples and positions; shrinkage adds a part of the mean variance to every variance."""
    x, _, _ = random_problem(0, 2, 3, 4, (5, 6), (1, 1))
    x = (x * torch.tensor([0.1, 1.0, 3.0, 0.5], dtype=DOUBLE)[:, None, None] + 2).flatten(3)
    x[1] *= 7
    found = conditioning(x, kind, shrinkage)
    for n in range(2):
        mean, matrix = numpy_conditioning(x[n].numpy(), kind, shrinkage)
        np.testing.assert_allclose(found.mean[n, :, 0].numpy(), mean, atol=1e-12)
        np.testing.assert_allclose(found.matrix[n].numpy(), matrix, rtol=1e-9, atol=1e-9)


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


def test_the_start_is_kaiming_normal_in_both_layers():
    """Standard deviations sqrt(2 / C) and sqrt(2 / 9c) (3.5), independent, and the same whoever else is there."""
    features, channels = 300, 400
    w = initial_weights(3, features, channels, torch.Generator().manual_seed(0))
    assert w.shape == (3, channels * features + 9 * channels)
    w1, w2 = w.split([channels * features, 9 * channels], dim=1)
    for part, fan_in in ((w1, features), (w2, 9 * channels)):
        z = part * (fan_in / 2) ** 0.5
        assert z.std().item() == pytest.approx(1, abs=0.03) and z.mean().abs() < 0.03
        # as many beyond one and two deviations as a normal distribution has
        assert (z.abs() > 1).double().mean().item() == pytest.approx(0.317, abs=0.02)
        assert (z.abs() > 2).double().mean().item() == pytest.approx(0.046, abs=0.01)
    assert torch.equal(initial_weights(1, features, channels, torch.Generator().manual_seed(0))[0], w[0])
    assert np.abs(np.corrcoef(w.numpy()) - np.eye(3)).max() < 0.02


def numpy_learn(x, y, gamma, config, seed, rule, power):
    """D of one object by `literal`, from NumPy's conditioning: projection (c, C), offset (c,) and kernel (1, c, 3, 3)."""
    mean, matrix = map(torch.from_numpy, numpy_conditioning(x.flatten(2).numpy(), config.conditioning, config.shrinkage))
    seen = torch.einsum("dc,kchw->kdhw", matrix, x - mean[:, None, None])
    v = torch.stack([literal.pixel_weights(one, config.target_share, rule, power) for one in y])
    start = initial_weights(1, x.shape[1], config.channels, torch.Generator().manual_seed(seed))[0].to(DOUBLE)
    w1, w2 = (config.start_scale * start).split([config.channels * x.shape[1], 9 * config.channels])
    pair = w1.view(config.channels, -1, 1, 1), w2.view(9, -1).T.reshape(1, -1, 3, 3)
    decay = config.projection_decay, config.filter_decay
    w1, w2 = literal.gauss_newton(pair, config.gn_schedule(), seen, y, v, gamma, decay)
    projection = w1[:, :, 0, 0] @ matrix
    return projection, -projection @ mean, w2


BASE = Config(channels=3, samples=4, gn_steps=2, cg_first=3, cg_later=2, cg_update=4, projection_decay=0.2, filter_decay=0.5,
              capacity=6)
CHANGES = [{}, {"share_rule": "min"}, {"weight_power": "printed"}, {"target_share": 0.4}, {"conditioning": "scale"},
           {"conditioning": "whiten"}, {"conditioning": "whiten", "shrinkage": 2.0}, {"start_scale": 0.2},
           {"projection_decay": 90.0}, {"filter_decay": 6.0}, {"first_weight": 5.0}, {"gn_steps": 3}, {"cg_first": 1},
           {"cg_later": 4}, {"channels": 5}]


def first_frame(seed, samples=4, features=6, size=(5, 6), label_size=(40, 54)):
    """Samples of one object at random, whose targets are a tenth of the picture or less."""
    x, y, _ = random_problem(seed, 1, samples, features, size, label_size)
    y[..., label_size[1] // 4 :] = 0
    return FirstFrame(None, y[0], (x + 1).flatten(3), size)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_first_frame_optimisation_is_that_of_the_equations_whatever_the_settings(changes):
    """Every setting on the way from first-frame samples to D, each against literal's Gauss-Newton; none is without effect."""
    config, samples = replace(BASE, **changes), first_frame(5)
    targets = OnlineTargets(config)
    targets.learn(samples, seed=7)
    gamma = torch.tensor([config.first_weight, 1, 1, 1], dtype=DOUBLE)
    rule, power = {"max": max, "min": min}[config.share_rule], {"root": 0.5, "printed": 1}[config.weight_power]
    x = samples.features[0].unflatten(2, samples.size)
    projection, offset, kernel = numpy_learn(x, samples.labels, gamma / gamma.sum(), config, 7, rule, power)
    assert relative(targets.model.projection[0], projection) < 1e-7
    assert relative(targets.model.offset[0, :, 0], offset) < 1e-7 or config.conditioning != "whiten"
    assert relative(targets.model.taps[0], kernel.reshape(-1, 9).T) < 1e-7
    if changes:
        plain = OnlineTargets(BASE)
        plain.learn(samples, seed=7)
        assert plain.model.taps.shape != targets.model.taps.shape or relative(targets.model.taps, plain.model.taps) > 1e-3


@pytest.mark.parametrize("kind", ["none", "scale", "whiten"])
def test_learned_model_is_the_optimised_filter(kind):
    """Conditioning folded into w1 and offset gives the scores of the conditioned problem, borders included."""
    x, y, gamma = random_problem(5, 2, 3, 6, (5, 6), (80, 96))
    config = Config(channels=4, conditioning=kind, gn_steps=2)
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
        assert relative(found, expected[0]) < 1e-6  # 15 CG iterations amplify rounding


def test_every_cg_iteration_is_reported():
    x, y, gamma = random_problem(6, 1, 2, 4, (3, 4), (24, 20))
    seen = []
    model = learn(x.flatten(3), normal_form(y, y + 1, (3, 4)), gamma, BASE, on_iteration=seen.append)
    assert [(one.step, one.iteration) for one in seen] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert torch.allclose(seen[-1].w[0, -27:], model.taps.flatten())


@pytest.mark.parametrize("kind", ["none", "scale", "whiten"])
def test_zero_features_stay_finite(kind):
    x, y, gamma = random_problem(6, 1, 2, 4, (3, 3), (48, 48))
    config = Config(channels=3, conditioning=kind)
    model = learn(torch.zeros_like(x).flatten(3), normal_form(y, pixel_weights(y), (3, 3)), gamma, config)
    assert all(torch.isfinite(t).all() for t in (model.projection, model.offset, model.taps))


def test_update_to_convergence_is_the_least_squares_solution():
    x, y, gamma = random_problem(8, 2, 4, 3, (4, 5), (64, 80))
    normal = normal_form(y, pixel_weights(y), (4, 5))
    config = Config(channels=3, cg_update=200, filter_decay=0.5)
    model = TargetModel(*(torch.zeros(2, *shape, dtype=DOUBLE) for shape in [(3, 3), (3, 1), (9, 3)]))
    found = update(model, x.flatten(3), normal, gamma, config).taps
    for n in range(2):
        columns = []
        for unit in torch.eye(27, dtype=DOUBLE):
            kernel = unit.view(9, 3).T.reshape(1, 3, 3, 3)
            maps = literal.upsample(F.conv2d(x[n], kernel, padding=1)[:, 0], (64, 80))
            columns.append((gamma[n].sqrt()[:, None, None] * pixel_weights(y)[n] * maps).flatten())
        a = torch.cat([torch.stack(columns, 1), 0.5**0.5 * torch.eye(27, dtype=DOUBLE)])
        b = torch.cat([(gamma[n].sqrt()[:, None, None] * pixel_weights(y)[n] * y[n]).flatten(), torch.zeros(27, dtype=DOUBLE)])
        expected = torch.linalg.lstsq(a, b[:, None]).solution[:, 0]
        assert relative(found[n].flatten(), expected) < 1e-7


@pytest.mark.parametrize("config", [PAPER, FAST, replace(PAPER, filter_decay=3.0)])
def test_update_equals_literal_with_frozen_projection(config):
    """From the present w2, with the preset's number of iterations; w1 and the offset stay."""
    x, y, gamma = random_problem(9, 1, 4, 6, (4, 5), (64, 80))
    normal = normal_form(y, pixel_weights(y), (4, 5))
    g = torch.Generator().manual_seed(1)
    projection, taps = torch.randn(1, 3, 6, generator=g, dtype=DOUBLE), torch.randn(1, 9, 3, generator=g, dtype=DOUBLE)
    model = TargetModel(projection, torch.zeros(1, 3, 1, dtype=DOUBLE), taps)
    found = update(model, model.project(x.flatten(3)), normal, gamma, config)
    assert found.projection is projection and found.offset is model.offset and model.taps is taps
    projected = F.conv2d(x[0], projection[0][:, :, None, None])
    data = (projected, y[0], pixel_weights(y)[0], gamma[0], (config.filter_decay,))
    (expected,) = literal.gauss_newton((taps[0].T.reshape(1, 3, 3, 3),), [config.cg_update], *data)
    assert relative(found.taps[0].T.reshape(1, 3, 3, 3), expected) < TOLERANCE


def test_objects_are_independent():
    """Learning two objects together gives each what it gets alone, a zero-weight sample has no part."""
    x, y, gamma = random_problem(10, 2, 3, 5, (4, 4), (64, 64))
    gamma[:, 2] = 0
    normal = normal_form(y, pixel_weights(y), (4, 4))
    plain = Config(channels=3, conditioning="none")
    together = learn(x.flatten(3), normal, gamma, plain, seed=3)
    first = NormalForm(*(part[:1, :2] for part in normal))
    alone = learn(x[:1, :2].flatten(3), first, gamma[:1, :2], plain, seed=3)
    assert relative(together.projection[0], alone.projection[0]) < 1e-7


@pytest.mark.parametrize("steps", [[5], [5, 10], [5, 10, 10, 10, 10]])
def test_each_step_lowers_the_loss(steps):
    x, y, gamma = random_problem(11, 1, 5, 8, (6, 7), (96, 112))
    samples = WeightedSamples(x.flatten(3), normal_form(y, pixel_weights(y), (6, 7)), gamma)
    problem = FirstFrameProblem(samples, conditioning(x.flatten(3), "whiten"), 4, (1e-4, 1e-2))
    w = initial_weights(1, 8, 4, torch.Generator().manual_seed(0)).to(DOUBLE)
    losses = [problem.loss(w).item()]
    for count in steps:
        w = gauss_newton(problem, w, [count])
        losses.append(problem.loss(w).item())
    assert all(b < a for a, b in pairwise(losses))


def test_update_problem_loss_matches_first_frame_problem():
    x, y, gamma = random_problem(12, 1, 2, 5, (3, 4), (48, 64))
    samples = WeightedSamples(x.flatten(3), normal_form(y, pixel_weights(y), (3, 4)), gamma)
    taps = torch.randn(1, 9, 5, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    both = FirstFrameProblem(samples, conditioning(x.flatten(3), "none"), 5, (0.0, 0.2))
    w = torch.cat([torch.eye(5, dtype=DOUBLE).flatten()[None], taps.flatten(1)], dim=1)
    assert relative(UpdateProblem(samples, 0.2).loss(taps.flatten(1)), both.loss(w)) < TOLERANCE


def random_model(objects, features, channels, seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = (channels, features), (channels, 1), (9, channels)
    return TargetModel(*(torch.randn(objects, *shape, generator=g, dtype=DOUBLE) for shape in shapes))


def test_a_model_is_eq_1_with_an_offset_per_object():
    """Both layers as convolutions, the offset a bias of the first; the border has zeros after the first layer."""
    model = random_model(2, 6, 3)
    x = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    projected = model.project(x)
    scores = model.scores(projected)
    assert projected.shape == (2, 3, 4, 5) and scores.shape == (2, 4, 5)
    for n in range(2):
        first = F.conv2d(x[None], model.projection[n, :, :, None, None], model.offset[n, :, 0])
        assert torch.allclose(projected[n], first[0])
        assert torch.allclose(scores[n], F.conv2d(first, model.taps[n].T.reshape(1, 3, 3, 3), padding=1)[0, 0])
    samples = torch.stack([x.flatten(1), 2 * x.flatten(1)]).expand(2, -1, -1, -1)  # two samples for each of two objects
    several = model.project(samples)
    assert several.shape == (2, 2, 3, 20) and torch.allclose(several[:, 0].view_as(projected), projected)
    assert torch.allclose(several[1, 1], model.projection[1] @ (2 * x.flatten(1)) + model.offset[1])


def test_appended_models_keep_their_order():
    one, other = random_model(2, 4, 3), random_model(1, 4, 3, seed=5)
    both = one.append(other)
    assert both.taps.shape == (3, 9, 3) and torch.equal(both.taps[:2], one.taps) and torch.equal(both.taps[2:], other.taps)
    assert torch.equal(both.projection[2:], other.projection) and torch.equal(both.offset[2:], other.offset)


@pytest.fixture
def started():
    """Two objects that were learned one after the other, and features of a later frame."""
    targets = OnlineTargets(BASE)
    for n, seed in ((5, 11), (6, 12)):
        targets.learn(first_frame(n), seed=seed)
    x = torch.randn(6, 5, 6, generator=torch.Generator().manual_seed(3), dtype=DOUBLE) + 1
    return targets, x


def masks(*pixels, size=(40, 54)):
    """(N, H, W): object n has so many pixels, row by row from its own corner on."""
    found = torch.zeros(len(pixels), *size, dtype=DOUBLE)
    for n, count in enumerate(pixels):
        found[n, 3 * n :].flatten()[7 * n : 7 * n + count] = 1
    return found


def test_each_object_is_learned_from_its_own_samples(started):
    """Position n of D and M is the n-th object: what it would be alone."""
    targets, x = started
    for n, seed in enumerate((11, 12)):
        alone = OnlineTargets(BASE)
        alone.learn(first_frame(5 + n), seed=seed)
        assert torch.equal(targets.model.taps[n], alone.model.taps[0])
        assert torch.equal(targets.memory.projected[n], alone.memory.projected[0])
        assert torch.allclose(targets.scores(x)[n], alone.scores(x)[0])
    memory = targets.memory
    assert (memory.first, memory.capacity, memory.learning_rate, memory.first_share) == (4, 6, 0.1, 0.0)
    assert memory.gamma[1].tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2, 0, 0])


@pytest.mark.parametrize("changes", [{}, {"share_rule": "min"}, {"weight_power": "printed"}, {"target_share": 0.4}], ids=str)
def test_a_frame_is_remembered_with_its_own_projection_and_the_weights_of_eq_4(started, changes):
    """Per object: its projection of the frame, and the normal form of its mask under the settings' rules of kappa."""
    targets, x = started
    targets.config = replace(BASE, **changes)
    targets.scores(x)
    answer = masks(300, 90)
    targets.remember(answer)
    memory, c = targets.memory, targets.config
    rule, power = {"max": max, "min": min}[c.share_rule], {"root": 0.5, "printed": 1}[c.weight_power]
    assert memory.filled == 5
    for n in range(2):
        projected = targets.model.projection[n] @ x.flatten(1) + targets.model.offset[n]
        assert torch.allclose(memory.projected[n, 4], projected)
        v = literal.pixel_weights(answer[n], c.target_share, rule, power)
        for kept, expected in zip(memory.normal, normal_form(answer[n], v, (5, 6)), strict=True):
            assert torch.allclose(kept[n, 4], expected)
    assert not torch.allclose(memory.normal.stencil[0, 4], memory.normal.stencil[1, 4])


def test_ten_pixels_are_enough_and_nine_are_not(started):
    """The settings' least number; who has fewer is left as it is, by memory and update."""
    targets, x = started
    before, gamma = targets.model.taps.clone(), targets.memory.gamma.clone()
    targets.scores(x)
    targets.remember(masks(10, 9))
    targets.update()
    assert targets.memory.gamma[0, 4] > 0 and torch.equal(targets.memory.gamma[1], gamma[1])
    assert not torch.equal(targets.model.taps[0], before[0]) and torch.equal(targets.model.taps[1], before[1])
    targets.config = replace(BASE, min_pixels=9)
    targets.scores(x)
    targets.remember(masks(0, 9))
    targets.update()
    assert targets.memory.gamma[1].max() > 0 and not torch.equal(targets.model.taps[1], before[1])


def test_an_object_that_was_learned_after_the_scores_gets_no_sample_yet(started):
    """It enters in a frame that was scored for the two others alone; they are remembered with their own projections."""
    targets, x = started
    targets.scores(x)
    targets.learn(first_frame(8), seed=13)
    late = targets.memory.projected[2].clone(), targets.memory.gamma[2].clone(), targets.model.taps[2].clone()
    targets.remember(masks(300, 90, 200))
    targets.update()
    for n in range(2):
        projected = targets.model.projection[n] @ x.flatten(1) + targets.model.offset[n]
        assert torch.allclose(targets.memory.projected[n, 4], projected)
    now = targets.memory.projected[2], targets.memory.gamma[2], targets.model.taps[2]
    assert all(torch.equal(a, b) for a, b in zip(now, late, strict=True))
    assert targets.scores(x).shape == (3, 5, 6)
    targets.remember(masks(300, 90, 200))
    slot = targets.memory.projected[2].flatten(1).sub(targets.model.project(x)[2].flatten()).abs().amax(1).argmin()
    assert torch.allclose(targets.memory.projected[2, slot].view(3, 5, 6), targets.model.project(x)[2])
    assert targets.memory.gamma[2, slot] > 0


def test_an_update_is_the_literal_one_on_all_that_is_remembered(started):
    """w2 from its present values on the four first samples and two later ones, with their gammas."""
    targets, x = started
    answer = masks(300, 90)
    for factor in (1.0, 0.5):
        targets.scores(factor * x)
        targets.remember(answer)
    before = targets.model
    targets.update()
    for n in range(2):
        frames = [first_frame(5 + n).features[0, k].view(6, 5, 6) for k in range(4)] + [x, 0.5 * x]
        labels = [*first_frame(5 + n).labels, answer[n], answer[n]]
        projected = torch.stack([before.project(f)[n] for f in frames])
        v = torch.stack([literal.pixel_weights(label, BASE.target_share) for label in labels])
        data = (projected, torch.stack(labels), v, targets.memory.gamma[n], (BASE.filter_decay,))
        (expected,) = literal.gauss_newton((before.taps[n].T.reshape(1, 3, 3, 3),), [BASE.cg_update], *data)
        assert relative(targets.model.taps[n], expected.reshape(3, 9).T) < 1e-8
        assert relative(targets.model.taps[n], before.taps[n]) > 1e-3
        assert torch.equal(targets.model.projection[n], before.projection[n])


def test_a_state_holds_all_that_later_frames_depend_on(started):
    """Loaded elsewhere, it goes on to the same numbers: scores, a full memory, updates."""
    targets, x = started
    targets.scores(x)
    targets.remember(masks(300, 9))
    other = OnlineTargets(BASE)
    other.load({name: part.clone() for name, part in targets.state().items()})
    for t in range(3):
        answer = masks(200 + t, 30)
        for each in (targets, other):
            each.scores((t + 1) * x)
            each.remember(answer)
            each.update()
        assert torch.equal(targets.scores(x), other.scores(x)) and torch.equal(targets.memory.gamma, other.memory.gamma)
    assert (targets.memory.gamma[:, 4:] > 0).any(1).all()
