"""python -m vosedu segment: one video from the mask of its first frame."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from .. import pipeline
from ..device import machine, versions
from ..errors import InputError
from ..files import whole
from ..files.films import OverlayWriter
from ..files.frames import FrameSource
from ..files.images import check_first_mask, contact_sheet, overlay, read_mask, to_size
from ..files.whole import atomic, make_folder
from ..pipeline import segment_video
from ..segmenter import Segmenter, Video
from ..weights import weight_files
from . import build_parser
from .flags import add_engine_flags, announce, check_flags, from_run, make_segmenter, settings_of


def _stages(stages: dict[str, float]) -> str:
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("input", type=Path, nargs="?", metavar="INPUT", help="a video file, or a folder of frames")
    parser.add_argument("--masks", type=Path, metavar="FIRST.png",
                        help="index PNG of the first frame: 0 background, else object ids; 0 and 255 alone are one object")
    parser.add_argument("--from", type=Path, dest="recorded", metavar="run.json",
                        help="repeat a run, in place of INPUT, --masks and settings, and compare its masks")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for one palette PNG a frame (default INPUT-masks)")
    parser.add_argument("--checkpoint", type=float, default=10.0, metavar="SECONDS",
                        help="between two checkpoints in DIR, from which the same command goes on (default 10; 0: every frame)")
    parser.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="also write a video with the objects tinted")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="also write eight overlays as one picture")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Segment one video from the mask of its first frame; run again, it goes on from where it was cut off."""
    recorded = None
    if args.recorded:
        recorded = pipeline.read_notes(args.recorded)
        args = from_run(args, recorded, build_parser("segment"))
    elif args.input is None or args.masks is None:
        raise InputError("give a video and --masks FIRST.png, or --from run.json")
    check_flags(args)
    if not args.checkpoint >= 0:
        raise InputError(f"--checkpoint is {args.checkpoint}: give seconds, 0 or more")
    source = FrameSource(args.input, args.short_side)
    given = read_mask(args.masks, source.size)
    check_first_mask(given, args.masks)
    labels = to_size(given, source.working_size)
    check_first_mask(labels, f"{args.masks} at {source.working_size[1]}x{source.working_size[0]}")
    out = args.out or Path(f"{args.input.stem}-masks")
    segmenter = make_segmenter(args)
    notes = {
        "input": str(args.input.resolve()), "masks": str(args.masks.resolve()), "settings": settings_of(args, segmenter),
        "sha256": {
            "input": whole.digest(source.files), "masks": whole.digest([args.masks]),
            "weights": {file.name: whole.digest([file]) for file in weight_files(args.backbone, args.weights)},
        },
        "versions": versions(), "machine": machine(segmenter.device), "threads": torch.get_num_threads(), "finished": False,
    }
    if recorded:
        pipeline.check_repeats(args.recorded, recorded, notes)
    begun = pipeline.begin(make_folder(out), notes, source)
    announce(segmenter, args)
    for other, where in ((begun, out / pipeline.NOTES), (recorded, args.recorded)):
        if other and (differing := pipeline.elsewhere(other, notes)):
            print(f"vosedu: {where} was written with {differing}: masks may differ in places", file=sys.stderr)
    notes = {**begun, **_run(args, segmenter, source, given, labels, out, begun)}
    print(f"{notes['frames']} frames, {notes['objects']} object{'s' * (notes['objects'] > 1)}, "
          f"{notes['frames'] / notes['seconds']:.1f} frames per second including decoding and writing\n"
          f"seconds by stage: {_stages(notes['stages'])}\nmasks in {out}{f', overlay {args.overlay}' if args.overlay else ''}")
    if segmenter.device.type == "cuda" and segmenter.graphs != "on":
        print(f"vosedu: CUDA graphs {segmenter.graphs}; masks are the same, slower", file=sys.stderr)
    if source.is_video and source.count not in (None, notes["frames"]):
        print(f"vosedu: the container says {source.count} frames, {notes['frames']} could be decoded", file=sys.stderr)
    if recorded and recorded["finished"]:
        same = recorded["sha256"].get("output") == notes["sha256"]["output"]
        print(f"masks {'are bit for bit those' if same else 'DIFFER from those'} of {args.recorded}")
        return 0 if same else 1
    return 0


def _run(
    args: argparse.Namespace, segmenter: Segmenter, source: FrameSource, given: np.ndarray, labels: np.ndarray, out: Path,
    begun: dict,
) -> dict:
    """Segment, or only redraw what is finished; returns what run.json says at the end of a run, and writes it."""
    pictures, count = [], 0

    def each(video: Video | None, frame: np.ndarray, answer: np.ndarray) -> None:
        nonlocal count
        index = video.frame_index if video else count
        if args.sheet and index % max(1, (source.count or 100) // 8) == 0 and len(pictures) < 8:
            pictures.append(overlay(frame, answer))
        bar.update(index + 1 - count)
        count = index + 1

    checkpoint, found, shown = pipeline.Checkpoint(out, args.checkpoint), {}, bool(args.overlay or args.sheet)
    with ExitStack() as stack:
        drawing = args.overlay and stack.enter_context(OverlayWriter(args.overlay, source.fps, source.size))
        bar = stack.enter_context(tqdm(total=source.count, unit="frame", disable=args.quiet, file=sys.stderr))
        if not begun["finished"]:
            video = segment_video(segmenter, source, given, labels, out, drawing, args.seed, each, checkpoint, shown)
            found = pipeline.end(out, begun, source, video, checkpoint)
        elif shown:
            pipeline.redraw(source, out, begun["frames"], drawing, each)
        else:
            print(f"vosedu: {out} holds all masks of this very run already: nothing to do", file=sys.stderr)
    if args.sheet:
        make_folder(args.sheet.parent)
        with atomic(args.sheet) as temporary:
            Image.fromarray(contact_sheet(pictures)).save(temporary)
    return found
