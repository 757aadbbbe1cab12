"""python -m vosedu distill: a compact backbone from a teacher."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ..errors import InputError
from ..features import fold_batchnorm
from ..files.whole import make_folder, refuse_strangers
from ..training import distillation
from ..training.checkpoints import save_weights
from ..weights import load_pretrained


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--teacher", type=Path, required=True, metavar="FILE",
                        help="parameters of torchvision's mobilenet_v2, trained with ReLU in place of ReLU6")
    parser.add_argument("--images", type=Path, required=True, action="append", metavar="DIR",
                        help="photographs; may be repeated")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, losses and the finished weights")
    parser.add_argument("--steps", type=int, default=6000, help="of 16 crops (default 6000)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Make a compact backbone from a teacher; resumes from OUT. This is how the bundled one was made."""
    if args.steps < 1:
        raise InputError(f"--steps is {args.steps}: give 1 or more")
    path = args.out / "compact.safetensors"
    refuse_strangers("--out", args.out, ["distillation.pt", "distillation.csv"], [path.name])
    teacher, _, _ = load_pretrained("mobilenet_v2", [args.teacher])
    with tqdm(total=args.steps, unit="step", file=sys.stderr) as bar:
        student = distillation.distill(
            fold_batchnorm(teacher), args.images, make_folder(args.out), args.steps, seed=args.seed, bar=bar
        )
    save_weights(path, "compact", {"backbone": student.body}, recipe=f"vosedu distill, {args.steps} steps, seed {args.seed}")
    print(f"{path}: use it with --weights; losses in {args.out / 'distillation.csv'}")
    return 0
