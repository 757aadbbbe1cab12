"""python -m vosedu rivals: learn offline what the families of `table3` need."""

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from ..beyond import method
from ..device import machine
from ..errors import InputError
from ..features import TARGET_DEPTH
from ..files.whole import make_folder, refuse_strangers
from ..rivals import offline
from ..rivals.field import FIELD, Learned, families, load_learned, ready, refined
from ..segmenter import Segmenter
from ..training.checkpoints import save_weights
from ..training.samples import Recipe, Samples
from ..weights import load_pretrained
from .data_flags import add_data_flags, add_recipe_flags, given_recipe, given_sources
from .flags import Settings, add_engine_flags, positive

USUAL = Recipe(steps=0, rate=1e-4, overlap=0.25)
"""Of R, unless flags say otherwise: it is fine-tuned, with the overlap with which the bundled one was trained."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Training data, how long, and the engine's flags. Those that `train` has too are the same."""
    add_data_flags(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for table3's --learned; what is there already "
                        "is not learned again")
    parser.add_argument("--propagation-steps", type=int, default=800, help="of the propagation network (default 800)")
    parser.add_argument("--readout-batches", type=int, default=20, help="for scale and offset (default 20)")
    parser.add_argument("--only", metavar="A,B", help="an R for these families only, by their names in the table")
    add_recipe_flags(parser, "an R for every family; none with --steps 0", USUAL)
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Learn the propagation network, scale and offset of every family, and with --steps an R for each by equally many steps on
    the same clips."""
    settings = Settings.given(args)
    positive(args, propagation_steps=1, readout_batches=1)
    recipe = given_recipe(args, least=0)
    samples = Samples(given_sources(args, recipe), recipe)
    segmenter = settings.segmenter()
    segmenter = segmenter.changed(config=method(segmenter.config))  # a clip is looked at as a whole
    refuse_strangers("--out", args.out, [FIELD], [FIELD])
    print(f"vosedu: the field on {machine(segmenter.device)}, {samples.epoch} sequences per epoch", file=sys.stderr)
    path = make_folder(args.out) / FIELD
    if not path.is_file():
        learn_field(segmenter, samples, args, path)
    learned = load_learned(path, segmenter.backbone.channels[TARGET_DEPTH], segmenter.device)
    for name, (scale, offset) in learned.readouts.items():
        print(f"{name:<20} {scale:8.3f} s {offset:+8.3f}")
    if args.steps:
        rows = {name: row.make for name, row in ready(learned).items()}
        chosen = args.only.split(",") if args.only else list(rows)
        if unknown := [name for name in chosen if name not in rows]:
            raise InputError(f"no family '{unknown[0]}': choose of {', '.join(rows)}")
        missing = {name: rows[name] for name in chosen if not refined(args.out, name).is_file()}
        start = load_pretrained(args.backbone, args.weights)[1]
        if start is None:
            raise InputError(f"there is no R for {args.backbone} to begin with: give it with --weights")
        with tqdm(total=args.steps, unit="step", disable=args.quiet, file=sys.stderr) as bar:
            nets = offline.tune_refinements(segmenter, missing, start, samples, bar) if missing else {}
        for name, net in nets.items():
            save_weights(refined(args.out, name), args.backbone, {"refinement": net},
                         recipe=f"vosedu rivals, {args.steps} steps at {args.rate}")
    print(f"{args.out}: use it with `table3 --learned`")
    return 0


def learn_field(segmenter: Segmenter, samples: Samples, args: argparse.Namespace, path: Path) -> None:
    """Propagation network and readouts, into one small file."""
    with tqdm(total=args.propagation_steps + args.readout_batches, unit="batch", disable=args.quiet, file=sys.stderr) as bar:
        network = offline.train_propagator(segmenter, samples, args.propagation_steps, bar=bar)
        rows = {name: row.make for name, row in families(Learned(network, {})).items()}
        readouts = offline.learn_readouts(segmenter, rows, samples, args.readout_batches, bar)
    holder = torch.nn.Module()
    for name, pair in readouts.items():
        holder.register_buffer(name, torch.tensor(pair))
    save_weights(path, args.backbone, {"propagation": network, "readout": holder},
                 recipe=f"vosedu rivals, {args.propagation_steps} steps, {args.readout_batches} batches")
