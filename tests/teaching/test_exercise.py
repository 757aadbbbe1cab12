"""Checks of exercises: right answers pass, stubs and the usual wrong answers fail and are named."""

import importlib

import numpy as np
import pytest
import torch

from vosedu import loss, solver
from vosedu.evaluation import metrics
from vosedu.teaching import NOTEBOOKS, weighted_l2_loss
from vosedu.teaching.exercise import Exercise

MODULES = [importlib.import_module(f"vosedu.teaching.{name}") for name in NOTEBOOKS]
ALL = [found for module in MODULES for found in vars(module).values() if isinstance(found, Exercise)]


def cg(apply, b, count, beta=True):
    p, r, d = torch.zeros_like(b), b.clone(), b.clone()
    energy = r @ r
    for _ in range(count):
        if energy == 0:
            break
        image = apply(d)
        length = energy / (d @ image)
        p, r = p + length * d, r - length * image
        energy, old = r @ r, energy
        d = r + (energy / old) * d if beta else r
    return p


def gammas(count, eta, each=True):
    weights, newest = [1.0], eta
    for _ in range(count):
        newest /= 1 - eta
        weights.append(newest)
        if each:
            weights = [w / sum(weights) for w in weights]
            newest = weights[-1]
    return torch.tensor(weights)


def aggregated(p, odds=True):
    everyone = torch.cat([(1 - p).prod(0, keepdim=True), p])
    values = everyone / (1 - everyone) if odds else everyone
    return values / values.sum(0)


def turned(centre, angle, scale, fix=True):
    a = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.hstack([a, (np.array(centre) - a @ centre if fix else np.zeros(2))[:, None]])


def attention(deeper, shallower, gate, order=1):
    means = [x.mean((2, 3)) for x in (shallower, deeper)][::order]
    up = torch.nn.functional.interpolate(deeper, shallower.shape[2:], mode="bilinear")
    return shallower * gate(torch.cat(means, 1)).sigmoid()[..., None, None] + up


def components(x, count, centre=True, last=False):
    flat = x.flatten(1) - (x.flatten(1).mean(1, keepdim=True) if centre else 0)
    u = torch.linalg.svd(flat, full_matrices=False)[0]
    return ((u[:, -count:] if last else u[:, :count]).T @ flat).view(count, *x.shape[1:])


def three(j, cut=slice(1, -1), sign=1):
    return [metrics.summarise(j[cut])[k] * (sign if k == "decay" else 1) for k in ("mean", "recall", "decay")]


def _normal(weights):
    weights = torch.as_tensor(weights, dtype=torch.float32)
    return weights / weights.sum(0)


def stencil(up, v, power=2):
    return (up * up).T @ v**power, (up[:, 1:] * up[:, :-1]).T @ v**power


def share(mask, label, warp, power=1):
    return label.sum() / (mask.sum() * abs(np.linalg.det(warp[:, :2])) ** power)


def shared(convolve, weight, h, s):
    return convolve(h, weight[:, :-1]) + convolve(s, weight[:, -1:])


def unshared(convolve, weight, h, s, order=1):
    parts = [h.expand(len(s), -1, -1, -1), s][::order]
    return convolve(torch.cat(parts, 1), weight)


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


