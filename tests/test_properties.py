"""Whatever goes in, no NaN comes out: shapes and values drawn at random, degenerate ones on purpose (hypothesis)."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vosedu.aggregation import aggregate
from vosedu.config import BEST, FAST, PAPER
from vosedu.evaluation.metrics import boundary_f, jaccard
from vosedu.loss import normal_form, pixel_weights
from vosedu.memory import Memory, initial_gamma
from vosedu.solver import conjugate_gradient
from vosedu.target_model import learn, update

FRAME_KINDS = ("noise", "constant", "black", "white", "checks")
MASK_KINDS = ("all", "none", "one pixel", "column", "noise")
quick = settings(max_examples=60, deadline=None, derandomize=True)


def frame_of(kind, size, rng):
    height, width = size
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "checks":
        return np.repeat((255 * (np.indices(size).sum(0) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    return np.full((height, width, 3), {"constant": 97, "black": 0, "white": 255}[kind], np.uint8)


def mask_of(kind, size, rng):
    mask = np.zeros(size, np.uint8)
    if kind == "all":
        mask[:] = 1
    elif kind == "one pixel":
        mask[rng.integers(size[0]), rng.integers(size[1])] = 1
    elif kind == "column":
        mask[:, rng.integers(size[1])] = 1
    elif kind == "noise":
        mask = rng.integers(0, 2, size, dtype=np.uint8)
    return mask


@quick
@given(n=st.integers(1, 6), rank=st.integers(0, 6), scale=st.integers(-6, 6), count=st.integers(0, 20), seed=st.integers(0, 99))
@example(n=4, rank=0, scale=0, count=9, seed=0)  # A = 0
def test_cg_stays_finite_and_never_leaves_the_start_for_worse(n, rank, scale, count, seed):
    rng = torch.Generator().manual_seed(seed)
    root = torch.randn(n, min(rank, n), generator=rng, dtype=torch.float64)
    a = 10.0**scale * root @ root.T
    rhs = (a @ torch.randn(n, 1, generator=rng, dtype=torch.float64)).T  # in A's range: the quadratic has a minimum
    p = conjugate_gradient(lambda p: p @ a, rhs, count)
    assert torch.isfinite(p).all()
    value = 0.5 * (p @ a @ p.T) - rhs @ p.T
    assert value <= 1e-9 * 10.0**scale * n * n
    assert torch.equal(conjugate_gradient(lambda p: p @ a, torch.zeros_like(rhs), count), torch.zeros_like(rhs))


@quick
@given(kind=st.sampled_from(MASK_KINDS), height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(0.001, 0.999),
       rule=st.sampled_from(["max", "min"]), power=st.sampled_from(["root", "printed"]), seed=st.integers(0, 99))
def test_pixel_weights_of_any_mask(kind, height, width, share, rule, power, seed):
    mask = torch.from_numpy(mask_of(kind, (height, width), np.random.default_rng(seed))).double()
    v = pixel_weights(mask, share, rule, power)
    assert torch.isfinite(v).all() and (v >= 0).all()
    if 0 < mask.mean() < 1:
        total = (v.square() if power == "root" else v)
        kappa = {"max": max, "min": min}[rule](share, mask.mean().item())
        assert (total * mask).sum() / total.sum() == pytest.approx(kappa)


@quick
@given(objects=st.integers(1, 3), first=st.integers(1, 5), room=st.integers(1, 6), eta=st.floats(0.001, 0.9),
       share=st.sampled_from([0.0, 0.3, 0.99]), count=st.integers(0, 40), seed=st.integers(0, 99))
def test_memory_weights_are_a_distribution(objects, first, room, eta, share, count, seed):
    rng = torch.Generator().manual_seed(seed)
    size, labels = (2, 3), torch.rand(objects, first, 8, 12, generator=rng).round()
    normal = normal_form(labels, pixel_weights(labels), size)
    memory = Memory(torch.randn(objects, first, 4, 6, generator=rng), normal, initial_gamma(objects, first, 2.0, labels),
                    first + room, eta, share)
    for _ in range(count):
        valid = torch.rand(objects, generator=rng) < 0.7
        before = memory.gamma.clone()
        label = torch.rand(objects, 8, 12, generator=rng).round()
        memory.insert(torch.randn(objects, 4, 6, generator=rng), normal_form(label, pixel_weights(label), size), valid)
        assert torch.equal(memory.gamma[~valid], before[~valid])
    _, _, gamma = memory.samples()
    assert torch.isfinite(gamma).all() and (gamma >= 0).all() and gamma.shape[1] <= first + room
    torch.testing.assert_close(gamma.sum(1), torch.ones(objects), rtol=0, atol=1e-4)
    assert (gamma[:, :first].sum(1) >= share - 1e-4).all()


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.sampled_from(["softmax", "min"]))
@example([0.0, 0.0], "softmax")
@example([1.0, 1.0], "softmax")
@example([1.0, 1.0], "min")
def test_aggregation_is_a_distribution_that_keeps_the_order(p, rule):
    joint = aggregate(torch.tensor(p, dtype=torch.float64).view(-1, 1, 1), rule).flatten()
    assert torch.isfinite(joint).all() and joint.sum().item() == pytest.approx(1)
    for a, b in zip(np.argsort(p), np.argsort(p)[1:], strict=False):
        assert joint[1 + a] <= joint[1 + b] + 1e-12


@quick
@given(a=st.sampled_from(MASK_KINDS), b=st.sampled_from(MASK_KINDS), height=st.integers(1, 40), width=st.integers(1, 40),
       seed=st.integers(0, 99))
def test_j_and_f_are_symmetric_bounded_and_one_on_themselves(a, b, height, width, seed):
    rng = np.random.default_rng(seed)
    x, y = mask_of(a, (height, width), rng), mask_of(b, (height, width), rng)
    for measure in (jaccard, boundary_f):
        assert 0 <= measure(x, y) <= 1
        assert measure(x, y) == pytest.approx(measure(y, x))
        assert measure(x, x) == 1
    pixels, others = set(zip(*np.nonzero(x), strict=True)), set(zip(*np.nonzero(y), strict=True))
    assert jaccard(x, y) == (len(pixels & others) / len(pixels | others) if pixels | others else 1)


@quick
@given(preset=st.sampled_from([PAPER, FAST, BEST]), conditioning=st.sampled_from(["none", "scale", "whiten"]),
       scale=st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 1e3, 1e6]), kind=st.sampled_from(MASK_KINDS), seed=st.integers(0, 99))
def test_target_model_is_finite_on_any_features_and_mask(preset, conditioning, scale, kind, seed):
    rng = torch.Generator().manual_seed(seed)
    config = replace(preset, channels=4, samples=3, conditioning=conditioning)
    features = scale * torch.randn(1, 3, 12, 6, generator=rng)
    labels = torch.from_numpy(mask_of(kind, (32, 48), np.random.default_rng(seed))).float().expand(1, 3, -1, -1)
    normal = normal_form(labels, pixel_weights(labels), (2, 3))
    gamma = initial_gamma(1, 3, 2.0, features)
    model = learn(features, normal, gamma, config)
    projected = model.project(features)
    later = update(model, projected, normal, gamma, config)
    for part in (later.scores(projected[:, 0].unflatten(-1, (2, 3))), *vars(later).values()):
        assert torch.isfinite(part).all()


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.sampled_from(FRAME_KINDS), min_size=2, max_size=4),
       kind=st.sampled_from([k for k in MASK_KINDS if k != "none"]),  # an empty first mask is refused
       height=st.integers(32, 75), width=st.integers(32, 75), seed=st.integers(0, 99))
def test_no_nan_leaves_the_engine(segmenter, frames, kind, height, width, seed):
    rng = np.random.default_rng(seed)
    engine = copy.copy(segmenter)
    engine.config = replace(BEST, channels=8, samples=3, update_every=1)
    video = engine.start(frame_of(frames[0], (height, width), rng), mask_of(kind, (height, width), rng))
    for name in frames[1:]:
        labels = video.step(frame_of(name, (height, width), rng))
        assert labels.shape == (height, width) and set(labels.unique().tolist()) <= {0, *video.ids}
        assert video.scores is None or torch.isfinite(video.scores).all()
