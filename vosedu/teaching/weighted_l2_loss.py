"""Notebook 02: D and its weighted loss. The widget `Relearner`, the exercises `loss_share` and `pixel_weights`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import ipywidgets
import numpy as np
import torch

from .. import literal, loss
from ..config import Config
from ..memory import initial_gamma
from ..segmenter import FirstFrame
from ..target_model import TargetModel, learn
from .exercise import Exercise, need
from .pictures import score_picture, with_scale
from .states import values_of
from .widget import Widget


class Relearner(Widget):
    """D, learned anew whenever a slider is let go: what kappa_min, lambda and the position of the labels do.

    Args:
        frames: the first frame and one to look at, uint8 RGB (H, W, 3).
        samples: first-frame samples of the first.
        features: conv4_x of the second, (C, h, w).
        config: what the sliders do not set.

    Attributes:
        share, decay, shift: sliders: kappa_min, log10 of both lambdas, columns by which the labels are moved to the right.
        rule: dropdown of the readings of eq. (4), `RULES`.
        note: the balance meter (the target's share of the loss), and the seconds that learning took.
        model: what was learned last; balance: the target's share of its loss.
    """

    slow = True
    RULES = (("max, root (meant)", ("max", "root")), ("max, v as printed", ("max", "printed")),
             ("min, v as printed", ("min", "printed")))

    def __init__(self, frames: list[np.ndarray], samples: FirstFrame, features: torch.Tensor, config: Config):
        self.frames, self.samples, self.features, self.config = frames, samples, features, config
        options = {"continuous_update": False}
        self.share = ipywidgets.FloatLogSlider(value=config.target_share, min=-3, max=-0.1, description="kappa_min", **options)
        decay = float(np.log10(config.projection_decay))
        self.decay = ipywidgets.FloatSlider(value=decay, min=-4, max=6, step=0.5, description="log10 lambda", **options)
        self.shift = ipywidgets.IntSlider(value=0, min=-96, max=96, step=16, description="shift", **options)
        self.rule = ipywidgets.Dropdown(options=self.RULES, description="eq. (4)")
        super().__init__(
            [self.share, self.rule, self.decay, self.shift], min(960, 2 * frames[0].shape[1]),
            "score maps of the target model as it was just learned, over the first frame and over a later one", note=True,
        )

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Five shares by six lambdas, for all readings, with the labels in their place and a little beside it."""
        return {self.share: sorted({0.001, 0.01, 0.03, 0.3, 0.7, self.share.value}), self.rule: values_of(self.rule),
                self.decay: sorted({-2.0, 1.0, 4.0, 5.0, 6.0, self.decay.value}), self.shift: (-96, 0)}

    def words(self) -> str:
        """The balance meter."""
        return f"The target's share of the loss is {self.balance:.2f}."

    @torch.inference_mode()
    def learn(self) -> tuple[TargetModel, float]:
        """D by the sliders, and the target's share of the squared weights."""
        decay = 10**self.decay.value
        rule, power = self.rule.value
        config = replace(self.config, target_share=self.share.value, share_rule=rule, weight_power=power,
                         projection_decay=decay, filter_decay=decay)
        labels = torch.roll(self.samples.labels, self.shift.value, dims=2)
        v = loss.pixel_weights(labels, config.target_share, config.share_rule, config.weight_power).square()
        gamma = initial_gamma(1, len(labels), config.first_weight, self.samples.features)
        model = learn(self.samples.features, self.samples._replace(labels=labels).normal(config), gamma, config)
        return model, ((v * labels).sum() / v.sum()).item()

    @torch.inference_mode()
    def prepare(self) -> None:
        """Learn, and read the balance meter."""
        began = time.perf_counter()
        self.model, self.balance = self.learn()
        took = time.perf_counter() - began
        bar = f"<progress max='1' value='{self.balance:.3f}'></progress>"
        self.note.value = f"target's share of the loss {bar} {self.balance:.2f}; learned in {took:.2f} s"

    def picture(self, model: TargetModel | None = None) -> np.ndarray:
        """Score maps of a model, what was learned last where left out, over both frames, side by side; uint8 RGB."""
        model = model or self.model
        channels = self.samples.features.shape[2]
        first = self.samples.features[0, 0].view(channels, *self.samples.size)
        scores = [model.scores(model.project(x))[0].cpu().numpy() for x in (first, self.features)]
        return with_scale(np.hstack([score_picture(s, frame) for s, frame in zip(scores, self.frames, strict=True)]))


def _loss_share(answer: Callable) -> None:
    labels = torch.zeros(12, 10)
    labels[2:4, 3:6] = 1
    for power in (0.5, 1.0):
        v = literal.pixel_weights(labels, 0.1, max, power)
        right = (v.square() * labels).sum() / v.square().sum()
        need(
            answer(v, labels),
            right,
            {
                "This takes v; the loss squares it.": (v * labels).sum() / v.sum(),
                "This is the share of pixels, whatever their weight.": labels.mean(),
            },
            f"For one mask the share is {right:.3f}.",
        )


loss_share = Exercise(
    "loss_share", _loss_share,
    ("If all residuals were 1, what would the loss of eq. (2) be? And the part of it on the target?",
     "v stands inside the norm, so it enters the loss squared. Set one sum over pixels against another."),
)


def _pixel_weights(answer: Callable) -> None:
    printed = ("This is the printed min: a target smaller than kappa_min is then never strengthened. Which of the two "
               "shares should win?")
    always = "A target larger than kappa_min is held down to it: kappa is the larger of the two shares, not always kappa_min."
    # a target below kappa_min, one above, and another kappa_min
    for rows, columns, share, smaller in ((3, 4, 0.1, printed), (14, 15, 0.1, always), (3, 4, 0.3, printed)):
        labels = torch.zeros(15, 16)
        labels[:rows, :columns] = 1
        right = loss.pixel_weights(labels, share)
        wrong = {
            "This is the square of v: eq. (2) squares v itself, so v must be the square root.": right.square(),
            smaller: loss.pixel_weights(labels, share, "min"),
            "Target and background are exchanged.": torch.where(labels > 0, right[-1, -1], right[0, 0]),
            "This has 0.1 for target_share, whatever is given.": loss.pixel_weights(labels, 0.1),
        }
        need(answer(labels, share), right, wrong,
             "On the target v² should be kappa / (the target's share of the pixels), elsewhere (1 - kappa) / (the rest's).")


pixel_weights = Exercise(
    "pixel_weights", _pixel_weights,
    ("labels.mean() is the target's share of the image. kappa is the larger of that and target_share.",
     "Eq. (4), the line with both cases, gives v². `torch.where` puts its two values together; then the root."),
)
