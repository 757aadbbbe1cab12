"""A video with its masks as arrays: a bundled scene, or a sequence of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import InputError
from .datasets import load
from .frames import FrameSource
from .images import resized, scaled_size, to_size


@dataclass(frozen=True, eq=False)
class Clip:
    """A video with its masks as arrays. Iterating gives (name, frame), as `FrameSource` does.

    Attributes:
        name: of the sequence.
        frames: uint8 RGB (T, H, W, 3).
        masks: object ids, uint8 (T, H, W); 0 everywhere in a frame that has no mask.
        frame_names: where empty, the frames' numbers in five digits.
    """

    name: str
    frames: np.ndarray
    masks: np.ndarray
    frame_names: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames and masks."""
        return self.frames.shape[1:3]

    def names(self, count: int) -> list[str]:
        """The names of the first `count` frames: what their masks are called, without an ending."""
        return list(self.frame_names[:count]) or [f"{index:05d}" for index in range(count)]

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return self.whole()

    def whole(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """(name, uint8 RGB (H, W, 3)) per frame, from frame `start` on."""
        yield from zip(self.names(len(self.frames))[start:], self.frames[start:], strict=True)


def load_clip(
    name: str, short_side: int = 0, frames: int | None = None, root: Path | None = None, dataset: str = "scenes",
    split: str = "val",
) -> Clip:
    """A bundled scene, or a sequence of another data set, as arrays.

    >>> clip = load_clip("huddle", short_side=240, frames=2)
    >>> clip.frames.shape, clip.masks.shape
    ((2, 240, 427, 3), (2, 240, 427))

    Args:
        name: of the scene or sequence.
        short_side: frames and masks are brought to so many pixels on their shorter side, as `scaled_size` says; 0: as
            they are.
        frames: only so many, from the first on; None: all.
        root: where the data set lies; ignored by "scenes".
        dataset: as `load` takes it.
        split: likewise.

    Raises:
        InputError: as `load`, or a frame or mask cannot be used.
    """
    (video,) = load(dataset, Path(root or ""), split, [name])
    source = FrameSource(video.frames)
    size = scaled_size(source.size, short_side)
    names, pictures, masks = [], [], []
    for index, (frame_name, picture) in enumerate(islice(source.whole(), frames)):
        labels = video.labels(index)
        if labels is None:
            labels = np.zeros(source.size, np.uint8)
        if labels.shape != source.size:
            raise InputError(f"{name}: the mask of frame {frame_name} has another size than the frame: fix the data")
        names.append(frame_name)
        pictures.append(resized(picture, size))
        masks.append(to_size(labels, size))
    return Clip(name, np.stack(pictures), np.stack(masks), tuple(names))
