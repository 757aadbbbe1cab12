"""python -m vosedu train: R, or something in its place."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ..device import machine, pick_device
from ..errors import InputError
from ..files import datasets
from ..files.whole import make_folder, refuse_strangers
from ..training import offline, processes
from ..training.clips import VideoClips
from ..training.kinds import KINDS
from ..training.samples import Recipe
from ..weights import load_pretrained
from .data_flags import add_data_flags, add_recipe_flags, given_recipe, given_sources, videos_of
from .flags import Settings, add_engine_flags, positive


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_data_flags(parser)
    parser.add_argument("--held-out", type=Path, metavar="DIR", help="videos for the held-out columns of training.csv, as "
                      "--video takes them (default: the bundled scenes)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="checkpoint, curves and the weights as they come")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints (default 100)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare samples (default 0: none beside this)")
    for kind in KINDS:
        if kind.flag:
            parser.add_argument(f"--{kind.flag}", action="store_true", help=kind.help)
    parser.add_argument("--fine-tune", action="store_true", help="begin with the R of the weights; with --base-net, for its R")
    add_recipe_flags(parser, "the network", Recipe())
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Train R for a backbone (Section 3.3), or something in its place; resumes from OUT. Under torchrun several processes
    share each batch."""
    settings = Settings.given(args)
    positive(args, every=1, workers=0)
    recipe = given_recipe(args)
    if args.frozen_norms and not args.fine_tune:
        raise InputError("--frozen-norms keeps statistics of the weights, and this training does not begin with them: add "
                         "--fine-tune")
    kind = _kind(args)
    sources = given_sources(args, recipe)
    held_out = VideoClips(
        videos_of(args.held_out) if args.held_out else datasets.load("scenes", datasets.SCENES), recipe.size,
        "held-out" if args.held_out else "scenes",
    )
    joined = processes.join_processes(pick_device(args.device))
    segmenter = settings.segmenter()
    # a clip is looked at as a whole, and R reads what it will read in a video
    segmenter = segmenter.changed(config=replace(segmenter.config, window_share=0.0))
    # once more, for the segmenter's has its batch normalisation folded away; what is trained and written has not
    pretrained = offline.Pretrained(*load_pretrained(args.backbone, args.weights))
    path = args.out / f"{args.backbone}{kind.suffix}.safetensors"
    refuse_strangers("--out", args.out, ["training.pt", "training.csv"], (path.name, "training.png"))
    training = kind(segmenter, sources, recipe, make_folder(args.out), kind.start(pretrained, args.fine_tune))
    if training.rank == 0:
        print(f"vosedu: {kind.what} for {args.backbone} on {machine(segmenter.device)}, {training.samples.epoch} sequences per "
              f"epoch, processes {training.processes}", file=sys.stderr)
    with tqdm(total=recipe.steps, unit="step", disable=args.quiet or training.rank > 0, file=sys.stderr) as bar:
        offline.train(training, held_out, args.every, args.workers, bar, lambda training: training.write(path, pretrained))
    if training.rank == 0:
        print(f"{path}: use it with --weights; curves in {args.out / 'training.png'} and training.csv")
    if joined:
        processes.leave_processes()
    return 0


def _kind(args: argparse.Namespace) -> type[offline.Training]:
    """The kind of training that the flags ask for."""
    given = [kind for kind in KINDS if kind.flag and getattr(args, kind.flag.replace("-", "_"))]
    flags = [kind.flag for kind in given] + ["fine-tune"] * args.fine_tune
    for kind in given:
        kind.check(flags, args.backbone)
    if len(given) > 1:
        raise InputError(f"--{given[0].flag} and --{given[1].flag} train different networks: give one of them")
    return given[0] if given else next(kind for kind in KINDS if not kind.flag)
