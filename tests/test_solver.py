"""Conjugate gradient and Gauss-Newton on problems small enough to solve densely."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vosedu.literal import first_order
from vosedu.solver import conjugate_gradient, gauss_newton

DOUBLE = torch.float64


def system(seed, n, size):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(n, size + 2, size, generator=g, dtype=DOUBLE)
    return a.mT @ a + 0.1 * torch.eye(size, dtype=DOUBLE), torch.randn(n, size, generator=g, dtype=DOUBLE)


@given(seed=st.integers(0, 999), n=st.integers(1, 4), size=st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_cg_equals_dense_solve(seed, n, size):
    a, b = system(seed, n, size)
    found = conjugate_gradient(lambda p: (a @ p[..., None])[..., 0], b, 3 * size)
    assert torch.allclose(found, torch.linalg.solve(a, b), rtol=1e-7, atol=1e-8)


def test_cg_rows_do_not_mix_and_zero_stays_zero():
    a, b = system(0, 3, 6)
    b[1] = 0
    found = conjugate_gradient(lambda p: (a @ p[..., None])[..., 0], b, 4)
    alone = conjugate_gradient(lambda p: (a[2:] @ p[..., None])[..., 0], b[2:], 4)
    assert torch.equal(found[1], torch.zeros(6, dtype=DOUBLE))
    assert torch.allclose(found[2:], alone)


def test_cg_energy_falls_in_every_iteration():
    a, b = system(1, 1, 10)
    energies = []

    def watch(i, p, norm):
        assert i == len(energies)
        energies.append(float(0.5 * p[0] @ a[0] @ p[0] - b[0] @ p[0]))
        assert torch.allclose(norm[0], (b[0] - a[0] @ p[0]).norm())

    conjugate_gradient(lambda p: (a @ p[..., None])[..., 0], b, 8, watch)
    assert len(energies) == 8 and all(y < x for x, y in pairwise(energies))


class Rosenbrock:
    """r = (1 - x, 10 (y - x²)): zero residual at (1, 1), so Gauss-Newton converges to it."""

    def loss(self, w):
        return (1 - w[:, 0]) ** 2 + 100 * (w[:, 1] - w[:, 0] ** 2) ** 2

    def linearise(self, w):
        x, y = w.unbind(1)
        r = torch.stack([1 - x, 10 * (y - x * x)], 1)
        j = torch.stack([torch.stack([-torch.ones_like(x), 0 * x], 1), torch.stack([-20 * x, 10 + 0 * x], 1)], 1)
        return (j.mT @ r[..., None])[..., 0], lambda p: (j.mT @ (j @ p[..., None]))[..., 0]


def test_gauss_newton_solves_a_nonlinear_problem():
    w = torch.tensor([[-1.2, 1.0], [0.5, 2.0]], dtype=DOUBLE)
    seen = []
    found = gauss_newton(Rosenbrock(), w, [2] * 6, seen.append)
    assert torch.allclose(found, torch.ones_like(w), atol=1e-8)
    assert [(s.step, s.iteration) for s in seen] == [(i, j) for i in range(6) for j in range(2)]
    assert torch.equal(seen[-1].w, found)


def test_no_steps_changes_nothing():
    w = torch.randn(2, 2, dtype=DOUBLE)
    assert torch.equal(gauss_newton(Rosenbrock(), w, []), w)
    assert torch.equal(gauss_newton(Rosenbrock(), w, [0]), w)


def test_first_order_descends_by_the_gradient_and_leaves_the_start():
    start = torch.tensor([[0.5, 2.0]], dtype=DOUBLE)
    losses, seconds = first_order(Rosenbrock(), start, torch.optim.SGD, 5, lr=1e-4)
    assert torch.equal(start, torch.tensor([[0.5, 2.0]], dtype=DOUBLE))
    assert len(losses) == len(seconds) == 6 and losses[0] == Rosenbrock().loss(start).item()
    assert all(y < x for x, y in pairwise(losses)) and all(y > x for x, y in pairwise(seconds))
    w = start.clone().requires_grad_(True)
    Rosenbrock().loss(w).sum().backward()
    assert losses[1] == pytest.approx(Rosenbrock().loss(start - 1e-4 * w.grad).item())
