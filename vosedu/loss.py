"""The loss that D is learned with: pixel weights (eq. 4), and eq. (2) in exact low-resolution form (Section 3.1).

Two identities make it fast; neither approximates (notebook 03):

- U is linear, so ‖v·(y - U s)‖² = sᵀQ s - 2 qᵀs + const with Q = UᵀV²U, q = UᵀV²y. Bilinear interpolation touches
  two neighbours per axis, so Q is a symmetric nine-point stencil on the score map. Once a sample has become (Q, q) its
  label-resolution maps are no longer needed.
- w2 * (w1 * x) is one 3x3xC filter w2 w1, so scores and Jacobian products need it alone, never c channels.

Shapes: N objects, K samples, C features, h x w scores, H x W labels, P = h·w positions, nine filter taps.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_weights(
    labels: Tensor, target_share: float = 0.1, share_rule: str = "max", weight_power: str = "root"
) -> Tensor:
    """Weights v that give the target its share of the loss (eq. 4).

    With the defaults the squared weights sum to the number of pixels and the share `max(target_share, share of the
    image)` of that sum lies on the target. `share_rule="min"` is the printed rule, `weight_power="printed"` takes
    eq. (4) itself for v, so that the loss weighs by its square.

    Args:
        labels: (..., H, W) in {0, 1}, 1 on the target.
        target_share: kappa_min, the least share of the summed squared weights that falls on the target.
        share_rule: "max" or "min".
        weight_power: "root" or "printed".

    Returns:
        (..., H, W), non-negative and finite for every mask, all-target and all-background included.

    Raises:
        ValueError: target_share is not in (0, 1).
    """
    if not 0 < target_share < 1:
        raise ValueError(f"target_share is {target_share}: give a value between 0 and 1")
    pixels = labels.shape[-1] * labels.shape[-2]
    actual = labels.mean(dim=(-2, -1), keepdim=True)
    desired = actual.clamp_min(target_share) if share_rule == "max" else actual.clamp_max(target_share)
    # Half a pixel keeps both quotients finite; where it acts, no pixel of that kind exists.
    on_target = desired / actual.clamp_min(0.5 / pixels)
    on_background = (1 - desired) / (1 - actual).clamp_min(0.5 / pixels)
    weights = torch.where(labels > 0.5, on_target, on_background)
    return weights.sqrt() if weight_power == "root" else weights


def upsampling_matrix(size: int, positions: int, like: Tensor) -> Tensor:
    """One axis of U: (size, positions), bilinear interpolation with pixel centres at halves (align_corners=False)."""
    eye = torch.eye(positions, dtype=like.dtype, device=like.device)
    return F.interpolate(eye[None], size=size, mode="linear", align_corners=False)[0].T


class NormalForm(NamedTuple):
    """The loss of a sample as a quadratic of its score map: sᵀQ s - 2 qᵀs + constant."""

    stencil: Tensor
    """(..., 4, h, w): coefficients of Q for a position with itself, right, below, and either diagonal below."""
    rhs: Tensor
    """(..., h, w): q."""
    constant: Tensor
    """(...)."""


def normal_form(labels: Tensor, weights: Tensor, size: tuple[int, int]) -> NormalForm:
    """Q, q and the constant of ‖weights · (labels - U s)‖² for score maps of `size` (h, w).

    With U = U_h ⊗ U_w, entry Q[(i, j), (i', j')] sums v² U_h[:, i] U_h[:, i'] U_w[:, j] U_w[:, j'], which for
    neighbours is two small matrix products. Both diagonals of a cell share one value.

    Args:
        labels, weights: (..., H, W).
    """
    rows = upsampling_matrix(labels.shape[-2], size[0], labels)
    columns = upsampling_matrix(labels.shape[-1], size[1], labels)
    squared = weights * weights

    def with_next(u: Tensor) -> Tensor:
        return u * F.pad(u[:, 1:], (0, 1))  # column i times column i + 1; nothing lies right of the last

    same, below = (rows * rows).T @ squared, with_next(rows).T @ squared
    own, right = columns * columns, with_next(columns)
    stencil = torch.stack([same @ own, same @ right, below @ own, below @ right], dim=-3)
    weighted = squared * labels
    return NormalForm(stencil, rows.T @ weighted @ columns, (weighted * labels).sum(dim=(-2, -1)))


def weighted_normal_form(
    labels: Tensor, size: tuple[int, int], target_share: float = 0.1, share_rule: str = "max", weight_power: str = "root"
) -> NormalForm:
    """The normal form of labels (..., H, W) with the weights of eq. (4), for score maps of `size` (h, w).

    The other arguments are those of `pixel_weights`.
    """
    return normal_form(labels, pixel_weights(labels, target_share, share_rule, weight_power), size)


def apply_stencil(stencil: Tensor, scores: Tensor) -> Tensor:
    """Q s for stencil (..., 4, h, w) and scores (..., h, w)."""
    centre, right, below, diagonal = stencil.unbind(dim=-3)
    out = centre * scores
    out[..., :, :-1] += right[..., :, :-1] * scores[..., :, 1:]
    out[..., :, 1:] += right[..., :, :-1] * scores[..., :, :-1]
    out[..., :-1, :] += below[..., :-1, :] * scores[..., 1:, :]
    out[..., 1:, :] += below[..., :-1, :] * scores[..., :-1, :]
    across = diagonal[..., :-1, :-1]
    out[..., :-1, :-1] += across * scores[..., 1:, 1:]
    out[..., 1:, 1:] += across * scores[..., :-1, :-1]
    out[..., :-1, 1:] += across * scores[..., 1:, :-1]
    out[..., 1:, :-1] += across * scores[..., :-1, 1:]
    return out


def apply_filter(taps: Tensor, features: Tensor, size: tuple[int, int]) -> Tensor:
    """F * x, zero outside the map: (N, K, h, w).

    Args:
        taps: (N, 9, C), F with the 3x3 kernel in reading order.
        features: (N, K, C, P) flattened maps.
        size: (h, w), P = h·w.
    """
    # A position's nine products, each added where its tap meets it: fold adds at mirrored taps, hence the flip.
    products = taps.flip(1)[:, None] @ features
    return F.fold(products.flatten(0, 1), size, kernel_size=3, padding=1).view(*products.shape[:2], *size)


class WeightedSamples:
    """The data term of eq. (2) as a function of one 3x3 filter per object: Σ_k γ_k ‖v_k · (y_k - U(F * x_k))‖².

    Args:
        features: (N, K, C, P) flattened feature maps x_k.
        normal: the samples' normal forms, leading dimensions (N, K).
        gamma: (N, K) sample weights; a sample of weight 0 has no part in anything.
    """

    def __init__(self, features: Tensor, normal: NormalForm, gamma: Tensor):
        self.features = features.contiguous()  # a part of a memory of several objects is not, and each product would copy it
        self.size = normal.rhs.shape[-2:]
        self.stencil = normal.stencil * gamma[..., None, None, None]
        self.rhs = normal.rhs * gamma[..., None, None]
        self.constant = (normal.constant * gamma).sum(dim=1)

    def scores(self, taps: Tensor) -> Tensor:
        """F * x_k: (N, K, h, w) for taps (N, 9, C)."""
        return apply_filter(taps, self.features, self.size)

    def scores_transposed(self, maps: Tensor) -> Tensor:
        """The adjoint of `scores`: maps (N, K, h, w) correlated with the features at nine shifts, (N, 9, C)."""
        # (N, K, h, w, 3, 3) windows, then taps in front: what F.unfold gives, by one copy and much faster
        windows = F.pad(maps, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
        shifts = windows.permute(0, 1, 4, 5, 2, 3).reshape(*maps.shape[:2], 9, -1)
        products = shifts @ self.features.mT
        return products.sum(dim=1).flip(1)

    def loss(self, taps: Tensor) -> Tensor:
        """(N,) values of the data term."""
        scores = self.scores(taps)
        quadratic = (apply_stencil(self.stencil, scores) - 2 * self.rhs) * scores
        return quadratic.sum(dim=(1, 2, 3)) + self.constant

    def gradient(self, taps: Tensor) -> Tensor:
        """Half the gradient with respect to the filter, (N, 9, C)."""
        return self.scores_transposed(apply_stencil(self.stencil, self.scores(taps)) - self.rhs)

    def product(self, taps: Tensor) -> Tensor:
        """Half the Hessian with respect to the filter, times taps: (N, 9, C)."""
        return self.scores_transposed(apply_stencil(self.stencil, self.scores(taps)))
