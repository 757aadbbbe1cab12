"""Pictures of what the engine computes, for notebooks and widgets: arrays in, arrays or a static figure out."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps

from ..evaluation.metrics import boundary, near
from ..files.images import overlay

SCORE_LIMITS = (-0.5, 1.5)
"""Scores at the ends of the colour table, the same everywhere, so that colours compare."""


class Basis(NamedTuple):
    """What `pca_colours` draws with."""

    mean: torch.Tensor
    directions: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


def row(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    width: float = 13.0,
    limits: tuple[float, float] | None = None,
    label: str = "score",
) -> None:
    """A static figure: pictures of one size side by side with titles, for the end of a cell.

    Args:
        width: of the figure in inches.
        limits: where score maps are among them, what the ends of their colours stand for; a colour bar says so.
        label: of the colour bar.
    """
    height = width / len(pictures) * pictures[0].shape[0] / pictures[0].shape[1] + 0.4
    figure = plt.figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(pictures), squeeze=False)[0]
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=10)
        ax.axis("off")
    if limits is not None:
        scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(*limits), "viridis")
        figure.colorbar(scale, ax=axes, label=label, fraction=0.02, pad=0.01)


def score_picture(
    scores: np.ndarray, frame: np.ndarray | None = None, limits: tuple[float, float] = SCORE_LIMITS
) -> np.ndarray:
    """A score map (h, w) as colours (viridis), uint8 RGB, blended over its frame (H, W, 3) where one is given.

    Args:
        limits: scores at the ends of the colour table.
    """
    low, high = limits
    level = np.clip((scores - low) / (high - low), 0, 1)
    if frame is not None:
        level = cv2.resize(level.astype(np.float32), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    table = (colormaps["viridis"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    colours = table[(level * 255).astype(np.uint8)]
    return colours if frame is None else cv2.addWeighted(frame, 0.35, colours, 0.65, 0)


def with_scale(picture: np.ndarray, limits: tuple[float, float] = SCORE_LIMITS) -> np.ndarray:
    """A score picture with its colour bar in the lower right corner; uint8 RGB of the same shape."""
    height, width = picture.shape[:2]
    out, length = picture.copy(), min(96, width // 2)
    x, y = width - length - 6, height - 10
    out[y - 16 :, x - 4 :] //= 3
    out[y : y + 6, x : x + length] = score_picture(np.linspace(*limits, length), limits=limits)
    low, high = (f"{limit:g}".replace("-", "- ") for limit in limits)  # OpenCV 5 sets a minus into its digit
    for text, left in ((low, x), (high, x + length - 8 * len(high))):
        cv2.putText(out, text, (left, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def jpeg(picture: np.ndarray) -> bytes:
    """uint8 RGB (H, W, 3) as JPEG bytes for an `image.Image`."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


class Packed(Sequence):
    """Pictures that are kept compressed and unpacked one at a time: a long video takes a twentieth of the memory.

    Args:
        pictures: uint8 RGB (H, W, 3), or ids (H, W); more may follow.
        exact: whether each comes back as it was: PNG, for ids; else JPEG.
    """

    def __init__(self, pictures: Iterable[np.ndarray] = (), exact: bool = False):
        self.exact, self._bytes = exact, []
        for picture in pictures:
            self.append(picture)

    def append(self, picture: np.ndarray) -> None:
        """One more."""
        self._bytes.append(cv2.imencode(".png", picture)[1].tobytes() if self.exact else jpeg(picture))

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, index: int | slice) -> "np.ndarray | Packed":
        if isinstance(index, slice):
            part = Packed(exact=self.exact)
            part._bytes = self._bytes[index]
            return part
        picture = cv2.imdecode(np.frombuffer(self._bytes[index], np.uint8), cv2.IMREAD_UNCHANGED)
        return picture if self.exact else picture[..., ::-1]


