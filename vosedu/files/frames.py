"""The frames of a video file or of a folder of images, one at a time."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from .films import mute_opencv
from .images import IMAGES, image_files, read_image


class FrameSource:
    """The frames of a video file or of a folder of images, one at a time.

    Iterating gives (name, uint8 RGB (H, W, 3)); the name is the image's stem, or the video frame's number in five
    digits. Can be iterated again from the start.

    Args:
        path: a video file or a folder.

    Attributes:
        files: the images in order, or the video file alone.
        size: (H, W) of the input.
        count: number of frames; for a video file only what the container says, so for progress bars alone.
        fps: frames per second of a video file, else 24.

    Raises:
        InputError: nothing usable at the path; while iterating: an unreadable frame or one of another size.
    """

    def __init__(self, path: Path):
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

    def _refuse_namesakes(self) -> None:
        """Two frames with one name would write one mask; systems differ in whether case matters, so it does not here."""
        known: dict[str, Path] = {}
        for file in self.files:
            other = known.setdefault(file.stem.casefold(), file)
            if other is not file:
                raise InputError(f"{self.path}: {other.name} and {file.name} would have the same mask file: rename one")

    def _open(self) -> cv2.VideoCapture:
        with mute_opencv():
            capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise InputError(f"{self.path} is not a video that OpenCV can decode: convert it to H.264 MP4, or give a folder")
        return capture

    def names(self, count: int) -> list[str]:
        """The names of the first `count` frames."""
        return [f"{index:05d}" for index in range(count)] if self.is_video else [file.stem for file in self.files[:count]]

    def _raw(self, start: int) -> Iterator[tuple[str, np.ndarray]]:
        if not self.is_video:
            for file in self.files[start:]:
                yield file.stem, read_image(file)
            return
        capture, index = self._open(), 0
        try:
            while True:
                with mute_opencv():  # frames before the start are decoded all the same: seeking is not exact in every container
                    there, frame = (capture.grab(), None) if index < start else capture.read()
                if not there:
                    return
                if index >= start:
                    yield f"{index:05d}", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                index += 1
        finally:
            capture.release()

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return self.whole()

    def whole(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """As iterating gives, from frame `start` on."""
        for name, frame in self._raw(start):
            if frame.shape[:2] != self.size:
                found, first = ("x".join(map(str, s[1::-1])) for s in (frame.shape, self.size))
                raise InputError(f"{self.path}: frame {name} is {found}, the first {first}: make all frames one size")
            yield name, frame
