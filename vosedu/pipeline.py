"""One run of `segment`: what decides its masks, how far it has come, and how it goes on after being cut off.

`run.json` beside the masks holds settings and SHA-256 of all that goes in. While a run is under way,
`checkpoint.safetensors` beside it holds the state of the video after some frame; it is queued behind that frame's mask, so
where it exists, so do all masks up to it.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import safetensors.torch
from safetensors import SafetensorError, safe_open

from .device import out_of_memory
from .errors import InputError
from .files.films import OverlayWriter
from .files.frames import FrameSource
from .files.images import overlay, read_mask, to_size, write_mask
from .files.threads import BackgroundWriter, prefetch
from .files.whole import digest, read_json, sweep, write_bytes, write_json
from .segmenter import Segmenter, Video

NOTES = "run.json"


def identity(notes: dict) -> dict:
    """What decides the masks of a run: two runs that agree in it may continue each other."""
    settings = {name: value for name, value in notes["settings"].items() if name != "weights"}  # the hash speaks for it
    hashes = {f"{name} (SHA-256)": value for name, value in notes["sha256"].items() if name != "output"}
    return {**settings, **hashes}


def begin(out: Path, notes: dict, source: FrameSource) -> dict:
    """Put run.json into a folder of masks, or take up the one that is there; leftovers of killed runs are removed.

    Args:
        out: the folder.
        notes: of the run that wants to write there.
        source: of its frames.

    Returns:
        what run.json holds; its "finished" says whether that run came to its end, with all masks still there.

    Raises:
        InputError: the folder belongs to a run that would have other masks.
    """
    sweep(out)
    path = out / NOTES
    if not path.is_file():
        write_json(path, notes)
        return notes
    before = read_notes(path)
    had, has = identity(before), identity(notes)
    for name in sorted(had.keys() | has.keys()):
        if had.get(name) != has.get(name):
            raise InputError(f"{out} holds masks of a run with {name} {had.get(name)}, and this run has {has.get(name)}: "
                             "choose another --out, or delete that folder")
    if _complete(out, before, source):
        Checkpoint(out).path.unlink(missing_ok=True)  # killed before it could do this itself
    elif before["finished"]:
        before["finished"] = False
        write_json(path, before)
    return before


def read_notes(path: Path) -> dict:
    """A run.json.

    Raises:
        InputError: missing, or not what `segment` writes.
    """
    notes = read_json(path)
    parts = {"input": str, "masks": str, "settings": dict, "sha256": dict, "versions": dict, "machine": str, "threads": int,
             "finished": bool}
    if notes.get("finished") is True:
        parts |= {"frames": int, "objects": int, "seconds": float, "stages": dict}
    wrong = next((name for name, kind in parts.items() if not isinstance(notes.get(name), kind)), None)
    if wrong:
        raise InputError(f"{path} has no usable '{wrong}', so `segment` did not write it: choose another --out or file")
    return notes


def check_repeats(path: Path, recorded: dict, notes: dict) -> None:
    """Compare what is about to run with a recorded run.

    Raises:
        InputError: the input, the first mask, the weights or a setting are not what they were.
    """
    had, has = identity(recorded), identity(notes)
    for name in has:
        if had.get(name) != has[name]:
            raise InputError(f"{path} was written with {name} {had.get(name)}, and now it is {has[name]}: restore what it "
                             "names, or run anew without --from")


def elsewhere(recorded: dict, notes: dict) -> str:
    """In which machine or versions two runs differ, in words; empty where in none."""
    then, now = ({"machine": each["machine"], **each["versions"]} for each in (recorded, notes))
    return ", ".join(f"{name} {then.get(name)} (now {now[name]})" for name in now if then.get(name) != now[name])


def _complete(out: Path, notes: dict, source: FrameSource) -> bool:
    """Whether `out` holds the masks of a run that came to its end."""
    frames = notes["frames"] if notes["finished"] else 0
    return 0 < frames <= (frames if source.is_video else len(source.files)) and all(
        path.is_file() for path in _masks(out, source, frames))


def end(out: Path, notes: dict, source: FrameSource, video: Video, checkpoint: "Checkpoint") -> dict:
    """Write the run.json of a run that came to its end, then remove the checkpoint; returns what is new in it."""
    frames = video.frame_index + 1
    new = {
        "sha256": {**notes["sha256"], "output": digest(_masks(out, source, frames))}, "finished": True, "frames": frames,
        "objects": len(video.ids), "seconds": checkpoint.elapsed(), "stages": checkpoint.spent(video),
    }
    write_json(out / NOTES, {**notes, **new})
    checkpoint.path.unlink(missing_ok=True)
    return new


def _masks(out: Path, source: FrameSource, count: int) -> Iterator[Path]:
    return (out / f"{source.name(index)}.png" for index in range(count))


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

    def load(self, segmenter: Segmenter, source: FrameSource) -> Video | None:
        """The video as it was, or None where there is no usable checkpoint or a mask before it is gone."""
        try:
            with safe_open(self.path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                notes = json.loads(file.metadata()["notes"])
            video = segmenter.restore(state)
            if video.size != source.working_size:
                return None
            if not all(path.is_file() for path in _masks(self.path.parent, source, video.frame_index + 1)):
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


def redraw(
    source: FrameSource,
    out: Path,
    count: int,
    drawing: OverlayWriter | None,
    each: Callable[[Video | None, np.ndarray, np.ndarray], None],
) -> None:
    """Show the first `count` frames to `drawing` and `each` (its video: None), with the masks that lie in `out`."""
    with closing(prefetch(islice(source.whole(), count))) as frames:
        for name, frame in frames:
            full = read_mask(out / f"{name}.png")
            if drawing:
                drawing.add(overlay(frame, full))
            each(None, source.resized(frame), to_size(full, source.working_size))


def segment_video(
    segmenter: Segmenter,
    source: FrameSource,
    given: np.ndarray,
    labels: np.ndarray,
    out: Path,
    drawing: OverlayWriter | None,
    seed: int = 0,
    each: Callable[[Video, np.ndarray, np.ndarray], None] = lambda *_: None,
    checkpoint: Checkpoint | None = None,
    replay: bool = False,
) -> Video:
    """Segment a video from its first frame on and write one mask a frame while computing goes on.

    Args:
        source: of the frames.
        given: the first frame's ids at the video's own size.
        labels: the same at `source.working_size`.
        out: folder of the masks, `<frame name>.png`, at the video's own size.
        drawing: takes the overlay of every frame, at the video's own size.
        each: called after every frame with the video's state, the frame and its ids (h, w).
        checkpoint: where the state is kept from time to time, and taken up from.
        replay: frames up to the one taken up from are shown to `drawing` and `each` as well, by `redraw`.

    Returns:
        the state after the last frame.

    Raises:
        KeyboardInterrupt: after Ctrl-C, which waits for the frame at hand and the checkpoint.
    """
    video = checkpoint and checkpoint.load(segmenter, source)
    start = video.frame_index + 1 if video else 0
    if replay:
        redraw(source, out, start, drawing, each)
    frames = prefetch(source.whole(start))
    with out_of_memory(source.working_size), interruptible() as stop, BackgroundWriter() as writer, closing(frames):
        for name, frame in frames:
            small = source.resized(frame)
            if video is None:
                video, full = segmenter.start(small, labels, seed), given
            else:
                video.step(small)
                full = video.enlarged(source.size)
            writer.submit(write_mask, out / f"{name}.png", full)
            if drawing:
                writer.submit(drawing.add, overlay(frame, full))
            each(video, small, to_size(full, source.working_size))
            if checkpoint:
                checkpoint.after(video, writer, now=stop.is_set())
            if stop.is_set():
                raise KeyboardInterrupt
    return video
