"""From a video to masks: the one loop over frames, and the run of it that writes masks, is cut off, and goes on.

While a run is under way, `checkpoint.safetensors` beside its masks holds the state of the video after some frame. It is
queued after that frame's mask, so where it exists, so do all masks up to it.
"""

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import safetensors.torch
from safetensors import SafetensorError, safe_open

from .device import out_of_memory
from .errors import InputError
from .files.films import OverlayWriter
from .files.images import overlay, read_mask, write_mask
from .files.threads import BackgroundWriter, prefetch
from .files.whole import write_bytes
from .segmenter import Engine, Segmenter, State, Video


class Frames(Protocol):
    """What can be segmented: `FrameSource`, a video file or a folder, or `Clip`, arrays."""

    size: tuple[int, int]
    """(H, W) of every frame."""

    def name(self, index: int) -> str:
        """What the mask of frame `index` is called, without an ending."""

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
            raise InputError(f"the mask of frame {source.name(index)} is {given.shape[1]}x{given.shape[0]}, the frames "
                             f"{source.size[1]}x{source.size[0]}: give a mask of the frames' size")
    start = min(masks) + (state.frame_index + 1 if state else 0)
    with out_of_memory(engine.working_size(source.size)), closing(prefetch(source.whole(start))) as frames:
        for index, (name, frame) in enumerate(frames, start):
            given = masks.get(index)
            if state is None:
                state, labels = engine.start(frame, given, seed), given
            else:
                labels = state.step(frame, given).cpu().numpy()
            yield Tracked(index, name, frame, labels, state)


def recorded(source: Frames, folder: Path, count: int) -> Iterator[Tracked]:
    """The first `count` frames with the masks that lie in `folder`."""
    with closing(prefetch(islice(source.whole(), count))) as frames:
        for index, (name, frame) in enumerate(frames):
            yield Tracked(index, name, frame, read_mask(folder / f"{name}.png"), None)


def mask_files(folder: Path, source: Frames, count: int) -> list[Path]:
    """Where the masks of the first `count` frames are written."""
    return [folder / f"{source.name(index)}.png" for index in range(count)]


class Checkpoint:
    """The state of a video on disk, beside its masks.

    Args:
        out: folder of the masks.
        every: seconds between two; they also keep a distance of twenty times what writing one took.

    Attributes:
        seconds: spent on the frames up to the last checkpoint, by this process and those before it.
        stages: likewise by stage.
    """

    def __init__(self, out: Path, every: float = 10.0):
        self.path, self.every = out / "checkpoint.safetensors", every
        self.seconds, self.stages = 0.0, {}
        self._began = self._due = time.monotonic()
        self._due += every

    def load(self, segmenter: Segmenter, source: Frames) -> Video | None:
        """The video as it was, or None where there is no usable checkpoint or a mask before it is gone."""
        try:
            with safe_open(self.path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                notes = json.loads(file.metadata()["notes"])
            video = segmenter.restore(state)
            if video.size != source.size:
                return None
            if not all(path.is_file() for path in mask_files(self.path.parent, source, video.frame_index + 1)):
                return None
            self.seconds, self.stages = float(notes["seconds"]), dict(notes["stages"])
            return video
        except (OSError, SafetensorError, KeyError, IndexError, TypeError, ValueError, RuntimeError):
            return None  # absent or damaged: the run begins again, and the same masks come out

    def after(self, video: Video, writer: BackgroundWriter, now: bool = False) -> None:
        """Queue a checkpoint behind the masks that are queued already, if it is time."""
        if not now and time.monotonic() < self._due:
            return
        notes = {"seconds": self.elapsed(), "stages": self.spent(video)}
        writer.submit(self._write, video.state(), notes)
        self._due = float("inf")  # until it is written: a slow disk must not queue a second

    def _write(self, state: dict, notes: dict) -> None:
        began = time.monotonic()
        write_bytes(self.path, safetensors.torch.save(state, {"notes": json.dumps(notes)}))
        took = time.monotonic() - began
        self._due = time.monotonic() + max(self.every, 20 * took if self.every else 0)

    def elapsed(self) -> float:
        """Seconds of all processes that worked on this run."""
        return self.seconds + time.monotonic() - self._began

    def spent(self, video: Video) -> dict[str, float]:
        """Seconds by stage, likewise."""
        now = video.stopwatch.seconds()
        return {stage: self.stages.get(stage, 0.0) + now.get(stage, 0.0) for stage in {**self.stages, **now}}


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that a loop can stop between two frames; a second one acts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals belong to the main thread
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def segment_video(
    segmenter: Segmenter,
    source: Frames,
    masks: Mapping[int, np.ndarray],
    folder: Path,
    drawing: OverlayWriter | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    replay: bool = False,
) -> Iterator[Tracked]:
    """`track`, with a mask per frame written into `folder` while computing goes on.

    Args:
        masks: as `track` takes them.
        folder: of the masks, `<frame name>.png`.
        drawing: takes the overlay of every frame.
        checkpoint: where the state is kept from time to time, and taken up from.
        replay: frames up to the one taken up from come out and are drawn as well, with the masks that lie there.

    Raises:
        KeyboardInterrupt: after Ctrl-C, which waits for the frame at hand and the checkpoint.
    """
    state = checkpoint.load(segmenter, source) if checkpoint else None
    with interruptible() as stop, BackgroundWriter() as writer:
        for shown in recorded(source, folder, state.frame_index + 1 if state and replay else 0):
            if drawing:
                writer.submit(drawing.add, overlay(shown.frame, shown.labels))
            yield shown
        for shown in track(segmenter, source, masks, seed, state):
            writer.submit(write_mask, folder / f"{shown.name}.png", shown.labels)
            if drawing:
                writer.submit(drawing.add, overlay(shown.frame, shown.labels))
            if checkpoint:
                checkpoint.after(shown.state, writer, now=stop.is_set())
            yield shown
            if stop.is_set():
                raise KeyboardInterrupt
