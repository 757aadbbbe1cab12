"""Notebook 04: first-frame samples by hand. The widget `WarpBench`, the exercises `about` and `visible_share`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import ipywidgets
import numpy as np
import torch

from ..augmentation import cut_out, paste
from ..features import TARGET_DEPTH
from ..files.images import overlay
from ..segmenter import Segmenter
from .exercise import Exercise, need
from .pictures import score_picture
from .widget import Widget


class WarpBench(Widget):
    """One first-frame sample, by hand: turn, scale and blur the target over its inpainted background, and see what a D that
    has learned from the frame alone makes of it.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: (H, W), nonzero on the target.
        segmenter: F, and the settings of D.

    Attributes:
        angle, scale, shift, blur: sliders: degrees (clockwise on the page), factor, columns to the right, pixels.
    """

    def __init__(self, frame: np.ndarray, mask: np.ndarray, segmenter: Segmenter):
        self.pieces, self._segmenter = cut_out(frame, mask), segmenter
        self._alone = segmenter.changed(config=replace(segmenter.config, samples=1)).start(frame, mask).targets
        rows, columns = np.nonzero(mask)
        self._centre = float(columns.mean()), float(rows.mean())
        width = frame.shape[1]
        self.angle = ipywidgets.IntSlider(value=0, min=-90, max=90, description="angle")
        self.scale = ipywidgets.FloatLogSlider(value=1, min=-0.7, max=0.5, description="scale")
        self.shift = ipywidgets.IntSlider(value=0, min=-width // 2, max=width // 2, description="shift")
        self.blur = ipywidgets.FloatSlider(value=0, min=0, max=6, step=0.5, description="blur")
        super().__init__(
            [self.angle, self.scale, self.shift, self.blur], min(1200, 3 * width),
            "the frame with the target cut out, the target laid over it again as the sliders say, and D's score map of that",
        )

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Seven angles, four scales, three shifts and three blurs."""
        far = self.shift.max // 2
        return {self.angle: (-90, -60, -30, 0, 30, 60, 90), self.scale: (0.5, 0.75, 1.0, 1.5), self.shift: (-far, 0, far),
                self.blur: (0.0, 2.0, 5.0)}

    def words(self) -> str:
        """How large the target now is, and how D scores it."""
        return (f"{self._now[1].astype(bool).mean():.1%} of the frame is target. A D that has seen the frame alone scores "
                f"{self.found():.2f} on it.")

    def prepare(self) -> None:
        """Warp the target, and score the frame with it."""
        self._now = self.sample()
        with torch.inference_mode():
            self._scores = self._alone.scores(self._segmenter.features(self._now[0][None])[TARGET_DEPTH][0])[0].cpu().numpy()

    def found(self) -> float:
        """D's mean score on the target, as it lies now; 1 is right, and 0 where none of it is in view."""
        mask = self._now[1] > 0
        return float(cv2.resize(self._scores, mask.shape[::-1])[mask].mean()) if mask.any() else 0.0

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """The image (H, W, 3) and its mask (H, W)."""
        warp = cv2.getRotationMatrix2D(self._centre, -self.angle.value, self.scale.value)
        warp[0, 2] += self.shift.value
        return paste(self.pieces, warp, self.blur.value)

    def picture(self) -> np.ndarray:
        """The background with its hole filled, the sample with its label, its score map; uint8 RGB, side by side."""
        return np.hstack([self.pieces.background, overlay(*self._now), score_picture(self._scores, self._now[0])])


def _about(answer: Callable) -> None:
    for centre, angle, scale in (((30.0, 10.0), 0.5, 1.0), ((5.0, 40.0), -0.3, 1.5)):
        cos, sin = math.cos(angle), math.sin(angle)
        linear, c = scale * torch.tensor([[cos, -sin], [sin, cos]]), torch.tensor(centre)
        still, added, back = torch.zeros(2, 1), c[:, None], (c - linear @ c)[:, None]
        need(
            answer(centre, angle, scale),
            torch.hstack([linear, back]),
            {
                "This turns about the origin, the image's corner: the centre moves.": torch.hstack([linear, still]),
                "The centre is added, but not taken away before it is turned and scaled.": torch.hstack([linear, added]),
                "This turns the other way round.": torch.hstack([linear.T, (c - linear.T @ c)[:, None]]),
                "The scale is missing.": torch.hstack([linear / scale, (c - linear @ c / scale)[:, None]]),
            },
            "The linear part is scale times the rotation [[cos, -sin], [sin, cos]]; the offset must keep the centre in place.",
        )


about = Exercise(
    "about", _about,
    ("Where does the linear part alone send the centre? The offset must bring it back.",
     "The linear part is the rotation matrix times the scale. Solve linear @ centre + offset = centre for the offset; "
     "np.hstack puts both together."),
)


def _visible_share(answer: Callable) -> None:
    mask = np.zeros((40, 60))
    mask[10:20, 20:34] = 1
    maps = ([[1.5, 0.0], [0.0, 1.5]], 210), ([[0.8, -0.3], [0.4, 0.9]], 60), ([[-1.0, 0.2], [0.1, 1.0]], 90)
    for linear, seen in maps:
        warp, area, label = np.array([[*linear[0], 3.0], [*linear[1], -2.0]]), mask.sum(), np.zeros((40, 60))
        label.flat[:seen] = 1
        det = linear[0][0] * linear[1][1] - linear[0][1] * linear[1][0]
        right = seen / (abs(det) * area)
        need(
            answer(mask, label, warp),
            right,
            {
                "A mirrored target has no negative area: take the determinant's absolute value.": seen / (det * area),
                "This compares with the target before the warp: an enlarged one that is half outside would pass.": seen / area,
                "An area grows with the determinant itself, not with its root.": seen / (abs(det) ** 0.5 * area),
                "This multiplies by the determinant; the warped target should have |determinant| times its area.":
                    seen * abs(det) / area,
            },
            f"For the linear part {linear}, {area:.0f} pixels before and {seen} seen it should be {right:.3f}.",
            tolerance=1e-6,
        )


visible_share = Exercise(
    "visible_share", _visible_share,
    ("By which factor does an affine map change an area?",
     "By the determinant of its linear part, `warp[:, :2]`, without the sign. So how many of the target's pixels would one see "
     "in an endless image?"),
)
