"""From a video to masks on disk: the one loop over frames."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .device import out_of_memory
from .errors import InputError
from .files.films import OverlayWriter
from .files.images import overlay, write_mask
from .files.threads import BackgroundWriter, prefetch
from .protocols import Engine, State


class Frames(Protocol):
    """What can be segmented: `FrameSource`, a video file or a folder, or `Clip`, arrays."""

    size: tuple[int, int]
    """(H, W) of every frame."""

    def names(self, count: int) -> list[str]:
        """What the masks of the first `count` frames are called, without an ending."""

    def whole(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """Name and uint8 RGB (H, W, 3) of every frame from `start` on."""


class Tracked(NamedTuple):
    """A frame and what was made of it."""

    index: int
    name: str
    frame: np.ndarray
    """uint8 RGB (H, W, 3)."""
    labels: np.ndarray
    """uint8 (H, W), ids."""
    state: State | None
    """Of the video after this frame; None where the ids were read from a mask that was written before."""


def track(
    engine: Engine, source: Frames, masks: Mapping[int, np.ndarray], seed: int = 0, state: State | None = None
) -> Iterator[Tracked]:
    """Segment a video: the loop of Algorithm 1, from the first mask on.

    Frames are decoded ahead in a thread. What is given is taken as it is: the ids of a mask stand in its frame's answer.

    Args:
        engine: a `Segmenter`, or a baseline.
        source: of the frames.
        masks: frame index -> ids (H, W) of the objects that enter there; the least index is where segmenting begins.
        seed: of the engine.
        state: of a video that goes on; it has seen the frames up to its `frame_index`.

    Raises:
        InputError: a mask has another size than the frames, shows no object, or a frame cannot be read.
    """
    for index, given in masks.items():
        if given.shape != source.size:
            mask, frames = (f"{width}x{height}" for height, width in (given.shape, source.size))
            raise InputError(f"the mask of frame {source.names(index + 1)[-1]} is {mask}, the frames {frames}: give a mask of "
                             "the frames' size")
    start = min(masks) + (state.frame_index + 1 if state else 0)
    with out_of_memory(engine.working_size(source.size)), closing(prefetch(source.whole(start))) as frames:
        for index, (name, frame) in enumerate(frames, start):
            given = masks.get(index)
            if state is None:
                state, labels = engine.start(frame, given, seed), given
            else:
                labels = state.step(frame, given).cpu().numpy()
            yield Tracked(index, name, frame, labels, state)


def mask_files(folder: Path, source: Frames, count: int) -> list[Path]:
    """Where the masks of the first `count` frames are written."""
    return [folder / f"{name}.png" for name in source.names(count)]


def segment_video(
    engine: Engine,
    source: Frames,
    masks: Mapping[int, np.ndarray],
    folder: Path,
    writer: BackgroundWriter,
    drawing: OverlayWriter | None = None,
    seed: int = 0,
    state: State | None = None,
    standing: Collection[Path] = (),
) -> Iterator[Tracked]:
    """`track`, with a mask per frame written into `folder` while computing goes on.

    Args:
        engine, source, masks, seed, state: as `track` takes them.
        folder: of the masks, `<frame name>.png`.
        writer: does the writing.
        drawing: takes the overlay of every frame.
        standing: masks that are there as they were given, and are not written again.
    """
    for shown in track(engine, source, masks, seed, state):
        if (path := folder / f"{shown.name}.png") not in standing:
            writer.submit(write_mask, path, shown.labels)
        if drawing:
            writer.submit(drawing.add, overlay(shown.frame, shown.labels))
        yield shown
