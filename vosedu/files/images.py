"""Images and masks: reading, checking, writing, resizing and drawing one at a time."""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError
from .whole import write_bytes

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MIN_OBJECT_PIXELS = 10
MAX_PIXELS = 64_000_000
"""An image that declares more is refused before it is decoded."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # above it Pillow warns, and refuses above twice that; `_refuse_huge` refuses at once
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError,
              OverflowError, struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError, MemoryError)
"""What Pillow may raise on damaged files (benchmarks/faults.py)."""


def _palette() -> np.ndarray:
    """The colours of PASCAL VOC and DAVIS: bit k of each channel, from the top, is bit 3k + channel of the index."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for k in range(3):
            colours[:, channel] |= (((index >> (3 * k + channel)) & 1) << (7 - k)).astype(np.uint8)
    return colours


DAVIS_PALETTE = _palette()
"""uint8 (256, 3), RGB by object id."""


def natural_key(name: str) -> list:
    """Sort key under which frame 9 comes before frame 10."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order; hidden and other files are left out."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith(".") and p.is_file()]
    return sorted(found, key=lambda p: natural_key(p.name))


def read_image(path: Path) -> np.ndarray:
    """An image file as uint8 RGB (H, W, 3), turned as its EXIF says; grey, alpha and 16 bits are converted.

    Raises:
        InputError: missing, not an image, truncated or too large.
    """
    try:
        with Image.open(path) as image:
            _refuse_huge(image, path)
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):
                image = Image.fromarray((np.asarray(image, np.int64).clip(0, 65535) >> 8).astype(np.uint8))
            return np.array(image.convert("RGB"))  # a copy: PyTorch wants memory it may write
    except FileNotFoundError:
        raise InputError(f"no image at {path}: check the path") from None
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({_short(error)}): replace or remove this frame") from None


def _refuse_huge(image: Image.Image, path: Path) -> None:
    """By the size that the header declares, before anything is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{path} declares {image.width}x{image.height} pixels, and {MAX_PIXELS} are the most: make it smaller")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """An index PNG as uint8 object ids (H, W), 0 the background; a mask of only 0 and 255 is one object, id 1.

    Args:
        path: palette or grey PNG.
        size: (H, W) it must have.

    Raises:
        InputError: missing, no image, RGB, anti-aliased, or of another size.
    """
    try:
        with Image.open(path) as image:
            _refuse_huge(image, path)
            image.load()
            mode, labels = image.mode, np.asarray(image)
    except FileNotFoundError:
        raise InputError(f"no mask at {path}: check the path given to --masks") from None
    except UNREADABLE as error:
        raise InputError(f"the mask {path} cannot be read ({_short(error)}): save it again as PNG") from None
    if mode == "1":
        labels = labels.astype(np.uint8)
    elif mode not in ("L", "P"):
        raise InputError(f"the mask {path} is {mode}: save it as an index PNG (palette or grey, one number per object)")
    if size is not None and labels.shape != tuple(size):
        raise InputError(f"the mask {path} is {labels.shape[1]}x{labels.shape[0]}, the frames {size[1]}x{size[0]}: "
                         "give a mask of the frames' size")
    ids = np.unique(labels)
    if set(ids) <= {0, 255}:
        return (labels > 0).astype(np.uint8)
    if mode == "L" and 255 in ids and len(ids) > 2:
        raise InputError(f"the mask {path} has {len(ids)} grey values: its edges are anti-aliased; save it without "
                         "smoothing (0 and 255, or one number per object)")
    return np.where(labels == 255, 0, labels).astype(np.uint8)  # among ids, 255 is the data sets' "ignore"


def check_first_mask(labels: np.ndarray, path: Path | str) -> None:
    """Refuse a first mask, ids (H, W), from which nothing can be learned; `path` is for the message.

    Raises:
        InputError: no object, one under ten pixels, or no background.
    """
    ids, counts = np.unique(labels, return_counts=True)
    if ids[-1] == 0:
        raise InputError(f"the mask {path} shows no object: every pixel is 0; mark an object with 1")
    if ids[0] != 0:
        raise InputError(f"the mask {path} has no background: every pixel is an object; leave the rest at 0")
    for i, count in zip(ids, counts, strict=True):
        if count < MIN_OBJECT_PIXELS:
            raise InputError(f"object {i} in the mask {path} has {count} pixels, and {MIN_OBJECT_PIXELS} are the least: "
                             "remove stray pixels or mark more of it")


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write object ids, uint8 (H, W), as a palette PNG in DAVIS colours, whole or not at all."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8), mode="P")
    image.putpalette(DAVIS_PALETTE.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG")
    write_bytes(path, content.getvalue())


def working_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """The (h, w) of frames of `size` (H, W) brought to `short_side` pixels on their shorter side, their shape kept.

    Long narrow ones are enlarged only until the longer side has 16/9 of that; with `short_side` 0 all stay as they are.
    """
    if not short_side:
        return tuple(size)
    scale = short_side / min(size)
    if scale > 1:
        scale = max(1.0, min(scale, short_side * 16 / 9 / max(size)))
    return tuple(max(32, round(n * scale)) for n in size)


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at another size (h, w): averaged over areas where it shrinks, bicubic where it grows."""
    if frame.shape[:2] == tuple(size):
        return frame
    how = cv2.INTER_AREA if tuple(size) < frame.shape[:2] else cv2.INTER_CUBIC
    return cv2.resize(frame, size[::-1], interpolation=how)


def to_size(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Ids at another size, by nearest neighbour: ids do not mix."""
    return labels if labels.shape == size else cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def overlay(frame: np.ndarray, labels: np.ndarray, alpha: float = 0.45) -> np.ndarray:
    """Objects tinted in their colours, with an outline two pixels wide: one inside the object, one outside.

    Args:
        frame: uint8 RGB (H, W, 3).
        labels: object ids, uint8 (H, W).
        alpha: share of the object's colour inside; the outline has all of it, and the greater id where two objects meet.

    Returns:
        uint8 RGB (H, W, 3).
    """
    colours = DAVIS_PALETTE[labels].astype(np.float32)
    inside = (labels > 0)[..., None]
    out = np.where(inside, frame * (1 - alpha) + colours * alpha, frame).astype(np.uint8)
    edge = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    owner = cv2.dilate(labels, np.ones((3, 3), np.uint8))
    out[edge] = DAVIS_PALETTE[owner[edge]]
    return out


def contact_sheet(pictures: list[np.ndarray], columns: int = 4, width: int = 320) -> np.ndarray:
    """Pictures of one size in a grid, row by row, each `width` pixels wide; empty places are white.

    Args:
        pictures: uint8 RGB (H, W, 3).
        columns: pictures per row.
        width: of one picture, pixels; its height follows.

    Returns:
        uint8 RGB.
    """
    height = round(pictures[0].shape[0] * width / pictures[0].shape[1])
    small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
    small += [np.full_like(small[0], 255)] * (-len(small) % columns)
    return np.vstack([np.hstack(small[i : i + columns]) for i in range(0, len(small), columns)])