BCE = torch.nn.functional.binary_cross_entropy_with_logits
RIGHT = {
    "principal_components": components,
    "summary": three,
    "normal_stencil": stencil,
    "visible_share": share,
    "shared_convolution": shared,
    "entropy_gradient": lambda l, y: (l.sigmoid() - y) / y.numel(),
    "eviction": evicted,
    "cross_entropy": lambda l, y: BCE(l, y, reduction="none"),
    "about": turned,
    "channel_attention": attention,
    "memory_weights": gammas,
    "soft_aggregation": aggregated,
    "similarity": lambda f, x: torch.einsum("c,chw->hw", f, x) / (f.norm() * x.norm(dim=0)),
    "jaccard": metrics.jaccard,
    "pixel_weights": lambda y, share: loss.pixel_weights(y, share),
    "loss_share": lambda v, y: (v**2 * y).sum() / (v**2).sum(),
    "conjugate_gradient": cg,
    "linearised_filter": lambda w1, w2, d1, d2: w2 @ d1 + d2 @ w1,
}
WRONG = {
    "principal_components": [(lambda x, n: components(x, n, centre=False), "mean over positions"),
                             (lambda x, n: components(x, n, last=True), "varies least"),
                             (lambda x, n: x[:n], "directions of most variance")],
    "summary": [(lambda j: three(j, slice(0, -1)), "first frame is given"), (lambda j: three(j, slice(1, None)), "last frame"),
                (lambda j: three(j, sign=-1), "sign"), (lambda j: three(j, slice(None)), "leaves out both"),
                (lambda j: (0, *three(j)[1:]), "mean should be otherwise"), (lambda j: [1, 2], "three numbers")],
    "normal_stencil": [(lambda u, v: stencil(u, v, 1), "v squared"), (lambda u, v: stencil(u, v, 0), "no weights"),
                       (lambda u, v: (stencil(u, v)[0],) * 2, "no neighbour"), (lambda u, v: u, "two vectors")],
    "visible_share": [(lambda m, l, w: share(m, l, w, 0), "before the warp"), (lambda m, l, w: share(m, l, w, 0.5), "root"),
                      (lambda m, l, w: share(m, l, w, -1), "multiplies"),
                      (lambda m, l, w: l.sum() / m.sum() / np.linalg.det(w[:, :2]), "mirrored"), (lambda m, l, w: 7, "A =")],
    "shared_convolution": [(unshared, "multiplications"), (lambda c, w, h, s: unshared(c, w, h, s, -1), "last channel"),
                           (lambda c, w, h, s: c(s, w[:, -1:]), "features' part"),
                           (lambda c, w, h, s: c(h, w[:, :-1]).expand(3, -1, -1, -1), "scores' part")],
    "entropy_gradient": [(lambda l, y: l.sigmoid() - y, "mean"), (lambda l, y: (y - l.sigmoid()) / y.numel(), "sign"),
                         (lambda l, y: (l.sigmoid() - y) * l.sigmoid() * (1 - l.sigmoid()) / y.numel(), "squared loss"),
                         (lambda l, y: (l.sigmoid() - y) / (l.sigmoid() * (1 - l.sigmoid())) / y.numel(), "chain rule"),
                         (lambda l, y: l, "what is left")],
    "eviction": [(lambda k, c, e: c - k + 1, "first eviction"), (lambda k, c, e: evicted(k, c, e, 1.0), "twice as much"),
                 (lambda k, c, e: evicted(k, c, e, extra=-1), "one"), (lambda k, c, e: c, "small eta"),
                 (lambda k, c, e: 0, "should be")],
    "cross_entropy": [(lambda l, y: -y * l.sigmoid().log() - (1 - y) * (1 - l.sigmoid()).log(), "not finite"),
                      (lambda l, y: BCE(l.sigmoid(), y, reduction="none"), "which term"),
                      (lambda l, y: BCE(l, 1 - y, reduction="none"), "exchanged")],
    "about": [(lambda c, a, s: turned(c, a, s, fix=False), "corner"), (lambda c, a, s: turned(c, -a, s), "other way")],
    "channel_attention": [(lambda d, s, g: attention(d, s, g, -1), "wrong order"), (lambda d, s, g: s, "sigmoid of gate")],
    "memory_weights": [(lambda n, eta: gammas(n, eta, each=False), "sum to one"),
                       (lambda n, eta: torch.softmax(-torch.arange(n + 1) * np.log(1 - eta), 0), "gamma_0"),
                       (lambda n, eta: torch.ones(n + 1) / (n + 1), "newest should weigh"),
                       (lambda n, eta: _normal([1] + [eta / (1 - eta) ** k for k in range(n)]), "eta itself")],
    "soft_aggregation": [(lambda p: aggregated(p, odds=False), "odds, p / (1 - p)"),
                         (lambda p: aggregated(p).roll(-1, 0), "background comes first"),
                         (lambda p: torch.cat([(1 - p).prod(0, True), p]).softmax(0), "over probabilities"),
                         (lambda p: _normal(torch.logit(torch.cat([(1 - p).amin(0, True), p])).exp()), "not the least")],
    "similarity": [(lambda f, x: torch.einsum("c,chw->hw", f, x), "inner product"),
                   (lambda f, x: torch.einsum("c,chw->hw", f, x) / x.norm(dim=0), "norm of f"),
                   (lambda f, x: f.sum() * x[0], "first dimension")],
    "jaccard": [(lambda a, b: 2 * (a & b).sum() / max(1, a.sum() + b.sum()), "Dice"),
                (lambda a, b: (a & b).sum() / max(1, b.sum()), "recall"),
                (lambda a, b: (a & b).sum() / max(1, a.sum()), "precision"), (lambda a, b: (a == b).mean(), "accuracy"),
                (lambda a, b: (a & b).sum() / np.float64(max(1, (a | b).sum())), "empty")],
    "pixel_weights": [(lambda y, s: loss.pixel_weights(y, s, "min"), "printed min"),
                      (lambda y, s: loss.pixel_weights(y, s, "max", "printed"), "square root"),
                      (lambda y, s: torch.full_like(y, 2), "elsewhere"),
                      (lambda y, s: torch.where(y > 0, s / y.mean(), (1 - s) / (1 - y.mean())).sqrt(), "held down"),
                      (lambda y, s: y.mean(), "shape")],
    "loss_share": [(lambda v, y: (v * y).sum() / v.sum(), "squares it"), (lambda v, y: y.mean(), "share of pixels")],
    "conjugate_gradient": [(lambda a, b, n: cg(a, b, n, beta=False), "steepest descent"),
                           (lambda a, b, n: -cg(a, b, n), "sign"),
                           (lambda a, b, n: cg(a, b, n + 1), "too many"),
                           (lambda a, b, n: b / b.norm(), "zero")],
    "linearised_filter": [(lambda w1, w2, d1, d2: d2 @ w1, "second layer only"),
                          (lambda w1, w2, d1, d2: (w2 + d2) @ (w1 + d1) - w2 @ w1, "second order")],
}


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.name)
def test_right_passes_stub_and_wrong_fail(exercise, capsys):
    assert exercise.check(RIGHT[exercise.name])

    def stub(*args):
        raise NotImplementedError

    capsys.readouterr()
    assert not exercise.check(stub) and "still to be written" in capsys.readouterr().out
    for answer, reason in WRONG[exercise.name]:
        assert not exercise.check(answer)
        assert reason in capsys.readouterr().out
    assert not exercise.check(lambda *args: 1 / 0) and "ZeroDivisionError" in capsys.readouterr().out
    exercise.hint(1)
    exercise.hint(2)
    assert capsys.readouterr().out.splitlines() == list(exercise.hints)


def test_an_array_is_as_good_as_a_tensor():
    assert weighted_l2_loss.pixel_weights.check(lambda y, share: loss.pixel_weights(y, share).numpy())


def test_the_tests_own_cg_is_the_solvers():
    a = torch.diag(torch.tensor([1.0, 3.0, 9.0]))
    b = torch.tensor([1.0, 2.0, -1.0])
    assert torch.allclose(cg(lambda p: a @ p, b, 2), solver.conjugate_gradient(lambda p: p @ a, b[None], 2)[0])
