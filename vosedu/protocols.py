"""What several kinds of thing have to fit: engines, videos under way, target models, networks in R's place."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from .target_model import FirstFrame


class Targets(Protocol):
    """A way to learn what is asked for: the target models of the objects of one video.

    Made from a `Config` when the video starts. `target_model.OnlineTargets` is the paper's.
    """

    def learn(self, samples: FirstFrame, seed: int) -> None:
        """One more object, from its first-frame samples."""

    def scores(self, features: Tensor) -> Tensor:
        """Score maps (N, h, w), about 1 on the object, 0 elsewhere, of a frame's conv4_x features: (C, h, w), or (N, C, h, w)
        where each object has its own."""

    def remember(self, masks: Tensor) -> None:
        """The answer for the frame that was scored last: (N, H, W) in {0, 1}, the objects learned since then included."""

    def update(self) -> None:
        """Learn from what is remembered; called every t_s-th frame."""

    def state(self) -> dict[str, Tensor]:
        """All that later frames depend on."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`."""


class Refiner(Protocol):
    """A network in R's place."""

    def __call__(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Five maps (1, C_d, h_d, w_d) of a frame and scores (N, h, w) -> logits (N, H, W), H and W as in `size`."""


class State(Protocol):
    """A video under way: what `Video` is, and whatever else is to be scored or shown beside it."""

    ids: list[int]
    """Permanent object ids, in the order in which they came."""
    frame_index: int
    """Frames stepped so far; 0 is the first frame."""

    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """The next frame, uint8 RGB (H, W, 3) -> ids, uint8 (H, W); objects of `new_labels` (H, W) enter there."""


class Engine(Protocol):
    """What segments videos: a `Segmenter`, or a baseline."""

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h, w) at which frames of `size` (H, W) are worked on."""

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> State:
        """The first frame, uint8 RGB (H, W, 3), and its ids (H, W) -> the state of its video."""
