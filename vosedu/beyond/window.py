"""A window that follows each target; the paper's method always looks at the whole frame.

The networks see a target at whatever size the video shows it, and small ones are lost. So an object is looked at through a
window about its last mask, cut from the video's own pixels and brought to the working size: as long per frame, with more
pixels on the target. D is learned through the same window. Where a target is large, or lost, its window is the whole frame.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..files.images import CELL, resized, to_size
from ..refinement import WIDTH, Refinement
from .close_up import OUTSIDE, Part, refined

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
LEAST = 0.25
"""Of a window's height and width that an object's part has at least."""
MARGIN = 24
"""Pixels of the working size by which a part reaches further than the room asked for: its rim is less sure."""
KEPT = 8
"""Frames for which what R has on average beyond a part is kept."""
TURNED = 0.25
"""It is made anew where an edge of the window has moved by this part of the window's longer side."""


class Window(NamedTuple):
    """A part of a frame, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The part of a picture or mask (H, W, …)."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


class Kept(NamedTuple):
    """What R has on average beyond an object's part, `close_up.average_beyond`, and since when."""

    beyond: Tensor
    """(64,)."""
    window: Window
    """In which it was made."""
    age: int
    """Frames that had it, the first included."""

    def good(self, window: Window) -> bool:
        """Whether it serves in another frame, of which this is the window."""
        moved = max(abs(a - b) for a, b in zip(window, self.window, strict=True))
        return self.age < KEPT and moved < TURNED * max(window.height, window.width)


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
        box: (height, width) of the object's box about that centre, in pixels; infinite where it is lost.
        kept: what R needs of the rest of the window, where it has been asked about the object's part alone.
    """

    def __init__(self, size: tuple[int, int], share: float, limit: float):
        self.size, self.share, self.limit = size, share, limit
        self.zoom, self.area, self.centre = 1.0, 0.0, (size[0] / 2, size[1] / 2)
        self.box = (math.inf, math.inf)
        self.kept: Kept | None = None

    def follow(self, mask: np.ndarray, least: int = 1) -> None:
        """Turn to where the object is now: out at once, in slowly, and towards the whole frame while it is lost.

        Args:
            mask: (H, W), nonzero on the object.
            least: pixels below which it counts as lost.
        """
        (height, width), area = self.size, np.count_nonzero(mask)
        if area < max(1, least, LOST * self.area) or not self.share:
            self.zoom, self.box = max(self.zoom, 1.0) ** OUTWARDS, (math.inf, math.inf)
            return
        self.area = max(area, SHRINKING * self.area)
        x, y, box_width, box_height = cv2.boundingRect(mask.astype(np.uint8))
        fits = min(math.sqrt(self.share * height * width / self.area), ROOM * height / box_height, ROOM * width / box_width)
        self.zoom = min(max(fits, 1.0), self.limit)
        self.centre, self.box = (y + box_height / 2, x + box_width / 2), (float(box_height), float(box_width))

    @property
    def window(self) -> Window:
        """The part of the frame that is looked at."""
        return window_about(self.centre, self.zoom, self.size)


def window_about(centre: tuple[float, float], zoom: float, size: tuple[int, int]) -> Window:
    """The window of a frame of `size` (H, W) about (row, column), as far as it stays in the frame."""
    if zoom < NEARLY:
        return Window(0, 0, *size)
    height, width = (round(n / zoom) for n in size)
    top, left = (min(max(round(c - part / 2), 0), n - part) for c, part, n in zip(centre, (height, width), size, strict=True))
    return Window(top, left, height, width)


def joint(a: Window, b: Window, size: tuple[int, int]) -> Window:
    """The smallest window of the frame's shape in which both lie."""
    (top, bottom), (left, right) = ((min(a[i], b[i]), max(a[i] + a[2 + i], b[i] + b[2 + i])) for i in (0, 1))
    zoom = min(size[0] / (bottom - top), size[1] / (right - left))
    return window_about(((top + bottom) / 2, (left + right) / 2), zoom, size)


def joined(windows: Sequence[Window], limit: float, size: tuple[int, int]) -> list[Window]:
    """The windows, those joined whose joint one is at most `limit` times as high as any of them; the closest first."""
    found = list(windows)

    def loss(pair: tuple[Window, Window]) -> float:
        return joint(*pair, size).height / min(own.height for own, now in zip(windows, found, strict=True) if now in pair)

    while pairs := list(combinations(dict.fromkeys(found), 2)):
        a, b = min(pairs, key=loss)
        if loss((a, b)) > limit:
            break
        found = [joint(a, b, size) if now in (a, b) else now for now in found]
    return found


