"""The flags that commands share: which engine, which settings, which machine; and what is made of them."""

import argparse
import contextlib
import io
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch

from ..config import PRESETS, Config
from ..device import machine
from ..errors import InputError
from ..features import NAMES
from ..segmenter import Segmenter

SHORT_SIDE = {"compact": 360}
"""Where --short-side is not given: `compact`, trained at 240 rows, is better at 360 than at 480 and far better than at the
size of small videos (docs/presets.md)."""


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """Add them to a command: preset, backbone, weights, device, seed, and one a field of `Config`."""
    group = parser.add_argument_group("engine")
    group.add_argument("--preset", default="best", help="best (default), paper or fast; see `vosedu settings`")
    group.add_argument("--backbone", default="compact", help=", ".join(NAMES) + " (default compact, bundled)")
    group.add_argument("--weights", type=Path, action="append", default=[], metavar="FILE",
                       help="backbone or refinement weights (.safetensors, .pt, .pth); may be given twice")
    group.add_argument("--no-refinement", action="store_true", help="read masks from D alone, the paper's D-only")
    group.add_argument("--device", default="auto", help="auto (cuda, then mps, then cpu), cpu, cuda, cuda:1, mps")
    group.add_argument("--autocast", action="store_true", help="bfloat16 in the networks, on CUDA or a CPU")
    group.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    group.add_argument("--seed", type=int, default=0, help="of augmentation and start (default 0)")
    group.add_argument("--short-side", type=int, metavar="N", help="work on frames shrunk or enlarged to N pixels on their "
                       "shorter side, 0: as they are (default 360 with compact, else 0); masks have the video's own size")
    numbers = parser.add_argument_group("settings", "each overrides the preset; see `vosedu settings`")
    for f in fields(Config):
        limits = f.metadata.get("choices") or (f.metadata["low"], f.metadata["high"])
        text = "|".join(limits) if "choices" in f.metadata else f"{limits[0]} to {limits[1]}"
        # argparse reads % as a format
        numbers.add_argument("--" + f.name.replace("_", "-"), type=f.type, metavar=text,
                             help=f.metadata["help"].replace("%", "%%"))


def config_of(args: argparse.Namespace) -> Config:
    """The preset, with the settings given in its place."""
    if args.preset not in PRESETS:
        raise InputError(f"unknown preset '{args.preset}': choose one of {', '.join(PRESETS)}")
    given = {f.name: getattr(args, f.name) for f in fields(Config) if getattr(args, f.name) is not None}
    return replace(PRESETS[args.preset], **given)


def check_flags(args: argparse.Namespace) -> None:
    """Complain about flags before anything is read."""
    if args.backbone not in NAMES:
        raise InputError(f"unknown backbone '{args.backbone}': choose one of {', '.join(NAMES)}")
    if args.short_side is None:
        args.short_side = SHORT_SIDE.get(args.backbone, 0)
    if args.short_side and args.short_side < 32:
        raise InputError(f"--short-side is {args.short_side}: give 32 or more, or 0 for frames as they are")
    if not 0 <= args.seed < 2**31:
        raise InputError(f"--seed is {args.seed}: give a whole number from 0 to 2147483647")
    config_of(args)


def make_segmenter(args: argparse.Namespace) -> Segmenter:
    """The engine that the flags ask for."""
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    segmenter = Segmenter.from_pretrained(args.backbone, args.weights, config_of(args), args.device, args.autocast)
    if args.no_refinement:
        segmenter.refinement = None
    return segmenter


def settings_of(args: argparse.Namespace, segmenter: Segmenter) -> dict:
    """Everything that decides the masks."""
    return {
        "preset": args.preset,
        "backbone": args.backbone,
        "weights": [str(w.resolve()) for w in args.weights] or "bundled or ImageNet",
        "output": "refinement" if segmenter.refinement else "D only",
        "device": segmenter.device.type,
        "autocast": args.autocast,
        "seed": args.seed,
        "short_side": args.short_side,
        **asdict(segmenter.config),
    }


def announce(segmenter: Segmenter, args: argparse.Namespace) -> None:
    """Say on stderr what runs, and on what."""
    print(f"vosedu: {args.backbone} on {machine(segmenter.device)}, preset {args.preset}", file=sys.stderr)
    if segmenter.refinement is None and not args.no_refinement:
        print("vosedu: no refinement weights for this backbone, so masks come from the target model alone "
              "(the paper's D-only); give R with --weights", file=sys.stderr)


REPEATED = ("input", "masks", "out", "overlay", "sheet", "quiet", "checkpoint", "recorded", "command", "run")
"""What `--from` does not take from the recorded run."""


def from_run(args: argparse.Namespace, recorded: dict, parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments that repeat a recorded run, through the parser, which checks them as it does a user's.

    Args:
        args: of `segment --from`.
        recorded: that run.json.
        parser: the whole command line.

    Raises:
        InputError: other settings are given beside it, or what it holds does not parse.
    """
    plain = vars(parser.parse_args(["segment"]))
    changed = [name for name in plain if name not in REPEATED and getattr(args, name) != plain[name]]
    if args.input or args.masks or changed:
        name = "INPUT" if args.input else "--masks" if args.masks else "--" + changed[0].replace("_", "-")
        raise InputError(f"--from repeats a run with its own input and settings: leave {name} away")
    settings = recorded["settings"]
    flags = [f"--{name.replace('_', '-')}={settings.get(name)}" for name in
             ("preset", "backbone", "device", "seed", "short_side", *(f.name for f in fields(Config)))]
    flags += [f"--masks={recorded['masks']}", f"--threads={recorded['threads']}"]
    flags += [f"--weights={file}" for file in settings.get("weights", []) if isinstance(settings.get("weights"), list)]
    flags += ["--no-refinement"] if settings.get("output") == "D only" else []
    flags += ["--autocast"] if settings.get("autocast") else []
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = parser.parse_args(["segment", *flags, "--", recorded["input"]])
    except SystemExit:
        raise InputError(f"{args.recorded}: {said.getvalue().strip().splitlines()[-1]}: it cannot be repeated") from None
    for name in ("overlay", "sheet", "quiet", "checkpoint", "recorded"):
        setattr(found, name, getattr(args, name))
    found.out = args.out or Path(f"{args.recorded.resolve().parent.name}-again")
    return found
