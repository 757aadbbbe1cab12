"""python -m vosedu train: R, or something in its place."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from ..device import machine, pick_device
from ..errors import InputError
from ..files import datasets
from ..files.whole import make_folder, refuse_strangers
from ..training import offline, processes
from ..training.clips import AnnotatedVideo, AnyFrameClips, VideoClips, folder_and_names
from ..training.kinds import KINDS
from ..training.samples import Recipe, Samples, Source
from ..training.shots import Clips
from ..training.stills import StillClips
from ..weights import load_pretrained
from .flags import Settings, add_engine_flags, positive

ROUGH_RIM = 4
"""Pixels beside a rough outline that are not counted."""


def _videos(path: Path) -> list[AnnotatedVideo]:
    """The videos of a folder in DAVIS layout, or those that a list in its ImageSets names."""
    root, names = folder_and_names(path)
    return datasets.load("folder", root, sequences=names)


class DataFlag(NamedTuple):
    """A flag that gives training data."""

    text: str
    """What to give, for --help."""
    passes: int
    """Times that an epoch goes through it where no weights are given; DAVIS 2017 eight times for one through YouTube-VOS, as
    in Section 3.3, and twice through rendered clips, which alone show targets that turn, for one through photographs."""
    clips: Callable[[Path, tuple[int, int], str], Clips]
    """From the path given, (H, W) of the shots and a name for the collection."""


DATA = {
    "davis": DataFlag("DAVIS 2017, its train split", 8,
                      lambda path, *more: VideoClips(datasets.load("davis2017", path, "train"), *more)),
    "ytvos": DataFlag("YouTube-VOS, its train split", 1,
                      lambda path, *more: VideoClips(datasets.load("ytvos", path, "train"), *more)),
    "video": DataFlag("folder with JPEGImages and Annotations, or a list of names in its ImageSets: any frame may be the "
                      "reference", 1,
                      lambda path, *more: AnyFrameClips(_videos(path), *more)),
    "rendered": DataFlag("the same, as data/render_scenes.py --random makes it", 2,
                         lambda path, *more: AnyFrameClips(_videos(path), *more)),
    "stills": DataFlag("photographs in images/ with PNGs in masks/ or YOLO polygons in labels/, made into clips", 1,
                       StillClips),
    "rough": DataFlag("the same where masks are rough, as data/outline_photographs.py makes them: rims are not counted", 1,
                      lambda path, *more: StillClips(path, *more, rim=ROUGH_RIM)),
}
"""The flags that give training data, by name."""


def weighted(text: str) -> tuple[Path, float | None]:
    """DIR or DIR:WEIGHT as typed -> the path, and the weight or None."""
    path, colon, weight = text.rpartition(":")
    if colon and path and not Path(text).exists():
        try:
            return Path(path), float(weight)
        except ValueError:
            pass
    return Path(text), None


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Those of `DATA`, for a command that learns from clips."""
    data = parser.add_argument_group(
        "training data", "Each flag may be repeated. DIR:WEIGHT in place of DIR, for all of them or for none, sets the share "
        "of every epoch that the source gets: its weight over the sum of all weights, however large the source is.")
    for flag, source in DATA.items():
        data.add_argument(f"--{flag}", type=weighted, action="append", default=[], metavar="DIR", help=source.text)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_data_flags(parser)
    parser.add_argument("--held-out", type=Path, metavar="DIR", help="videos for the held-out columns of training.csv, as "
                      "--video takes them (default: the bundled scenes)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="checkpoint, curves and the weights as they come")
    parser.add_argument("--steps", type=int, default=3000, help="default 3000")
    parser.add_argument("--batch", type=int, default=4, help="samples of two frames per step, over all processes (default 4)")
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam; a tenth in the last third (default 0.001)")
    parser.add_argument("--height", type=int, default=240, help="rows of the training frames, 16:9 (default 240)")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints (default 100)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare samples (default 0: none beside this)")
    for kind in KINDS:
        if kind.flag:
            parser.add_argument(f"--{kind.flag}", action="store_true", help=kind.help)
    parser.add_argument("--fine-tune", action="store_true", help="begin with the R of the weights; with --base-net, for its R")
    parser.add_argument("--overlap", type=float, default=0.0, metavar="W", help="weight of 1 - soft J in the loss beside the "
                        "cross-entropy (default 0, the paper's)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Train R for a backbone (Section 3.3), or something in its place; resumes from OUT. Under torchrun several processes
    share each batch."""
    settings = Settings.given(args)
    positive(args, steps=1, batch=1, height=64, every=1, workers=0)
    if not 0 <= args.overlap <= 100:
        raise InputError(f"--overlap is {args.overlap}: give 0 to 100")
    kind = _kind(args)
    recipe = Recipe(args.steps, args.batch, rate=args.rate, height=args.height, seed=args.seed, overlap=args.overlap)
    sources = given_sources(args, recipe)
    held_out = VideoClips(
        _videos(args.held_out) if args.held_out else datasets.load("scenes", datasets.SCENES), recipe.size,
        "held-out" if args.held_out else "scenes",
    )
    joined = processes.join_processes(pick_device(args.device))
    segmenter = settings.segmenter()
    segmenter = segmenter.changed(config=replace(segmenter.config, window_share=0.0))  # a clip is looked at as a whole
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


def given_sources(args: argparse.Namespace, recipe: Recipe) -> list[Source]:
    """The training data that the flags give, in the order of `DATA`.

    Raises:
        InputError: there is none, or it cannot be used.
    """
    sources = []
    for flag, data in DATA.items():
        for n, (path, weight) in enumerate(getattr(args, flag)):
            clips = data.clips(path, recipe.size, f"{flag}-{n}")
            if not len(clips):
                raise InputError(f"--{flag} {path} holds no object that is large enough to learn from")
            sources.append(Source(clips, data.passes, weight))
    if not sources:
        raise InputError(f"nothing to train on: give {', '.join(f'--{flag}' for flag in DATA)}")
    return Samples(sources, recipe).sources  # which complains about weights before anything is written
