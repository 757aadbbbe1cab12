"""python -m vosedu export: F and R as ONNX files, for a browser or any other runtime."""

import argparse
from pathlib import Path

import numpy as np

from ..features import BACKBONES, architecture
from ..files.clip import load_clip
from ..files.whole import make_folder, refuse_other_json, refuse_strangers, write_bytes, write_json
from ..segmenter import READOUT
from ..web.export import PRECISIONS, described, exported, onnx_modules
from ..weights import load_pretrained

FACTS = "networks.json"
"""What tells a folder of this command's."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which networks, in which precision, and where to."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for F.onnx, R.onnx and networks.json")
    parser.add_argument("--backbone", default="compact", help=", ".join(BACKBONES) + " (default compact, bundled)")
    parser.add_argument("--weights", type=Path, action="append", default=[], metavar="FILE",
                        help="backbone or refinement weights (.safetensors, .pt, .pth); may be given twice")
    parser.add_argument("--precision", default="float16", metavar="|".join(PRECISIONS),
                        help="of the stored parameters; computed is in float32 (default float16: half the size)")


def run(args: argparse.Namespace) -> int:
    """Write F and R as ONNX files of free sizes, each run and compared with PyTorch on random and on real frames."""
    onnx_modules()
    kind = architecture(args.backbone)
    refuse_other_json("--out", args.out / FACTS, "precision")
    refuse_strangers("--out", args.out, [FACTS], ("F.onnx", "R.onnx"))
    backbone, refinement, readout = load_pretrained(args.backbone, args.weights)
    made = exported(backbone, refinement, checking_frames(), args.precision)
    make_folder(args.out)
    for network in made:
        write_bytes(args.out / f"{network.name}.onnx", network.content)
        print(f"{args.out / network.name}.onnx: {len(network.content) / 1e6:.1f} MB, differs from PyTorch by at most "
              f"{network.error:.1e} of its greatest value")
    if refinement is None:
        (args.out / "R.onnx").unlink(missing_ok=True)
        print("no refinement network in these weights, so no R.onnx: give R with --weights")
    facts = described(backbone, readout or READOUT, kind.short_side)
    write_json(args.out / FACTS, facts | {"precision": args.precision, "refinement": refinement is not None})
    return 0


def checking_frames() -> list[np.ndarray]:
    """What the files are compared on: noise of two sizes, and frames of a bundled scene at two more."""
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((64, 64), (97, 130))]
    return frames + [load_clip("huddle", short_side=rows).frames[n] for rows, n in ((120, 0), (240, 20))]
