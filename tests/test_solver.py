"""Conjugate gradient and Gauss-Newton on problems small enough to solve densely."""

from itertools import pairwise

import numpy as np
import torch
from helpers import DOUBLE, Rosenbrock
from hypothesis import given, settings
from hypothesis import strategies as st

from vosedu.solver import conjugate_gradient, gauss_newton


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


def test_cg_finds_the_least_of_the_krylov_space():
    """After k iterations: the minimum of the quadratic among all combinations of b, A b, … A^(k-1) b, by QR and a solve."""
    a, b = system(2, 2, 9)
    a[1] *= 50
    for count in (1, 2, 4):
        found = conjugate_gradient(lambda p: (a @ p[..., None])[..., 0], b, count)
        for n in range(2):
            basis = [b[n]]
            while len(basis) < count:
                basis.append(a[n] @ basis[-1] / basis[-1].norm())
            q, _ = torch.linalg.qr(torch.stack(basis, 1))
            assert torch.allclose(found[n], q @ torch.linalg.solve(q.T @ a[n] @ q, q.T @ b[n]), rtol=1e-6, atol=1e-9)


def test_cg_of_a_solved_row_stays_while_another_goes_on():
    """Row 0 is solved by one iteration; twenty more leave it to the bit, and bring no NaN."""
    a = torch.stack([3 * torch.eye(5, dtype=DOUBLE), system(3, 1, 5)[0][0]])
    b = torch.ones(2, 5, dtype=DOUBLE)
    seen = []
    conjugate_gradient(lambda p: (a @ p[..., None])[..., 0], b, 20, lambda i, p, norm: seen.append((p.clone(), norm)))
    assert torch.allclose(seen[0][0][0], b[0] / 3) and all(torch.equal(p[0], seen[0][0][0]) for p, _ in seen)
    assert all(torch.isfinite(p).all() and torch.isfinite(norm).all() for p, norm in seen)
    assert torch.allclose(seen[-1][0][1], torch.linalg.solve(a[1], b[1]))


def test_gauss_newton_solves_a_nonlinear_problem():
    w = torch.tensor([[-1.2, 1.0], [0.5, 2.0]], dtype=DOUBLE)
    seen = []
    found = gauss_newton(Rosenbrock(), w, [2] * 6, seen.append)
    assert torch.allclose(found, torch.ones_like(w), atol=1e-8)
    assert [(s.step, s.iteration) for s in seen] == [(i, j) for i in range(6) for j in range(2)]
    assert torch.equal(seen[-1].w, found)


def test_each_step_minimises_the_quadratic_model_where_it_stands():
    """Two unknowns: two CG iterations solve the normal equations, one goes along the gradient to the model's least."""
    w = torch.tensor([[-1.2, 1.0]], dtype=DOUBLE)
    for count in (1, 2):
        at, seen = w.clone(), []
        found = gauss_newton(Rosenbrock(), w, [count] * 2, seen.append)
        for step in range(2):
            x, y = at[0].tolist()
            j, r = np.array([[-1, 0], [-20 * x, 10]]), np.array([1 - x, 10 * (y - x * x)])
            gradient = j.T @ r
            along = -gradient * (gradient @ gradient) / (j @ gradient @ (j @ gradient))
            at = at + torch.from_numpy(along if count == 1 else -np.linalg.solve(j.T @ j, gradient))
            assert torch.allclose(seen[(step + 1) * count - 1].w, at)
        assert torch.allclose(found, at) and torch.equal(w, torch.tensor([[-1.2, 1.0]], dtype=DOUBLE))


def test_where_a_product_is_zero_nothing_is_moved():
    """A = 0 has no minimum to go to, whatever the right-hand side: the answer is 0, not infinity."""
    found = conjugate_gradient(torch.zeros_like, torch.tensor([[1.0, -2.0], [1e-30, 0.0]], dtype=DOUBLE), 3)
    assert torch.equal(found, torch.zeros(2, 2, dtype=DOUBLE))


def test_no_steps_changes_nothing():
    w = torch.randn(2, 2, dtype=DOUBLE)
    assert torch.equal(gauss_newton(Rosenbrock(), w, []), w)
    assert torch.equal(gauss_newton(Rosenbrock(), w, [0]), w)
