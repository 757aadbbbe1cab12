"""Notebook 04: first-frame samples by hand."""

import math
import threading
from collections.abc import Callable

import cv2
import ipywidgets
import numpy as np
import torch

from ..augmentation import cut_out, paste
from ..files.images import overlay
from .exercise import Exercise, Wrong, _need
from .pictures import jpeg


class WarpBench:
    """One first-frame sample, by hand: turn, scale and blur the target over its inpainted background.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: (H, W), nonzero on the target.

    Attributes:
        angle, scale, shift, blur: sliders: degrees, factor, columns, pixels.
        image, widget: as in `Player`.
    """

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        self.pieces = cut_out(frame, mask)
        rows, columns = np.nonzero(mask)
        self._centre = float(columns.mean()), float(rows.mean())
        width = frame.shape[1]
        self.angle = ipywidgets.IntSlider(value=0, min=-90, max=90, description="angle")
        self.scale = ipywidgets.FloatLogSlider(value=1, min=-0.7, max=0.5, description="scale")
        self.shift = ipywidgets.IntSlider(value=0, min=-width // 2, max=width // 2, description="shift")
        self.blur = ipywidgets.FloatSlider(value=0, min=0, max=6, step=0.5, description="blur")
        self.image = ipywidgets.Image(format="jpeg", width=min(960, 2 * width))
        self._lock = threading.Lock()
        for slider in (self.angle, self.scale, self.shift, self.blur):
            slider.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.image, self.angle, self.scale, self.shift, self.blur])

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """The image (H, W, 3) and its mask (H, W)."""
        warp = cv2.getRotationMatrix2D(self._centre, -self.angle.value, self.scale.value)
        warp[0, 2] += self.shift.value
        return paste(self.pieces, warp, self.blur.value)

    def picture(self) -> np.ndarray:
        """The background with its hole filled, and the sample with its label; uint8 RGB, side by side."""
        return np.hstack([self.pieces.background, overlay(*self.sample())])

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture())


def _about(answer: Callable) -> None:
    for centre, angle, scale in (((30.0, 10.0), 0.5, 1.0), ((5.0, 40.0), -0.3, 1.5)):
        cos, sin = math.cos(angle), math.sin(angle)
        linear = scale * torch.tensor([[cos, -sin], [sin, cos]])
        c = torch.tensor(centre)
        right = torch.cat([linear, (c - linear @ c)[:, None]], dim=1)
        _need(
            torch.as_tensor(answer(centre, angle, scale)),
            right,
            {
                "This turns about the origin, the image's corner: the centre moves.": torch.cat(
                    [linear, torch.zeros(2, 1)], dim=1
                ),
                "The centre is added, but not taken away before: b = c - A c.": torch.cat([linear, c[:, None]], dim=1),
                "This turns the other way round.": torch.cat([linear.T, (c - linear.T @ c)[:, None]], dim=1),
            },
            "A is scale times the rotation [[cos, -sin], [sin, cos]]; b must leave the centre where it is.",
        )


def _visible_share(answer: Callable) -> None:
    mask = torch.zeros(40, 60)
    mask[10:20, 20:34] = 1
    maps = ([[1.5, 0.0], [0.0, 1.5]], 210.0), ([[0.8, -0.3], [0.4, 0.9]], 60.0), ([[-1.0, 0.2], [0.1, 1.0]], 90.0)
    for linear, seen in maps:
        warp, area, label = np.array([[*linear[0], 3.0], [*linear[1], -2.0]]), mask.sum().item(), torch.zeros(40, 60)
        label.view(-1)[: int(seen)] = 1
        det = linear[0][0] * linear[1][1] - linear[0][1] * linear[1][0]
        right = seen / (abs(det) * area)
        found = float(answer(mask.numpy(), label.numpy(), warp))
        for message, value in {
            "A mirrored target has no negative area: take the determinant's absolute value.": seen / (det * area),
            "This compares with the target before the warp: an enlarged one that is half outside would pass.": seen / area,
            "An area grows with the determinant itself, not with its root.": seen / (abs(det) ** 0.5 * area),
            "This multiplies by the determinant; the warped target should have |det A| times its area.": seen * abs(det) / area,
        }.items():
            if abs(found - value) < 1e-6 < abs(found - right):
                raise Wrong(message)
        if abs(found - right) > 1e-6:
            raise Wrong(f"For A = {linear}, {area:.0f} pixels before and {seen:.0f} seen it should be {right:.3f}.")


about = Exercise(
    "about", _about,
    ("Where does A send the centre? b must bring it back.",
     "A = scale * [[cos, -sin], [sin, cos]] and b = c - A c; np.hstack puts both together."),
)
visible_share = Exercise(
    "visible_share", _visible_share,
    ("By which factor does an affine map change an area?",
     "abs(np.linalg.det(warp[:, :2])) times the mask's pixels are what one would see of it in an endless image."),
)
