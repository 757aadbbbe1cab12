"""A picture that says where it was clicked."""

from pathlib import Path

import anywidget
import traitlets


class Clickable(anywidget.AnyWidget):
    """A picture that says where it was clicked.

    Attributes:
        value: JPEG bytes.
        point: (x, y) of the last click, in the picture's own pixels; (-1, -1) before the first.
        alt: the picture in words, for readers who do not see it.
    """

    _esm = Path(__file__).with_name("clickable.js")
    value = traitlets.Bytes().tag(sync=True)
    point = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(-1, -1)).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
