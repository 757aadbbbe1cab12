"""Films: the overlay that a browser plays."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from .whole import atomic, make_folder, sweep

# FFmpeg, within OpenCV, prints by itself unless this is set before its first use; -8 is its level "quiet"
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@contextlib.contextmanager
def mute_opencv() -> Iterator[None]:
    """Within the block OpenCV prints no messages of its own: our own message says what is wrong."""
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)


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
        with mute_opencv():
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
        with mute_opencv():
            found = cv2.VideoCapture(str(self._temporary))
        frames = found.get(cv2.CAP_PROP_FRAME_COUNT) if found.isOpened() else 0
        found.release()
        return frames >= self.count
