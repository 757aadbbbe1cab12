"""Notebook 07: R while it is trained. The widget `TrainingView`, the exercises `entropy_gradient` and `cross_entropy`."""

from collections.abc import Callable

import cv2
import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F

from ..files.images import overlay
from ..training.offline import Training
from ..training.shots import VOID, Clips
from .exercise import Exercise, Wrong, as_array, need
from .pictures import chart
from .widget import Widget


class TrainingView(Widget):
    """R while it is trained: one held-out frame, looked at again at every checkpoint; afterwards the slider goes back.

    An object of this class is what `vosedu.training.offline.train` takes as `on_checkpoint`.

    Args:
        clips: held out.
        index: which of them; the frame is drawn from it by `seed`.

    Attributes:
        shot: the frame and its true mask.
        steps, losses, masks: of the checkpoints so far.
        index: slider over checkpoints.
    """

    def __init__(self, clips: Clips, index: int = 0, seed: int = 0):
        self.clips, self.clip, self.shot = clips, index, clips.draw(index, np.random.default_rng(seed))
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.masks: list[np.ndarray] = []
        self.index = ipywidgets.IntSlider(value=0, min=0, max=0, description="checkpoint")
        super().__init__(
            [self.index], min(860, 4 * self.shot.frame.shape[1]),
            "the mask that R gives at a checkpoint, and the loss of all checkpoints as a curve",
        )

    @torch.no_grad()
    def __call__(self, run: Training) -> None:
        """Look at the frame with R as it is now."""
        frame = torch.from_numpy(self.shot.frame[None, None])
        logits = run.logits(run.trained(), [(self.clips, self.clip)], frame)[0][0]
        mask = torch.from_numpy(self.shot.mask)
        known = (mask != VOID).to(logits.device)
        loss = F.binary_cross_entropy_with_logits(logits[known], mask.to(logits)[known])
        with self.at_once():
            self.steps.append(run.step)
            self.losses.append(loss.item())
            self.masks.append((logits > 0).cpu().numpy())
            self.index.max = len(self.steps) - 1
            self.index.value = self.index.max

    def displayed(self) -> None:
        """It is shown before the training begins, and `states` begin with the last checkpoint."""

    def words(self) -> str:
        """The step and its loss."""
        if not self.steps:
            return "Before the first checkpoint."
        return f"Step {self.steps[self.index.value]}: loss {self.losses[self.index.value]:.3f}."

    def picture(self, index: int | None = None) -> np.ndarray:
        """The mask at a checkpoint, the slider's where left out, and the frame's loss over all of them; uint8 RGB, side by
        side. Before the first checkpoint: the true mask."""
        if not self.masks:
            return np.hstack([overlay(self.shot.frame, self.shot.mask)] * 2)
        index = self.index.value if index is None else index
        left = cv2.resize(overlay(self.shot.frame, self.masks[index].astype(np.uint8)), None, fx=2, fy=2)
        return np.hstack([left, chart(np.array(self.losses), index, left.shape[:2], f"step {self.steps[index]}, loss")])


def _entropy_gradient(answer: Callable) -> None:
    logits, labels = torch.tensor([[-4.0, 0.5], [2.0, -0.3], [1.0, 6.0]]), torch.tensor([[0.0, 1], [0, 1], [1, 1]])
    p = logits.sigmoid()
    right = (p - labels) / labels.numel()
    need(
        answer(logits, labels),
        right,
        {
            "The loss is a mean: divide by the number of pixels.": p - labels,
            "The sign is wrong: where a label of 0 is answered with 1, the logit must be pushed down.": -right,
            "This is the derivative with respect to the probability; go on to the logit, by the chain rule.":
                right / (p * (1 - p)),
            "The factor p (1 - p) belongs to a squared loss; here it cancels.": right * p * (1 - p),
        },
        "By the chain rule, dL/dp times p (1 - p): what is left is short.",
    )


entropy_gradient = Exercise(
    "entropy_gradient", _entropy_gradient,
    ("dL/dp = (p - y) / (p (1 - p)) for one pixel, and dp/dl = p (1 - p).",
     "Multiply the two: what cancels? Then mind that the loss is a mean over all pixels."),
)


def _cross_entropy(answer: Callable) -> None:
    logits = torch.tensor([[-200.0, -3.0, 0.0], [0.5, 4.0, 200.0]])
    for labels in (torch.tensor([[1.0, 0, 1], [0, 1, 0]]), torch.tensor([[0.0, 1, 0], [1, 0, 1]])):
        found = answer(logits, labels)
        right = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        array = as_array(found)
        if array is not None and not np.isfinite(array).all():
            raise Wrong("For a logit of ±200 it is not finite: never take the logarithm of a probability.")
        need(
            found,
            right,
            {
                "The sign is wrong: the loss is positive.": -right,
                "Labels are exchanged.": F.binary_cross_entropy_with_logits(logits, 1 - labels, reduction="none"),
                "It is clamped: the loss of a logit of 200 on the wrong side is 200.": right.clamp_max(100),
            },
            "max(l, 0) - l y + log(1 + exp(-|l|)): which term differs?",
        )


cross_entropy = Exercise(
    "cross_entropy", _cross_entropy,
    ("-log sigmoid(l) = log(1 + exp(-l)). Which sign of l makes exp(-l) overflow, and how can it be pulled out?",
     "For a negative l, log(1 + exp(-l)) = -l + log(1 + exp(l)). Both signs together need a maximum with 0, and |l|."),
)
