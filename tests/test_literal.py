"""The oracle itself: eqs. (1) to (4) by hand, by loops, by exact differences and by dense solves in NumPy."""


import numpy as np
import pytest
import torch
from helpers import DOUBLE, random_problem

from vosedu import literal

SIZE, LABELS = (3, 4), (7, 10)
DECAY = (0.3, 0.07)


@pytest.fixture
def problem():
    """Two layers, and the data of eq. (2): three samples of five features at SIZE with labels at LABELS."""
    x, y, gamma = random_problem(0, 1, 3, 5, SIZE, LABELS)
    g = torch.Generator().manual_seed(1)
    v = torch.rand(y.shape, generator=g, dtype=DOUBLE)
    w = torch.randn(2, 5, 1, 1, generator=g, dtype=DOUBLE), torch.randn(1, 2, 3, 3, generator=g, dtype=DOUBLE)
    return w, (x[0], y[0], v[0], gamma[0], DECAY)


def slow_scores(x, w1, w2):
    """Eq. (1) by loops: the projection, then the filter, zero outside of the map."""
    projected = np.einsum("oc,kchw->kohw", w1[:, :, 0, 0], x)
    k, _, h, w = projected.shape
    found = np.zeros((k, h, w))
    for i in range(h):
        for j in range(w):
            for di in range(3):
                for dj in range(3):
                    if 0 <= i + di - 1 < h and 0 <= j + dj - 1 < w:
                        found[:, i, j] += projected[:, :, i + di - 1, j + dj - 1] @ w2[0, :, di, dj]
    return found


def slow_upsample(s, size):
    """U by loops: the four nearest positions, pixel centres at halves, the border repeated."""
    def at(i, n, m):
        x = min(max((i + 0.5) * n / m - 0.5, 0), n - 1)
        low = min(int(x), max(n - 2, 0))
        return low, min(low + 1, n - 1), x - low

    found = np.zeros((len(s), *size))
    for i in range(size[0]):
        top, bottom, down = at(i, s.shape[1], size[0])
        for j in range(size[1]):
            left, right, across = at(j, s.shape[2], size[1])
            upper = (1 - across) * s[:, top, left] + across * s[:, top, right]
            lower = (1 - across) * s[:, bottom, left] + across * s[:, bottom, right]
            found[:, i, j] = (1 - down) * upper + down * lower
    return found


def numbers(*tensors):
    return [t.numpy() for t in tensors]


def vector(w):
    return torch.cat([part.flatten() for part in w]).numpy()


def like(flat, w):
    parts = torch.from_numpy(flat).split([part.numel() for part in w])
    return tuple(a.view_as(b) for a, b in zip(parts, w, strict=True))


def jacobian(w, data):
    """J by central differences of one whole unit: exact, for a residual is linear in each layer."""
    at, columns = vector(w), []
    for unit in np.eye(len(at)):
        ahead, behind = (literal.residuals(like(at + sign * unit, w), *data).numpy() for sign in (1, -1))
        columns.append((ahead - behind) / 2)
    return np.stack(columns, 1)


def test_engine_weights_become_kernels():
    w1, w2 = torch.arange(10.0).view(2, 5), torch.arange(18.0).view(9, 2)
    a, b = literal.kernels(w1, w2)
    assert a.shape == (2, 5, 1, 1) and a[1, 3, 0, 0] == 8
    assert b.shape == (1, 2, 3, 3) and b[0, 1, 2, 0] == 13  # tap 6 in reading order, channel 1


def test_eq_1_equals_its_loops(problem):
    w, (x, *_) = problem
    np.testing.assert_allclose(literal.target_model(x, w).numpy(), slow_scores(*numbers(x, *w)), atol=1e-12)
    # one layer alone, on features that were projected before
    projected = torch.einsum("oc,kchw->kohw", w[0][:, :, 0, 0], x)
    np.testing.assert_allclose(literal.target_model(projected, w[1:]).numpy(), slow_scores(*numbers(x, *w)), atol=1e-12)


