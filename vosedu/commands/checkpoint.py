"""A run that is cut off goes on: the state of its video on disk, and Ctrl-C between two frames.

While a run is under way, `checkpoint.safetensors` beside its masks holds the state of the video after some frame. It is
queued after that frame's mask, so where it exists, so do all masks up to it.
"""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open

from ..files.threads import BackgroundWriter
from ..files.whole import write_bytes
from ..pipeline import Frames, mask_files
from ..segmenter import Segmenter, Video
from .record import STATE


class Checkpoint:
    """The state of a video on disk, beside its masks.

    Args:
        out: folder of the masks.
        every: seconds between two; they also keep a distance of twenty times what writing one took.

    Attributes:
        seconds: spent on the frames up to the last checkpoint, by this process and those before it.
        stages: likewise by stage.
        due: when the next one is, on `time.monotonic`'s clock.
    """

    def __init__(self, out: Path, every: float = 10.0):
        self.path, self.every = out / STATE, every
        self.seconds, self.stages = 0.0, {}
        self._began = time.monotonic()
        self.due = self._began + every

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

    def write(self, video: Video, writer: BackgroundWriter) -> None:
        """Queue a checkpoint after the masks that are queued already."""
        notes = {"seconds": self.elapsed(), "stages": self.spent(video)}
        writer.submit(self._write, video.state(), notes)
        self.due = float("inf")  # until it is written: a slow disk must not queue a second

    def _write(self, state: dict, notes: dict) -> None:
        began = time.monotonic()
        write_bytes(self.path, safetensors.torch.save(state, {"notes": json.dumps(notes)}))
        took = time.monotonic() - began
        self.due = time.monotonic() + max(self.every, 20 * took if self.every else 0)

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
