"""What the tests of widgets and pictures look with: a browser's pixels, words in a picture, names of controls."""

import cv2
import ipywidgets
import numpy as np
from matplotlib import colormaps


def shown(widget):
    """The picture that a browser gets: int (H, W, 3), RGB."""
    return cv2.imdecode(np.frombuffer(widget.image.value, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def flat(colour, size=(96, 128)):
    """A frame of one colour."""
    return np.full((*size, 3), colour, np.uint8)


def viridis(level):
    """The colour of a level in [0, 1], by matplotlib's own table: float (3,)."""
    return 255 * np.array(colormaps["viridis"](float(level))[:3])


def over(frame_colour, score, limits=(-0.5, 1.5)):
    """The colour of a score over a frame of one colour: 65 % of the table's, 35 % of the frame's."""
    level = np.clip((score - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return 0.65 * viridis(level) + 0.35 * np.array(frame_colour, float)


def tinted(frame_colour, palette=(128, 0, 0)):
    """The colour of object 1 (dark red in the palette of DAVIS), laid over a frame of one colour at 45 %."""
    return 0.55 * np.array(frame_colour, float) + 0.45 * np.array(palette, float)


def close(pixel, colour, within=7):
    """Whether a pixel, or every pixel of an array, has a colour, as near as JPEG keeps it."""
    return bool((np.abs(np.asarray(pixel, float) - colour) <= within).all())


def finds(picture, text, scale=0.5, thickness=1):
    """How clearly a line of text is written somewhere in a picture, up to 1, and the (x, y) of its left upper corner."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    line = np.zeros((height + base, width), np.uint8)
    cv2.putText(line, text, (0, height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    grey = cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_RGB2GRAY)
    found = np.abs(cv2.matchTemplate(grey, line, cv2.TM_CCOEFF_NORMED))  # dark on light is as good as light on dark
    row, column = np.unravel_index(found.argmax(), found.shape)
    return float(found.max()), (int(column), int(row))


def says(picture, text, **options):
    """Whether a line of text is written in a picture, on a plain ground and before JPEG: one other digit would show."""
    return finds(picture, text, **options)[0] > 0.995


def red_marker(picture):
    """The centre (x, y) of the red point in a chart."""
    rows, columns = np.nonzero(np.abs(np.asarray(picture, int) - (214, 39, 40)).max(axis=2) < 40)
    return columns.mean(), rows.mean()


def parts(widget):
    """A widget and all that stands in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def is_described(widget):
    """Every control has words that a screen reader can say, and every picture a text in its place."""
    for part in parts(widget):
        assert not isinstance(part, ipywidgets.Image), "it has no text"
        if hasattr(part, "alt"):
            assert len(part.alt) >= 20, part
        elif isinstance(part, ipywidgets.ValueWidget) and not isinstance(part, ipywidgets.HTML):
            assert part.description.strip(), part
    return True
