"""run.json: what decides the masks of one `segment`, where they were made, and how it ended."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from ..errors import InputError
from ..files.frames import FrameSource
from ..files.images import mask_png, read_mask
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
        made: SHA-256 of the films, sheets and lists that it made beside its masks: only these may be replaced.
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
    made: list = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Run":
        """From a file.

        Raises:
            InputError: missing, or not what `write` wrote.
        """
        notes = {"made": [], **read_json(path)}
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
        if not self.finished or self.frames < 1 or (not source.is_video and self.frames > source.count):
            return False
        return all(path.is_file() for path in mask_files(out, source, self.frames))

    def taken_up(self, out: Path, source: FrameSource, standing: Collection[Path] = ()) -> "Run":
        """The run whose masks lie in a folder already, or this one; nothing is written yet.

        Args:
            out: the folder, which may not be there.
            source: of the frames.
            standing: masks in `out` that are given to this run, and stay as they are.

        Returns:
            what run.json holds; `finished` says whether that run came to its end, with all masks still there.

        Raises:
            InputError: the folder belongs to a run that would have other masks, or holds what no run made.
        """
        path = out / NAME
        if not path.is_file():
            refuse_strangers(out, source, standing)
            return self
        before = Run.read(path)
        had, has = before.identity(), self.identity()
        for name in sorted(had.keys() | has.keys()):
            if had.get(name) != has.get(name):
                raise InputError(f"{out} holds masks of a run with {name} {had.get(name)}, and this run has {has.get(name)}: "
                                 "choose another --out, or delete that folder")
        if before.finished and not before.complete(out, source):
            refuse_changed(out, source, before.frames, standing)
            before = replace(before, finished=False)
        return before

    def begin(self, out: Path) -> None:
        """Write run.json into a folder of masks; leftovers of killed runs are removed."""
        sweep(out)
        if self.finished:
            (out / STATE).unlink(missing_ok=True)  # killed before it could do this itself
        if not (out / NAME).is_file() or Run.read(out / NAME) != self:
            self.write(out / NAME)

    def making(self, out: Path, file: Path) -> "Run":
        """The run with a finished file, which is about to take its place, among what it made; written into `out`."""
        now = replace(self, made=sorted({*self.made, digest([file])}))
        now.write(out / NAME)
        return now

    def end(self, out: Path, source: FrameSource, objects: int, frames: int, seconds: float, stages: Mapping[str, float],
            standing: Collection[Path] = ()) -> "Run":
        """The run as it ended; written into `out`. Masks that were given count as if they had been written."""
        instead = {path: mask_png(read_mask(path)) for path in standing}
        sha256 = {**self.sha256, "output": digest(mask_files(out, source, frames), instead)}
        done = replace(self, sha256=sha256, finished=True, frames=frames, objects=objects, seconds=seconds, stages=dict(stages))
        done.write(out / NAME)
        return done


def refuse_strangers(out: Path, source: FrameSource, standing: Collection[Path] = ()) -> None:
    """Refuse a folder without run.json in which something has the name of a mask that is to be written, or of a checkpoint.

    Raises:
        InputError: naming the first such file.
    """
    if not out.is_dir():
        return
    count = 0 if source.is_video else source.count
    wanted = {path.name.casefold() for path in mask_files(out, source, count)} | {STATE.casefold(), NAME.casefold()}
    film = re.compile(r"\d{5,}\.png")
    for path in sorted(out.iterdir()):
        name = path.name.casefold()
        if path not in standing and (name in wanted or (source.is_video and film.fullmatch(name))):
            raise InputError(f"{out} holds {path.name}, which no run of vosedu made, and which would be replaced: choose "
                             "another --out, or move these files away")


def refuse_changed(out: Path, source: FrameSource, frames: int, standing: Collection[Path] = ()) -> None:
    """Refuse a folder whose run is to be made anew, for a mask is missing, where others were changed after its end.

    Raises:
        InputError: naming the first such file.
    """
    ended = (out / NAME).stat().st_mtime
    for path in mask_files(out, source, frames):
        if path not in standing and path.is_file() and path.stat().st_mtime > ended + 2:
            raise InputError(f"{path} was changed after its run had ended; another mask is missing, so all would be made "
                             "anew: move what you changed away, or choose another --out")
