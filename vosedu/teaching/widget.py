"""What all widgets share: a picture that follows its controls, and the first cell of every notebook."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ipywidgets
import matplotlib
import numpy as np
import torch

from ..device import machine, pick_device, versions
from .pictures import jpeg


def setup(seed: int = 0) -> torch.device:
    """Seed NumPy and PyTorch, set the size of figures, print versions, device and seed; returns the device."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    matplotlib.rcParams["figure.dpi"] = 80  # keeps a committed notebook small
    device = pick_device()
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(f"device: {machine(device)}; seed: {seed}")
    return device


@contextmanager
def pressed(buttons: Sequence[ipywidgets.Button]) -> Iterator[None]:
    """While this lasts, the buttons cannot be pressed again; afterwards they can, whatever happened."""
    for button in buttons:
        button.disabled = True
    try:
        yield
    finally:
        for button in buttons:
            button.disabled = False


class Widget:
    """A picture that is drawn again whenever one of its controls is set, in the browser or from Python.

    A subclass makes its controls, calls `super().__init__` with them as its last step, and gives `picture()`. It may
    give `prepare()`. Both are called with a lock held, so a control may be set from any thread, and the picture shown
    last is that of the values set last.

    Args:
        controls: the picture is drawn again when the value of one is set. They stand below it in this order.
        width: of the picture on the page, in pixels of the page.
        alt: the picture in words, for readers who do not see it.
        above: what stands in a row above the picture, controls among them or not.
        play: milliseconds a step of a play button beside the last control, a slider; 0 for no such button.
        note: whether there is a line of text below the picture, which `prepare()` writes.
        image: shows the picture; an `ipywidgets.Image` where left out.

    Attributes:
        controls: as given.
        image: JPEG bytes in `image.value`.
        note: the line of text, an `ipywidgets.HTML`.
        widget: all of it, for display.
    """

    slow = False
    """Whether drawing takes so long that a line below the picture should say that it is under way."""

    def __init__(
        self,
        controls: Sequence[ipywidgets.DOMWidget],
        width: int,
        alt: str,
        *,
        above: Sequence[ipywidgets.DOMWidget] = (),
        play: int = 0,
        note: bool = False,
        image: ipywidgets.DOMWidget | None = None,
    ):
        self.controls = tuple(controls)
        # a page reader says an image's tooltip where there is no other text for it, and `Image` has no other
        self.image = image or ipywidgets.Image(format="jpeg", width=width, tooltip=alt)
        self.note = ipywidgets.HTML()
        self._lock, self._held = threading.RLock(), 0
        self.draw()
        for control in self.controls:
            control.observe(self.draw, "value")
        below = [control for control in self.controls if control not in above]
        if play:
            below[-1] = ipywidgets.HBox([_play_button(below[-1], play), below[-1]])
        head = [ipywidgets.HBox(above)] if above else []
        self.widget = ipywidgets.VBox([*head, self.image, *([self.note] if note else []), *below])

    def picture(self) -> np.ndarray:
        """What is shown for the controls' values: uint8 RGB (H, W, 3). Every subclass gives it."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Called before each `picture()`: what takes long, or is written into `note`."""

    def draw(self, _change: object = None) -> None:
        """Show the picture of the controls' values."""
        with self._lock:
            if self._held:
                return
            with self._underway():
                self.prepare()
                self.image.value = jpeg(self.picture())

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, controls may be set one after the other; the picture is drawn once, at the end."""
        with self._lock:
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
            self.draw()

    @contextmanager
    def _underway(self) -> Iterator[None]:
        """A line below the picture while it lasts."""
        if not self.slow:
            yield
            return
        self.image.layout.border_bottom = "3px solid #cc6600"
        try:
            yield
        finally:
            self.image.layout.border_bottom = "3px solid transparent"


def _play_button(slider: ipywidgets.IntSlider, interval: int) -> ipywidgets.Play:
    """A play button that moves the slider on, in the browser."""
    play = ipywidgets.Play(min=slider.min, max=slider.max, interval=interval, description="play")
    ipywidgets.jslink((slider, "value"), (play, "value"))  # the first of the two says where both begin
    return play
