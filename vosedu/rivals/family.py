"""What the families share: a row of tensors per object, and the scale on which their scores meet R and the readout."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..config import Config
from ..protocols import Targets
from ..segmenter import READOUT
from ..target_model import FirstFrame


def principal(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (N, 1, C) and basis (N, C, d) of features (N, P, C), scaled so that every direction has variance one."""
    mean = x.mean(1, keepdim=True)
    values, basis = torch.linalg.svd(x - mean, full_matrices=False)[1:]
    scale = (len(x[0]) ** 0.5 / values[:, :count]).clamp_max(1e6)
    return mean, basis[:, :count].mT * scale[:, None]


class Family:
    """A `protocols.Targets` that keeps a dictionary of tensors, one row per object in each.

    A subclass gives `first` and `raw`, and what it learns later: `follow` every frame, `relearn` every t_s-th one.

    Attributes:
        parts: all that later frames depend on, N rows in each tensor.
    """

    def __init__(self, config: Config):
        self.config = config
        self.parts: dict[str, Tensor] = {}
        self._seen: Tensor | None = None  # (N, C, h, w), the frame that was scored last
        self._masks: Tensor | None = None  # (N, H, W), the answer for it
        self._present: Tensor | None = None  # (N,) bool: who was large enough there to be learned from

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """The parts of one object, a row in each, from its first-frame samples."""
        raise NotImplementedError

    def raw(self, x: Tensor) -> Tensor:
        """Scores (N, h, w) on the family's own scale, of features (N, C, h, w)."""
        raise NotImplementedError

    def follow(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """What changes with every frame: parts for its features (N, C, h, w) and the answer's masks (N, H, W)."""
        return {}

    def relearn(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """What changes with every t_s-th frame; arguments as for `follow`."""
        return {}

    def learn(self, samples: FirstFrame, seed: int) -> None:
        """One more object, from its first-frame samples."""
        parts = self.first(samples, seed)
        self.parts = {name: torch.cat([self.parts[name], part]) for name, part in parts.items()} if self.parts else parts

    def scores(self, features: Tensor) -> Tensor:
        """`raw` of a frame's conv4_x features: (C, h, w), or (N, C, h, w) where each object has its own."""
        count = len(next(iter(self.parts.values())))
        self._seen = features.expand(count, -1, -1, -1) if features.dim() == 3 else features
        return self.raw(self._seen)

    def remember(self, masks: Tensor) -> None:
        """The answer for the frame that was scored last, (N, H, W); objects that are hardly there learn nothing from it."""
        self._masks = masks[: len(self._seen)]
        self._present = self._masks.sum(dim=(1, 2)) >= self.config.min_pixels
        self._take(self.follow(self._seen, self._masks))

    def update(self) -> None:
        """Learn from what is remembered; called every t_s-th frame."""
        self._take(self.relearn(self._seen, self._masks))

    def _take(self, found: dict[str, Tensor]) -> None:
        """New parts for the objects that are present; the others, and those learned since the frame was scored, keep theirs."""
        for name, part in found.items():
            mine = self.parts[name]
            keep = self._present.view(-1, *[1] * (part.dim() - 1))
            self.parts[name] = torch.cat([torch.where(keep, part, mine[: len(part)]), mine[len(part) :]])

    def state(self) -> dict[str, Tensor]:
        """All that later frames depend on."""
        return dict(self.parts)

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`."""
        self.parts = dict(state)


class Calibrated:
    """A target model whose scores are brought to D's scale: one half where its own logit is 0.

    The logit of a raw score s is `scale` s + `offset`, learned offline for each family, as the paper learns D-only's 4.1);
    (logit - b) / a with D's own readout a s + b makes it a score about 1 on the object and 0 elsewhere.
    """

    def __init__(self, targets: Targets, scale: float, offset: float):
        self.targets, self.scale, self.offset = targets, scale, offset

    def __getattr__(self, name: str) -> object:
        return getattr(self.targets, name)

    def scores(self, features: Tensor) -> Tensor:
        """As `Targets.scores`."""
        return (self.scale * self.targets.scores(features) + self.offset - READOUT[1]) / READOUT[0]


def calibrated(family: Callable[[Config], Targets], scale: float, offset: float) -> Callable[[Config], Calibrated]:
    """What makes a `Calibrated` family for a video, for `Segmenter(targets=…)`."""
    return lambda config: Calibrated(family(config), scale, offset)
