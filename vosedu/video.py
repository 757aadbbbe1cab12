"""Frames in, masks and overlays out. Nothing here holds more than a few frames."""

import contextlib
import queue
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InputError, file_error
from .files import atomic, make_folder, sweep

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MIN_OBJECT_PIXELS = 10
MAX_PIXELS = 64_000_000
"""An image that declares more is refused before it is decoded."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow only warns here, and refuses from twice as many on; `_refuse_huge` does here
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError,
              OverflowError, struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError, MemoryError)
"""What Pillow may raise on damaged files (benchmarks/faults.py)."""

T = TypeVar("T")


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


def working_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """The (h, w) that frames of `size` (H, W) are brought to: see `FrameSource`."""
    scale = short_side / min(size)
    if scale > 1:
        scale = max(1.0, min(scale, short_side * 16 / 9 / max(size)))
    return tuple(max(32, round(n * scale)) for n in size)


class FrameSource:
    """The frames of a video file or of a folder of images, one at a time.

    Iterating gives (name, uint8 RGB (h, w, 3)); the name is the image's stem, or the video frame's number in five
    digits. Can be iterated again from the start.

    Args:
        path: a video file or a folder.
        short_side: frames are brought to so many pixels on their shorter side, keeping their shape; 0: as they are. Long
            narrow ones are enlarged only until the longer side has 16/9 of that.

    Attributes:
        files: the images in order, or the video file alone.
        size: (H, W) of the input.
        working_size: (h, w) of the frames given out.
        count: number of frames; for a video file only what the container says, so for progress bars alone.
        fps: frames per second of a video file, else 24.

    Raises:
        InputError: nothing usable at the path; while iterating: an unreadable frame or one of another size.
    """

    def __init__(self, path: Path, short_side: int = 0):
        self.path = Path(path)
        self.fps, self.is_video = 24.0, False
        if self.path.is_dir():
            self.files = image_files(self.path)
            if not self.files:
                raise InputError(f"no frames in {self.path}: give a folder with {', '.join(IMAGES)} files, or a video")
            self._refuse_namesakes()
            self.count = len(self.files)
        elif self.path.is_file():
            self.files, self.is_video = [self.path], True
            capture = self._open()
            self.fps = capture.get(cv2.CAP_PROP_FPS)
            self.fps = self.fps if 0 < self.fps <= 1000 else 24.0
            said = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            self.count = said if 0 < said < 10**9 else None
            capture.release()
        else:
            raise InputError(f"no such file or folder: {self.path}: check the path")
        first = next(self._raw(0), None)
        if first is None:
            raise InputError(f"{self.path} holds no frame that can be decoded: convert it to H.264 MP4 or a folder of images")
        self.size = first[1].shape[:2]
        if min(self.size) < 32:
            raise InputError(f"{self.path}: frames are {self.size[1]}x{self.size[0]}, and 32x32 is the least: enlarge them")
        self.working_size = working_size(self.size, short_side) if short_side else self.size

    def _refuse_namesakes(self) -> None:
        """Two frames with one name would write one mask; systems differ in whether case matters, so it does not here."""
        known: dict[str, Path] = {}
        for file in self.files:
            other = known.setdefault(file.stem.casefold(), file)
            if other is not file:
                raise InputError(f"{self.path}: {other.name} and {file.name} would have the same mask file: rename one")

    def _open(self) -> cv2.VideoCapture:
        with _quiet():
            capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise InputError(f"{self.path} is not a video that OpenCV can decode: convert it to H.264 MP4, or give a folder")
        return capture

    def name(self, index: int) -> str:
        """The name of frame `index`."""
        return f"{index:05d}" if self.is_video else self.files[index].stem

    def _raw(self, start: int) -> Iterator[tuple[str, np.ndarray]]:
        if not self.is_video:
            for file in self.files[start:]:
                yield file.stem, read_image(file)
            return
        capture, index = self._open(), 0
        try:
            while True:
                with _quiet():  # frames before the start are decoded all the same: seeking is not exact in every container
                    there, frame = (capture.grab(), None) if index < start else capture.read()
                if not there:
                    return
                if index >= start:
                    yield self.name(index), cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                index += 1
        finally:
            capture.release()

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((name, self.resized(frame)) for name, frame in self.whole())

    def resized(self, frame: np.ndarray) -> np.ndarray:
        """A frame of `size` at `working_size`."""
        if self.working_size == self.size:
            return frame
        smooth = cv2.INTER_AREA if self.working_size < self.size else cv2.INTER_CUBIC
        return cv2.resize(frame, self.working_size[::-1], interpolation=smooth)

    def whole(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """As iterating gives, from frame `start` on and at the input's own size (H, W)."""
        for name, frame in self._raw(start):
            if frame.shape[:2] != self.size:
                found, first = ("x".join(map(str, s[1::-1])) for s in (frame.shape, self.size))
                raise InputError(f"{self.path}: frame {name} is {found}, the first {first}: make all frames one size")
            yield name, frame


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV's own complaints stay out of the way of ours."""
    level = cv2.getLogLevel() if hasattr(cv2, "getLogLevel") else None
    if level is not None:
        cv2.setLogLevel(0)
    try:
        yield
    finally:
        if level is not None:
            cv2.setLogLevel(level)


