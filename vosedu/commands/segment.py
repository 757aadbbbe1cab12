"""python -m vosedu segment: one video from the mask of its first frame."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from ..device import machine, versions
from ..errors import InputError
from ..files.films import OverlayWriter
from ..files.frames import FrameSource
from ..files.images import check_first_mask, contact_sheet, overlay, read_mask, resized, to_size, working_size
from ..files.threads import BackgroundWriter
from ..files.whole import atomic, digest, make_folder
from ..pipeline import Tracked, recorded, segment_video
from ..segmenter import Segmenter
from ..weights import weight_files
from .checkpoint import Checkpoint, interruptible
from .flags import Settings, add_engine_flags
from .record import NAME, Run

OWN = ("input", "masks", "recorded", "out", "overlay", "sheet", "quiet", "checkpoint")
"""Flags that do not belong to the engine; `--from` goes with the last five of them."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Input, outputs, and the engine's flags."""
    parser.add_argument("input", type=Path, nargs="?", metavar="INPUT", help="a video file, or a folder of frames")
    parser.add_argument("--masks", type=Path, metavar="FIRST.png",
                        help="index PNG of the first frame: 0 background, else object ids; 0 and 255 alone are one object")
    parser.add_argument("--from", type=Path, dest="recorded", metavar="run.json",
                        help="repeat a run, in place of INPUT, --masks and settings, and compare its masks")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for one palette PNG per frame (default INPUT-masks)")
    parser.add_argument("--checkpoint", type=float, default=10.0, metavar="SECONDS",
                        help="between two checkpoints in DIR, from which the same command goes on (default 10; 0: every frame)")
    parser.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="also write a video with the objects tinted")
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
    job = Job(args.input, args.masks, args.out or Path(f"{args.input.stem}-masks"), Settings.given(args), args.overlay,
              args.sheet, args.quiet, args.checkpoint)
    job.run()
    return 0


