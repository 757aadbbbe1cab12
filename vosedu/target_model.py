"""D: the two-layer target model and its loss, in exact low-resolution form (Section 3.1, eqs. 1, 2 and 4).

Two identities make it fast; neither approximates (DESIGN 3.2 and 3.3, notebook 03):

- U is linear, so ‖v·(y - U s)‖² = sᵀK s - 2 bᵀs + const with K = UᵀV²U, b = UᵀV²y. Bilinear interpolation touches
  two neighbours an axis, so K is a symmetric nine-point stencil on the score map. Once a sample has become (K, b) its
  label-resolution maps are no longer needed.
- w2 * (w1 * x) is one 3x3xC filter F = w2 w1, so scores and Jacobian products need F alone, never c channels.

Shapes: N objects, K samples, C features, c channels, h x w scores, H x W labels, P = h·w positions, nine filter taps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import Config
from .solver import Iterate, gauss_newton


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
    """The loss of a sample as a quadratic of its score map: sᵀK s - 2 bᵀs + constant."""

    stencil: Tensor
    """(..., 4, h, w): coefficients of K for a position with itself, right, below, and either diagonal below."""
    rhs: Tensor
    """(..., h, w): b."""
    constant: Tensor
    """(...)."""


def normal_form(labels: Tensor, weights: Tensor, size: tuple[int, int]) -> NormalForm:
    """K, b and the constant of ‖weights · (labels - U s)‖² for score maps of `size` (h, w).

    With U = U_h ⊗ U_w, entry K[(i, j), (i', j')] sums v² U_h[:, i] U_h[:, i'] U_w[:, j] U_w[:, j'], which for
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


def apply_stencil(stencil: Tensor, scores: Tensor) -> Tensor:
    """K s for stencil (..., 4, h, w) and scores (..., h, w)."""
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
    """The data term of eq. (2) as a function of one 3x3 filter an object: Σ_k γ_k ‖v_k · (y_k - U(F * x_k))‖².

    Args:
        features: (N, K, C, P) flattened feature maps x_k.
        normal: the samples' normal forms, leading dimensions (N, K).
        gamma: (N, K) sample weights; a sample of weight 0 has no part in anything.
    """

    def __init__(self, features: Tensor, normal: NormalForm, gamma: Tensor):
        self.features = features
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


@dataclass(frozen=True)
class Conditioning:
    """x -> matrix (x - mean), what the projection sees in place of x; folded into w1 once learned.

    mean is (N, C, 1), matrix (N, C, C). The paper has the identity.
    """

    mean: Tensor
    matrix: Tensor


def conditioning(features: Tensor, kind: str, shrinkage: float = 0.1) -> Conditioning:
    """Scale or whiten features by their own statistics over samples and positions (ours, DESIGN 3.4).

    "whiten" uses the inverse of the Cholesky factor of the shrunk covariance: the same loss and regulariser as the
    symmetric square root, up to a rotation that Kaiming's isotropic start does not notice, at a fraction of the cost.

    Args:
        features: (N, K, C, P).
        kind: "none", "scale" (unit root mean square) or "whiten".
        shrinkage: the part of the mean variance that is added to every variance.
    """
    n, _, c, _ = features.shape
    eye = torch.eye(c, dtype=features.dtype, device=features.device).expand(n, c, c)
    mean = features.new_zeros(n, c, 1)
    tiny = torch.finfo(features.dtype).eps
    if kind == "none":
        return Conditioning(mean, eye)
    if kind == "scale":
        square = features.square().mean(dim=(1, 2, 3)).clamp_min(tiny)
        return Conditioning(mean, eye * square.rsqrt()[:, None, None])
    mean = features.mean(dim=(1, 3))[..., None]
    covariance = features.new_zeros(n, c, c)
    for sample in features.unbind(dim=1):
        centred = sample - mean
        covariance += centred @ centred.mT
    covariance /= features.shape[1] * features.shape[3]
    variance = covariance.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(tiny)
    factor, _ = torch.linalg.cholesky_ex(covariance + (shrinkage + 100 * tiny) * variance[:, None, None] * eye)
    return Conditioning(mean, torch.linalg.solve_triangular(factor, eye, upper=False))


