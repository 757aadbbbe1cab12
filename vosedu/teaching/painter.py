"""Painting a mask: the browser collects strokes; everything that decides about pixels is Python, and is tested there."""

from collections.abc import Sequence

import anywidget
import cv2
import numpy as np
import traitlets

from ..errors import InputError
from ..files.images import overlay
from .image import script
from .pictures import jpeg

STROKES = ("brush", "box", "ellipse")


def rasterise(strokes: Sequence[dict], base: np.ndarray) -> np.ndarray:
    """Strokes as pixels.

    Args:
        strokes: in order, each {"kind": one of `STROKES`, "id": 0 to 255, "radius": pixels, "points": [[x, y], ...]};
            a brush follows all its points, a box or an ellipse fills the rectangle of the first and the last. Id 0 erases.
        base: labels (H, W) below them, left as they are.

    Returns:
        uint8 (H, W), ids.

    Raises:
        InputError: a stroke of another kind, or an id out of range.
    """
    labels = base.astype(np.uint8)
    for stroke in strokes:
        kind, i, points = stroke["kind"], int(stroke["id"]), np.array(stroke["points"], float).reshape(-1, 2)
        if kind not in STROKES or not 0 <= i <= 255:
            raise InputError(f"a stroke of kind '{kind}' with id {i}: use {', '.join(STROKES)} and ids 0 to 255")
        if not len(points):
            continue
        corners = points.round().astype(np.int32)
        (x0, y0), (x1, y1) = corners[[0, -1]].min(axis=0).tolist(), corners[[0, -1]].max(axis=0).tolist()
        if kind == "brush":
            cv2.polylines(labels, [corners], False, i, max(1, 2 * int(stroke["radius"])), cv2.LINE_8)
            for point in corners[[0, -1]].tolist():
                cv2.circle(labels, point, int(stroke["radius"]), i, -1)
        elif kind == "box":
            cv2.rectangle(labels, (x0, y0), (x1, y1), i, -1)
        else:
            cv2.ellipse(labels, ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2), 0, 0, 360, i, -1)
    return labels


def snap(frame: np.ndarray, labels: np.ndarray, iterations: int = 3) -> np.ndarray:
    """Rough outlines pulled to the objects' edges by GrabCut (Rother et al. 2004, doi:10.1145/1015706.1015720).

    Args:
        frame: uint8 RGB (H, W, 3).
        labels: ids (H, W), each roughly where its object is.

    Returns:
        uint8 ids (H, W). An object of which GrabCut would leave less than a tenth keeps its rough outline.
    """
    result = np.zeros_like(labels)
    for i in np.unique(labels[labels > 0]).tolist():
        rough = (labels == i).astype(np.uint8)
        reach = max(3, round(0.12 * np.sqrt(rough.sum())))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        state = np.full(labels.shape, cv2.GC_BGD, np.uint8)
        state[cv2.dilate(rough, disk) > 0] = cv2.GC_PR_BGD
        state[rough > 0] = cv2.GC_PR_FGD
        depth = cv2.distanceTransform(np.pad(rough, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        state[depth > 0.6 * depth.max()] = cv2.GC_FGD
        state[(labels > 0) & (labels != i)] = cv2.GC_BGD
        found = rough
        if (state == cv2.GC_BGD).any():
            cv2.setRNGSeed(0)
            models = np.zeros((1, 65)), np.zeros((1, 65))
            cv2.grabCut(frame[..., ::-1].copy(), state, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
            cut = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
            found = cut if cut.sum() >= 0.1 * rough.sum() else rough
        result[found > 0] = i
    return result


class Painter(anywidget.AnyWidget):
    """A frame to paint on: brush, box and ellipse, by pointer or keys; undo and clear; one colour per object.

    Attributes:
        strokes: as `rasterise` takes them; the browser appends, and so may Python.
        labels: uint8 (H, W), what they make. Setting it replaces all strokes.
        value: JPEG bytes of the frame with `labels` laid over, which the browser shows.
    """

    _esm = script("painter.js")
    size = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)
    value = traitlets.Bytes().tag(sync=True)
    strokes = traitlets.List().tag(sync=True)

    def __init__(self, frame: np.ndarray, labels: np.ndarray | None = None):
        self.frame = frame
        self._base = np.zeros(frame.shape[:2], np.uint8) if labels is None else labels.astype(np.uint8)
        self._before: list[tuple[np.ndarray, list]] = []  # what `labels` was set over: masks and the strokes on them
        super().__init__(size=frame.shape[1::-1])
        self.on_msg(lambda _widget, message, _buffers: self.undo() if message == "undo" else None)
        self._show()

    def undo(self) -> None:
        """Take back the last stroke; where there is none, what replaced the strokes before: snapping, a mask that was read."""
        if self.strokes:
            self.strokes = self.strokes[:-1]
        elif self._before:
            self._base, self.strokes = self._before.pop()
            self._show()

    @property
    def labels(self) -> np.ndarray:
        """uint8 (H, W): the ids as painted so far. Setting them forgets the strokes.

        Raises:
            InputError: what is set has another size than the frame.
        """
        return rasterise(self.strokes, self._base)

    @labels.setter
    def labels(self, labels: np.ndarray) -> None:
        if labels.shape != self.frame.shape[:2]:
            raise InputError(f"the mask is {labels.shape}, the frame {self.frame.shape[:2]}: give a mask of the frame's size")
        self._before.append((self._base, self.strokes))
        self._base = labels.astype(np.uint8)
        self.strokes = []
        self._show()

    @traitlets.observe("strokes")
    def _show(self, _change: object = None) -> None:
        self.value = jpeg(overlay(self.frame, self.labels))
