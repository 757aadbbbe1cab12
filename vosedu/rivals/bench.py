"""What a method costs in a video: seconds for the first frame and for the others, and bytes kept for the next frame."""

import time
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..protocols import Engine, State
from ..training.baselines import BaseVideo


@dataclass
class Cost:
    """Of one video, or added up over several."""

    objects: int = 0
    first: float = 0.0
    """Seconds that `start` took."""
    frames: int = 0
    """Steps."""
    steps: float = 0.0
    """Seconds that they took."""
    held: int = 0
    """Bytes of what later frames depend on, after the last step."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def kept(state: State) -> list[Tensor]:
    """The tensors that a video's later frames depend on, F and the networks that all videos share left out."""
    return state.kept() if isinstance(state, BaseVideo) else list(state.targets.state().values())


def held(state: State) -> int:
    """Bytes of `kept`."""
    return sum(tensor.numel() * tensor.element_size() for tensor in kept(state))


class Timed:
    """An engine that notes what its last video cost.

    Args:
        engine: the engine.

    Attributes:
        cost: of the video that was started last, so far; None before.
    """

    def __init__(self, engine: Engine):
        self.engine, self.cost = engine, None

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """As `Engine.working_size`."""
        return self.engine.working_size(size)

    def start(self, frame: np.ndarray, labels: np.ndarray, seed: int = 0) -> "TimedState":
        """As `Engine.start`."""
        began = time.perf_counter()
        state = self.engine.start(frame, labels, seed)
        kept(state)[0].flatten()[:1].cpu()  # waits for the device; the labels are as they were given, and would not
        self.cost = Cost(len(state.ids), time.perf_counter() - began, held=held(state))
        return TimedState(state, self.cost)


class TimedState:
    """A video under way whose steps are timed. Objects that enter later are learned in their frame's step."""

    def __init__(self, state: State, cost: Cost):
        self.state, self.cost = state, cost

    @property
    def ids(self) -> list[int]:
        """As `State.ids`."""
        return self.state.ids

    @property
    def frame_index(self) -> int:
        """As `State.frame_index`."""
        return self.state.frame_index

    def step(self, frame: np.ndarray, new_labels: np.ndarray | None = None) -> Tensor:
        """As `State.step`."""
        began = time.perf_counter()
        labels = self.state.step(frame, new_labels).cpu()
        seconds, known = time.perf_counter() - began, self.cost.objects
        self.cost.objects, self.cost.held = len(self.state.ids), held(self.state)
        if self.cost.objects > known:
            self.cost.first += seconds
        else:
            self.cost.steps, self.cost.frames = self.cost.steps + seconds, self.cost.frames + 1
        return labels
