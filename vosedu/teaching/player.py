"""Frame by frame through a segmented video: the widget that notebooks 00, 06 and 09 share."""

from collections.abc import Sequence

import ipywidgets
import numpy as np

from ..files.images import overlay
from .pictures import Packed, parts_picture, score_picture, with_scale
from .widget import Widget

VIEWS = ("all", "score map", "mask", "frame")


class Player(Widget):
    """Frame by frame through a segmented video: what each part of the method makes of it.

    Args:
        frames: T arrays uint8 RGB (H, W, 3), kept as JPEG; a `Packed` is taken as it is.
        scores: T score maps (h, w).
        labels: T arrays of ids, uint8 (H, W), kept as PNG; likewise.
        colours: T feature maps as pictures (h, w, 3), for the view "all"; without them there is no such view.

    Attributes:
        index: slider over frames.
        view: one of `VIEWS`.
    """

    def __init__(
        self,
        frames: Sequence[np.ndarray],
        scores: list[np.ndarray],
        labels: Sequence[np.ndarray],
        colours: list[np.ndarray] | None = None,
    ):
        self.frames = frames if isinstance(frames, Packed) else Packed(frames)
        self.labels = labels if isinstance(labels, Packed) else Packed(labels, exact=True)
        self.scores, self.colours = scores, colours
        last = len(frames) - 1
        self.view = ipywidgets.ToggleButtons(options=VIEWS if colours else VIEWS[1:], description="show")
        self.index = ipywidgets.IntSlider(value=last // 2, min=0, max=last, description="frame")
        super().__init__(
            [self.view, self.index], min(860, 2 * frames[0].shape[1]),
            "a frame of the video, with what the method makes of it", above=[self.view], play=120,
        )

    def words(self) -> str:
        """How much of the frame is labelled, and the highest score."""
        index = self.index.value
        return (f"Frame {index} of {len(self.frames) - 1}: {(self.labels[index] > 0).mean():.1%} of it labelled, "
                f"highest score {self.scores[index].max():.2f}.")

    def picture(self, index: int | None = None, view: str | None = None) -> np.ndarray:
        """A frame in one view, those of the controls where left out: uint8 RGB (H, W, 3); (2 H, 2 W, 3) for "all"."""
        index, view = self.index.value if index is None else index, view or self.view.value
        frame = self.frames[index]
        if view == "all":
            return parts_picture(frame, self.colours[index], self.scores[index], self.labels[index])
        if view == "mask":
            return overlay(frame, self.labels[index])
        return with_scale(score_picture(self.scores[index], frame)) if view == "score map" else frame
