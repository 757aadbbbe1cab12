"""Notebook 01: what features see. The widget `Probe`, the exercises `similarity` and `principal_components`."""

from collections.abc import Callable, Sequence

import cv2
import ipywidgets
import numpy as np
import torch

from .exercise import Exercise, as_array, need
from .pictures import score_picture, with_scale
from .widget import Widget


class Probe(Widget):
    """Where does another frame resemble one position of the first? Cosine of features, at a depth.

    Args:
        frames: two frames, uint8 RGB (H, W, 3).
        maps: the five maps (1, C_d, h_d, w_d) of each.

    Attributes:
        x, y: sliders, the position in pixels; a click on the first frame sets both.
        depth: toggle of the depth, 1 to 4.
        centred: checkbox; the mean over both maps is taken away first, for it makes all positions alike.
    """

    clickable = (0.5, 1.0)  # the first of the two frames

    def __init__(self, frames: Sequence[np.ndarray], maps: Sequence[Sequence[torch.Tensor]]):
        self.frames, self.maps = frames, maps
        height, width = frames[0].shape[:2]
        self.x = ipywidgets.IntSlider(value=width // 4, min=0, max=width - 1, description="x")
        self.y = ipywidgets.IntSlider(value=height // 4, min=0, max=height - 1, description="y")
        options = [("conv2_x", 1), ("conv3_x", 2), ("conv4_x", 3), ("conv5_x", 4)]
        self.depth = ipywidgets.ToggleButtons(options=options, value=3, description="depth")
        self.centred = ipywidgets.Checkbox(value=False, description="take the mean away")
        alt = "a frame with the probed position, and where another frame resembles it"
        super().__init__([self.depth, self.x, self.y, self.centred], 2 * width, alt, above=[self.depth])
        self.image.observe(self._click, "point")

    def similarity(self) -> np.ndarray:
        """Cosine (h, w) of the probed position's features with every position of the second frame."""
        first, second = (maps[self.depth.value][0] for maps in self.maps)
        if self.centred.value:
            mean = (first.mean((1, 2), True) + second.mean((1, 2), True)) / 2
            first, second = first - mean, second - mean
        height, width = self.frames[0].shape[:2]
        row, column = self.y.value * first.shape[1] // height, self.x.value * first.shape[2] // width
        return torch.cosine_similarity(first[:, row, column, None, None], second, dim=0).cpu().numpy()

    def words(self) -> str:
        """Where in the second frame it is most alike, and how much."""
        found = self.similarity()
        row, column = np.unravel_index(found.argmax(), found.shape)
        across, down = (column + 0.5) / found.shape[1], (row + 0.5) / found.shape[0]
        return (f"Most alike, {found.max():.2f}, {across:.0%} of the way across and {down:.0%} down; "
                f"{(found > 0.5).mean():.0%} of the frame above 0.5.")

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """Seven columns, five rows."""
        height, width = self.frames[0].shape[:2]
        places = {self.x: _spread(width, 7, self.x.value), self.y: _spread(height, 5, self.y.value)}
        return {**super().grid(), **places}

    def picture(self) -> np.ndarray:
        """The first frame with the position, the second with its similarity; uint8 RGB, side by side."""
        left = self.frames[0].copy()
        cv2.drawMarker(left, (self.x.value, self.y.value), (255, 255, 255), cv2.MARKER_CROSS, 21, 4)
        cv2.drawMarker(left, (self.x.value, self.y.value), (200, 0, 0), cv2.MARKER_CROSS, 19, 2)
        limits = (0.0, 1.0)
        return np.hstack([left, with_scale(score_picture(self.similarity(), self.frames[1], limits), limits)])

    def _click(self, _change: object = None) -> None:
        x, y = self.image.point
        if x < self.frames[0].shape[1]:  # the other half is the frame that is searched
            with self.at_once():
                self.x.value, self.y.value = x, y


def _spread(length: int, count: int, now: int) -> list[int]:
    """The middles of so many equal parts of a length, and the place that is set now."""
    return sorted({now, *(int((k + 0.5) * length / count) for k in range(count))})


def _similarity(answer: Callable) -> None:
    g = torch.Generator().manual_seed(2)
    x, f = torch.randn(5, 3, 4, generator=g), torch.randn(5, generator=g)
    inner = torch.einsum("c,chw->hw", f, x)
    need(
        answer(f, x),
        torch.cosine_similarity(f[:, None, None], x, dim=0),
        {
            "This is the inner product: long vectors win. Divide by both norms.": inner,
            "Divide by the norm of f too.": inner / x.norm(dim=0),
            "Divide by the norm at each position too.": inner / f.norm(),
        },
        "The channels are the first dimension of x; contract that one.",
    )


similarity = Exercise(
    "similarity", _similarity,
    ("Contract the channels of x with f, then divide by the norm of f and by the norm at each position.",
     '`torch.einsum` with "c,chw->hw" contracts the channels. One of the two norms is a number, the other a map (h, w).'),
)


def _coordinates(x: torch.Tensor, centre: bool = True, last: bool = False, unit: bool = False) -> torch.Tensor:
    """Two principal components of x (C, h, w), and the usual wrong answers: (2, h, w)."""
    flat = x.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True) if centre else flat
    directions, size, _ = torch.linalg.svd(centred, full_matrices=False)
    found = directions.T @ centred
    found = found / size[:, None] if unit else found
    return (found[-2:] if last else found[:2]).view(2, *x.shape[1:])


def _signed(found: object) -> object:
    """A direction and its opposite are equally good: the entry of largest size is made positive in each."""
    array = as_array(found)
    if array is None or array.ndim != 3:
        return found
    flat = array.reshape(len(array), -1)
    largest = np.take_along_axis(flat, np.abs(flat).argmax(axis=1)[:, None], axis=1)
    return array * np.where(largest < 0, -1, 1)[..., None]


def _principal_components(answer: Callable) -> None:
    g = torch.Generator().manual_seed(4)
    scale = torch.tensor([5.0, 3.0, 2.0, 0.5, 0.2, 0.1])
    mix = torch.linalg.qr(torch.randn(6, 6, generator=g))[0]
    x = (mix @ (scale[:, None] * torch.randn(6, 80, generator=g))).view(6, 8, 10) + 4 * torch.randn(6, 1, 1, generator=g)
    need(
        _signed(answer(x, 2)),
        _signed(_coordinates(x)),
        {
            "The mean over positions is still in it: the first direction then shows the mean, not what varies.":
                _signed(_coordinates(x, centre=False)),
            "These are the directions in which x varies least: which end of the spectrum comes first?":
                _signed(_coordinates(x, last=True)),
            "These have unit length: coordinates keep how much x varies along each direction.":
                _signed(_coordinates(x, unit=True)),
        },
        "Each channel less its mean; the directions of most variance among the columns; the inner products with them.",
    )


principal_components = Exercise(
    "principal_components", _principal_components,
    ("Make x a matrix (C, h w), and take each row's mean away.",
     "Of its SVD, `torch.linalg.svd`, the first matrix has a direction in each column, in falling order. Coordinates are inner "
     "products with them."),
)
