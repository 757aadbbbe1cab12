"""The flags of training, shared by the commands that learn from clips: what from, how much, how long."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..files import datasets
from ..training.clips import AnnotatedVideo, AnyFrameClips, VideoClips, folder_and_names
from ..training.samples import Recipe, Samples, Source
from ..training.shots import Clips
from ..training.stills import StillClips
from .flags import positive

ROUGH_RIM = 4
"""Pixels beside a rough outline that are not counted."""


def videos_of(path: Path) -> list[AnnotatedVideo]:
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
                      lambda path, *more: AnyFrameClips(videos_of(path), *more)),
    "rendered": DataFlag("the same, as data/render_scenes.py --random makes it", 2,
                         lambda path, *more: AnyFrameClips(videos_of(path), *more)),
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


def add_recipe_flags(parser: argparse.ArgumentParser, what: str, usual: Recipe) -> None:
    """The numbers of a `Recipe` but its seed, which is one of the engine's flags; and --quiet.

    Args:
        what: is trained, for --help.
        usual: the defaults.
    """
    group = parser.add_argument_group(f"training of {what}")
    group.add_argument("--steps", type=int, default=usual.steps, help=f"of Adam (default {usual.steps})")
    group.add_argument("--batch", type=int, default=usual.batch, help="samples of two frames per step, over all processes "
                       f"(default {usual.batch})")
    group.add_argument("--rate", type=float, default=usual.rate, help="of Adam; a tenth in the last third (default "
                       f"{usual.rate:g})")
    group.add_argument("--height", type=int, default=usual.height, help="rows of the training frames, 16:9 (default "
                       f"{usual.height})")
    group.add_argument("--overlap", type=float, default=usual.overlap, metavar="W", help="weight of 1 - soft J in the loss "
                       f"beside the cross-entropy (default {usual.overlap:g}; the paper's is 0)")
    group.add_argument("--references", type=int, default=usual.references, metavar="N", help="at most N sequences of each "
                       "source, evenly spread: every one costs a D of its own (default 0: all)")
    group.add_argument("--frozen-norms", action="store_true", help="batch normalisation keeps the statistics of the weights "
                       "that training begins with")
    group.add_argument("--absent", type=float, default=usual.absent, metavar="P", help="share of the samples in which one "
                       f"frame does not show the target (default {usual.absent:g}; the paper has none)")
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def given_recipe(args: argparse.Namespace, least: int = 1) -> Recipe:
    """What `add_recipe_flags` and --seed say.

    Args:
        least: number of steps that makes sense.

    Raises:
        InputError: a number is out of range.
    """
    positive(args, steps=least, batch=1, height=64)
    if not 0 <= args.overlap <= 100:
        raise InputError(f"--overlap is {args.overlap}: give 0 to 100")
    if not 0 < args.rate < float("inf"):
        raise InputError(f"--rate is {args.rate}: give a number above 0")
    if args.references < 0:
        raise InputError(f"--references is {args.references}: give 0 for all, or how many of each source")
    if not 0 <= args.absent <= 1:
        raise InputError(f"--absent is {args.absent}: give 0 to 1")
    return Recipe(args.steps, args.batch, rate=args.rate, height=args.height, seed=args.seed, overlap=args.overlap,
                  references=args.references, frozen_norms=args.frozen_norms, absent=args.absent)
