"""What D's filter forgets, the nearest remembered cell still knows: matching beside the target model.

D is one filter for all that a target ever looked like. A bank keeps the cells of the first frame and of the frame that was
learned from last, features of length one. A position asks which cell of the object, m_j, and which of the background it is
most like:

    s(i) = max_fg x_iᵀ m_j - max_bg x_iᵀ m_j,    what R reads = (1 - a) D(x_i) + a s'(i),

s' being s on D's scale, and a `Config.nearest`. Matching alone is behind D (docs/field.md), but errs elsewhere. The paper's
method has D alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import Config
from ..target_model import FirstFrame, OnlineTargets

SCALES = {"compact": (4.75, 0.25)}
"""Backbone -> scale and offset of s'; for others cosines mean something else, and D is asked alone. Masks are best cut with an
offset of 0.52 (`vosedu rivals`); but while an object is hidden, many positions are as like it as its background, and 0.52 there
is taken for it (docs/presets.md)."""
SURE = 0.9
"""Later frames: a cell is the object's or the background's where that covers so much of it, and else neither's."""
NEVER = -2.0
"""Added to the cosines of cells that do not count."""
MOST = 2**24
"""Cosines at a time."""


def covered(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of every cell that a mask covers: (N, H, W) in {0, 1} -> (N, h, w)."""
    masks = masks if masks.is_floating_point() else masks.float()
    return F.interpolate(masks[:, None], size=size, mode="area")[:, 0]


def unit(x: Tensor) -> Tensor:
    """Features (N, C, h, w) as rows of length one: (N, h·w, C)."""
    return F.normalize(x.flatten(2).mT, dim=2)


def first_cells(share: Tensor) -> tuple[Tensor, Tensor]:
    """Foreground and background of a true mask's covered cells (N, P): two bool (N, P). An object smaller than half a cell has
    the cell that it covers most."""
    inside = share >= share.amax(1, keepdim=True).clamp(1e-6, 0.5)
    return inside, ~inside


class WithNearest:
    """Target models and, beside them, a bank of cells for each object: a `protocols.Targets` around another.

    Args:
        targets: what is learned online: D, or another `protocols.Targets`.
        config: a and the rule for objects that are hardly there.
        scale: of `SCALES`.
        precision: "float32" or "bfloat16", of the bank and its cosines; scores are float32.

    Attributes:
        bank: (N, 2, P, C), of the first frame and the last one that was learned from; at first twice the first.
        inside, outside: 0 where a cell counts and `NEVER` where it does not, (N, 2, P), as dtype.
    """

    CELLS = ("bank", "inside", "outside")
    """What is remembered, by name."""

    def __init__(self, targets: OnlineTargets, config: Config, scale: tuple[float, float], precision: str = "float32"):
        self.targets, self.config, self.scale, self.dtype = targets, config, scale, getattr(torch, precision)
        self.bank: Tensor | None = None
        self.inside: Tensor | None = None
        self.outside: Tensor | None = None
        self._seen: Tensor | None = None  # (N, P, C) of the frame that was scored last
        self._size: tuple[int, int] = (0, 0)  # (h, w) of its cells
        self._masks: Tensor | None = None  # (N, H, W), the answer for it

    def __getattr__(self, name: str) -> object:
        if name == "targets":  # asked for before __init__, as copying does
            raise AttributeError(name)
        return getattr(self.targets, name)

    def learn(self, samples: FirstFrame, seed: int) -> None:
        """One more object; of its samples the bank takes the frame itself."""
        self.targets.learn(samples, seed)
        rows = unit(samples.features[:, 0].unflatten(2, samples.size)).to(self.dtype)
        counts = [self._penalty(cells) for cells in first_cells(covered(samples.labels[:1], samples.size).flatten(1))]
        found = [part[:, None].repeat(1, 2, *[1] * (part.dim() - 1)) for part in (rows, *counts)]
        known = (self.bank, self.inside, self.outside)
        self.bank, self.inside, self.outside = found if self.bank is None else map(torch.cat, zip(known, found, strict=True))

    def scores(self, features: Tensor) -> Tensor:
        """As `Targets.scores`: a share of them from the nearest cells."""
        self._size = tuple(features.shape[-2:])
        seen = unit(features if features.dim() == 4 else features[None]).to(self.dtype)
        self._seen = seen.expand(len(self.bank), -1, -1)
        near = torch.stack([self._likeness(n) for n in range(len(self.bank))]).unflatten(1, self._size)
        return self.targets.scores(features).lerp(self.scale[0] * near + self.scale[1], self.config.nearest)

    def remember(self, masks: Tensor) -> None:
        """As `Targets.remember`."""
        self.targets.remember(masks)
        self._masks = masks

    def update(self) -> None:
        """As `Targets.update`; the frame that was scored last takes the second place in the bank, for objects that were scored
        there and are large enough to be learned from."""
        self.targets.update()
        scored = len(self._seen)
        masks = self._masks[:scored]
        present, share = masks.sum(dim=(1, 2)) >= self.config.min_pixels, covered(masks, self._size).flatten(1)
        fresh = (self._seen, self._penalty(share >= SURE), self._penalty(share <= 1 - SURE))
        for part, new in zip((self.bank, self.inside, self.outside), fresh, strict=True):
            old = part[:scored, 1]
            part[:scored, 1] = torch.where(present.view(-1, *[1] * (old.dim() - 1)), new, old)

    def _likeness(self, n: int) -> Tensor:
        """s (P,) of object n, in the frame that was scored last."""
        bank, found = self.bank[n].flatten(0, 1), []
        for rows in self._seen[n].split(max(1, MOST // len(bank))):
            cosines = rows @ bank.mT
            best, rest = ((cosines + part[n].flatten()).amax(1).clamp_min(-1.0) for part in (self.inside, self.outside))
            found.append(best.float() - rest.float())
        return torch.cat(found)

    def _penalty(self, cells: Tensor) -> Tensor:
        return torch.where(cells, 0.0, NEVER).to(self.dtype)

    def state(self) -> dict[str, Tensor]:
        """All that later frames depend on."""
        return self.targets.state() | {f"nearest.{name}": getattr(self, name) for name in self.CELLS}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`."""
        self.targets.load(state)
        for name in self.CELLS:
            setattr(self, name, state[f"nearest.{name}"].clone())


def with_nearest(targets: OnlineTargets, config: Config, backbone: str, precision: str) -> OnlineTargets:
    """Target models, and a bank beside them where `config.nearest` is above 0 and the backbone has a scale for it."""
    if not config.nearest or backbone not in SCALES:
        return targets
    return WithNearest(targets, config, SCALES[backbone], precision)
