"""D: the two-layer target model (eq. 1), how it is learned on the first frame and updated later (Sections 3.1 and 3.4).

Shapes: N objects, K samples, C features, c channels after the first layer, h x w scores, P = h·w positions, nine filter taps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .loss import NormalForm, WeightedSamples, apply_filter, weighted_normal_form
from .memory import Memory, initial_gamma
from .solver import Iterate, gauss_newton


@dataclass(frozen=True)
class Conditioning:
    """x -> matrix (x - mean), what the projection sees in place of x; folded into w1 once learned.

    mean is (N, C, 1), matrix (N, C, C). The paper has the identity.
    """

    mean: Tensor
    matrix: Tensor


def conditioning(features: Tensor, kind: str, shrinkage: float = 0.1) -> Conditioning:
    """Scale or whiten features by their own statistics over samples and positions (ours; docs/presets.md).

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
    """Eq. (2) in both layers: unknowns w1 (c, C) then w2 (9, c), flattened, one row per object.

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
        """Jᵀr and p -> JᵀJp at w (eq. 3): the filter w2 w1 moves by w2 δw1 + δw2 w1."""
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
    features: Tensor, normal: NormalForm, gamma: Tensor, config: Config, seed: int = 0,
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
        projected: (N, K, c, P) memory samples after the first layer.
        normal: their normal forms.
        gamma: (N, K).
    """
    problem = UpdateProblem(WeightedSamples(projected, normal, gamma), config.filter_decay)
    taps = gauss_newton(problem, model.taps.flatten(1), [config.cg_update])
    return replace(model, taps=taps.view_as(model.taps))


class FirstFrame(NamedTuple):
    """The first-frame samples of one object: M_0 of Section 3.1."""

    images: np.ndarray
    """uint8 RGB (K, H, W, 3), the frame itself first."""
    labels: Tensor
    """(K, H, W) in {0, 1}."""
    features: Tensor
    """(1, K, C, h·w), conv4_x."""
    size: tuple[int, int]
    """(h, w)."""

    @classmethod
    def joined(cls, parts: "Sequence[FirstFrame]") -> "FirstFrame":
        """The samples of several, the first one's frame first; all have one size."""
        images = np.concatenate([part.images for part in parts])
        return cls(images, torch.cat([p.labels for p in parts]), torch.cat([p.features for p in parts], dim=1), parts[0].size)

    def normal(self, config: Config) -> NormalForm:
        """Their losses as quadratics of the score maps, (1, K) in front."""
        return weighted_normal_form(
            self.labels[None], self.size, config.target_share, config.share_rule, config.weight_power
        )


class OnlineTargets:
    """D and M of the objects of one video: what Algorithm 1 learns, keeps and updates (Sections 3.1 and 3.4).

    Position n of every batch is the n-th object that was learned. It is the usual `protocols.Targets`.

    Attributes:
        model: D of all objects.
        memory: M of all objects.
    """

    def __init__(self, config: Config):
        self.config = config
        self.model: TargetModel | None = None
        self.memory: Memory | None = None
        self._projected: Tensor | None = None  # (N, c, h, w) of the frame that was scored last
        self._present: Tensor | None = None  # (N,) bool: who was large enough there to be learned from

    def learn(self, samples: FirstFrame, seed: int) -> None:
        """First-frame optimisation of one more object; its D and M join the others'."""
        c, features, normal = self.config, samples.features, samples.normal(self.config)
        gamma = initial_gamma(1, c.samples, c.first_weight, features)
        model = self.fit(features, normal, gamma, seed)
        memory = Memory(model.project(features), normal, gamma, c.capacity, c.learning_rate, c.first_share)
        if self.model is None:
            self.model, self.memory = model, memory
        else:
            self.model = self.model.append(model)
            self.memory.append(memory)

    def scores(self, features: Tensor) -> Tensor:
        """Score maps (N, h, w) of a frame's conv4_x features: (C, h, w), or (N, C, h, w) where each object has its own."""
        if features.dim() == 3:
            self._projected = self.model.project(features)
        else:
            self._projected = self.model.project(features.flatten(2)[:, None])[:, 0].unflatten(2, features.shape[-2:])
        return self.model.scores(self._projected)

    def remember(self, masks: Tensor) -> None:
        """Extend M by the frame that was scored last, with every object's answer, masks (N, H, W) in {0, 1} (Section 3.4).

        Objects that are hardly there, and those that were learned since then, get no sample.
        """
        c, projected = self.config, self._projected
        known, objects = len(projected), len(masks)
        valid = masks.sum(dim=(1, 2)) >= c.min_pixels
        if objects > known:
            valid[known:].fill_(False)
            projected = torch.cat([projected, projected[:1].expand(objects - known, -1, -1, -1)])
        normal = weighted_normal_form(masks, projected.shape[-2:], c.target_share, c.share_rule, c.weight_power)
        self.memory.insert(projected.flatten(2), normal, valid)
        self._present = valid

    def update(self) -> None:
        """Re-learn w2 on M (Section 3.4); an object that is hardly there keeps its own."""
        taps = torch.where(self._present[:, None, None], self.refit(*self.memory.samples()), self.model.taps)
        self.model = replace(self.model, taps=taps)

    def fit(self, features: Tensor, normal: NormalForm, gamma: Tensor, seed: int) -> TargetModel:
        """One object's D from first-frame samples (1, K, C, P), their normal forms and weights (1, K): `learn`."""
        return learn(features, normal, gamma, self.config, seed)

    def refit(self, projected: Tensor, normal: NormalForm, gamma: Tensor) -> Tensor:
        """w2 (N, 9, c) of all objects, from the memory's samples after the first layer (N, K, c, P): `update`."""
        return update(self.model, projected, normal, gamma, self.config).taps

    def state(self) -> dict[str, Tensor]:
        """All that later frames depend on."""
        parts = {f"model.{name}": getattr(self.model, name) for name in TargetModel.__dataclass_fields__}
        return parts | {f"memory.{name}": part for name, part in self.memory.state().items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`."""
        c = self.config
        self.model = TargetModel(*(state[f"model.{name}"] for name in TargetModel.__dataclass_fields__))
        parts = {name.removeprefix("memory."): part for name, part in state.items() if name.startswith("memory.")}
        self.memory = Memory.from_state(parts, c.capacity, c.learning_rate, c.first_share)
