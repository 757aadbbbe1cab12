"""What exactly makes D good? Other ways to learn a filter that tells the object from the rest, on D's own samples.

All have eq. (2)'s samples, pixel weights v, sample weights γ and memory; they differ in loss, solver and filter:

- `CrossEntropy`: D's two layers, but the cross-entropy and Adam; `Descent`: the same by SGD with momentum. With Q = Uᵀ V² U
  and q = Uᵀ V² y of the normal form (`loss.NormalForm`), W = Q 1 is the weight of a cell and q / W its label; with the logit
  l = 10 s - 5 the loss of a sample is Σ_p W_p log(1 + exp l_p) - q_p l_p, by Jensen's inequality not less than the
  cross-entropy at the labels' resolution.
- `Ridge`: w1 are principal components of the first frame, and the 3x3 filter over them is the exact minimum of eq. (2):
  (Σ_k γ_k X_kᵀ Q_k X_k + λ I) w2 = Σ_k γ_k X_kᵀ q_k, the columns of X_k the neighbourhoods' channels.
- `Logistic`: one weight a principal component and an offset, by Newton's method on the same cross-entropy: with p = σ(l),
  (Xᵀ diag(W p (1 - p)) X + λ I) δ = Xᵀ (b - W p) - λ w (Nelder and Wedderburn, J. R. Stat. Soc. A 1972).
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from ..loss import NormalForm, apply_filter, apply_stencil
from ..segmenter import READOUT
from ..target_model import FirstFrame, OnlineTargets, TargetModel, first_frame_problem
from .family import principal

STEPS, UPDATE_STEPS, RATE = 25, 6, 3e-3
"""Adam's on the first frame and in an update: as long as D takes. The rate was the best of three on three bundled scenes."""
DESCENT_RATE = 5e-3
"""Of SGD with momentum on the loss per pixel, as long as Adam; the best of a few on three bundled scenes; twice it diverges."""
COMPONENTS, DECAY = 48, 100.0
"""Principal components, of unit variance, under `Ridge` and `Logistic`, and λ."""
NEWTON, NEWTON_UPDATE = 6, 2
"""Newton steps on the first frame, and in an update."""


def cross_entropy(scores: Tensor, normal: NormalForm, gamma: Tensor) -> Tensor:
    """Σ_k γ_k Σ_p W_p log(1 + exp l) - q_p l of scores (N, K, h, w), l their logits: (N,)."""
    logits = READOUT[0] * scores + READOUT[1]
    return ((cell_weights(normal) * F.softplus(logits) - normal.rhs * logits).sum(dim=(2, 3)) * gamma).sum(1)


def cell_weights(normal: NormalForm) -> Tensor:
    """W = Q 1, the weight of every cell: (N, K, h, w)."""
    return apply_stencil(normal.stencil, torch.ones_like(normal.rhs))


def weight(normal: NormalForm, gamma: Tensor) -> Tensor:
    """Σ_k γ_k Σ_p W_p, the pixels of a frame where the γ add up to one: (N,). A loss divided by it suits one rate whatever the
    frame's size."""
    return (cell_weights(normal).sum(dim=(2, 3)) * gamma).sum(1)


def descended(
    loss: Callable[[Tensor], Tensor], start: Tensor, steps: int, make: Callable[[list[Tensor]], Optimizer]
) -> Tensor:
    """The weights after so many steps of an optimiser on a function of weights (N, P) -> (N,)."""
    w = start.clone().requires_grad_()
    optimiser = make([w])
    for _ in range(steps):
        optimiser.zero_grad()
        loss(w).sum().backward()
        optimiser.step()
    return w.detach()


class Filters(OnlineTargets):
    """D's model, memory and state, learned in another way: a subclass gives `fit` and `refit`, and may take gradients there."""

    @torch.inference_mode(False)  # tensors of inference cannot give gradients, so what gradients are taken through is copied
    @torch.enable_grad()
    def learn(self, samples: FirstFrame, seed: int) -> None:
        """As `OnlineTargets.learn`."""
        super().learn(samples._replace(features=samples.features.clone(), labels=samples.labels.clone()), seed)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def update(self) -> None:
        """As `OnlineTargets.update`."""
        super().update()


class CrossEntropy(Filters):
    """D's layers, by the cross-entropy and Adam."""

    optimiser = partial(torch.optim.Adam, lr=RATE)

    def fit(self, x: Tensor, normal: NormalForm, gamma: Tensor, seed: int) -> TargetModel:
        """From D's own start, with D's regularisation."""
        problem, start, condition = first_frame_problem(x, normal, gamma, self.config, seed)
        pixels = weight(normal, gamma)

        def loss(w: Tensor) -> Tensor:
            w1, w2 = problem.split(w)
            scores = apply_filter(w2 @ (w1 @ condition.matrix), problem.samples.features, normal.rhs.shape[-2:])
            kept = sum(d * layer.square().sum(dim=(1, 2)) for d, layer in zip(problem.decay, (w1, w2), strict=True))
            return (cross_entropy(scores, normal, gamma) + kept) / pixels

        w1, w2 = problem.split(descended(loss, start, STEPS, self.optimiser))
        projection = w1 @ condition.matrix
        return TargetModel(projection, -projection @ condition.mean, w2.clone())

    def refit(self, projected: Tensor, normal: NormalForm, gamma: Tensor) -> Tensor:
        """From the present w2."""
        size, decay = normal.rhs.shape[-2:], self.config.filter_decay
        projected, gamma, normal = projected.clone(), gamma.clone(), NormalForm(*(part.clone() for part in normal))
        pixels = weight(normal, gamma)

        def loss(w: Tensor) -> Tensor:
            kept = decay * w.square().sum(1)
            return (cross_entropy(apply_filter(w.view(len(w), 9, -1), projected, size), normal, gamma) + kept) / pixels

        return descended(loss, self.model.taps.clone().flatten(1), UPDATE_STEPS, self.optimiser).view_as(self.model.taps)


