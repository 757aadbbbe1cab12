"""Frame by frame through a segmented video."""

import threading

import ipywidgets
import numpy as np

from ..files.images import overlay
from .pictures import jpeg, parts_picture, score_picture, with_scale

VIEWS = ("all", "score map", "mask", "frame")


class Player:
    """Frame by frame through a segmented video: what each part of the method makes of it.

    Args:
        frames: T arrays uint8 RGB (H, W, 3).
        scores: T score maps (h, w).
        labels: T arrays of ids (H, W).
        colours: T feature maps as pictures (h, w, 3), for the view "all"; without them there is no such view.

    Attributes:
        index: slider over frames; setting `index.value` draws.
        view: one of `VIEWS`.
        image: the picture, JPEG bytes in `image.value`.
        widget: all of it, for display.
    """

    def __init__(
        self,
        frames: list[np.ndarray],
        scores: list[np.ndarray],
        labels: list[np.ndarray],
        colours: list[np.ndarray] | None = None,
    ):
        self.frames, self.scores, self.labels, self.colours = frames, scores, labels, colours
        last = len(frames) - 1
        self.index = ipywidgets.IntSlider(value=last // 2, min=0, max=last, description="frame")
        play = ipywidgets.Play(min=0, max=last, interval=120)
        ipywidgets.jslink((self.index, "value"), (play, "value"))  # the first of the two says where both begin
        self.view = ipywidgets.ToggleButtons(options=VIEWS if colours else VIEWS[1:])
        self.image = ipywidgets.Image(format="jpeg", width=min(860, 2 * frames[0].shape[1]))
        self._lock = threading.Lock()  # callbacks may come on another thread
        self.index.observe(self._draw, "value")
        self.view.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.view, self.image, ipywidgets.HBox([play, self.index])])

    def picture(self, index: int, view: str) -> np.ndarray:
        """What is shown for a frame: uint8 RGB (H, W, 3), twice that in both directions for "all"."""
        frame = self.frames[index]
        if view == "all":
            return parts_picture(frame, self.colours[index], self.scores[index], self.labels[index])
        if view == "mask":
            return overlay(frame, self.labels[index])
        return with_scale(score_picture(self.scores[index], frame)) if view == "score map" else frame

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            self.image.value = jpeg(self.picture(self.index.value, self.view.value))
