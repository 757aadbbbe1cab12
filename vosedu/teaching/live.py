"""Frames as they come, while a video is segmented: what a reader sees before there is anything to play."""

import cv2
import numpy as np

from ..files.images import overlay, resized, to_size
from ..files.labels import DAVIS_PALETTE
from ..pipeline import Tracked
from .image import Image
from .pictures import jpeg


def with_windows(picture: np.ndarray, shown: Tracked) -> np.ndarray:
    """A picture of a frame with the window of each object that is not looked for in the whole of it (`beyond.window`).

    Args:
        picture: uint8 RGB (h, w, 3), the frame at any size.
        shown: of the frame; baselines, and the first frame, have no windows.

    Returns:
        uint8 RGB (h, w, 3), the same where there is no window to show.
    """
    windows = getattr(shown.state, "windows", None)
    if windows is None or windows.whole:
        return picture
    picture, scale = picture.copy(), np.divide(picture.shape[:2], shown.frame.shape[:2])
    for i, window in zip(shown.state.ids, windows.now, strict=False):
        (top, left), (bottom, right) = np.rint((window[:2], np.add(window[:2], window[2:])) * scale).astype(int).tolist()
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), DAVIS_PALETTE[i].tolist(), 1)
    return picture


class Live(Image):
    """The frame that was segmented last, its objects tinted, their windows outlined.

    Args:
        size: (h, w) of the picture.
    """

    def __init__(self, size: tuple[int, int]):
        self.size = size
        super().__init__(alt="the frame that was segmented last, with the objects found in it", width=min(860, 2 * size[1]))

    def show(self, shown: Tracked) -> np.ndarray:
        """One more frame; returns what is shown: uint8 RGB (h, w, 3)."""
        picture = with_windows(overlay(resized(shown.frame, self.size), to_size(shown.labels, self.size)), shown)
        self.value = jpeg(picture)
        return picture
