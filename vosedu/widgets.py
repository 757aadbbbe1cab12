"""What the notebooks show. The engine never imports this module.

Pictures travel as JPEG bytes into an `ipywidgets.Image`; no figure is drawn in a callback.
"""

import threading

import cv2
import ipywidgets
import matplotlib
import numpy as np
import torch
from matplotlib import colormaps

from .cli import machine, versions
from .segmenter import pick_device
from .video import overlay

VIEWS = ("score map", "mask", "frame")


def setup(seed: int = 0) -> torch.device:
    """Seed NumPy and PyTorch, set the size of figures, print versions, device and seed; returns the device."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    matplotlib.rcParams["figure.dpi"] = 80  # keeps a committed notebook small
    device = pick_device()
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"device: {machine(device)}; seed: {seed}")
    return device


def score_picture(scores: np.ndarray, frame: np.ndarray | None = None, limits: tuple[float, float] = (-0.5, 1.5)) -> np.ndarray:
    """A score map (h, w) as colours (viridis), uint8 RGB, blended over its frame (H, W, 3) where one is given.

    Args:
        limits: scores at the ends of the colour table; the same over all frames of a video, so that colours compare.
    """
    low, high = limits
    level = np.clip((scores - low) / (high - low), 0, 1)
    if frame is not None:
        level = cv2.resize(level.astype(np.float32), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    table = (colormaps["viridis"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    colours = table[(level * 255).astype(np.uint8)]
    return colours if frame is None else cv2.addWeighted(frame, 0.35, colours, 0.65, 0)


class Player:
    """Frame by frame through a segmented video: the score map, the mask or the frame alone.

    Args:
        frames: T arrays uint8 RGB (H, W, 3).
        scores: T score maps (h, w).
        labels: T arrays of ids (H, W).

    Attributes:
        index: slider over frames; setting `index.value` draws.
        view: one of `VIEWS`.
        image: the picture, JPEG bytes in `image.value`.
        widget: all of it, for display.
    """

    def __init__(self, frames: list[np.ndarray], scores: list[np.ndarray], labels: list[np.ndarray]):
        self.frames, self.scores, self.labels = frames, scores, labels
        last = len(frames) - 1
        self.index = ipywidgets.IntSlider(value=last // 2, min=0, max=last, description="frame")
        play = ipywidgets.Play(min=0, max=last, interval=120)
        ipywidgets.jslink((play, "value"), (self.index, "value"))
        self.view = ipywidgets.ToggleButtons(options=VIEWS)
        self.image = ipywidgets.Image(format="jpeg", width=min(640, 2 * frames[0].shape[1]))
        self._lock = threading.Lock()  # callbacks may come on another thread
        self.index.observe(self._draw, "value")
        self.view.observe(self._draw, "value")
        self._draw()
        self.widget = ipywidgets.VBox([self.view, self.image, ipywidgets.HBox([play, self.index])])

    def picture(self, index: int, view: str) -> np.ndarray:
        """What is shown for a frame: uint8 RGB (H, W, 3)."""
        frame = self.frames[index]
        if view == "mask":
            return overlay(frame, self.labels[index])
        return score_picture(self.scores[index], frame) if view == "score map" else frame

    def _draw(self, _change: object = None) -> None:
        with self._lock:
            picture = self.picture(self.index.value, self.view.value)
            self.image.value = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
