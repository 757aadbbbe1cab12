"""python -m vosedu demo: segment a bundled scene."""

import argparse
from pathlib import Path

from ..files import datasets
from . import main


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--scene", default="huddle", help=f"{', '.join(datasets.scene_notes())} (default huddle)")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    parser.add_argument("--short-side", type=int, metavar="N")


def run(args: argparse.Namespace) -> int:
    """Segment a bundled scene: masks, overlay and contact sheet in a folder, J and F on the screen."""
    sequence = datasets.scene(args.scene)
    first = sequence.masks / f"{sequence.frame_names[0]}.png"
    out = args.out
    status = main(["segment", str(sequence.frames), "--masks", str(first), "--out", str(out / sequence.name),
                   "--overlay", str(out / f"{sequence.name}.mp4"), "--sheet", str(out / f"{sequence.name}.png"),
                   *(["--short-side", str(args.short_side)] if args.short_side is not None else [])])
    if status == 0:
        status = main(["evaluate", "scenes", "--sequences", sequence.name, "--results", str(out), "--quiet"])
        print(f"look at {out / sequence.name}.png and {out / sequence.name}.mp4")
    return status
