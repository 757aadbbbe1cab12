"""Eq. (4) and the low-resolution form of eq. (2), against the equations written out (vosedu.literal) and dense matrices."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DOUBLE, random_problem, relative
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from vosedu import literal
from vosedu.loss import (
    NormalForm,
    WeightedSamples,
    apply_filter,
    apply_stencil,
    normal_form,
    pixel_weights,
    upsampling_matrix,
    weighted_normal_form,
)

TOLERANCE = 1e-9


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
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"target_share is {share}"):
            pixel_weights(labels, share)


@pytest.mark.parametrize("rule", ["max", "min"])
@pytest.mark.parametrize("power", ["root", "printed"])
@pytest.mark.parametrize("target", [0, 1, 7, 99, 100])
def test_pixel_weights_equal_literal_and_stay_finite(rule, power, target):
    """Of 100 pixels, none and all on the target included."""
    labels = torch.zeros(100, dtype=DOUBLE)
    labels[:target] = 1
    labels = labels.view(20, 5)
    found = pixel_weights(labels, 0.1, rule, power)
    expected = literal.pixel_weights(labels, 0.1, {"max": max, "min": min}[rule], {"root": 0.5, "printed": 1}[power])
    assert torch.isfinite(found).all() and torch.allclose(found, expected)


def test_every_mask_of_a_batch_has_weights_of_its_own():
    _, labels, _ = random_problem(0, 2, 3, 1, (1, 1), (12, 7))
    labels[1, 2] = 0
    labels[1, 2, 3, :2] = 1
    found = pixel_weights(labels, 0.25)
    for n in range(2):
        for k in range(3):
            assert torch.allclose(found[n, k], literal.pixel_weights(labels[n, k], 0.25))


def test_upsampling_matrix_by_hand():
    """Two positions to four pixels: pixel centres at 1/4, 3/4, 5/4, 7/4 of a position, clamped at the ends."""
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], dtype=DOUBLE)
    assert torch.equal(upsampling_matrix(4, 2, expected), expected)


def dense(size, label_size):
    """U as a matrix (H·W, h·w): every position's bilinear tent, written out."""
    def axis(positions, pixels):
        found = np.zeros((pixels, positions))
        for i in range(pixels):
            at = min(max((i + 0.5) * positions / pixels - 0.5, 0), positions - 1)
            for j in range(positions):
                found[i, j] = max(0.0, 1 - abs(at - j))
        return found

    return np.kron(axis(size[0], label_size[0]), axis(size[1], label_size[1]))


SIZES = [((3, 4), (24, 20)), ((4, 3), (13, 22)), ((2, 5), (2, 5)), ((1, 3), (7, 11)), ((3, 1), (11, 7))]


