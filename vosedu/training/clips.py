"""What offline training learns from: videos with masks, and still images with masks that are made into clips."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from ..files.datasets import AnnotatedVideo
from ..files.images import image_files, read_image
from .effects import bend, camera, motion, recolour

VOID = 255
"""In a mask: not known, and left out of every loss."""
SIGHT = 0.008
"""Least share of the frame that an object covers in a rendered reference frame."""


class Shot(NamedTuple):
    """A frame and where one object is in it."""

    frame: np.ndarray
    """uint8 RGB (H, W, 3)."""
    mask: np.ndarray
    """uint8 (H, W), 1 on the object, `VOID` where nobody knows."""


class Clips(Protocol):
    """A collection of sequences, each with one object; every shot has the size asked for at construction."""

    def __len__(self) -> int:
        """How many sequences there are."""

    def key(self, index: int) -> str:
        """A name that no other sequence has, for keeping what was learned on its reference frame."""

    def reference(self, index: int) -> Shot:
        """The frame that D is learned on; always the same."""

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """A validation frame (Section 3.3) at random."""


def fit(shot: Shot, size: tuple[int, int]) -> Shot:
    """The shot scaled until it covers `size` (H, W), then cropped about the object."""
    height, width = shot.mask.shape
    scale = max(size[0] / height, size[1] / width)
    rows, columns = np.nonzero(shot.mask)
    centre = np.array([columns.mean(), rows.mean()]) if len(rows) else np.array([width, height]) / 2
    shift = [np.clip(n / 2 - scale * c, n - scale * m, 0) for n, c, m in zip(size[::-1], centre, (width, height), strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if scale < 0.7:  # a small picture by area averages first: a warp alone would alias
        small = (max(size[1], round(width * scale)), max(size[0], round(height * scale)))
        shot = Shot(cv2.resize(shot.frame, small, interpolation=cv2.INTER_AREA),
                    cv2.resize(shot.mask, small, interpolation=cv2.INTER_NEAREST_EXACT))
        matrix[:, :2] /= scale
    return Shot(*(cv2.warpAffine(part, matrix, size[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
                  for part, how in zip(shot, (cv2.INTER_LINEAR, cv2.INTER_NEAREST), strict=True)))


def annotated(sequence: AnnotatedVideo) -> list[int]:
    """The frames of a sequence that have a mask."""
    return [k for k, name in enumerate(sequence.frame_names) if (sequence.masks / f"{name}.png").exists()]


class VideoClips:
    """Every object of annotated videos: DAVIS, YouTube-VOS, rendered scenes (`vosedu.files.datasets.load`).

    Args:
        sequences: as `vosedu.files.datasets.load` gives them.
        size: (H, W) of all shots.
        name: of the collection.
    """

    def __init__(self, sequences: Sequence[AnnotatedVideo], size: tuple[int, int], name: str = "videos"):
        self.size, self.name = size, name
        self.items = [
            (sequence, index, int(i))
            for sequence in sequences
            for index, labels in sequence.entries().items()
            for i in np.unique(labels[labels > 0])
        ]

    def __len__(self) -> int:
        return len(self.items)

    def key(self, index: int) -> str:
        """Of the collection, the video and the object."""
        sequence, _, i = self.items[index]
        return f"{self.name}-{sequence.name}-{i}"

    def shot(self, index: int, frame: int) -> Shot:
        """One frame of a sequence with its object's mask."""
        sequence, _, i = self.items[index]
        path = image_files(sequence.frames)[frame]
        return fit(Shot(read_image(path), (sequence.labels(frame) == i).astype(np.uint8)), self.size)

    def later(self, index: int) -> list[int]:
        """The annotated frames behind the reference frame."""
        sequence, first, _ = self.items[index]
        return [k for k in annotated(sequence) if k > first] or [first]

    def reference(self, index: int) -> Shot:
        """The frame in which the object's mask is given."""
        return self.shot(index, self.items[index][1])

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """One of the labelled frames that `later` lists."""
        return self.shot(index, int(rng.choice(self.later(index))))


class RenderedClips(VideoClips):
    """Objects of rendered scenes, where frames are few: every frame with the object well in sight is the reference frame of a
    sequence of its own, and what is drawn from the others is mirrored now and then, warped a little, and has the light and
    the faults of a camera."""

    def __init__(self, sequences: Sequence[AnnotatedVideo], size: tuple[int, int], name: str = "rendered"):
        super().__init__(sequences, size, name)
        self.items = [
            (sequence, k, i)
            for sequence, _, i in self.items
            for k in annotated(sequence)
            if (sequence.labels(k) == i).mean() > SIGHT
        ]

    def key(self, index: int) -> str:
        """As `VideoClips.key`, and of the reference frame, for here an object has several."""
        return f"{super().key(index)}-{self.items[index][1]}"

    def later(self, index: int) -> list[int]:
        """The other annotated frames, before and behind the reference frame."""
        sequence, reference, _ = self.items[index]
        return [k for k in annotated(sequence) if k != reference] or [reference]

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """As `VideoClips.draw`, with other light and colours, and as cameras blur and code it."""
        shot = super().draw(index, rng)
        frame, mask = shot.frame.astype(np.float32) / 255, shot.mask.astype(np.float32)
        if rng.random() < 0.3:
            frame, mask = frame[:, ::-1].copy(), mask[:, ::-1].copy()
        if rng.random() < 0.7:
            frame, mask = bend([frame, mask], motion(mask, rng, 0.4), rng, abs(rng.normal(0, self.size[0] / 240)))
        picture = camera(recolour(frame, rng, 0.3), rng)
        return Shot((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), (mask > 0.5).astype(np.uint8))
