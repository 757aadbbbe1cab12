"""python -m vosedu train: R, or something in its place."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ..device import machine, pick_device
from ..errors import InputError
from ..features import RESNETS
from ..files import datasets
from ..files.whole import make_folder
from ..training import baselines, clips, offline, processes, stills, tuning
from ..weights import load_pretrained, part, save
from .flags import add_engine_flags, check_flags, make_segmenter

DAVIS_TIMES = 8
"""Passes through DAVIS 2017 for one through YouTube-VOS (Section 3.3)."""
RENDERED_TIMES = 2
"""Passes through rendered clips for one through photographs: they alone show targets that turn."""
ROUGH_RIM = 4
"""Pixels beside a rough outline that are not counted."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    for flag, text in (
        ("davis", f"DAVIS 2017, its train split, {DAVIS_TIMES} times an epoch"), ("ytvos", "YouTube-VOS, its train split"),
        ("rendered", "folder with JPEGImages and Annotations, such as data/render_scenes.py --random makes"),
        ("stills", "photographs in images/ with YOLO polygons in labels/, made into clips"),
        ("rough", "the same where polygons are rough, as data/outline_photographs.py makes them: their rims are not counted"),
    ):
        parser.add_argument(f"--{flag}", type=Path, action="append", default=[], metavar="DIR", help=text + "; may be repeated")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="checkpoint, curves and the weights as they come")
    parser.add_argument("--steps", type=int, default=3000, help="default 3000")
    parser.add_argument("--batch", type=int, default=4, help="samples of two frames a step, over all processes (default 4)")
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam; a tenth in the last third (default 0.001)")
    parser.add_argument("--height", type=int, default=240, help="rows of the training frames, 16:9 (default 240)")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints (default 100)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare samples (default 0: none beside this)")
    parser.add_argument("--base-net", action="store_true", help="train Table 1's Base net, a target encoder in D's place")
    parser.add_argument("--fine-tune", action="store_true", help="begin with the R of the weights; with --base-net, for its R")
    parser.add_argument("--tune-backbone", action="store_true",
                        help="train the backbone instead, so that D generalises; R then needs --fine-tune")
    parser.add_argument("--with-conv5", action="store_true", help="train the backbone's conv5_x too, which R alone reads")
    parser.add_argument("--overlap", type=float, default=0.0, metavar="W", help="weight of 1 - soft J in the loss beside the "
                        "cross-entropy (default 0, the paper's)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Train R for a backbone (Section 3.3), or something in its place; resumes from OUT. Under torchrun several processes
    share each batch."""
    check_flags(args)
    for name, least in (("steps", 1), ("batch", 1), ("height", 64), ("workers", 0)):
        if getattr(args, name) < least:
            raise InputError(f"--{name} is {getattr(args, name)}: give {least} or more")
    if args.tune_backbone and (args.base_net or args.fine_tune):
        raise InputError("--tune-backbone trains no R: leave --base-net and --fine-tune out")
    if args.with_conv5 and (args.base_net or args.tune_backbone or args.backbone not in ("compact", *RESNETS)):
        raise InputError("--with-conv5 is for training R on compact or a ResNet: leave it out")
    if not 0 <= args.overlap <= 100:
        raise InputError(f"--overlap is {args.overlap}: give 0 to 100")
    recipe = offline.Recipe(args.steps, args.batch, rate=args.rate, height=args.height, seed=args.seed,
                             overlap=args.overlap, conv5=args.with_conv5)
    videos = [("davis2017", root, DAVIS_TIMES) for root in args.davis] + [("ytvos", root, 1) for root in args.ytvos]
    sources = [
        (clips.VideoClips(datasets.load(kind, root, "train"), recipe.size, f"{kind}-{n}"), times)
        for n, (kind, root, times) in enumerate(videos)
    ]
    sources += [
        (clips.RenderedClips(datasets.load("folder", root), recipe.size, f"rendered-{n}"), RENDERED_TIMES)
        for n, root in enumerate(args.rendered)
    ]
    sources += [(stills.StillClips(root, recipe.size, f"stills-{n}"), 1) for n, root in enumerate(args.stills)]
    sources += [(stills.StillClips(root, recipe.size, f"rough-{n}", ROUGH_RIM), 1) for n, root in enumerate(args.rough)]
    if not sources:
        raise InputError("nothing to train on: give --stills, --rough, --davis, --ytvos or --rendered")
    joined = processes.join_processes(pick_device(args.device))
    segmenter = make_segmenter(args)
    # the segmenter has its batch normalisation folded away; what is trained on and written out has not
    backbone, refinement, readout = load_pretrained(args.backbone, args.weights)
    if args.fine_tune and refinement is None:
        raise InputError("--fine-tune needs weights that hold a refinement network: give them with --weights")
    kind, start, what = offline.Training, refinement.state_dict() if args.fine_tune else {}, "R"
    if args.base_net or args.with_conv5:  # R is a part of what is trained
        start = {f"refinement.{k}": v for k, v in start.items()}
    if args.with_conv5:
        start |= {f"conv5.{k}": v for k, v in part(backbone.body.state_dict(), "layer4.").items()}
    if args.base_net:
        kind, what = baselines.BaseTraining, "Base net"
    elif args.tune_backbone:
        kind, start, what = tuning.FeatureTuning, tuning.Tunable(backbone).state_dict(), "features"
    run = kind(segmenter, sources, recipe, make_folder(args.out), start)
    body = {} if args.backbone in RESNETS else {"backbone": backbone.body}  # torchvision has the ResNets' own
    path = args.out / f"{args.backbone}{'-base' * args.base_net}.safetensors"

    def keep(run: offline.Training) -> None:
        if args.base_net:
            parts = {"base": run.trained()}
        elif args.tune_backbone:  # R, made for the features as they were, comes along to be fine-tuned
            parts = {"backbone": run.trained().backbone.body, **({"refinement": refinement} if refinement else {})}
        elif args.with_conv5:
            backbone.body.load_state_dict({f"layer4.{k}": v for k, v in run.trained().conv5.state_dict().items()}, strict=False)
            parts = {"backbone": backbone.body, "refinement": run.trained().refinement}
        else:
            parts = {**body, "refinement": run.trained()}
        recipe_text = f"vosedu train, step {run.step} of {recipe.steps}"
        save(path, args.backbone, parts, None if args.base_net else readout, recipe=recipe_text)

    if run.rank == 0:
        print(f"vosedu: {what} for {args.backbone} on {machine(segmenter.device)}, "
              f"{len(run.samples.entries)} sequences an epoch, processes {run.processes}", file=sys.stderr)
    with tqdm(total=recipe.steps, unit="step", disable=args.quiet or run.rank > 0, file=sys.stderr) as bar:
        held_out = clips.VideoClips(datasets.load("scenes", datasets.SCENES), recipe.size, "scenes")
        offline.train(run, held_out, args.every, args.workers, bar, keep)
    if run.rank == 0:
        print(f"{path}: use it with --weights; curves in {args.out / 'training.png'} and training.csv")
    if joined:
        processes.leave_processes()
    return 0