@pytest.mark.parametrize("size", [(7, 10), (3, 4), (2, 9)])
def test_u_equals_its_loops(size):
    s = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    np.testing.assert_allclose(literal.upsample(s, size).numpy(), slow_upsample(s.numpy(), size), atol=1e-12)


@pytest.mark.parametrize(("rule", "power", "on", "off"), [
    (max, 0.5, 5.0**0.5, (0.75 / 0.95) ** 0.5), (max, 1, 5.0, 0.75 / 0.95), (min, 0.5, 1.0, 1.0), (min, 1, 1.0, 1.0),
])
def test_eq_4_by_hand(rule, power, on, off):
    """Two of forty pixels on the target, a share of 0.05, where 0.25 is asked for: with the printed min nothing is done."""
    labels = torch.zeros(5, 8, dtype=DOUBLE)
    labels[1, 3] = labels[2, 3] = 1
    expected = np.full((5, 8), off)
    expected[1:3, 3] = on
    np.testing.assert_allclose(literal.pixel_weights(labels, 0.25, rule, power).numpy(), expected)


def test_the_residuals_are_those_of_eq_2(problem):
    """Square roots of gamma and lambda in front, labels minus scores at label resolution, layer after layer."""
    w, (x, y, v, gamma, decay) = problem
    fit = v.numpy() * (y.numpy() - slow_upsample(slow_scores(*numbers(x, *w)), LABELS))
    expected = [np.sqrt(gamma.numpy())[:, None, None] * fit, *(np.sqrt(d) * p.numpy() for d, p in zip(decay, w, strict=True))]
    found = literal.residuals(w, x, y, v, gamma, decay)
    np.testing.assert_allclose(found.numpy(), np.concatenate([part.ravel() for part in expected]), atol=1e-12)
    by_hand = (gamma.numpy() * (fit**2).sum((1, 2))).sum() + 0.3 * (w[0].numpy() ** 2).sum() + 0.07 * (w[1].numpy() ** 2).sum()
    assert literal.loss(w, x, y, v, gamma, decay).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("layers", [2, 1])
def test_gradient_and_product_are_those_of_the_jacobian(problem, layers):
    w, (x, y, v, gamma, decay) = problem
    if layers == 1:
        x, w, decay = torch.einsum("oc,kchw->kohw", w[0][:, :, 0, 0], x), w[1:], decay[1:]
    data = (x, y, v, gamma, decay)
    j, r = jacobian(w, data), literal.residuals(w, *data).numpy()
    np.testing.assert_allclose(vector(literal.gradient(w, *data)), j.T @ r, atol=1e-10)
    p = np.random.default_rng(0).normal(size=j.shape[1])
    np.testing.assert_allclose(vector(literal.normal_product(w, like(p, w), *data)), j.T @ (j @ p), atol=1e-10)


def test_gauss_newton_steps_are_those_of_dense_solves(problem):
    """With twice as many CG iterations as unknowns, for rounding costs some, each step solves its normal equations."""
    w, data = problem
    found, at = literal.gauss_newton(w, [60, 60, 60], *data), w
    for _ in range(3):
        j, r = jacobian(at, data), literal.residuals(at, *data).numpy()
        at = like(vector(at) - np.linalg.solve(j.T @ j, j.T @ r), w)
    np.testing.assert_allclose(vector(found), vector(at), rtol=1e-6, atol=1e-8)
    assert literal.loss(found, *data) < 0.9 * literal.loss(w, *data)


def test_few_cg_iterations_minimise_over_the_krylov_space(problem):
    """Three iterations: the least of the quadratic model among all combinations of b, A b and A² b."""
    w, data = problem
    found = vector(literal.gauss_newton(w, [3], *data)) - vector(w)
    j, r = jacobian(w, data), literal.residuals(w, *data).numpy()
    a, b = j.T @ j, -j.T @ r
    basis, _ = np.linalg.qr(np.stack([b, a @ b, a @ a @ b], 1))
    np.testing.assert_allclose(found, basis @ np.linalg.solve(basis.T @ a @ basis, basis.T @ b), atol=1e-10)
