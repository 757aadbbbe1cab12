"""Images and masks: reading, checking, writing, resizing and drawing one at a time."""

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError
from .labels import DAVIS_PALETTE, from_colours, from_grey, from_palette, refuse_noise
from .whole import write_bytes

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MIN_OBJECT_PIXELS = 10
MAX_OBJECTS = 100
"""In a first mask: each is learned by itself, so hundreds would be hours of work."""
CELL = 16
"""Pixels between the positions of conv4_x, the map that D reads."""
MAX_PIXELS = 64_000_000
"""An image that declares more is refused before it is decoded."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # above it Pillow warns, and refuses above twice that; `_refuse_huge` refuses at once
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError,
              OverflowError, struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError, MemoryError)
"""What Pillow may raise on damaged files (benchmarks/faults.py)."""


def natural_key(name: str) -> list:
    """Sort key under which frame 9 comes before frame 10."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def decimal_key(name: str) -> list:
    """Sort key under which 0.25 comes before 0.5."""
    parts = re.split(r"(\d+(?:\.\d+)?)", Path(name).stem)
    return [float(part) if n % 2 else part.lower() for n, part in enumerate(parts)] + [name]


def _decimal(stems: list[str]) -> bool:
    """Whether names hold decimal numbers, not numbers of versions: fractions of several lengths, none of which ends in 0."""
    found = [re.findall(r"\d+\.(\d+)", stem) for stem in stems]
    fractions = [f for one in found for f in one]
    return (max(map(len, found), default=0) == 1 and len({len(f) for f in fractions}) > 1
            and not any(len(f) > 1 and f.endswith("0") for f in fractions))


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order; hidden and other files are left out.

    Names that hold decimal numbers (0.5, 0.25) are in the order of these numbers.
    """
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith(".") and p.is_file()]
    decimal = _decimal([p.stem for p in found])
    return sorted(found, key=lambda p: decimal_key(p.name) if decimal else natural_key(p.name))


def image_sizes(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """(H, W) that each image's header declares, turned as its EXIF says; those whose header cannot be read are left out."""
    found = {}
    for path in paths:
        with contextlib.suppress(*UNREADABLE), Image.open(path) as image:
            turned = image.getexif().get(274, 1) > 4
            found[path] = (image.width, image.height) if turned else (image.height, image.width)
    return found


def read_image(path: Path, bits: int = 16) -> np.ndarray:
    """An image file as uint8 RGB (H, W, 3), turned as its EXIF says; grey, alpha and 16 bits are converted.

    Args:
        path: of the file.
        bits: of the values in files of 16 bits, which cameras seldom fill; see `used_bits`.

    Raises:
        InputError: missing, not an image, truncated or too large, or a value has more than `bits` bits.
    """
    try:
        with Image.open(path) as image:
            _refuse_huge(image, path)
            deep = _deep(image, path)
            if deep is not None:
                if bits < 16 and deep.max() >> bits:
                    raise InputError(f"{path} has values up to {deep.max()}, and the frames before it seem to have {bits} "
                                     "bits: convert all frames to 8 bits per channel")
                eight = Image.fromarray((deep >> (bits - 8)).astype(np.uint8))
                image = ImageOps.exif_transpose(_with_orientation(eight, image))
            else:
                image.load()
                image = ImageOps.exif_transpose(image)
            return np.array(image.convert("RGB"))  # a copy: PyTorch wants memory it may write
    except FileNotFoundError:
        raise InputError(f"no image at {path}: check the path") from None
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({_short(error)}): replace or remove this frame") from None


def used_bits(path: Path) -> int | None:
    """How many bits the values of an image file of 16 bits need: 8, 10, 12, 14 or 16; None where it has 8, or no image."""
    try:
        with Image.open(path) as image:
            _refuse_huge(image, path)
            deep = _deep(image, path)
    except (InputError, *UNREADABLE):
        return None
    return None if deep is None else next(b for b in (8, 10, 12, 14, 16) if not int(deep.max()) >> b)


