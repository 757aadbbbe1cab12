"""Eqs. (1) to (4) term by term, at label resolution, with autograd: slow and obvious.

The oracle of the tests, the notebooks and the benchmarks; the engine never imports it. One object at a time. Weights
are the convolution kernels of the layers that are learned: (w1, w2), shaped (c, C, 1, 1) and (1, c, 3, 3), on features
(K, C, h, w); or (w2,) alone on features that w1 has projected to (K, c, h, w), as in an update (Section 3.4). `decay`
has a lambda for each.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = tuple[Tensor, ...]


def kernels(w1: Tensor, w2: Tensor) -> Weights:
    """The engine's w1 (c, C) and w2 (9, c) as convolution kernels."""
    return w1[:, :, None, None], w2.T.reshape(1, -1, 3, 3)


def target_model(features: Tensor, w: Weights) -> Tensor:
    """Eq. (1): scores (K, h, w) of features (K, C, h, w)."""
    for kernel in w:
        features = F.conv2d(features, kernel, padding=kernel.shape[-1] // 2)
    return features[:, 0]


def upsample(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """U of eq. (2): (K, h, w) -> (K, H, W)."""
    return F.interpolate(scores[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def pixel_weights(
    labels: Tensor, target_share: float = 0.1, rule: Callable[[float, float], float] = max, power: float = 0.5
) -> Tensor:
    """Eq. (4) for one mask (H, W) of zeros and ones, pixel kinds written out; power 1 is v as printed."""
    actual = float(labels.double().mean())
    kappa = rule(target_share, actual)
    weights = torch.zeros_like(labels)
    if actual > 0:
        weights[labels == 1] = (kappa / actual) ** power
    if actual < 1:
        weights[labels == 0] = ((1 - kappa) / (1 - actual)) ** power
    return weights


def residuals(w: Weights, features: Tensor, labels: Tensor, weights: Tensor, gamma: Tensor,
              decay: tuple[float, ...]) -> Tensor:
    """r_w of eq. (3), one long vector: sqrt(γ_k) v_k (y_k - U(D(x_k))) and sqrt(λ_j) w_j."""
    fit = weights * (labels - upsample(target_model(features, w), labels.shape[-2:]))
    parts = [gamma.sqrt()[:, None, None] * fit, *(decay_j**0.5 * w_j for decay_j, w_j in zip(decay, w, strict=True))]
    return torch.cat([part.flatten() for part in parts])


def loss(w: Weights, *data) -> Tensor:
    """Eq. (2): the squared norm of `residuals(w, *data)`."""
    return residuals(w, *data).square().sum()


def gradient(w: Weights, *data) -> Weights:
    """Jᵀr, half the gradient of eq. (2)."""
    w = tuple(part.detach().requires_grad_(True) for part in w)
    return tuple(g / 2 for g in torch.autograd.grad(loss(w, *data), w))


def normal_product(w: Weights, p: Weights, *data) -> Weights:
    """JᵀJp by double backward: J p is the derivative of Jᵀu, linear in u, with respect to u."""
    w = tuple(part.detach().requires_grad_(True) for part in w)
    r = residuals(w, *data)
    u = torch.zeros_like(r, requires_grad=True)
    back = torch.autograd.grad(r, w, u, create_graph=True)
    (forward,) = torch.autograd.grad(back, u, p, retain_graph=True)
    return torch.autograd.grad(r, w, forward)


def gauss_newton(w: Weights, iterations: list[int], *data) -> Weights:
    """Eq. (3): CG on JᵀJ Δw = -Jᵀr, then w + Δw, for each count of CG iterations."""

    def dot(a: Weights, b: Weights) -> Tensor:
        return sum((x * y).sum() for x, y in zip(a, b, strict=True))

    def add(a: Weights, scale: Tensor, b: Weights) -> Weights:
        return tuple(x + scale * y for x, y in zip(a, b, strict=True))

    for count in iterations:
        step = tuple(torch.zeros_like(part) for part in w)
        residual = tuple(-g for g in gradient(w, *data))
        direction, energy = residual, dot(residual, residual)
        for _ in range(count):
            image = normal_product(w, direction, *data)
            length = energy / dot(direction, image)
            step, residual = add(step, length, direction), add(residual, -length, image)
            previous, energy = energy, dot(residual, residual)
            direction = add(residual, energy / previous, direction)
        w = add(w, torch.ones(()), step)
    return tuple(part.detach() for part in w)