def prefetch(items: Iterable[T], depth: int = 4) -> Iterator[T]:
    """The same items, made in a thread up to `depth` ahead; exceptions come out here, stopping early ends the thread."""
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: object) -> bool:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, value), timeout=0.05)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, daemon=True, name="vosedu-prefetch")
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """An index PNG as uint8 object ids (H, W), 0 the background; a mask of 0 and 255 alone is one object, id 1.

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
        raise InputError(f"the mask {path} is {mode}: save it as an index PNG (palette or grey, a number an object)")
    if size is not None and labels.shape != tuple(size):
        raise InputError(f"the mask {path} is {labels.shape[1]}x{labels.shape[0]}, the frames {size[1]}x{size[0]}: "
                         "give a mask of the frames' size")
    ids = np.unique(labels)
    if set(ids) <= {0, 255}:
        return (labels > 0).astype(np.uint8)
    if mode == "L" and 255 in ids and len(ids) > 2:
        raise InputError(f"the mask {path} has {len(ids)} grey values: its edges are anti-aliased; save it without "
                         "smoothing (0 and 255, or a number an object)")
    return np.where(labels == 255, 0, labels).astype(np.uint8)  # among ids, 255 is the data sets' "ignore"


def check_first_mask(labels: np.ndarray, path: Path | str) -> None:
    """Refuse masks that nothing can be learned from; `path` is for the message.

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
    """Write object ids, uint8 (H, W), as a palette PNG in DAVIS colours; a reader never sees half a file."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8), mode="P")
    image.putpalette(DAVIS_PALETTE.tobytes())
    with atomic(path) as temporary:
        image.save(temporary, "PNG")


def overlay(frame: np.ndarray, labels: np.ndarray, alpha: float = 0.45) -> np.ndarray:
    """Objects tinted in their colours with a two-pixel outline: uint8 RGB (H, W, 3) from frame and ids (H, W)."""
    colours = DAVIS_PALETTE[labels].astype(np.float32)
    inside = (labels > 0)[..., None]
    out = np.where(inside, frame * (1 - alpha) + colours * alpha, frame).astype(np.uint8)
    edge = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    owner = cv2.dilate(labels, np.ones((3, 3), np.uint8))
    out[edge] = DAVIS_PALETTE[owner[edge]]
    return out


def contact_sheet(pictures: list[np.ndarray], columns: int = 4, width: int = 320) -> np.ndarray:
    """Pictures of one size in a grid, each `width` pixels wide: uint8 RGB."""
    height = round(pictures[0].shape[0] * width / pictures[0].shape[1])
    small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
    small += [np.full_like(small[0], 255)] * (-len(small) % columns)
    return np.vstack([np.hstack(small[i : i + columns]) for i in range(0, len(small), columns)])


class OverlayWriter:
    """A video file that a browser plays: VP9 in .mp4 or .webm, which OpenCV's wheels can encode on every system.

    Use as a context manager; the file appears under its name only when the block ends well.

    Args:
        path: ends in .mp4 or .webm.
        fps: frames per second.
        size: (H, W); an odd row or column is dropped, as the codec needs even sizes.

    Raises:
        InputError: another ending, or the folder or encoder refuses.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        self.path = Path(path)
        if self.path.suffix.lower() not in (".mp4", ".webm"):
            raise InputError(f"the overlay {self.path} has an ending that browsers do not play: use .mp4 or .webm")
        self.fps, self.size = fps, (size[0] // 2 * 2, size[1] // 2 * 2)

    def __enter__(self) -> "OverlayWriter":
        sweep(make_folder(self.path.parent), self.path.stem)
        self._atomic, self.count = atomic(self.path), 0
        self._temporary = self._atomic.__enter__()
        tag = "vp09" if self.path.suffix.lower() == ".mp4" else "VP90"
        with _quiet():
            self._writer = cv2.VideoWriter(str(self._temporary), cv2.VideoWriter_fourcc(*tag), self.fps, self.size[::-1])
        if not self._writer.isOpened():
            error = InputError(f"OpenCV cannot encode VP9 for {self.path}: run without --overlay")
            self._atomic.__exit__(InputError, error, None)
            raise error
        return self

    def add(self, picture: np.ndarray) -> None:
        """Append uint8 RGB (H, W, 3)."""
        height, width = self.size
        self._writer.write(cv2.cvtColor(picture[:height, :width], cv2.COLOR_RGB2BGR))
        self.count += 1

    def __exit__(self, kind, error, trace) -> None:
        self._writer.release()
        if kind is None and not self._whole():
            error = InputError(f"the overlay {self.path} could not be written whole: free some space, then run again")
            self._atomic.__exit__(InputError, error, None)
            raise error
        self._atomic.__exit__(kind, error, trace)

    def _whole(self) -> bool:
        """OpenCV says nothing when the disk is full, so the file is asked how many frames it has."""
        with _quiet():
            found = cv2.VideoCapture(str(self._temporary))
        frames = found.get(cv2.CAP_PROP_FRAME_COUNT) if found.isOpened() else 0
        found.release()
        return frames >= self.count


class BackgroundWriter:
    """Runs write calls in a thread with a short queue, so that writing overlaps computing; errors come out here."""

    def __init__(self, depth: int = 8):
        self._queue: queue.Queue = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="vosedu-writer")

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._error is None:
                try:
                    job[0](*job[1:])
                except BaseException as error:
                    self._error = error

    def __enter__(self) -> "BackgroundWriter":
        self._thread.start()
        return self

    def submit(self, function: Callable[..., object], *arguments: object) -> None:
        """Queue function(*arguments).

        Raises:
            whatever an earlier call raised.
        """
        self._raise()
        self._queue.put((function, *arguments))

    def __exit__(self, kind, error, trace) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if isinstance(self._error, OSError):
            raise file_error(self._error)
        if self._error is not None:
            raise self._error