def _deep(image: Image.Image, path: Path) -> np.ndarray | None:
    """Values of an image of 16 bits per channel: (H, W) or RGB (H, W, 3), as stored; None where it has fewer.

    Pillow keeps only the upper eight bits of colours, so OpenCV reads them.
    """
    if image.mode.startswith("I"):
        image.load()
        return np.asarray(image, np.int64).clip(0, 65535)
    if not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    content = np.frombuffer(path.read_bytes(), np.uint8)
    deep = cv2.imdecode(content, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if deep is None or deep.dtype != np.uint16:
        return None
    deep = deep.astype(np.int64)
    if deep.ndim == 3:
        return deep[..., 2::-1] if deep.shape[2] >= 3 else deep[..., 0]
    return deep


def _with_orientation(picture: Image.Image, original: Image.Image) -> Image.Image:
    """The picture with the other's EXIF, which says how it is turned."""
    picture.getexif()[274] = original.getexif().get(274, 1)
    return picture


def _refuse_huge(image: Image.Image, path: Path) -> None:
    """By the size that the header declares, before anything is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{path} declares {image.width}x{image.height} pixels, and {MAX_PIXELS} are the most: make it smaller")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def read_mask(
    path: Path, size: tuple[int, int] | None = None, colours: dict[tuple[int, ...], int] | None = None
) -> np.ndarray:
    """A mask as uint8 object ids (H, W), 0 the background: what its colours say, as `labels` tells.

    Args:
        path: palette or grey PNG, or another image without loss.
        size: (H, W) it must have.
        colours: colour -> id for RGB masks, which are refused where this is None; colours that are new are added.

    Raises:
        InputError: missing, no image, of more than one meaning, anti-aliased, or of another size.
    """
    try:
        with Image.open(path) as image:
            _refuse_huge(image, path)
            image.load()
            palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)  # turning a picture drops unused entries
            image = ImageOps.exif_transpose(image)
            mode, values = image.mode, np.asarray(image)
    except FileNotFoundError:
        raise InputError(f"no mask at {path}: check the path given to --masks") from None
    except UNREADABLE as error:
        raise InputError(f"the mask {path} cannot be read ({_short(error)}): save it again as PNG") from None
    if size is not None and values.shape[:2] != tuple(size):
        raise InputError(f"the mask {path} is {values.shape[1]}x{values.shape[0]}, the frames {size[1]}x{size[0]}: "
                         "give a mask of the frames' size")
    if mode == "P":
        return from_palette(values, palette, path)
    if mode in ("1", "L"):
        return from_grey(values.astype(np.uint8), path)
    if mode in ("I", "F") or mode.startswith("I;16"):
        return from_numbers(values, path)
    return _from_picture(mode, values, path, colours)


def from_numbers(values: np.ndarray, path: Path) -> np.ndarray:
    """Ids (H, W) of an array of whole numbers or truth values; only 0 and its greatest, 255 or 65535, are one object.

    Raises:
        InputError: no picture of whole numbers from 0 to 255.
    """
    values = np.asarray(values)
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind not in "uif" or values.ndim != 2:
        raise InputError(f"the mask {path} holds {values.dtype} {values.shape}: save whole numbers (H, W), 0 the background")
    if not np.isfinite(values).all() or (values != np.floor(values)).any() or values.min() < 0:
        raise InputError(f"the mask {path} holds other values than whole numbers from 0 to 255: save one number per object")
    if set(np.unique(values).tolist()) == {0, 65535}:
        return (values > 0).astype(np.uint8)
    if values.max() > 255:
        raise InputError(f"the mask {path} has values up to {values.max():.0f}, and ids go from 1 to 255: number the objects "
                         "anew")
    return from_grey(values.astype(np.uint8), path)


def _from_picture(mode: str, values: np.ndarray, path: Path, colours: dict[tuple[int, ...], int] | None) -> np.ndarray:
    """Ids of RGB, RGBA or grey with alpha: greys as in a grey mask, else by colour, where that is asked for."""
    if mode not in ("RGB", "RGBA", "LA"):
        raise InputError(f"the mask {path} is {mode}: save it as an index PNG (palette or grey, one number per object)")
    if mode != "RGB":
        alpha = values[..., -1]
        if ((alpha > 0) & (alpha < 255)).mean() > 0.001:
            raise InputError(f"the mask {path} is {mode}, and its transparency has soft edges: save it without smoothing, as "
                             "an index PNG")
        values = np.where(alpha[..., None] > 127, values[..., :-1], 0).astype(np.uint8)
    if values.shape[2] == 1 or (values == values[..., :1]).all():
        return from_grey(values[..., 0], path)
    if colours is None:
        raise InputError(f"the mask {path} is {mode}, and colours could mean anything: give --colours where each colour is an "
                         "object, or save it as an index PNG (palette or grey, one number per object)")
    return from_colours(values, colours, path)


def check_first_mask(labels: np.ndarray, path: Path | str) -> None:
    """Refuse a first mask, ids (H, W), from which nothing can be learned; `path` is for the message.

    Raises:
        InputError: no object, one under ten pixels, no background, more than a hundred objects, or noise.
    """
    ids, counts = np.unique(labels, return_counts=True)
    if ids[-1] == 0:
        raise InputError(f"the mask {path} shows no object: every pixel is 0; mark an object with 1")
    if ids[0] != 0:
        raise InputError(f"the mask {path} has no background: every pixel is an object; leave the rest at 0")
    refuse_noise(labels, path, MAX_OBJECTS)
    for i, count in zip(ids, counts, strict=True):
        if count < MIN_OBJECT_PIXELS:
            raise InputError(f"object {i} in the mask {path} has {count} pixels, and {MIN_OBJECT_PIXELS} are the least: "
                             "remove stray pixels or mark more of it")


def mask_png(labels: np.ndarray) -> bytes:
    """Object ids, uint8 (H, W), as a palette PNG in DAVIS colours."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8), mode="P")
    image.putpalette(DAVIS_PALETTE.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write object ids, uint8 (H, W), as a palette PNG in DAVIS colours, whole or not at all."""
    write_bytes(path, mask_png(labels))


def scaled_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """The (h, w) of frames of `size` (H, W) brought to `short_side` pixels on their shorter side, their shape kept.

    Long narrow ones are enlarged only until the longer side has 16/9 of that; with `short_side` 0 all stay as they are.
    """
    if not short_side:
        return tuple(size)
    scale = short_side / min(size)
    if scale > 1:
        scale = max(1.0, min(scale, short_side * 16 / 9 / max(size)))
    return tuple(max(32, round(n * scale)) for n in size)


def working_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """`scaled_size` with both sides brought to the nearest multiple of `CELL`: the cells of D cover the frame then.

    Else the last row and column of cells lie partly beyond it, and every map that is enlarged to the frame is shifted a little.
    """
    scaled = scaled_size(size, short_side)
    return tuple((n + CELL // 2) // CELL * CELL for n in scaled) if short_side else scaled


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
