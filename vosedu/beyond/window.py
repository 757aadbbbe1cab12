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

SHRINKING = 0.95
"""An object is taken to have at least this part of the area that it was taken to have a frame before: what covers it makes its
mask small at once, and is no reason to come nearer."""
LOST = 0.1
"""Below this part of that area it counts as lost."""
OUTWARDS = 0.75
"""Power of the zoom per frame in which it is lost: a few frames, and the window is the whole frame."""
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
        area: that the object is taken to have, in pixels.
        centre: (row, column) of the window in pixels; it gives way where the window would leave the frame.
    """

    def __init__(self, size: tuple[int, int], share: float, limit: float):
        self.size, self.share, self.limit = size, share, limit
        self.zoom, self.area, self.centre = 1.0, 0.0, (size[0] / 2, size[1] / 2)

    def follow(self, mask: np.ndarray, least: int = 1) -> None:
        """Turn to where the object is now: out at once, in slowly, and towards the whole frame while it is lost.

        Args:
            mask: (H, W), nonzero on the object.
            least: pixels below which it counts as lost.
        """
        (height, width), area = self.size, np.count_nonzero(mask)
        if area < max(1, least, LOST * self.area) or not self.share:
            self.zoom = max(self.zoom, 1.0) ** OUTWARDS
            return
        self.area = max(area, SHRINKING * self.area)
        x, y, box_width, box_height = cv2.boundingRect(mask.astype(np.uint8))
        fits = min(math.sqrt(self.share * height * width / self.area), ROOM * height / box_height, ROOM * width / box_width)
        self.zoom = min(max(fits, 1.0), self.limit)
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
        whole: whether all objects were looked for in the whole of it.
    """

    def __init__(self, size: tuple[int, int], working_size: tuple[int, int], share: float, limit: float):
        self.size, self.working_size, self.share, self.limit = size, working_size, share, limit
        self.gazes: list[Gaze] = []
        self.now: list[Window] = []
        self.owner: list[int] = []
        self.whole = True

    def first(self, frame: np.ndarray, mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """A new object, from its first frame and mask (H, W): what is seen of both through its window and, where that is
        another, in the whole frame, (h, w, 3) and (h, w) each. Nothing where nothing is left of it at the working size.

        D is learned from both: what else there is in the frame, a twin perhaps, may be outside the window.
        """
        gaze = Gaze(self.size, self.share, self.limit)
        gaze.follow(mask)
        views = dict.fromkeys((gaze.window, Window(0, 0, *self.size)))
        seen = [(resized(view.of(frame), self.working_size), to_size(view.of(mask).astype(np.uint8), self.working_size))
                for view in views]
        seen = [(picture, small) for picture, small in seen if small.any()]
        if seen:
            self.gazes.append(gaze)
        return seen

    def look(self, frame: np.ndarray) -> list[np.ndarray]:
        """The different views of a frame (H, W, 3), each (h, w, 3); objects whose windows coincide have one together."""
        self.now = [gaze.window for gaze in self.gazes]
        views = list(dict.fromkeys(self.now))
        self.owner = [views.index(window) for window in self.now]
        self.whole = views == [(0, 0, *self.size)]
        return [resized(view.of(frame), self.working_size) for view in views]

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
        """(N, 4), zoom, area and centre: all that later frames depend on."""
        return torch.tensor([(gaze.zoom, gaze.area, *gaze.centre) for gaze in self.gazes], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Go on from `state()`."""
        for zoom, area, row, column in state.tolist():
            gaze = Gaze(self.size, self.share, self.limit)
            gaze.zoom, gaze.area, gaze.centre = zoom, area, (row, column)
            self.gazes.append(gaze)