class Windows:
    """The windows of all objects of one video.

    Args:
        size: (H, W) of the frames.
        working_size: (h, w) to which a window's part of a frame is brought.
        share, limit: as `Gaze` takes them.
        room: times the height and width of its box is what several objects are each given as their part; 0: all of the window.
        joint: objects look through one window, which costs F but once, where it is at most so many times as high as their own.

    Attributes:
        now: an object's window in the frame that was looked at last, one per object.
        owner: an object's place among the views of that frame, one per object.
        whole: whether all objects were looked for in the whole of it.
    """

    def __init__(self, size: tuple[int, int], working_size: tuple[int, int], share: float, limit: float,
                 room: float = 0.0, joint: float = 1.0):
        self.size, self.working_size, self.share, self.limit = size, working_size, share, limit
        self.room, self.joint = room, joint
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

    def look(
        self, frame: np.ndarray, labels: np.ndarray | None = None, ids: Sequence[int] = (), least: int = 1
    ) -> list[np.ndarray]:
        """The different views of a frame (H, W, 3), each (h, w, 3); objects whose windows coincide have one together.

        Args:
            frame: uint8 RGB.
            labels, ids, least: as `follow` takes them, of the frame before; where they are left out, windows stay.
        """
        if labels is not None:
            self.follow(labels, ids, least)
        self.now = joined([gaze.window for gaze in self.gazes], self.joint, self.size)
        views = list(dict.fromkeys(self.now))
        self.owner = [views.index(window) for window in self.now]
        self.whole = views == [(0, 0, *self.size)]
        return [resized(view.of(frame), self.working_size) for view in views]

    def parts(self, objects: Sequence[int]) -> list[Part]:
        """What each of some objects, who share a view, is given of it: whole cells, so that its size seldom changes."""
        if not (self.room and self.share):
            return [Part(0, 0, *self.working_size) for _ in objects]
        found = []
        for gaze, view in ((self.gazes[n], self.now[n]) for n in objects):
            edges: list[tuple[int, int]] = []
            for box, centre, first, seen, n in zip(gaze.box, gaze.centre, view[:2], view[2:], self.working_size, strict=True):
                reach = max(self.room * box * n / seen, LEAST * n) / 2 + MARGIN
                middle = (centre - first) * n / seen
                low, high = max(0.0, middle - reach), min(float(n), middle + reach)
                edges.append((int(low // CELL) * CELL, min(n, -int(-high // CELL) * CELL)))
            found.append(Part(edges[0][0], edges[1][0], edges[0][1], edges[1][1]))
        return found

    def refine(
        self, objects: Sequence[int], network: Refinement, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """R's logits (N, h, w) for some objects who share a view, each in its part: `close_up.refined`.

        Args:
            objects: who they are.
            network, features, scores, size: as `Refinement.forward` takes them, of that view and those objects.
        """
        parts, window, gazes = self.parts(objects), self.now[objects[0]], [self.gazes[n] for n in objects]
        whole = [part == (0, 0, *size) for part in parts]
        for gaze, everywhere in zip(gazes, whole, strict=True):
            if everywhere or not (gaze.kept and gaze.kept.good(window)):
                gaze.kept = None
        if whole == [True]:
            return network(features, scores, size)
        good = all(everywhere or gaze.kept for gaze, everywhere in zip(gazes, whole, strict=True))
        known = [gaze.kept and gaze.kept.beyond for gaze in gazes] if good else None
        logits, beyond = refined(network, features, scores, size, parts, known)
        for gaze, average in zip(gazes, beyond, strict=True):
            if average is not None:
                since = gaze.kept if good else Kept(average, window, 0)
                gaze.kept = since._replace(age=since.age + 1)
        return logits

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

    def follow(self, labels: np.ndarray, ids: Sequence[int], least: int) -> None:
        """Turn every window to where its object is in the answer (H, W)."""
        if self.share:
            for gaze, i in zip(self.gazes, ids, strict=True):
                gaze.follow(labels == i, least)

    def state(self) -> Tensor:
        """(N, 11 + 64), zoom, area, centre and box, and what is kept, its age first: all that later frames depend on."""
        none = Kept(torch.zeros(WIDTH), Window(0, 0, 0, 0), 0)
        rows = [(gaze.zoom, gaze.area, *gaze.centre, *gaze.box, kept.age, *kept.window, *kept.beyond.tolist())
                for gaze in self.gazes for kept in [gaze.kept or none]]
        return torch.tensor(rows, dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Go on from `state()`."""
        for zoom, area, row, column, height, width, age, *rest in state.tolist():
            gaze = Gaze(self.size, self.share, self.limit)
            gaze.zoom, gaze.area, gaze.centre, gaze.box = zoom, area, (row, column), (height, width)
            if age:
                gaze.kept = Kept(torch.tensor(rest[4:]), Window(*map(int, rest[:4])), int(age))
            self.gazes.append(gaze)
