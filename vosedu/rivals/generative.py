"""Generative appearance (AGAME): which of four Gaussians, two of the object and two of the background, made a feature?

Johnander et al., CVPR 2019, eqs. 3 to 10: of projected features x_p (d numbers a position), with diagonal covariances,

    p(x_p | z = k) = N(x_p; μ_k, Σ_k),   p(z = k | x_p) = N(x_p; μ_k, Σ_k) / Σ_l N(x_p; μ_l, Σ_l).

Components 0 and 1 are background and object, learned with the weights α_p0 = 1 - y_p, α_p1 = y_p of the mask:

    μ_k = Σ_p α_pk x_p / Σ_p α_pk,   Σ_k = (Σ_p α_pk diag((x_p - μ_k)²) + r) / Σ_p α_pk.

Components 2 and 3 model what those two get wrong, the hard pixels: α_p,k+2 = max(0, α_pk - p(z = k | x_p)) with the posterior
of the first two alone. In later frames each parameter moves by λ towards that of the new mask:
μ^t = (1 - λ) μ^(t-1) + λ μ. The score is the posterior of the object, p(1 | x) + p(3 | x), as log-odds: the scale that is
learned offline then is a temperature, without which 64 numbers a position make every posterior 0 or 1. AGAME learned the
projection offline; here it is the principal components of the first frame.
"""

import torch
from torch import Tensor

from ..beyond.nearest import covered
from ..target_model import FirstFrame
from .family import Family, principal

DIMENSIONS = 64
"""d, AGAME's number of learned ones."""
RATE = 0.1
"""λ."""
FLOOR = 5.0
"""r, where the first frame's variance is 1 in every direction."""


def log_likelihood(x: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """log N(x_p; μ_k, Σ_k) up to a constant: (N, P, d), (N, K, d), (N, K, d) -> (N, P, K)."""
    squares = ((x[:, :, None] - means[:, None]).square() / variances[:, None]).sum(-1)
    return -0.5 * (squares + variances.log().sum(-1)[:, None])


def mixture(x: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances (N, 4, d) of projected features (N, P, d) under a mask's covered cells (N, P)."""

    def moments(alpha: Tensor) -> tuple[Tensor, Tensor]:
        total = alpha.sum(1)[..., None].clamp_min(1e-3)
        means = alpha.mT @ x / total
        squares = torch.einsum("npk,npkd->nkd", alpha, (x[:, :, None] - means[:, None]).square())
        return means, (squares + FLOOR) / total.clamp_min(1.0)

    easy = torch.stack([1 - masks, masks], dim=2)
    base = moments(easy)
    hard = (easy - log_likelihood(x, *base).softmax(2)).clamp_min(0)
    more = moments(hard)
    # where nothing is hard, a component of its own would sit at the origin: it stays with the easy one
    some = (hard.sum(1) > 1.0)[..., None]
    joined = [torch.cat([b, torch.where(some, m, b)], dim=1) for b, m in zip(base, more, strict=True)]
    return joined[0], joined[1].clamp_min(1e-4)


class Generative(Family):
    """AGAME. Parts: centre (N, 1, C) and basis (N, C, d) of the projection, means and variances (N, 4, d)."""

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """Projection and mixture of the frame itself."""
        x = samples.features[:, 0].mT
        centre, basis = principal(x, min(DIMENSIONS, *x.shape[1:]))
        means, variances = mixture((x - centre) @ basis, covered(samples.labels[:1], samples.size).flatten(1))
        return {"centre": centre, "basis": basis, "means": means, "variances": variances}

    def raw(self, x: Tensor) -> Tensor:
        """log p(1 or 3 | x) - log p(0 or 2 | x)."""
        found = log_likelihood(self._projected(x), self.parts["means"], self.parts["variances"])
        return (found[..., 1::2].logsumexp(2) - found[..., ::2].logsumexp(2)).unflatten(1, x.shape[-2:])

    def follow(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Every parameter moves towards that of the last mask."""
        found = mixture(self._projected(x), covered(masks, x.shape[-2:]).flatten(1))
        new = dict(zip(("means", "variances"), found, strict=True))
        return {name: torch.lerp(self.parts[name][: len(x)], part, RATE) for name, part in new.items()}

    def _projected(self, x: Tensor) -> Tensor:
        return (x.flatten(2).mT - self.parts["centre"][: len(x)]) @ self.parts["basis"][: len(x)]
