"""Notebook 06: the memory, its weights, and several objects.

The widget `MemoryStrip`, the chart of `leaps_or_not`, the exercises `memory_weights`, `eviction` and `soft_aggregation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch

from .. import aggregation, loss
from ..config import BEST
from ..evaluation.metrics import jaccard
from ..files.clip import Clip
from ..memory import Memory, initial_gamma
from ..pipeline import track
from ..segmenter import Segmenter
from .exercise import Exercise, Wrong, need
from .widget import Widget


def leaps_or_not(segmenter: Segmenter, clip: Clip) -> dict[str, list[float]]:
    """Draw J of the first object over the frames where masks may leap to a twin and where they may not (`beyond.leaps`), with
    BEST's window and D alone, and R asked about all of the window.

    Args:
        segmenter: its networks and size; its settings are not used.
        clip: with the true masks.

    Returns:
        J of frames 1, 2, … by the name in the legend.
    """
    js, (_, axis) = {}, plt.subplots(figsize=(8, 2.6), layout="constrained")
    for name, leap, style in (("masks may leap", 0.0, "--"), ("they may not", BEST.leap, "-")):
        config = replace(BEST, leap=leap, nearest=0.0, window_room=0.0)
        steps = track(segmenter.changed(config=config), clip, {0: clip.masks[0]})
        js[name] = [jaccard(step.labels == 1, clip.masks[step.index] == 1) for step in steps][1:]
        axis.plot(range(1, len(js[name]) + 1), js[name], style, label=f"{name}: {np.mean(js[name]):.2f}")
    axis.set(xlabel="frame", ylabel="J", ylim=(0, 1))
    axis.legend(loc="lower left")
    return js


class MemoryStrip(Widget):
    """What M holds, frame by frame: one thumbnail per sample, its area in proportion to its weight gamma.

    Args:
        pictures: K pictures uint8 RGB (H, W, 3), one per slot in the order in which they were filled.
        gammas: (T, K) weights of all slots after each frame, 0 where a slot is empty.
        first: how many of them are samples of the first frame; they stand in a block of their own.

    Attributes:
        index: slider over frames.
    """

    SIZE = 320, 860
    """Rows and columns of the picture."""
    HEAD = 20
    """Rows of a block's heading."""

    def __init__(self, pictures: Sequence[np.ndarray], gammas: np.ndarray, first: int):
        self.pictures, self.gammas, self.first = pictures, np.asarray(gammas), first
        last = len(self.gammas) - 1
        self.index = ipywidgets.IntSlider(value=last, min=0, max=last, description="frame")
        super().__init__([self.index], self.SIZE[1], "the samples in the memory, each as large as its weight", play=200)

    def words(self) -> str:
        """How many samples there are of each kind, and their weight."""
        first, own = np.split(self.gammas[self.index.value], [self.first])
        return (f"After frame {self.index.value}: {np.count_nonzero(first)} samples of the first frame with {first.sum():.0%} "
                f"of all weight, {np.count_nonzero(own)} masks of its own with {own.sum():.0%}.")

    def picture(self, index: int | None = None) -> np.ndarray:
        """The memory after a frame, the slider's where left out: uint8 RGB; first-frame samples above, the method's own
        masks below, oldest first."""
        index = self.index.value if index is None else index
        blocks = (("samples of the first frame", slice(0, self.first)), ("masks of its own", slice(self.first, None)))
        rows = []
        for name, part in blocks:
            block = np.full((self.SIZE[0] // 2, self.SIZE[1], 3), 255, np.uint8)
            gammas = self.gammas[index, part]
            text = f"{name}: {np.count_nonzero(gammas)}, together {gammas.sum():.2f} of all weight"
            cv2.putText(block, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
            self._lay(block[self.HEAD :], self.pictures[part], gammas)
            rows.append(block)
        return np.vstack(rows)

    def _lay(self, block: np.ndarray, pictures: Sequence[np.ndarray], gammas: np.ndarray) -> None:
        """Thumbnails from left to right, line by line."""
        height, width = block.shape[:2]
        shape = self.pictures[0].shape
        # one scale for both blocks and all frames: the heaviest sample fits, and so do all of the weight's thumbnails
        fits = np.sqrt(0.6 * height * width * shape[0] / shape[1])
        scale = min(height / np.sqrt(self.gammas.max()), fits)
        x, y, tallest = 2, 0, 0
        for picture, gamma in zip(pictures, gammas, strict=True):
            rows = round(scale * np.sqrt(gamma))
            columns = round(rows * shape[1] / shape[0])
            if rows < 2:
                continue
            if x + columns > width:
                x, y, tallest = 2, y + tallest + 2, 0
            if y + rows > height:
                break
            block[y : y + rows, x : x + columns] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
            x, tallest = x + columns + 2, max(tallest, rows)


def _weights_after(count: int, eta: float, normalise: bool = True, start: float | None = None) -> torch.Tensor:
    # normalising after each insertion scales all weights alike, so once at the end is the same
    first = eta if start is None else start
    weights = torch.tensor([1.0] + [first / (1 - eta) ** n for n in range(1, count + 1)])
    return weights / weights.sum() if normalise else weights


def _memory_weights(answer: Callable) -> None:
    for count, eta in ((1, 0.1), (4, 0.1), (12, 0.3)):
        plain = _weights_after(count, eta, normalise=False)
        need(
            answer(count, eta),
            _weights_after(count, eta),
            {
                "The weights do not sum to one: normalise.": plain,
                "The first insertion is set against gamma_0 = eta, not against the first sample's weight of 1.":
                    _weights_after(count, eta, start=1.0),
                "The newest weighs eta itself: gamma_0 = eta is what the first insertion is set against, so it weighs more.":
                    _weights_after(count, eta, start=eta * (1 - eta)),
                "These are oldest last; oldest first, please.": _weights_after(count, eta).flip(0),
            },
            f"For {count} insertions and eta {eta} the newest should weigh {_weights_after(count, eta)[-1]:.4f}.",
        )


memory_weights = Exercise(
    "memory_weights", _memory_weights,
    ("Keep the newest weight in a variable that starts at eta, though the first sample's weight is 1.",
     "An insertion has three steps: the new weight, all weights normalised, and the newest one read off what results."),
)


def _evicted_after(samples: int, capacity: int, eta: float, first: float = 2.0) -> int:
    """Insertions until the engine's memory, by the printed rule, overwrites slot 0: the ground-truth frame."""
    gamma = initial_gamma(1, samples, first, torch.zeros(()))
    blank = loss.NormalForm(*(torch.zeros(1, samples, 1) for _ in loss.NormalForm._fields))
    memory, count = Memory(torch.zeros(1, samples, 1, 1), blank, gamma, capacity, eta), 0
    while not memory.projected[0, 0].any():
        memory.insert(torch.ones(1, 1, 1), loss.NormalForm(*(part[:, 0] for part in blank)), torch.tensor([True]))
        count += 1
    return count


def _eviction(answer: Callable) -> None:
    for samples, capacity, eta in ((20, 80, 0.1), (5, 12, 0.3), (20, 80, 0.02)):
        right, found = _evicted_after(samples, capacity, eta), answer(samples, capacity, eta)
        if found == right:
            continue
        if found == capacity - samples + 1:
            raise Wrong("That is the first eviction. Whose turn is it? The frame itself weighs twice as much as its copies.")
        if found == _evicted_after(samples, capacity, eta, 1.0):
            raise Wrong("The frame itself weighs twice as much as each of its augmented copies.")
        if abs(found - right) == 1:
            raise Wrong("Off by one: count the insertion that overwrites it.")
        if found == capacity and eta < 0.1:
            raise Wrong("Right for eta = 0.1. With a small eta the first of its own masks weigh less than the frame.")
        raise Wrong(f"For {samples} samples, capacity {capacity} and eta {eta} it should be {right}, and is {found}.")


eviction = Exercise(
    "eviction", _eviction,
    ("Simulate: a list of weights, a mark for each of whose it is. No formula is needed, and it is different for small eta.",
     "A loop that ends when the mark of the given frame is gone. In it: is the list full? Then the least goes, with its "
     "mark. Then an insertion as in 06.1."),
)


def _soft_aggregation(answer: Callable) -> None:
    p = torch.tensor([[0.9, 0.3], [0.6, 0.05]])[..., None] * torch.tensor([1.0, 0.8, 0.3])  # two objects, 2x3 pixels
    everyone = torch.cat([(1 - p).prod(dim=0, keepdim=True), p])
    odds = everyone / (1 - everyone)
    least = torch.cat([(1 - p).amin(dim=0, keepdim=True), p])
    least = least / (1 - least)
    need(
        answer(p),
        aggregation.aggregate(p),
        {
            "Probabilities were normalised; the formula has odds, p / (1 - p).": everyone / everyone.sum(dim=0),
            "This is a softmax over the odds themselves; it is one over their logarithms.": odds.softmax(dim=0),
            "This is a softmax over probabilities; it is one over log-odds.": everyone.softmax(dim=0),
            "The background's probability is the product of all (1 - p_n), not the least of them.": least / least.sum(dim=0),
            "The background comes first.": aggregation.aggregate(p).roll(-1, dims=0),
        },
        "Background: the product of (1 - p_n). Then each one's odds over the sum of all odds, the background's among them.",
    )


soft_aggregation = Exercise(
    "soft_aggregation", _soft_aggregation,
    ("Put the background's probability, the product of (1 - p_n), before the others; turn all into odds.",
     "At each pixel the results must sum to one, and they keep the ratios of the odds."),
)
