"""A window that follows each target; the paper's method always looks at the whole frame.

The networks see a target at whatever size the video shows it, and small ones are lost. So an object is looked at through a
window about its last mask, cut from the video's own pixels and brought to the working size: as long per frame, with more
pixels on the target. D is learned through the same window. Where a target is large, or lost, its window is the whole frame.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..files.images import resized, to_size

INWARDS = 0.15
"""A window closes in by this power of what is missing, per frame: slowly, for a mask may be a part of the target only."""
LOST = 0.75
"""Power of the zoom per frame in which nothing is found: a few frames, and the window is the whole frame."""
ROOM = 0.5
"""Most of the window's height or width that the target's box takes, so that it does not leave the window in one frame."""
NEARLY = 1.1
"""A smaller zoom is none: windows that are nearly the whole frame coincide, and share F."""
OUTSIDE = -20.0
"""Logit of what lies outside an object's window."""


class Window(NamedTuple):
    """A part of a frame, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The part of a picture or mask (H, W, …)."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


class Gaze:
    """Where one object is looked for.

    Args:
        size: (H, W) of the frames.
        share: of the window's area that the target is to have; 0: the window is the whole frame always.
        limit: greatest zoom.

    Attributes:
        zoom: of the window, 1 for the whole frame.
        centre: (row, column) of the window in pixels; it gives way where the window would leave the frame.
    """

    def __init__(self, size: tuple[int, int], share: float, limit: float):
        self.size, self.share, self.limit = size, share, limit
        self.zoom, self.centre = 0.0, (size[0] / 2, size[1] / 2)

    def follow(self, mask: np.ndarray, least: int = 1) -> None:
        """Turn to where the object is now: out at once, in slowly, and towards the whole frame while it is lost.

        Args:
            mask: (H, W), nonzero on the object.
            least: pixels below which it counts as lost.
        """
        (height, width), area = self.size, np.count_nonzero(mask)
        if area < max(1, least) or not self.share:
            self.zoom = max(self.zoom, 1.0) ** LOST
            return
        x, y, box_width, box_height = cv2.boundingRect(mask.astype(np.uint8))
        fits = min(math.sqrt(self.share * height * width / area), ROOM * height / box_height, ROOM * width / box_width)
        wanted = min(max(fits, 1.0), self.limit)
        self.zoom = self.zoom * (wanted / self.zoom) ** INWARDS if 0 < self.zoom < wanted else wanted
        self.centre = (y + box_height / 2, x + box_width / 2)

    @property
    def window(self) -> Window:
        """The part of the frame that is looked at."""
        if self.zoom < NEARLY:
            return Window(0, 0, *self.size)
        height, width = (round(n / self.zoom) for n in self.size)
        top, left = (min(max(round(c - part / 2), 0), n - part)
                     for c, part, n in zip(self.centre, (height, width), self.size, strict=True))
        return Window(top, left, height, width)


class Windows:
    """The windows of all objects of one video.

    Args:
        size: (H, W) of the frames.
        working_size: (h, w) to which a window's part of a frame is brought.
        share, limit: as `Gaze` takes them.

    Attributes:
        now: an object's window in the frame that was looked at last, one per object.
        owner: an object's place among the views of that frame, one per object.
    """

    def __init__(self, size: tuple[int, int], working_size: tuple[int, int], share: float, limit: float):
        self.size, self.working_size, self.share, self.limit = size, working_size, share, limit
        self.gazes: list[Gaze] = []
        self.now: list[Window] = []
        self.owner: list[int] = []

    def first(self, frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """A new object (H, W): what is seen of it and of its frame, at the working size; None where nothing is left there."""
        gaze = Gaze(self.size, self.share, self.limit)
        gaze.follow(mask)
        small = to_size(gaze.window.of(mask).astype(np.uint8), self.working_size)
        if not small.any():
            return None
        self.gazes.append(gaze)
        return resized(gaze.window.of(frame), self.working_size), small

    def look(self, frame: np.ndarray) -> list[np.ndarray]:
        """The different views of a frame (H, W, 3), each (h, w, 3); objects whose windows coincide have one together."""
        self.now = [gaze.window for gaze in self.gazes]
        views = list(dict.fromkeys(self.now))
        self.owner = [views.index(window) for window in self.now]
        return [resized(view.of(frame), self.working_size) for view in views]

    def whole(self) -> bool:
        """Whether all objects are looked for in the whole frame."""
        return all(window == (0, 0, *self.size) for window in self.now)

    def spread(self, maps: Tensor, size: tuple[int, int], outside: float = OUTSIDE) -> Tensor:
        """Maps (N, h, w), each seen through its object's window, laid into the frame at a size: (N, *size)."""
        out = maps.new_full((len(maps), *size), outside)
        scale = size[0] / self.size[0], size[1] / self.size[1]
        for n, (top, left, height, width) in enumerate(self.now):
            rows, columns = (slice(round(s * a), max(round(s * (a + b)), round(s * a) + 1))
                             for s, a, b in zip(scale, (top, left), (height, width), strict=True))
            place = out[n, rows, columns]
            place[:] = F.interpolate(maps[n][None, None], size=place.shape, mode="bilinear", align_corners=False)[0, 0]
        return out

    def through(self, masks: Tensor) -> Tensor:
        """Masks (N, H, W) as they look through their windows: (N, h, w). Objects that are new since then show nothing."""
        parts = [
            F.interpolate(mask[None, None, w.top : w.top + w.height, w.left : w.left + w.width], size=self.working_size,
                          mode="nearest-exact")[0, 0]
            for mask, w in zip(masks, self.now, strict=False)
        ]
        return torch.stack(parts + [masks.new_zeros(self.working_size)] * (len(masks) - len(parts)))

    def follow(self, labels: Tensor, ids: list[int], least: int) -> None:
        """Turn every window to where its object is in the answer (H, W). The host waits for it; without windows it does not."""
        if self.share:
            found = labels.cpu().numpy()
            for gaze, i in zip(self.gazes, ids, strict=True):
                gaze.follow(found == i, least)

    def state(self) -> Tensor:
        """(N, 3), zoom and centre: all that later frames depend on."""
        return torch.tensor([(gaze.zoom, *gaze.centre) for gaze in self.gazes], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Go on from `state()`."""
        for zoom, row, column in state.tolist():
            gaze = Gaze(self.size, self.share, self.limit)
            gaze.zoom, gaze.centre = zoom, (row, column)
            self.gazes.append(gaze)
