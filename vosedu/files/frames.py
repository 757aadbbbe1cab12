"""The frames of a video file or of a folder of images, one at a time."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from .decoding import VideoFile
from .images import IMAGES, image_files, image_sizes, read_image, used_bits

COMPANIONS = ("mask", "masks", "gt", "groundtruth", "seg", "segmentation", "label", "labels", "matte", "alpha", "annotation",
              "ids", "overlay", "depth", "flow")
"""x_mask.png beside x.png is no frame; likewise with another of these words, before or behind."""


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
        exact: whether that is more than reckoned from the duration of a video file.
        fps: frames per second of a video file, else 24.
        begin: the frame of the input that is frame 0 here; see `beginning`.

    Raises:
        InputError: nothing usable at the path, or frames of several sizes; while iterating: an unreadable frame, or in a video
            file one of another size.
    """

    def __init__(self, path: Path):
        self.path, self.begin = Path(path), 0
        self.fps, self.is_video, self.bits, self._left_out = 24.0, False, 16, []
        if self.path.is_dir():
            self.files = self._listed()
            self.count, self.exact = len(self.files), True
            self.size = self._one_size()
            depths = {used_bits(self.files[n]) for n in {0, self.count // 2, self.count - 1}} - {None}
            self.bits = max(depths, default=16)
        elif self.path.is_file():
            self.files, self.is_video = [self.path], True
            self._video = VideoFile(self.path)
            self.fps, self.count, self.exact = self._video.fps, self._video.count, self._video.exact
            self.size = self._video.size
        else:
            raise InputError(f"no such file or folder: {self.path}: check the path")
        if min(self.size) < 32:
            raise InputError(f"{self.path}: frames are {self.size[1]}x{self.size[0]}, and 32x32 is the least: enlarge them")

    def _listed(self) -> list[Path]:
        """The images that are frames, in order; the rest is noted.

        Raises:
            InputError: there is none, a link is dead, or two would have one mask.
        """
        dead = [p for p in self.path.iterdir() if p.suffix.lower() in IMAGES and p.is_symlink() and not p.exists()]
        if dead:
            raise InputError(f"{min(dead)} is a link to nothing ({len(dead)} of the frames are): restore what it leads to, or "
                             "remove the link")
        found = image_files(self.path)
        stems = {p.stem.casefold() for p in found}
        companions = [p for p in found if _partner(p.stem.casefold()) & stems]
        frames = [p for p in found if p not in companions]
        if not frames:
            raise InputError(f"no frames in {self.path}: give a folder with {', '.join(IMAGES)} files, or a video")
        others = sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".") and p not in found and p.is_file())
        self._left_out = [(f"{_some([p.name for p in companions])}, named as what belongs to a frame", companions),
                          (f"{_some(others)}, no image that is read", others)]
        known: dict[str, Path] = {}
        for file in frames:  # systems differ in whether case matters, so it does not here
            other = known.setdefault(file.stem.casefold(), file)
            if other is not file:
                raise InputError(f"{self.path}: {other.name} and {file.name} would have the same mask file: rename one")
        return frames

    def _one_size(self) -> tuple[int, int]:
        """(H, W) of all frames, from their headers alone; what has no header is left for `read_image` to refuse."""
        sizes = image_sizes(self.files)
        first = sizes.get(self.files[0]) or read_image(self.files[0]).shape[:2]
        for file, size in sizes.items():
            if size != first:
                found, right = ("x".join(map(str, s[::-1])) for s in (size, first))
                raise InputError(f"{self.path}: frame {file.stem} is {found}, the first {right}: make all frames one size")
        return first

    def notes(self) -> list[str]:
        """What was taken, in which order, what was left out and why, and what is unusual: a line each."""
        if self.is_video:
            return [f"{self.path}: {line}" for line in self._video.seen.lines()]
        said = f"{self.path}: {self.count} frame{'s' * (self.count != 1)}, {self.files[0].name}"
        lines = [said + (f" to {self.files[-1].name}" if self.count > 1 else "")]
        lines += [f"{self.path}: left out: {text}" for text, files in self._left_out if files]
        if self.bits < 16:
            lines.append(f"{self.path}: its files of 16 bits hold values of {self.bits} bits, and are read as such")
        return lines

    def missed(self, frames: int) -> list[str]:
        """What is to be said once so many frames have come of a video file that promised others, or had damaged parts."""
        if not self.is_video:
            return []
        lines, damaged = [], self._video.seen.damaged
        shown, slack = frames, 0
        if not self.exact:  # a duration is no count, and where frames stay differently long only their times can be compared
            shown = round(self._video.seen.until * self.fps) + 1 - self.begin
            slack = max(2, shown // 10)
        if self.count is not None and abs(self.count - shown) > slack:
            lines.append(f"the container says {self.count} frames, {frames} could be decoded")
        if damaged:
            lines.append(f"{damaged} damaged part{'s' * (damaged > 1)} of the video could not be decoded")
        return lines

    def beginning(self, index: int) -> "FrameSource":
        """The same without the first `index` frames: frame `index` is frame 0 there."""
        other = copy.copy(self)
        other.begin = self.begin + index
        other.count = self.count and self.count - index
        return other

    def names(self, count: int) -> list[str]:
        """The names of the first `count` frames."""
        if self.is_video:
            return [f"{index:05d}" for index in range(self.begin, self.begin + count)]
        return [file.stem for file in self.files[self.begin :][:count]]

    def index(self, name: str) -> int | None:
        """Which frame is called `name`, or has it with a word for masks beside it (x_mask for x); None where none has.

        In a video file frames are called by their number in five digits.
        """
        wanted = {name.casefold()} | _partner(name.casefold())
        if self.is_video:
            numbers = [int(one) - self.begin for one in wanted if re.fullmatch(r"\d{5,9}", one)]
            return numbers[0] if numbers and numbers[0] >= 0 else None
        stems = [file.stem.casefold() for file in self.files[self.begin :]]
        return next((stems.index(one) for one in wanted if one in stems), None)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return self.whole()

    def whole(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """As iterating gives, from frame `start` on."""
        start += self.begin
        if self.is_video:
            for index, frame in enumerate(self._video.frames(start), start):
                yield f"{index:05d}", frame
            return
        for file in self.files[start:]:
            frame = read_image(file, self.bits)
            if frame.shape[:2] != self.size:
                found, first = ("x".join(map(str, s[1::-1])) for s in (frame.shape, self.size))
                raise InputError(f"{self.path}: frame {file.stem} is {found}, the first {first}: make all frames one size")
            yield file.stem, frame


def _partner(stem: str) -> set[str]:
    """The names of the frames to which a picture of this name may belong: of `x_mask`, `x`."""
    words = "|".join(COMPANIONS)
    found = re.fullmatch(rf"(.+?)[ ._-]+(?:{words})", stem), re.fullmatch(rf"(?:{words})[ ._-]+(.+)", stem)
    return {match[1] for match in found if match}


def _some(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names[:3])}{', …' * (len(names) > 3)})"
