"""run.json: what decides the masks of one `segment`, where they were made, and how it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from ..errors import InputError
from ..files.frames import FrameSource
from ..files.whole import digest, read_json, sweep, write_json
from ..pipeline import mask_files

NAME = "run.json"
STATE = "checkpoint.safetensors"
"""Beside it while the run is under way: see `checkpoint`."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        input, masks: absolute paths of the video and of the first mask.
        settings: as `flags.Settings.noted` gives them.
        sha256: of input, masks, weights (by file name), and, at the end, of the output.
        versions, machine, threads: what it ran on.
        finished: whether it came to its end; the rest is known only then.
        frames, objects: how many.
        seconds, stages: of all processes that worked on it, in all and by stage.
    """

    input: str
    masks: str
    settings: dict
    sha256: dict
    versions: dict
    machine: str
    threads: int
    finished: bool = False
    frames: int = 0
    objects: int = 0
    seconds: float = 0.0
    stages: dict = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Run":
        """From a file.

        Raises:
            InputError: missing, or not what `write` wrote.
        """
        notes = read_json(path)
        for f in fields(cls):
            if type(notes.get(f.name)) is not f.type:
                raise InputError(f"{path} has no usable '{f.name}', so `segment` did not write it: choose another --out or "
                                 "file")
        return cls(**{f.name: notes[f.name] for f in fields(cls)})

    def write(self, path: Path) -> None:
        """To a file, whole or not at all."""
        write_json(path, asdict(self))

    def identity(self) -> dict:
        """What decides its masks: two runs that agree in it may continue each other."""
        # files of weights are told apart by what they hold, not by where they lie
        settings = {name: value for name, value in self.settings.items() if name != "weights"}
        return {**settings, **{f"{name} (SHA-256)": value for name, value in self.sha256.items() if name != "output"}}

    def elsewhere(self, now: "Run") -> str:
        """In which machine or versions it differs from another, in words; empty where in none."""
        old, new = ({"machine": run.machine, **run.versions} for run in (self, now))
        return ", ".join(f"{name} {old.get(name)} (now {new[name]})" for name in new if old.get(name) != new[name])

    def refuse_unless_repeated(self, now: "Run", path: Path) -> None:
        """Compare it, read from `path`, with what is about to run.

        Raises:
            InputError: the input, the first mask, the weights or a setting are not what they were.
        """
        had, has = self.identity(), now.identity()
        for name in has:
            if had.get(name) != has[name]:
                raise InputError(f"{path} was written with {name} {had.get(name)}, and now it is {has[name]}: restore what it "
                                 "names, or run anew without --from")

    def complete(self, out: Path, source: FrameSource) -> bool:
        """Whether it came to its end and all of its masks are still in `out`."""
        if not self.finished or self.frames < 1 or (not source.is_video and self.frames > len(source.files)):
            return False
        return all(path.is_file() for path in mask_files(out, source, self.frames))

    def begin(self, out: Path, source: FrameSource) -> "Run":
        """Write run.json into a folder of masks, or take up the one that is there; leftovers of killed runs are removed.

        Args:
            out: the folder.
            source: of the frames.

        Returns:
            what run.json holds; `finished` says whether that run came to its end, with all masks still there.

        Raises:
            InputError: the folder belongs to a run that would have other masks.
        """
        sweep(out)
        path = out / NAME
        if not path.is_file():
            self.write(path)
            return self
        before = Run.read(path)
        had, has = before.identity(), self.identity()
        for name in sorted(had.keys() | has.keys()):
            if had.get(name) != has.get(name):
                raise InputError(f"{out} holds masks of a run with {name} {had.get(name)}, and this run has {has.get(name)}: "
                                 "choose another --out, or delete that folder")
        if before.complete(out, source):
            (out / STATE).unlink(missing_ok=True)  # killed before it could do this itself
        elif before.finished:
            before = replace(before, finished=False)
            before.write(path)
        return before

    def end(self, out: Path, source: FrameSource, objects: int, frames: int, seconds: float,
            stages: Mapping[str, float]) -> "Run":
        """The run as it ended; written into `out`."""
        sha256 = {**self.sha256, "output": digest(mask_files(out, source, frames))}
        done = replace(self, sha256=sha256, finished=True, frames=frames, objects=objects, seconds=seconds, stages=dict(stages))
        done.write(out / NAME)
        return done