@pytest.mark.parametrize(("size", "label_size"), SIZES)
def test_normal_form_is_that_of_the_dense_matrices(size, label_size):
    """Q = UᵀV²U entry by entry where the stencil has it, 0 elsewhere; q = UᵀV²y; the constant ‖V y‖²."""
    rng, u = np.random.default_rng(0), dense(size, label_size)
    y, v = (rng.random(label_size) < 0.4).astype(float), rng.random(label_size)
    form = normal_form(torch.from_numpy(y), torch.from_numpy(v), size)
    k = u.T @ np.diag(v.ravel() ** 2) @ u
    index = np.arange(size[0] * size[1]).reshape(size)
    near = np.zeros_like(k)
    for coefficient, (down, right) in zip(form.stencil.numpy(), ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        for i in range(size[0] - down):
            for j in range(size[1] - right):
                ways = [(index[i, j], index[i + down, j + right])]
                if down and right:
                    ways.append((index[i, j + 1], index[i + 1, j]))
                for a, b in ways:
                    near[a, b] = near[b, a] = coefficient[i, j]
    np.testing.assert_allclose(near, k, atol=1e-12)
    np.testing.assert_allclose(form.rhs.numpy().ravel(), u.T @ (v**2 * y).ravel(), atol=1e-12)
    assert form.constant.item() == pytest.approx(((v * y) ** 2).sum())
    s = rng.normal(size=size)
    np.testing.assert_allclose(apply_stencil(form.stencil, torch.from_numpy(s)).numpy().ravel(), k @ s.ravel(), atol=1e-12)


@given(h=st.integers(1, 7), w=st.integers(1, 7), scale=st.integers(1, 20), extra=st.integers(0, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_stencil_is_exact_for_any_size(h, w, scale, extra, seed):
    """sᵀQ s - 2 qᵀs + constant equals the loss at label resolution for sizes that are no multiples of one another."""
    g = torch.Generator().manual_seed(seed)
    labels = (torch.rand(1, h * scale + extra, w * scale + extra, generator=g, dtype=DOUBLE) < 0.4).to(DOUBLE)
    v = torch.rand(labels.shape, generator=g, dtype=DOUBLE)
    s = torch.randn(1, h, w, generator=g, dtype=DOUBLE)
    form = normal_form(labels, v, (h, w))
    expected = (v * (labels - literal.upsample(s, labels.shape[-2:]))).square().sum()
    found = (s * apply_stencil(form.stencil, s)).sum() - 2 * (form.rhs * s).sum() + form.constant.sum()
    assert relative(found, expected) < TOLERANCE


@pytest.mark.parametrize("choice", [(0.3, "max", "root"), (0.3, "min", "root"), (0.3, "max", "printed"),
                                    (0.05, "min", "printed")])
def test_weighted_normal_form_has_the_weights_that_were_asked_for(choice):
    share, rule, power = choice
    _, labels, _ = random_problem(1, 2, 2, 1, (1, 1), (20, 30))
    labels[0] *= torch.arange(30) < 10  # shares of about 0.1 and 0.3
    found = weighted_normal_form(labels, (3, 4), *choice)
    for n in range(2):
        for k in range(2):
            v = literal.pixel_weights(labels[n, k], share, {"max": max, "min": min}[rule], {"root": 0.5, "printed": 1}[power])
            for mine, its in zip(found, normal_form(labels[n, k], v, (3, 4)), strict=True):
                assert torch.allclose(mine[n, k], its)
    plain = weighted_normal_form(labels, (3, 4))
    assert all(torch.equal(a, b) for a, b in zip(plain, weighted_normal_form(labels, (3, 4), 0.1, "max", "root"), strict=True))


def test_a_filter_is_applied_as_a_convolution_layer_does():
    """Taps in reading order, one filter per object and the same for all of its samples, zero outside of the map."""
    x, _, _ = random_problem(2, 2, 3, 4, (5, 6), (1, 1))
    taps = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    found = apply_filter(taps, x.flatten(3), (5, 6))
    for n in range(2):
        expected = F.conv2d(x[n], taps[n].T.reshape(1, 4, 3, 3), padding=1)[:, 0]
        assert torch.allclose(found[n], expected)
    corner = torch.zeros(1, 9, 1, dtype=DOUBLE)
    corner[0, 2] = 1  # the tap above and to the right
    one = torch.zeros(1, 1, 1, 3, 4, dtype=DOUBLE)
    one[..., 1, 2] = 5
    assert apply_filter(corner, one.flatten(3), (3, 4))[0, 0].tolist() == [[0] * 4, [0] * 4, [0, 5, 0, 0]]


@pytest.mark.parametrize(("size", "label_size"), SIZES)
def test_loss_gradient_and_product_of_a_filter_equal_literal(size, label_size):
    """The filter alone, as a layer on features: eq. (2) without regularisation, half its gradient, half its Hessian."""
    x, y, gamma = random_problem(3, 2, 3, 4, size, label_size)
    gamma[1, 2] = 0
    v = torch.rand(y.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    samples = WeightedSamples(x.flatten(3), normal_form(y, v, size), gamma)
    taps, p = torch.randn(2, 2, 9, 4, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    for n in range(2):
        w, direction = ((t[n].T.reshape(1, 4, 3, 3),) for t in (taps, p))
        data = (x[n], y[n], v[n], gamma[n], (0.0,))
        assert relative(samples.scores(taps)[n], literal.target_model(x[n], w)) < TOLERANCE
        assert relative(samples.loss(taps)[n], literal.loss(w, *data)) < TOLERANCE
        assert relative(samples.gradient(taps)[n], literal.gradient(w, *data)[0].reshape(4, 9).T) < TOLERANCE
        product = literal.normal_product(w, direction, *data)[0].reshape(4, 9).T
        assert relative(samples.product(p)[n], product) < TOLERANCE


def test_a_sample_of_weight_zero_has_no_part_in_anything():
    x, y, gamma = random_problem(4, 1, 3, 4, (3, 4), (24, 20))
    gamma = torch.tensor([[0.25, 0.75, 0.0]], dtype=DOUBLE)
    x[0, 2] = 1e6
    normal = normal_form(y, torch.ones_like(y), (3, 4))
    both = WeightedSamples(x.flatten(3), normal, gamma)
    two = WeightedSamples(x[:, :2].flatten(3), NormalForm(*(part[:, :2] for part in normal)), gamma[:, :2])
    taps = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    for name in ("loss", "gradient", "product"):
        assert torch.allclose(getattr(both, name)(taps), getattr(two, name)(taps))


class Copies(TorchDispatchMode):
    """Notes how many numbers every copy has."""

    def __init__(self):
        super().__init__()
        self.found = [0]

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function._overloadpacket._qualified_op_name in ("aten::clone", "aten::copy_", "aten::_to_copy"):
            self.found.append(result.numel())
        return result


def test_no_product_copies_the_features_of_a_memory_that_is_not_full_yet():
    """The slots in use of several objects do not lie side by side, and a matrix product of such would put them there first."""
    x, y, gamma = random_problem(3, 2, 3, 64, (4, 6), (13, 17))
    room = torch.zeros(2, 9, 64, 24, dtype=DOUBLE)
    room[:, :3] = x.flatten(3)
    taps, normal = torch.ones(2, 9, 64, dtype=DOUBLE), normal_form(y, 2 * torch.ones_like(y), (4, 6))
    samples = WeightedSamples(room[:, :3], normal, gamma)
    with Copies() as copies:
        product = samples.product(taps)
    assert 0 < max(copies.found) < x.numel()
    assert torch.equal(product, WeightedSamples(x.flatten(3), normal, gamma).product(taps))


def test_jacobian_products_are_adjoint():
    """<J p, q> = <p, Jᵀ q> with J p the scores' derivative: `scores` and `scores_transposed` belong together."""
    x, y, gamma = random_problem(3, 2, 4, 5, (4, 6), (64, 96))
    samples = WeightedSamples(x.flatten(3), normal_form(y, torch.ones_like(y), (4, 6)), gamma)
    g = torch.Generator().manual_seed(4)
    taps = torch.randn(2, 9, 5, generator=g, dtype=DOUBLE)
    maps = torch.randn(2, 4, 4, 6, generator=g, dtype=DOUBLE)
    left = (samples.scores(taps) * maps).sum()
    right = (taps * samples.scores_transposed(maps)).sum()
    assert relative(left, right) < TOLERANCE