class Descent(CrossEntropy):
    """D's layers, by the cross-entropy and SGD with momentum; each step's gradient is that of all samples."""

    optimiser = partial(torch.optim.SGD, lr=DESCENT_RATE, momentum=0.9)


def components(x: Tensor) -> tuple[Tensor, Tensor]:
    """w1 (1, c, C) and offset (1, c, 1): principal components of the first sample of (1, K, C, P), and a channel of ones."""
    mean, basis = principal(x[:, 0].mT, min(COMPONENTS, *x.shape[2:]))
    w1 = F.pad(basis.mT, (0, 0, 0, 1))
    return w1, F.pad(-basis.mT @ mean.mT, (0, 0, 0, 1), value=1.0)


class Ridge(Filters):
    """The exact minimum of eq. (2) over fixed components."""

    def fit(self, x: Tensor, normal: NormalForm, gamma: Tensor, seed: int) -> TargetModel:
        """Components, then the filter in closed form."""
        w1, offset = components(x)
        return TargetModel(w1, offset, self.refit(w1[:, None] @ x + offset[:, None], normal, gamma))

    @torch.no_grad()
    def refit(self, projected: Tensor, normal: NormalForm, gamma: Tensor) -> Tensor:
        """The normal equations, added up sample by sample, and their solution."""
        n, _, c, _ = projected.shape
        left = DECAY * torch.eye(9 * c).to(projected).repeat(n, 1, 1)
        right = projected.new_zeros(n, 9 * c)
        for k in range(projected.shape[1]):
            rows = F.unfold(projected[:, k].unflatten(2, normal.rhs.shape[-2:]), 3, padding=1)
            weighed = apply_stencil(normal.stencil[:, k, None], rows.unflatten(2, normal.rhs.shape[-2:])).flatten(2)
            left += gamma[:, k, None, None] * (rows @ weighed.mT)
            right += gamma[:, k, None] * (rows @ normal.rhs[:, k].flatten(1)[..., None])[..., 0]
        return solved(left, right).view(n, c, 9).mT.contiguous()


class Logistic(Filters):
    """Logistic regression, position by position: the middle tap alone is not 0."""

    def fit(self, x: Tensor, normal: NormalForm, gamma: Tensor, seed: int) -> TargetModel:
        """Components, then Newton's method."""
        w1, offset = components(x)
        start = x.new_zeros(1, 9, w1.shape[1])
        start[:, 4, -1] = -READOUT[1] / READOUT[0]  # logits of 0, where Newton's first step is the least-squares one
        return TargetModel(w1, offset, self.newton(start, w1[:, None] @ x + offset[:, None], normal, gamma, NEWTON))

    def refit(self, projected: Tensor, normal: NormalForm, gamma: Tensor) -> Tensor:
        """From the present weights."""
        return self.newton(self.model.taps.clone(), projected, normal, gamma, NEWTON_UPDATE)

    @torch.no_grad()
    def newton(self, taps: Tensor, projected: Tensor, normal: NormalForm, gamma: Tensor, steps: int) -> Tensor:
        """Taps (N, 9, c) after so many steps; the weights that they stand for make logits, not scores."""
        rows = projected.transpose(1, 2).flatten(2)  # (N, c, K·P)
        weights = (cell_weights(normal) * gamma[..., None, None]).flatten(1)
        labels = (normal.rhs * gamma[..., None, None]).flatten(1)
        w = READOUT[0] * taps[:, 4]
        w[:, -1] += READOUT[1]
        eye = DECAY * torch.eye(w.shape[1]).to(w)
        for _ in range(steps):
            p = (w[:, None] @ rows)[:, 0].sigmoid()
            slope = (rows * (weights * p * (1 - p))[:, None]) @ rows.mT
            step = (rows @ (labels - weights * p)[..., None])[..., 0] - DECAY * w
            w = w + solved(slope + eye, step)
        w[:, -1] -= READOUT[1]
        found = torch.zeros_like(taps)
        found[:, 4] = w / READOUT[0]
        return found


def solved(left: Tensor, right: Tensor) -> Tensor:
    """x (N, P) with left x = right, for positive definite left (N, P, P) and right (N, P); in double precision inside."""
    factor = torch.linalg.cholesky(left.double())
    return torch.cholesky_solve(right.double()[..., None], factor)[..., 0].to(right)
