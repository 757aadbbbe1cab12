"""Checks of exercises: right answers pass, stubs and the usual wrong answers fail and are named."""

import numpy as np
import pytest
import torch

from vosedu import exercises, metrics, solver, target_model


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


BCE = torch.nn.functional.binary_cross_entropy_with_logits
RIGHT = {
    "cross_entropy": lambda l, y: BCE(l, y, reduction="none"),
    "about": turned,
    "channel_attention": attention,
    "memory_weights": gammas,
    "soft_aggregation": aggregated,
    "similarity": lambda f, x: torch.einsum("c,chw->hw", f, x) / (f.norm() * x.norm(dim=0)),
    "jaccard": metrics.jaccard,
    "pixel_weights": lambda y, share: target_model.pixel_weights(y, share),
    "loss_share": lambda v, y: (v**2 * y).sum() / (v**2).sum(),
    "conjugate_gradient": cg,
    "linearised_filter": lambda w1, w2, d1, d2: w2 @ d1 + d2 @ w1,
}
WRONG = {
    "cross_entropy": [(lambda l, y: -y * l.sigmoid().log() - (1 - y) * (1 - l.sigmoid()).log(), "not finite"),
                      (lambda l, y: BCE(l.sigmoid(), y, reduction="none"), "which term"),
                      (lambda l, y: BCE(l, 1 - y, reduction="none"), "exchanged")],
    "about": [(lambda c, a, s: turned(c, a, s, fix=False), "corner"), (lambda c, a, s: turned(c, -a, s), "other way")],
    "channel_attention": [(lambda d, s, g: attention(d, s, g, -1), "wrong order"), (lambda d, s, g: s, "sigmoid of gate")],
    "memory_weights": [(lambda n, eta: gammas(n, eta, each=False), "sum to one"),
                       (lambda n, eta: torch.softmax(-torch.arange(n + 1) * np.log(1 - eta), 0), "gamma_0"),
                       (lambda n, eta: torch.ones(n + 1) / (n + 1), "newest should weigh")],
    "soft_aggregation": [(lambda p: aggregated(p, odds=False), "odds, p / (1 - p)"),
                         (lambda p: aggregated(p).roll(-1, 0), "background comes first")],
    "similarity": [(lambda f, x: torch.einsum("c,chw->hw", f, x), "inner product"),
                   (lambda f, x: torch.einsum("c,chw->hw", f, x) / x.norm(dim=0), "norm of f"),
                   (lambda f, x: f.sum() * x[0], "first dimension")],
    "jaccard": [(lambda a, b: 2 * (a & b).sum() / max(1, a.sum() + b.sum()), "Dice"),
                (lambda a, b: (a & b).sum() / max(1, b.sum()), "recall"),
                (lambda a, b: (a & b).sum() / np.float64(max(1, (a | b).sum())), "empty")],
    "pixel_weights": [(lambda y, s: target_model.pixel_weights(y, s, "min"), "printed min"),
                      (lambda y, s: target_model.pixel_weights(y, s, "max", "printed"), "square root"),
                      (lambda y, s: torch.full_like(y, 2), "elsewhere"),
                      (lambda y, s: y.mean(), "shape")],
    "loss_share": [(lambda v, y: (v * y).sum() / v.sum(), "squares it"), (lambda v, y: y.mean(), "share of pixels")],
    "conjugate_gradient": [(lambda a, b, n: cg(a, b, n, beta=False), "steepest descent"),
                           (lambda a, b, n: -cg(a, b, n), "sign"),
                           (lambda a, b, n: cg(a, b, n + 1), "too many"),
                           (lambda a, b, n: b / b.norm(), "zero")],
    "linearised_filter": [(lambda w1, w2, d1, d2: d2 @ w1, "second layer only"),
                          (lambda w1, w2, d1, d2: (w2 + d2) @ (w1 + d1) - w2 @ w1, "second order")],
}


@pytest.mark.parametrize("exercise", exercises.ALL, ids=lambda e: e.name)
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


def test_the_tests_own_cg_is_the_solvers():
    a = torch.diag(torch.tensor([1.0, 3.0, 9.0]))
    b = torch.tensor([1.0, 2.0, -1.0])
    assert torch.allclose(cg(lambda p: a @ p, b, 2), solver.conjugate_gradient(lambda p: p @ a, b[None], 2)[0])
