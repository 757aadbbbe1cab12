"""A picture with a text for readers who do not see it, that says where it was clicked."""

from pathlib import Path

import anywidget
import traitlets


def script(name: str) -> str:
    """The browser's part of a widget: a file of this folder, with `names.js` before it, which it calls."""
    return "\n".join(Path(__file__).with_name(file).read_text(encoding="utf-8") for file in ("names.js", name))


class Image(anywidget.AnyWidget):
    """A picture with its text. (`ipywidgets.Image` has none: a page reader would be told of a file without a name.)

    Attributes:
        value: JPEG bytes.
        alt: the picture in words, for readers who do not see it.
        width: on the page, in pixels of the page; less where there is less room.
        clickable: whether a click sets `point`.
        point: (x, y) of the last click, in the picture's own pixels; (-1, -1) before the first.
    """

    _esm = script("image.js")
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    clickable = traitlets.Bool().tag(sync=True)
    point = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(-1, -1)).tag(sync=True)
