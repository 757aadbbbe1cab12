"""python -m vosedu demo: segment a bundled scene."""

import argparse
from pathlib import Path

from ..evaluation.metrics import report
from ..evaluation.scoring import score_results, table
from ..files import datasets
from .flags import Settings
from .outputs import Extras
from .segment import Job


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The scene, where its masks go, and at what size."""
    parser.add_argument("--scene", default="huddle", help=f"{', '.join(datasets.scene_notes())} (default huddle)")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    parser.add_argument("--short-side", type=int, default=Settings.short_side, metavar="N",
                        help=f"pixels on the shorter side of the frames that are worked on (default {Settings.short_side})")


def run(args: argparse.Namespace) -> int:
    """Segment a bundled scene: masks, overlay and contact sheet in a folder, J and F on the screen."""
    sequence, out = datasets.scene(args.scene), args.out
    first = sequence.masks / f"{sequence.frame_names[0]}.png"
    film, sheet = out / f"{sequence.name}.mp4", out / f"{sequence.name}.png"
    Job(sequence.frames, first, out / sequence.name, Settings(short_side=args.short_side),
        Extras(overlay=film, sheet=sheet)).run()
    scorer = score_results(sequence, out / sequence.name)
    print(table({**report({sequence.name: scorer}, {sequence.name: len(sequence.frame_names)}), "fps": None}))
    print(f"look at {sheet} and {film}")
    return 0