def repeat(args: argparse.Namespace) -> int:
    """Repeat a recorded run; 0 where its masks come out again, 1 where others do.

    Raises:
        InputError: other settings are given beside it, or what it holds cannot be repeated.
    """
    before = Run.read(args.recorded)
    parser = argparse.ArgumentParser()
    add_flags(parser)
    plain = vars(parser.parse_args([]))
    given = [name for name in plain if name not in OWN[2:] and getattr(args, name) != plain[name]]
    if given:
        name = {"input": "INPUT"}.get(given[0], "--" + given[0].replace("_", "-"))
        raise InputError(f"--from repeats a run with its own input and settings: leave {name} away")
    try:
        settings = Settings.recorded(before.settings, before.threads)
    except InputError as error:
        raise InputError(f"{args.recorded}: {error}") from None
    out = args.out or Path(f"{args.recorded.resolve().parent.name}-again")
    job = Job(Path(before.input), Path(before.masks), out, settings, args.overlay, args.sheet, args.quiet, args.checkpoint)
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
    overlay: Path | None = None
    sheet: Path | None = None
    quiet: bool = False
    checkpoint: float = 10.0

    def run(self, before: Run | None = None, path: Path | None = None) -> Run:
        """Do it, and say what was done; returns what run.json holds at the end.

        Args:
            before: a run that this one repeats.
            path: where that was read from.
        """
        source = FrameSource(self.input)
        given = self.first_mask(source)
        segmenter = self.settings.segmenter()
        planned = self.planned(segmenter, source)
        if before:
            before.refuse_unless_repeated(planned, path)
        begun = planned.begin(make_folder(self.out), source)
        self.settings.announce(segmenter)
        for other, where in ((begun, self.out / NAME), (before, path)):
            if other and (differing := other.elsewhere(planned)):
                print(f"vosedu: {where} was written with {differing}: masks may differ in places", file=sys.stderr)
        done = self.segment(segmenter, source, given, begun)
        print(f"{done.frames} frames, {done.objects} object{'s' * (done.objects > 1)}, "
              f"{done.frames / done.seconds:.1f} frames per second including decoding and writing\n"
              f"seconds by stage: {', '.join(f'{stage} {seconds:.2f}' for stage, seconds in done.stages.items())}\n"
              f"masks in {self.out}{f', overlay {self.overlay}' if self.overlay else ''}")
        if segmenter.device.type == "cuda" and segmenter.graphs != "on":
            print(f"vosedu: CUDA graphs {segmenter.graphs}; masks are the same, slower", file=sys.stderr)
        if source.is_video and source.count not in (None, done.frames):
            print(f"vosedu: the container says {source.count} frames, {done.frames} could be decoded", file=sys.stderr)
        return done

    def first_mask(self, source: FrameSource) -> np.ndarray:
        """The ids (H, W) that are given.

        Raises:
            InputError: nothing can be learned from them, as they are or at the working size.
        """
        given, small = read_mask(self.masks, source.size), working_size(source.size, self.settings.short_side)
        check_first_mask(given, self.masks)
        check_first_mask(to_size(given, small), f"{self.masks} at {small[1]}x{small[0]}")
        return given

    def planned(self, segmenter: Segmenter, source: FrameSource) -> Run:
        """The run before it begins."""
        files = weight_files(self.settings.backbone, self.settings.weights)
        hashes = {"input": digest(source.files), "masks": digest([self.masks]),
                  "weights": {file.name: digest([file]) for file in files}}
        return Run(str(self.input.resolve()), str(self.masks.resolve()), self.settings.noted(segmenter), hashes, versions(),
                   machine(segmenter.device), torch.get_num_threads())

    def segment(self, segmenter: Segmenter, source: FrameSource, given: np.ndarray, begun: Run) -> Run:
        """Segment, or only draw what is finished; returns the run as it ended."""
        checkpoint, last = Checkpoint(self.out, self.checkpoint), None
        every, pictures = max(1, (source.count or 100) // 8), []
        with ExitStack() as stack:
            drawing = self.overlay and stack.enter_context(OverlayWriter(self.overlay, source.fps, source.size))
            bar = stack.enter_context(tqdm(total=source.count, unit="frame", disable=self.quiet, file=sys.stderr))
            stop, writer = stack.enter_context(interruptible()), stack.enter_context(BackgroundWriter())
            for last in self.frames(segmenter, source, given, begun, writer, drawing, checkpoint):
                if self.sheet and last.index % every == 0 and len(pictures) < 8:
                    small = segmenter.working_size(source.size)
                    pictures.append(overlay(resized(last.frame, small), to_size(last.labels, small)))
                if last.state and (stop.is_set() or time.monotonic() >= checkpoint.due):
                    checkpoint.write(last.state, writer)
                bar.update(last.index + 1 - bar.n)
                if stop.is_set():
                    raise KeyboardInterrupt
        if not begun.finished:
            begun = begun.end(self.out, source, len(last.state.ids), last.index + 1, checkpoint.elapsed(),
                              checkpoint.spent(last.state))
            checkpoint.path.unlink(missing_ok=True)
        if self.sheet:
            make_folder(self.sheet.parent)
            with atomic(self.sheet) as temporary:
                Image.fromarray(contact_sheet(pictures)).save(temporary)
        return begun

    def frames(self, segmenter: Segmenter, source: FrameSource, given: np.ndarray, begun: Run, writer: BackgroundWriter,
               drawing: OverlayWriter | None, checkpoint: Checkpoint) -> Iterator[Tracked]:
        """The frames still to be segmented; before them, where pictures are asked for, those that were segmented before."""
        state = None if begun.finished else checkpoint.load(segmenter, source)
        before = begun.frames if begun.finished else state.frame_index + 1 if state else 0
        if self.overlay or self.sheet:
            for shown in recorded(source, self.out, before):
                if drawing:
                    writer.submit(drawing.add, overlay(shown.frame, shown.labels))
                yield shown
        elif begun.finished:
            print(f"vosedu: {self.out} holds all masks of this very run already: nothing to do", file=sys.stderr)
        if not begun.finished:
            yield from segment_video(segmenter, source, {0: given}, self.out, writer, drawing, self.settings.seed, state)
