"""What all widgets share: a picture that follows its controls, and the first cell of every notebook."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ipywidgets
import matplotlib
import numpy as np
import torch

from ..device import machine, pick_device, versions
from .image import Image
from .pictures import jpeg
from .states import Shown, States, axis, decoded, encoded, settings, values_of

SLIDERS = ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.FloatLogSlider, ipywidgets.SelectionSlider
"""Have a track as long as a range of some hundred steps needs."""


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
    give `prepare()` and `words()`. They are called with a lock held, so a control may be set from any thread, and the
    picture shown last is that of the values set last. Where the values of its controls are many, it gives a `grid()`
    for readers without a kernel.

    Args:
        controls: the picture is drawn again when the value of one is set. They stand below it in this order.
        width: of the picture on the page, in pixels of the page.
        alt: the picture in words, for readers who do not see it.
        above: what stands in a row above the picture, controls among them or not.
        play: milliseconds a step of a play button beside the last control, a slider; 0 for no such button.
        note: whether there is a line of text below the picture, which `prepare()` writes.

    Attributes:
        controls: as given.
        image: an `image.Image`: JPEG bytes in `image.value`; a click sets `image.point` where `clickable` is set.
        note: the line of text, an `ipywidgets.HTML`.
        widget: all of it, for display.
    """

    clickable: tuple[float, float] | None = None
    """The part of the picture, in shares of width and height from its upper left corner, in which a click sets x and y."""

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
    ):
        self.controls = tuple(controls)
        self.alt = alt
        self.image = Image(alt=alt, width=width, clickable=self.clickable is not None)
        self.note = ipywidgets.HTML()
        self._play, self._first = play, None
        self._lock, self._held = threading.RLock(), 0
        self.draw()
        for control in self.controls:
            control.observe(self.draw, "value")
        below = [control for control in self.controls if control not in above]
        for control in below:
            if isinstance(control, SLIDERS):
                control.layout.width, control.layout.max_width = "480px", "100%"
        if play:
            below[-1] = ipywidgets.HBox([_play_button(below[-1], play), below[-1]])
        head = [ipywidgets.HBox(above)] if above else []
        self.widget = Shown(self, [*head, self.image, *([self.note] if note else []), *below])

    def picture(self) -> np.ndarray:
        """What is shown for the controls' values: uint8 RGB (H, W, 3). Every subclass gives it."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Called before each `picture()`: what takes long, or is written into `note`."""

    def words(self) -> str:
        """What the picture says, in words and numbers, for who does not see it or has no kernel; the note where left out."""
        return re.sub(r"<[^>]*>", "", self.note.value)

    def grid(self) -> dict[ipywidgets.ValueWidget, Sequence[object]]:
        """The values of each control that readers without a kernel can set, the one that changes fastest last."""
        return {control: values_of(control) for control in self.controls}

    def draw(self, _change: object = None) -> None:
        """Show the picture of the controls' values."""
        with self._lock:
            if self._held:
                return
            with self._underway():
                self.prepare()
                self.image.value = jpeg(self.picture())

    def still(self) -> np.ndarray:
        """The picture that is shown now: uint8 RGB (H, W, 3)."""
        return decoded(self.image.value)

    def sentence(self) -> str:
        """The picture, what it says and what can be set, in words."""
        names = ", ".join(control.description for control in self.grid())
        parts = [f"{self.alt[:1].upper()}{self.alt[1:]}", self.words(), f"Controls: {names}"]
        return " ".join(f"{part.removesuffix('.')}." for part in parts if part)

    def displayed(self) -> None:
        """Called when it is displayed: `states` begin with the values that its controls have then."""
        self._first = {control: control.value for control in self.grid()}

    def states(self) -> States:
        """The picture and the words of every setting of the grid. The controls have their values again afterwards."""
        with self._lock:
            grid = self.grid()
            before = {control: control.value for control in grid}
            jpegs, words = [], []
            for values in settings(list(grid.values())):
                self._set(dict(zip(grid, values, strict=True)))
                jpegs.append(self.image.value)
                words.append(self.words())
            self._set(before)
        first, last = self._first or before, list(grid)[-1]
        axes = tuple(axis(c, v, first[c], self._play if c is last else 0) for c, v in grid.items())
        pictures, which = encoded(jpegs)
        return States(self.alt, axes, pictures, which, tuple(words), self.clickable)

    def _set(self, values: Mapping[ipywidgets.ValueWidget, object]) -> None:
        with self.at_once():
            for control, value in values.items():
                control.value = value

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
