"""What a widget looks like in all its settings, drawn beforehand: it can then be moved without a kernel, in any browser."""

import html
import io
import itertools
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import cv2
import ipywidgets
import numpy as np
from IPython.display import display
from PIL import Image

SCRIPT = Path(__file__).with_name("scrub.js")
"""The browser's part: it turns the states of every `figure.vosedu-states` of a page into controls."""

MARK = "vosedu_widget"
"""Key of an output's metadata that says which widget it shows."""

WIDEST = 860
"""Columns of a picture that is kept."""

MOST_BYTES = 3_000_000
"""Of all pictures of one widget: a page with two of them stays under 6 MB."""


class Readable(Protocol):
    """What can be stored so that it reads without a kernel."""

    def still(self) -> np.ndarray:
        """The picture that is shown now: uint8 RGB (H, W, 3)."""

    def sentence(self) -> str:
        """What it is, and what can be set, in words."""

    def displayed(self) -> None:
        """Called when it is displayed: `states` begin with the values that its controls have then."""

    def states(self) -> "States":
        """All settings of a grid over its controls, drawn; called when the notebook has run to its end."""


@dataclass(frozen=True)
class Axis:
    """One control and the values that it takes in the grid.

    Attributes:
        name: as the control is labelled.
        kind: "slider", "choice" or "switch" (two values, off and on).
        labels: the values in words.
        start: which of them is shown first.
        play: milliseconds a step of a play button; 0 for none.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    start: int
    play: int = 0


@dataclass(frozen=True)
class States:
    """A grid over the controls of a widget.

    Attributes:
        alt: the picture in words.
        axes: the controls.
        pictures: WebP bytes, each one once.
        which: for every setting, the last control changing fastest, its place in `pictures`.
        words: for every setting, what the picture says, in words and numbers; "" where there is nothing to add.
        click: the part of the picture, in shares of its width and height from the upper left corner, in which a click sets the
            controls named x and y; None where there is no such part.
    """

    alt: str
    axes: tuple[Axis, ...]
    pictures: tuple[bytes, ...]
    which: tuple[int, ...]
    words: tuple[str, ...]
    click: tuple[float, float] | None = None

    @property
    def start(self) -> int:
        """The place of the setting that is shown first."""
        place = 0
        for axis in self.axes:
            place = place * len(axis.labels) + axis.start
        return place

    def page(self) -> str:
        """HTML with everything in it, the script included: a figure that is moved by mouse and keys, in any page.

        Without scripts it is the first picture with its text.
        """
        urls = [f"data:image/webp;base64,{b64encode(picture).decode()}" for picture in self.pictures]
        record = {"alt": self.alt, "axes": [vars(axis) for axis in self.axes], "which": self.which, "words": self.words,
                  "pictures": urls, "click": self.click}
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        words = self.words[self.start]
        alt = html.escape(f"{self.alt}. {words}".strip())
        return (f'<figure class="vosedu-states"><img alt="{alt}" style="max-width: 100%" src="{urls[self.which[self.start]]}">'
                f'<p class="vosedu-words">{html.escape(words)}</p><script type="application/json">{text}</script>'
                f"<script>{SCRIPT.read_text(encoding='utf-8')}</script></figure>")


def axis(control: ipywidgets.ValueWidget, values: Sequence[object], start: object, play: int = 0) -> Axis:
    """How a control is shown without a kernel.

    Args:
        values: those of the grid.
        start: the one that is shown first; the nearest of them where it is a number between them.
        play: milliseconds a step of a play button; 0 for none.
    """
    options = {value: text for text, value in _options(control)}
    labels = tuple(options.get(value, f"{value:.3g}" if isinstance(value, float) else str(value)) for value in values)
    kind = "choice" if options else "switch" if isinstance(control.value, bool) else "slider"
    places = [k for k, value in enumerate(values) if value == start]
    first = places[0] if places else int(np.abs(np.array(values, float) - start).argmin())
    return Axis(control.description, kind, labels, first, play)


def values_of(control: ipywidgets.ValueWidget, most: int = 60) -> tuple[object, ...]:
    """The values that a control has in a grid where nothing else is said.

    All options; off and on; all steps of a slider of whole numbers, or, where these are more than `most` and for other sliders,
    seven from end to end and the value that it has now.
    """
    if options := _options(control):
        return tuple(value for _, value in options)
    if isinstance(control.value, bool):
        return (False, True)
    low, high = control.min, control.max
    if isinstance(control.value, int):
        steps = range(low, high + 1, control.step)
        return tuple(steps if len(steps) <= most else sorted({control.value, *np.linspace(low, high, 7).astype(int).tolist()}))
    found = np.linspace(low, high, 7)
    found = control.base**found if isinstance(control, ipywidgets.FloatLogSlider) else found
    return tuple(sorted({control.value, *found.tolist()}))


def _options(control: ipywidgets.ValueWidget) -> list[tuple[str, object]]:
    """(label, value) of a control that offers a choice; empty for others."""
    return [one if isinstance(one, tuple) else (str(one), one) for one in getattr(control, "options", ())]


def settings(values: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
    """Every combination of one value for each control, the last control changing fastest."""
    return list(itertools.product(*values))


def encoded(jpegs: Sequence[bytes], most: int = MOST_BYTES) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Pictures as WebP, equal ones once, in a quality at which all together have about `most` bytes.

    Args:
        jpegs: as a widget shows them.

    Returns:
        The different pictures, and for each of `jpegs` its place among them.
    """
    places: dict[bytes, int] = {}
    which = tuple(places.setdefault(one, len(places)) for one in jpegs)
    different = list(places)
    sample = different[:: max(1, len(different) // 12)]
    for quality in (80, 65, 50, 35, 20):  # the last one is taken whatever comes of it
        if sum(len(webp(decoded(one), quality)) for one in sample) / len(sample) * len(different) <= most:
            break
    return tuple(webp(decoded(one), quality) for one in different), which


def decoded(picture: bytes) -> np.ndarray:
    """JPEG, PNG or WebP bytes as uint8 RGB (H, W, 3)."""
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def webp(picture: np.ndarray, quality: int) -> bytes:
    """uint8 RGB (H, W, 3) as WebP bytes, made smaller where it is wider than `WIDEST` columns."""
    return cv2.imencode(".webp", _within(picture, WIDEST)[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def small_png(picture: np.ndarray, most: int = 48_000) -> bytes:
    """uint8 RGB (H, W, 3) as PNG bytes for a stored notebook: 64 colours, made narrower until it has at most `most` bytes."""
    for width in (WIDEST, 640, 560, 480, 400, 320, 240, 160):
        buffer = io.BytesIO()
        Image.fromarray(_within(picture, width)).quantize(64, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()


def _within(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture of at most so many columns."""
    if picture.shape[1] <= width:
        return np.ascontiguousarray(picture)
    return cv2.resize(picture, (width, round(picture.shape[0] * width / picture.shape[1])), interpolation=cv2.INTER_AREA)


class WithPlayer:
    """What opens a player when it has run: without a kernel it is that player, and before a run its first picture.

    Attributes:
        player: of the last run, or None.
        widget: all of it, for display.
    """

    player: Readable | None = None

    def first_picture(self) -> np.ndarray:
        """What there is to see before it has run: uint8 RGB (H, W, 3)."""
        raise NotImplementedError

    def about(self) -> str:
        """What it is, in words."""
        raise NotImplementedError

    def still(self) -> np.ndarray:
        """The picture that is shown now: uint8 RGB (H, W, 3)."""
        return self.player.still() if self.player else self.first_picture()

    def sentence(self) -> str:
        """What it is and, where it has run, what its player shows."""
        return f"{self.about()} {self.player.sentence()}" if self.player else self.about()

    def displayed(self) -> None:
        """Called when it is displayed: `states` begin with the values that its player's controls have then."""
        if self.player:
            self.player.displayed()

    def states(self) -> States:
        """All settings of the player of the last run; before a run, the first picture alone."""
        if self.player:
            return self.player.states()
        return States(self.about(), (), (webp(self.first_picture(), 80),), (0,), ("",))


def report() -> None:
    """Output the states of everything that was displayed in this kernel: HTML, with the id of its output in the metadata.

    `python -m book` calls it when a notebook has run to its end.
    """
    for model_id, shown in list(DISPLAYED.items()):
        display({"text/html": shown.owner.states().page()}, raw=True, metadata={"model_id": model_id})


DISPLAYED: "WeakValueDictionary[str, Shown]" = WeakValueDictionary()
"""What was displayed in this kernel, by the id that stands in its output."""


class Shown(ipywidgets.VBox):
    """A box of controls and pictures that, stored in a notebook, reads without a kernel: a picture, and a sentence for it.

    Args:
        owner: whose box it is.
        children: what stands in it.
    """

    def __init__(self, owner: Readable, children: Sequence[ipywidgets.DOMWidget]):
        super().__init__(children)
        self.owner = owner

    def _repr_mimebundle_(self, **options: object) -> tuple[dict[str, object], dict[str, object]]:
        data = super()._repr_mimebundle_(**options)
        self.owner.displayed()
        DISPLAYED[self.model_id] = self
        words = self.owner.sentence()
        data.update({"text/plain": words, "image/png": b64encode(small_png(self.owner.still())).decode()})
        return data, {"image/png": {"alt": words}, MARK: type(self.owner).__name__}
