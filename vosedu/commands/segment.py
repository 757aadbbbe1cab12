"""python -m vosedu segment: one video from the mask of its first frame."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from ..device import machine, versions
from ..errors import InputError
from ..files.frames import FrameSource
from ..files.given import Given, read_given
from ..files.images import scaled_size, working_size
from ..files.threads import BackgroundWriter
from ..files.whole import digest, make_folder, place
from ..pipeline import Tracked, segment_video
from ..segmenter import Segmenter, Video
from ..weights import weight_files
from .checkpoint import Checkpoint, interruptible
from .flags import Settings, add_engine_flags
from .outputs import Extras, Sheet, recorded, standing_masks
from .record import NAME, Run

OWN = ("input", "masks", "recorded", "out", "overlay", "sheet", "cut_out", "coco", "quiet", "checkpoint")
"""Flags that do not belong to the engine: they go with `--from` too."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Input, outputs, and the engine's flags."""
    parser.add_argument("input", type=Path, nargs="?", metavar="INPUT", help="a video file, or a folder of frames")
    parser.add_argument("--masks", type=Path, metavar="FIRST.png",
                        help="mask of the first frame, or of the frame that it is named after: an index PNG (0 background, "
                             "else object ids; 0 and 255 alone are one object), .npy, .json of labelme or COCO; or a folder "
                             "with a mask for each frame in which objects enter or are corrected, named after its frame")
    parser.add_argument("--colours", action="store_true", help="each colour of an RGB mask is an object, black the background")
    parser.add_argument("--from", type=Path, dest="recorded", metavar="run.json",
                        help="repeat a run, in place of settings, and compare its masks; with INPUT and --masks where these "
                             "were moved")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for one palette PNG per frame (default INPUT-masks)")
    parser.add_argument("--checkpoint", type=float, default=10.0, metavar="SECONDS",
                        help="between two checkpoints in DIR, from which the same command goes on (default 10; 0: every frame)")
    parser.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="also write a video with the objects tinted (.mp4 "
                        "or .mov: H.264; .webm: VP9)")
    parser.add_argument("--cut-out", type=Path, metavar="FILE.mov", help="also write the objects alone, as a film with "
                        "transparency for editing programs (.mov: ProRes 4444; .webm: VP9)")
    parser.add_argument("--coco", type=Path, metavar="FILE.json", help="also write all masks as COCO's JSON, with run lengths")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="also write eight overlays as one picture")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Segment one video from the mask of its first frame; run again, it goes on from where it was cut off."""
    if not args.checkpoint >= 0:
        raise InputError(f"--checkpoint is {args.checkpoint}: give seconds, 0 or more")
    if args.recorded:
        return repeat(args)
    if args.input is None or args.masks is None:
        raise InputError("give a video and --masks FIRST.png, or --from run.json")
    out = args.out or Path(f"{_name(args.input)}-masks")
    Job(args.input, args.masks, out, Settings.given(args), extras(args), args.colours, args.quiet, args.checkpoint).run()
    return 0


def _name(path: Path) -> str:
    """What a video is called, also where it is given as a dot."""
    return path.resolve().stem or "video"


def extras(args: argparse.Namespace) -> Extras:
    """What is asked for beside masks."""
    return Extras(args.overlay, args.cut_out, args.sheet, args.coco)


def repeat(args: argparse.Namespace) -> int:
    """Repeat a recorded run; 0 where its masks come out again, 1 where others do.

    Raises:
        InputError: other settings are given beside it, or what it holds cannot be repeated.
    """
    before = Run.read(args.recorded)
    parser = argparse.ArgumentParser()
    add_flags(parser)
    plain = vars(parser.parse_args([]))
    given = [name for name in plain if name not in OWN and getattr(args, name) != plain[name]]
    if given:
        raise InputError(f"--from repeats a run with its own settings: leave --{given[0].replace('_', '-')} away")
    try:
        settings = Settings.recorded(before.settings, before.threads)
    except InputError as error:
        raise InputError(f"{args.recorded}: {error}") from None
    source, masks = args.input or Path(before.input), args.masks or Path(before.masks)
    for path, flag in ((source, "the video as INPUT"), (masks, "the mask with --masks")):
        if not path.exists():
            raise InputError(f"{path}, which {args.recorded} names, is not there: give {flag} beside --from if it was moved")
    out = args.out or Path(f"{args.recorded.resolve().parent.name}-again")
    job = Job(source, masks, out, settings, extras(args), before.settings.get("colours") is True, args.quiet, args.checkpoint,
              (args.recorded,))
    now = job.run(before, args.recorded)
    if not before.finished:
        return 0
    same = before.sha256.get("output") == now.sha256["output"]
    print(f"masks {'are bit for bit those' if same else 'DIFFER from those'} of {args.recorded}")
    return 0 if same else 1


@dataclass(frozen=True)
class Job:
    """One video to segment, and what to make of it."""

    input: Path
    masks: Path
    out: Path
    settings: Settings
    extras: Extras = field(default_factory=Extras)
    colours: bool = False
    quiet: bool = False
    checkpoint: float = 10.0
    inputs: tuple[Path, ...] = ()
    """What else is read, and may not be replaced."""

    def run(self, before: Run | None = None, path: Path | None = None) -> Run:
        """Do it, and say what was done; returns what run.json holds at the end.

        Args:
            before: a run that this one repeats.
            path: where that was read from.
        """
        self.extras.refuse_endings()
        whole = FrameSource(self.input)
        given = read_given(self.masks, whole, self.colours, working_size(whole.size, self.settings.short_side))
        source, masks = whole.beginning(given.start), given.beginning()
        self.refuse_inputs(whole, given)
        standing = standing_masks(self.out, source, masks)
        segmenter = self.settings.segmenter()
        planned = self.planned(segmenter, whole, given)
        if before:
            before.refuse_unless_repeated(planned, path)
        begun = planned.taken_up(self.out, source, standing)
        self.extras.refuse_strangers(begun.made)
        begun.begin(make_folder(self.out))
        for line in (*whole.notes(), *given.notes(whole)):
            print(f"vosedu: {line}", file=sys.stderr)
        self.settings.announce(segmenter)
        for other, where in ((begun, self.out / NAME), (before, path)):
            if other and (differing := other.elsewhere(planned)):
                print(f"vosedu: {where} was written with {differing}: masks may differ in places", file=sys.stderr)
        done = self.segment(segmenter, source, masks, begun, standing)
        self.report(segmenter, source, done)
        return done

    def refuse_inputs(self, source: FrameSource, given: Given) -> None:
        """Refuse outputs that would replace what is read.

        Raises:
            InputError: naming flag and file.
        """
        if not source.is_video and place(self.out) == place(self.input):
            raise InputError(f"--out {self.out} is the folder of the frames, and masks would replace or join them: choose "
                             "another --out")
        if self.masks.is_dir() and place(self.out) == place(self.masks):
            raise InputError(f"--out {self.out} is the folder of the masks that you give, and would replace them: choose "
                             "another --out")
        self.extras.refuse_inputs(self.out, source, [*given.files.values(), *self.settings.weights, *self.inputs])

    def planned(self, segmenter: Segmenter, source: FrameSource, given: Given) -> Run:
        """The run before it begins."""
        files = weight_files(self.settings.backbone, self.settings.weights)
        hashes = {"input": digest(source.files), "masks": given.digest(),
                  "weights": {file.name: digest([file]) for file in files}}
        settings = self.settings.noted(segmenter) | ({"colours": True} if self.colours else {})
        return Run(str(self.input.resolve()), str(self.masks.resolve()), settings, hashes, versions(),
                   machine(segmenter.device), torch.get_num_threads())

    def segment(self, segmenter: Segmenter, source: FrameSource, given: Given, begun: Run, standing: set[Path]) -> Run:
        """Segment, or only draw what is finished; returns the run as it ended."""
        checkpoint = Checkpoint(self.out, self.checkpoint)
        state = None if begun.finished else checkpoint.load(segmenter, source)
        sheet = Sheet(source, scaled_size(source.size, segmenter.short_side))

        def claim(file: Path) -> None:
            nonlocal begun
            begun = begun.making(self.out, file)

        with ExitStack() as stack:
            films = self.extras.films(source, stack, claim)
            first = None if begun.finished or state else "learning the objects"  # for seconds, in which nothing else moves
            bar = stack.enter_context(tqdm(desc=first, total=source.count, unit="frame", disable=self.quiet, file=sys.stderr))
            stop, writer = stack.enter_context(interruptible()), stack.enter_context(BackgroundWriter())
            for shown in self.frames(segmenter, source, given, begun, writer, state, standing):
                state = shown.state or state
                for film, draw in films:
                    writer.submit(film.add, draw(shown.frame, shown.labels))
                if self.extras.sheet:
                    sheet.see(shown)
                if shown.state and (stop.is_set() or time.monotonic() >= checkpoint.due):
                    checkpoint.write(shown.state, writer)
                bar.set_description(refresh=False)
                bar.update(shown.index + 1 - bar.n)
                if stop.is_set():
                    raise KeyboardInterrupt
        if not begun.finished:
            begun = begun.end(self.out, source, len(state.ids), state.frame_index + 1, checkpoint.elapsed(),
                              checkpoint.spent(state), standing)
            checkpoint.path.unlink(missing_ok=True)
        self.extras.finish(self.out, source, begun.frames, sheet.pictures, given.names, claim)
        return begun

    def frames(self, segmenter: Segmenter, source: FrameSource, given: Given, begun: Run, writer: BackgroundWriter,
               state: Video | None, standing: set[Path]) -> Iterator[Tracked]:
        """The frames still to be segmented; before them, where pictures are asked for, those that were segmented before."""
        before = begun.frames if begun.finished else state.frame_index + 1 if state else 0
        if self.extras.asked():
            yield from recorded(source, self.out, before)
        elif begun.finished:
            print(f"vosedu: {self.out} holds all masks of this very run already: nothing to do", file=sys.stderr)
        if not begun.finished:
            seed = self.settings.seed
            yield from segment_video(segmenter, source, given.masks, self.out, writer, None, seed, state, standing)

    def report(self, segmenter: Segmenter, source: FrameSource, done: Run) -> None:
        """Say what was made, how quickly, and what was unusual about it."""
        made = "".join(f", {flag[2:]} {path}" for flag, path in self.extras.asked().items() if flag != "--sheet")
        print(f"{done.frames} frames, {done.objects} object{'s' * (done.objects > 1)}, "
              f"{done.frames / done.seconds:.1f} frames per second including decoding and writing\n"
              f"seconds by stage: {', '.join(f'{stage} {seconds:.2f}' for stage, seconds in done.stages.items())}\n"
              f"masks in {self.out}{made}")
        if segmenter.device.type == "cuda" and segmenter.graphs != "on":
            print(f"vosedu: CUDA graphs {segmenter.graphs}; masks are the same, slower", file=sys.stderr)
        for line in source.missed(done.frames):
            print(f"vosedu: {line}", file=sys.stderr)