def parts_picture(frame: np.ndarray, colours: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Figure 2 of one frame: frame, features of conv4_x, score map and mask in reading order; uint8 RGB (2 H, 2 W, 3).

    Args:
        frame: uint8 RGB (H, W, 3).
        colours: features as `pca_colours` draws them, (h, w, 3).
        scores: (h, w), one position 16 pixels.
        labels: ids (H, W).
    """
    size = frame.shape[1::-1]
    score = with_scale(cv2.resize(score_picture(scores), size, interpolation=cv2.INTER_NEAREST))
    parts = [frame.copy(), cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), score, overlay(frame, labels)]
    for part, text in zip(parts, ("I", "x = F(I)", "s = D(x)", "y = R(x, s)"), strict=True):
        for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(part, text, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA)
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


def chart(
    values: np.ndarray,
    marker: int,
    size: tuple[int, int],
    title: str,
    limits: tuple[float, float] | None = None,
    marks: Sequence[int] = (),
) -> np.ndarray:
    """A curve over its index, one point marked, between its least and its greatest value; uint8 RGB (H, W, 3). Drawn in a
    millisecond.

    Args:
        limits: of the axis, which is then linear; without them it is logarithmic, from the least value to the greatest.
        marks: indices at which a vertical line stands.
    """
    height, width = size
    picture = np.full((height, width, 3), 255, np.uint8)
    heights = np.log10(np.maximum(values, 1e-12)) if limits is None else np.asarray(values)
    low, high = limits or (heights.min(), max(heights.max(), heights.min() + 1e-6))
    x = 12 + (width - 24) * np.arange(len(values)) / max(1, len(values) - 1)
    y = 28 + (height - 40) * (1 - (heights - low) / (high - low))
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    for k in marks:
        cv2.line(picture, (points[k][0], 28), (points[k][0], height - 12), (190, 205, 230), 1)
    for value, row in ((high, 28), (low, height - 12)):
        cv2.line(picture, (12, row), (width - 12, row), (225, 225, 225), 1)
        text = f"{value if limits else 10**value:.3g}"
        font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.4
        left = width - 12 - cv2.getTextSize(text, font, size, 1)[0][0] if value == high else 12
        cv2.putText(picture, text, (left, row - 4), font, size, (110, 110, 110), 1, cv2.LINE_AA)
    cv2.polylines(picture, [points], False, (60, 60, 60), 2, cv2.LINE_AA)
    cv2.circle(picture, tuple(points[marker].tolist()), 6, (214, 39, 40), -1, cv2.LINE_AA)
    text = f"{title} {values[marker]:.3g}"
    return cv2.putText(picture, text, (12, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)


def pca_colours(features: torch.Tensor, basis: Basis | None = None) -> tuple[np.ndarray, Basis]:
    """A feature map as colours: its three principal components as red, green and blue.

    Args:
        features: (C, h, w).
        basis: of another map, for colours that compare; its own where left out.

    Returns:
        uint8 RGB (h, w, 3), and the basis.
    """
    flat = features.flatten(1).T.float()
    if basis is None:
        mean = flat.mean(dim=0)
        directions = torch.linalg.svd(flat - mean, full_matrices=False)[2][:3].T
        found = (flat - mean) @ directions
        basis = Basis(mean, directions, found.quantile(0.02, dim=0), found.quantile(0.98, dim=0))
    found = ((flat - basis.mean) @ basis.directions - basis.low) / (basis.high - basis.low).clamp_min(1e-6)
    colours = (found.clamp(0, 1) * 255).byte().view(*features.shape[1:], 3)
    return colours.cpu().numpy(), basis


def boundary_picture(frame: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What F counts: boundary of the prediction in green where it is within tolerance of the true one, else magenta;
    true boundary that is not found in white. uint8 RGB (H, W, 3), the frame darkened."""
    picture = (0.45 * frame).astype(np.uint8)
    found, wanted = boundary(prediction), boundary(truth)
    missed, hit, false = wanted & ~near(wanted, found), found & near(found, wanted), found & ~near(found, wanted)
    for edge, colour in ((missed, (255, 255, 255)), (hit, (60, 220, 90)), (false, (255, 60, 220))):
        picture[cv2.dilate(edge.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = colour
    return picture
