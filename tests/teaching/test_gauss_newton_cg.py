"""Notebook 03: every iteration of a small solve in its place, and the three exercises."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import DOUBLE, Rosenbrock
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, over, red_marker, says, shown

from vosedu import literal
from vosedu.config import BEST
from vosedu.memory import initial_gamma
from vosedu.target_model import first_frame_problem, learn
from vosedu.teaching import gauss_newton_cg
from vosedu.teaching.gauss_newton_cg import Microscope, first_order

CONFIG = replace(BEST, samples=3, channels=4, gn_steps=3, cg_first=2, cg_later=3, projection_decay=10.0, filter_decay=10.0)
FRAME = flat((60, 120, 90))


def scores_after(first_frame, config):
    """What `learn` makes of the first sample, without the microscope."""
    gamma = initial_gamma(1, 3, config.first_weight, first_frame.features)
    model = learn(first_frame.features, first_frame.normal(config), gamma, config)
    return model.scores(model.project(first_frame.features[0, 0].unflatten(1, (6, 8))))[0].numpy()


@pytest.mark.parametrize("conditioning", ["none", "scale", "whiten"])
def test_scores_of_an_iteration_are_those_of_a_solve_that_ends_there(first_frame, conditioning):
    config = replace(CONFIG, conditioning=conditioning)
    microscope = Microscope(FRAME, first_frame, config)
    assert len(microscope.losses) == len(microscope.residuals) == len(microscope.scores) == 1 + 2 + 3 + 3
    for index, shorter in ((1, {"gn_steps": 1, "cg_first": 1}), (2, {"gn_steps": 1}), (4, {"gn_steps": 2, "cg_later": 2}),
                           (5, {"gn_steps": 2}), (8, {})):
        wanted = scores_after(first_frame, replace(config, **shorter))
        assert np.allclose(microscope.scores[index], wanted, atol=1e-3), index
    assert not np.allclose(microscope.scores[0], microscope.scores[1], atol=1e-3)


def test_losses_are_those_of_eq_2(first_frame):
    config = replace(CONFIG, conditioning="none")
    microscope = Microscope(FRAME, first_frame, config, seed=5)
    gamma = initial_gamma(1, 3, config.first_weight, first_frame.features)
    problem, start, _ = first_frame_problem(first_frame.features, first_frame.normal(config), gamma, config, 5)
    y = first_frame.labels
    v = torch.stack([literal.pixel_weights(label, config.target_share) for label in y])
    w = literal.kernels(*(part[0] for part in problem.split(start)))
    data = first_frame.features[0].unflatten(2, (6, 8)), y, v, gamma[0], (config.projection_decay, config.filter_decay)
    assert microscope.losses[0] == pytest.approx(literal.loss(w, *data).item(), rel=1e-3)
    ends = [w]
    for counts in ([2], [2, 3], [2, 3, 3]):
        ends.append(literal.gauss_newton(w, counts, *data))
    for index, end in zip((0, 2, 5, 8), ends, strict=True):
        assert microscope.losses[index] == pytest.approx(literal.loss(end, *data).item(), rel=5e-3), index
    gradient = torch.cat([part.flatten() for part in literal.gradient(w, *data)])
    assert microscope.residuals[1] < gradient.norm() and microscope.residuals[0] == microscope.residuals[1]


def test_steps_and_iterations_are_named_as_they_were_made(first_frame):
    microscope = Microscope(FRAME, first_frame, CONFIG)
    assert microscope.steps == [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)]
    assert microscope.caption(0) == "start" and microscope.caption(5) == "Gauss-Newton step 2, CG iteration 3"
    microscope.frame = flat((60, 120, 90), (96, 400))
    for index in (0, 5):
        assert says(microscope.picture(index)[:30, :400], microscope.caption(index), scale=0.5)


def test_its_picture_shows_the_slider_s_iteration(first_frame):
    microscope = Microscope(FRAME, first_frame, CONFIG)
    microscope.scores = [np.full((6, 8), 0.1 * k) for k in range(9)]
    microscope.losses = [10.0 ** (8 - k) for k in range(9)]
    microscope.residuals = [10.0**k for k in range(9)]
    for index in (1, 4, 7):
        microscope.index.value = index
        picture = shown(microscope)
        assert picture.shape == (96, 256, 3)
        assert close(picture[34:62, :24], over((60, 120, 90), 0.1 * index)), "its scores over the frame"
        upper, lower = red_marker(picture[:48, 128:]), red_marker(picture[48:, 128:])
        assert upper == pytest.approx((12 + 13 * index, 28 + index), abs=1.5), "the loss falls"
        assert lower == pytest.approx((12 + 13 * index, 36 - index), abs=1.5), "what stands for the residual rises"
    microscope.frame = flat((60, 120, 90), (96, 300))
    picture = microscope.picture(3)
    assert says(picture[:24, 300:], "loss 1e+05") and says(picture[48:72, 300:], "CG residual 1e+03")


def test_its_controls(first_frame):
    microscope = Microscope(FRAME, first_frame, CONFIG)
    assert (microscope.index.min, microscope.index.max) == (0, 8) and is_described(microscope.widget)


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


def cg_in_place(apply, b, count):
    """Its residual is the right-hand side itself."""
    p, r, d = torch.zeros_like(b), b, b.clone()
    for _ in range(count):
        energy, image = r @ r, apply(d)
        if not energy:
            break
        p += energy / (d @ image) * d
        r -= energy / (d @ image) * image
        d = r + r @ r / energy * d
    return p


def krylov(apply, b, count):
    """The same by its definition: the least ½ pᵀAp - bᵀp in the span of b, Ab, A²b, …, in NumPy."""
    basis = [b.numpy()]
    for _ in range(count - 1):
        basis.append(np.asarray(apply(torch.from_numpy(basis[-1]))))
    if not basis[0].any():
        return np.zeros(len(basis[0]))
    q = np.linalg.qr(np.stack(basis, axis=1))[0]
    a = np.stack([np.asarray(apply(torch.from_numpy(column.copy()))) for column in q.T], axis=1)
    return q @ np.linalg.solve(q.T @ a, q.T @ basis[0])


def stencil(up, v, power=2):
    return (up * up).T @ v**power, (up[:, 1:] * up[:, :-1]).T @ v**power


def looped(up, v):
    rows, cells = up.shape
    k = [[sum(float(v[n]) ** 2 * float(up[n, i] * up[n, j]) for n in range(rows)) for j in range(cells)] for i in range(cells)]
    return [k[i][i] for i in range(cells)], [k[i][i + 1] for i in range(cells - 1)]


def moves(w1, w2, d1, d2):
    """By differences of the product itself."""
    w1, w2, d1, d2 = (part.double() for part in (w1, w2, d1, d2))
    return ((w2 + 1e-5 * d2) @ (w1 + 1e-5 * d1) - (w2 - 1e-5 * d2) @ (w1 - 1e-5 * d1)) / 2e-5


TABLE = {
    "conjugate_gradient": Answers(
        [cg, cg_in_place, krylov],
        [(lambda a, b, n: cg(a, b, n, beta=False), "steepest descent"), (lambda a, b, n: -cg(a, b, n), "sign"),
         (lambda a, b, n: cg(a, b, n + 1), "too many"), (lambda a, b, n: cg(a, b, n - 1), "Nothing has moved"),
         (lambda a, b, n: cg(a, b, n if n < 3 else n - 1), "too few"), (lambda a, b, n: b / b.norm(), "zero"),
         (lambda a, b, n: cg(a, b, n) + 1, "zero"), (lambda a, b, n: cg(a, b, 6), "is beta"), (lambda a, b, n: b[:5], "shape")],
    ),
    "linearised_filter": Answers(
        [lambda w1, w2, d1, d2: w2 @ d1 + d2 @ w1, moves],
        [(lambda w1, w2, d1, d2: d2 @ w1, "second layer only"), (lambda w1, w2, d1, d2: w2 @ d1, "first layer only"),
         (lambda w1, w2, d1, d2: (w2 + d2) @ (w1 + d1) - w2 @ w1, "second order"),
         (lambda w1, w2, d1, d2: w2 @ d1 - d2 @ w1, "product"), (lambda w1, w2, d1, d2: d2 @ d1, "product")],
    ),
    "normal_stencil": Answers(
        [stencil, looped],
        [(lambda u, v: stencil(u, v, 1), "v squared"), (lambda u, v: stencil(u, v, 0), "no weights"),
         (lambda u, v: (stencil(u, v)[0],) * 2, "no neighbour"), (lambda u, v: (stencil(u, v)[0].numpy(),) * 2, "no neighbour"),
         (lambda u, v: u, "two vectors"), (lambda u, v: (u, v), "two vectors"),
         (lambda u, v: stencil(u, v)[::-1], "one entry too many"),
         (lambda u, v: stencil(u.flip(0), v), "two columns of U")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(gauss_newton_cg, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(gauss_newton_cg) == set(TABLE)


def test_first_order_descends_by_the_gradient_and_leaves_the_start():
    start = torch.tensor([[0.5, 2.0]], dtype=DOUBLE)
    losses, seconds = first_order(Rosenbrock(), start, torch.optim.SGD, 5, lr=1e-4)
    assert torch.equal(start, torch.tensor([[0.5, 2.0]], dtype=DOUBLE))
    assert len(losses) == len(seconds) == 6 and losses[0] == Rosenbrock().loss(start).item()
    assert all(y < x for x, y in pairwise(losses)) and all(y > x for x, y in pairwise(seconds))
    w = start.clone().requires_grad_(True)
    Rosenbrock().loss(w).sum().backward()
    assert losses[1] == pytest.approx(Rosenbrock().loss(start - 1e-4 * w.grad).item())