class FirstFrameProblem:
    """Eq. (2) in both layers: unknowns w1 (c, C) then w2 (9, c), flattened, one row an object.

    The regularisation's residual is sqrt(lambda_j) w_j, as eq. (2) has it.
    """

    def __init__(self, samples: WeightedSamples, condition: Conditioning, channels: int, decay: tuple[float, float]):
        self.samples, self.matrix, self.channels, self.decay = samples, condition.matrix, channels, decay

    def split(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """(N, P) -> w1 (N, c, C), w2 (N, 9, c)."""
        features = self.matrix.shape[-1]
        w1, w2 = w.split([self.channels * features, 9 * self.channels], dim=1)
        return w1.view(-1, self.channels, features), w2.view(-1, 9, self.channels)

    def loss(self, w: Tensor) -> Tensor:
        """(N,) values of eq. (2)."""
        w1, w2 = self.split(w)
        decay = self.decay[0] * w1.square().sum(dim=(1, 2)) + self.decay[1] * w2.square().sum(dim=(1, 2))
        return self.samples.loss(w2 @ w1 @ self.matrix) + decay

    def linearise(self, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Jᵀr and p -> JᵀJp at w (eq. 3): the filter F = w2 w1 moves by w2 δw1 + δw2 w1."""
        w1, w2 = self.split(w)

        def back(taps: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
            taps = taps @ self.matrix.mT
            into_w1 = w2.mT @ taps + self.decay[0] * at[0]
            into_w2 = taps @ w1.mT + self.decay[1] * at[1]
            return torch.cat([into_w1.flatten(1), into_w2.flatten(1)], dim=1)

        def product(p: Tensor) -> Tensor:
            d1, d2 = self.split(p)
            return back(self.samples.product((w2 @ d1 + d2 @ w1) @ self.matrix), (d1, d2))

        return back(self.samples.gradient(w2 @ w1 @ self.matrix), (w1, w2)), product


class UpdateProblem:
    """Eq. (2) in w2 alone, over projected features: linear least squares (Section 3.4). Unknowns (N, 9·c)."""

    def __init__(self, samples: WeightedSamples, decay: float):
        self.samples, self.decay = samples, decay

    def loss(self, w: Tensor) -> Tensor:
        """(N,) values of eq. (2), without the constant term of w1."""
        return self.samples.loss(w.view(len(w), 9, -1)) + self.decay * w.square().sum(dim=1)

    def linearise(self, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Jᵀr and p -> JᵀJp; the second does not depend on w."""

        def product(p: Tensor) -> Tensor:
            return self.samples.product(p.view(len(p), 9, -1)).flatten(1) + self.decay * p

        return self.samples.gradient(w.view(len(w), 9, -1)).flatten(1) + self.decay * w, product


@dataclass(frozen=True)
class TargetModel:
    """D for N objects (eq. 1): scores = w2 * (w1 * x + offset).

    projection is w1 (N, c, C), offset (N, c, 1) is zero unless whitening moved the mean there, taps is w2 (N, 9, c)
    with the 3x3 kernel in reading order.
    """

    projection: Tensor
    offset: Tensor
    taps: Tensor

    def project(self, features: Tensor) -> Tensor:
        """First layer: features (C, h, w) or (N, K, C, P) -> (N, c, h, w) or (N, K, c, P)."""
        if features.dim() == 3:
            flat = self.projection @ features.flatten(1) + self.offset
            return flat.view(*flat.shape[:2], *features.shape[1:])
        return self.projection[:, None] @ features + self.offset[:, None]

    def scores(self, projected: Tensor) -> Tensor:
        """Second layer: (N, c, h, w) -> score maps (N, h, w)."""
        return apply_filter(self.taps, projected.flatten(2)[:, None], projected.shape[2:])[:, 0]

    def append(self, other: "TargetModel") -> "TargetModel":
        """The objects of both."""
        return TargetModel(*(torch.cat([getattr(self, f), getattr(other, f)]) for f in self.__dataclass_fields__))


def initial_weights(objects: int, features: int, channels: int, generator: torch.Generator) -> Tensor:
    """Kaiming normal start (3.5): standard deviation sqrt(2 / fan_in), flattened as `FirstFrameProblem` has it.

    Drawn object by object on the CPU, so that it depends neither on the device nor on who else is there.
    """
    rows = []
    for _ in range(objects):
        w1 = torch.randn(channels * features, generator=generator) * (2 / features) ** 0.5
        w2 = torch.randn(9 * channels, generator=generator) * (2 / (9 * channels)) ** 0.5
        rows.append(torch.cat([w1, w2]))
    return torch.stack(rows)


def first_frame_problem(
    features: Tensor, normal: NormalForm, gamma: Tensor, config: Config, seed: int = 0
) -> tuple[FirstFrameProblem, Tensor, Conditioning]:
    """What `learn` minimises, where it starts, and what its features are conditioned by. Arguments as there."""
    n, _, c, _ = features.shape
    condition = conditioning(features, config.conditioning, config.shrinkage)
    if config.conditioning == "whiten":
        features = features - condition.mean[:, None]
    samples = WeightedSamples(features, normal, gamma)
    problem = FirstFrameProblem(samples, condition, config.channels, (config.projection_decay, config.filter_decay))
    start = initial_weights(n, c, config.channels, torch.Generator().manual_seed(seed)).to(features) * config.start_scale
    return problem, start, condition


def learn(
    features: Tensor,
    normal: NormalForm,
    gamma: Tensor,
    config: Config,
    seed: int = 0,
    on_iteration: Callable[[Iterate], None] | None = None,
) -> TargetModel:
    """First-frame optimisation of D (Section 3.1): both layers, by Gauss-Newton, from a Kaiming normal start.

    Args:
        features: (N, K, C, P) first-frame samples of each object.
        normal: their normal forms.
        gamma: (N, K) sample weights.
        seed: of the start.
        on_iteration: called after every CG iteration.

    Returns:
        The learned model, its conditioning folded in.
    """
    problem, start, condition = first_frame_problem(features, normal, gamma, config, seed)
    w1, w2 = problem.split(gauss_newton(problem, start, config.gn_schedule(), on_iteration))
    projection = w1 @ condition.matrix
    return TargetModel(projection, -projection @ condition.mean, w2.clone())


def update(model: TargetModel, projected: Tensor, normal: NormalForm, gamma: Tensor, config: Config) -> TargetModel:
    """Re-learn w2 on the memory with w1 fixed (Section 3.4): CG from the present w2.

    Args:
        projected: (N, K, c, P) memory samples behind the first layer.
        normal: their normal forms.
        gamma: (N, K).
    """
    problem = UpdateProblem(WeightedSamples(projected, normal, gamma), config.filter_decay)
    taps = gauss_newton(problem, model.taps.flatten(1), [config.cg_update])
    return replace(model, taps=taps.view_as(model.taps))
