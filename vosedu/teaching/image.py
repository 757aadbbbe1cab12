"""A picture with a text for readers who do not see it, that says where it was clicked."""

from pathlib import Path

import anywidget
import traitlets


class Image(anywidget.AnyWidget):
    """A picture with its text. (`ipywidgets.Image` has none: a page reader would be told of a file without a name.)

    Attributes:
        value: JPEG bytes.
        alt: the picture in words, for readers who do not see it.
        width: on the page, in pixels of the page; less where there is less room.
        clickable: whether a click sets `point`.
        point: (x, y) of the last click, in the picture's own pixels; (-1, -1) before the first.
    """

    _esm = Path(__file__).with_name("image.js")
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    clickable = traitlets.Bool().tag(sync=True)
    point = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(-1, -1)).tag(sync=True)
