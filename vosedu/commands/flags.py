"""The flags that commands share: which engine, which settings, which machine; and what is made of them."""

import argparse
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from ..beyond.nearest import SCALES
from ..config import PRESETS, Config
from ..device import machine
from ..errors import InputError
from ..features import BACKBONES, architecture
from ..files import datasets
from ..segmenter import Segmenter
from ..weights import weights_file


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """Add them to a command: preset, backbone, weights, device, seed, and one for every field of `Config`."""
    group = parser.add_argument_group("engine")
    group.add_argument("--preset", default="best", help="best (default), whole, paper or fast; see `vosedu settings`")
    group.add_argument("--backbone", default="compact", help=", ".join(BACKBONES) + " (default compact, bundled)")
    group.add_argument("--weights", type=weights_file, action="append", default=[], metavar="FILE",
                       help="backbone or refinement weights (.safetensors, .pt, .pth), or compact-free, which learned from no "
                       "video; may be given twice")
    group.add_argument("--no-refinement", action="store_true", help="read masks from D alone, the paper's D-only")
    group.add_argument("--device", default="auto", help="auto (cuda, then mps, then cpu), cpu, cuda, cuda:1, mps")
    group.add_argument("--precision", default="auto", help="of F and R: float32, bfloat16, or auto (default): the faster here")
    group.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    group.add_argument("--seed", type=int, default=0, help="of augmentation and start (default 0)")
    group.add_argument("--short-side", type=int, metavar="N", help="work on frames shrunk or enlarged to N pixels on their "
                       "shorter side, both sides multiples of 16; 0: as they are (default "
                       f"{BACKBONES['compact'].short_side} with compact, else 0); masks have the video's own size")
    numbers = parser.add_argument_group("settings", "each overrides the preset; see `vosedu settings`")
    for f in fields(Config):
        limits = f.metadata.get("choices") or (f.metadata["low"], f.metadata["high"])
        text = "|".join(limits) if "choices" in f.metadata else f"{limits[0]} to {limits[1]}"
        # argparse reads % as a format
        numbers.add_argument("--" + f.name.replace("_", "-"), type=f.type, metavar=text,
                             help=f.metadata["help"].replace("%", "%%"))


def add_dataset_flags(parser: argparse.ArgumentParser) -> None:
    """Which data set, where it lies, and which of its sequences."""
    parser.add_argument("dataset", help=", ".join(datasets.NAMES))
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where the data set lies")
    parser.add_argument("--sequences", metavar="A,B", help="only these")
    parser.add_argument("--split", default="val", help="default val")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def sequences_of(args: argparse.Namespace) -> list[datasets.AnnotatedVideo]:
    """What `add_dataset_flags` asks for.

    Raises:
        InputError: it is not there.
    """
    return datasets.load(args.dataset, args.root, args.split, [s for s in (args.sequences or "").split(",") if s])


def positive(args: argparse.Namespace, **least: int) -> None:
    """Refuse numbers below their least.

    Raises:
        InputError: naming the flag.
    """
    for name, low in least.items():
        if getattr(args, name) < low:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(args, name)}: give {low} or more")


@dataclass(frozen=True)
class Settings:
    """What the engine's flags say: with the input, all that decides the masks.

    Raises:
        InputError: a value is out of range, or the backbone is unknown.
    """

    config: Config = PRESETS["best"]
    preset: str = "best"
    backbone: str = "compact"
    weights: tuple[Path, ...] = ()
    refinement: bool = True
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    seed: int = 0
    short_side: int = BACKBONES["compact"].short_side

    def __post_init__(self):
        architecture(self.backbone)
        if self.short_side and self.short_side < 32:
            raise InputError(f"--short-side is {self.short_side}: give 32 or more, or 0 for frames as they are")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed is {self.seed}: give a whole number from 0 to 2147483647")

    @classmethod
    def given(cls, args: argparse.Namespace) -> "Settings":
        """Those of a command line."""
        if args.preset not in PRESETS:
            raise InputError(f"unknown preset '{args.preset}': choose one of {', '.join(PRESETS)}")
        changes = {f.name: getattr(args, f.name) for f in fields(Config) if getattr(args, f.name) is not None}
        short_side = architecture(args.backbone).short_side if args.short_side is None else args.short_side
        config = replace(PRESETS[args.preset], **changes)
        if config.nearest and args.backbone not in SCALES:
            if "nearest" in changes:
                raise InputError(f"--nearest is for the backbone {', '.join(SCALES)}: leave it out with {args.backbone}")
            config = replace(config, nearest=0.0)
        return cls(config, args.preset, args.backbone, tuple(args.weights),
                   not args.no_refinement, args.device, args.precision, args.threads, args.seed, short_side)

    @classmethod
    def recorded(cls, notes: dict, threads: int) -> "Settings":
        """Those that `noted` wrote.

        Raises:
            InputError: one is missing or of another kind.
        """
        kinds = {"preset": str, "backbone": str, "output": str, "device": str, "precision": str, "seed": int, "short_side": int}
        wrong = next((name for name, kind in kinds.items() if type(notes.get(name)) is not kind), None)
        wrong = wrong or next((f.name for f in fields(Config) if f.name not in notes), None)
        if wrong:
            raise InputError(f"its setting '{wrong}' is {notes.get(wrong)!r}, so it cannot be repeated")
        config = Config(**{f.name: notes[f.name] for f in fields(Config)})
        files = notes.get("weights")
        weights = tuple(Path(str(file)) for file in files) if isinstance(files, list) else ()
        return cls(config, notes["preset"], notes["backbone"], weights, notes["output"] != "D only", notes["device"],
                   notes["precision"], threads, notes["seed"], notes["short_side"])

    def segmenter(self) -> Segmenter:
        """The engine that they ask for."""
        if self.threads > 0:
            torch.set_num_threads(self.threads)
        found = Segmenter.from_pretrained(
            self.backbone, self.weights, self.config, self.device, self.precision, self.short_side
        )
        return found if self.refinement else found.changed(refinement=None)

    def noted(self, segmenter: Segmenter) -> dict:
        """What is written beside results: everything that decides the masks."""
        return {
            "preset": self.preset,
            "backbone": self.backbone,
            "weights": [str(w.resolve()) for w in self.weights] or "bundled or ImageNet",
            "output": "refinement" if segmenter.refinement else "D only",
            "device": segmenter.device.type,
            "precision": segmenter.precision,
            "seed": self.seed,
            "short_side": self.short_side,
            **asdict(segmenter.config),
        }

    def announce(self, segmenter: Segmenter) -> None:
        """Say on stderr what runs, and on what."""
        where = f"{machine(segmenter.device)}, {segmenter.precision}"
        print(f"vosedu: {self.backbone} on {where}, preset {self.preset}", file=sys.stderr)
        if segmenter.refinement is None and self.refinement:
            print("vosedu: no refinement weights for this backbone, so masks come from the target model alone "
                  "(the paper's D-only); give R with --weights", file=sys.stderr)
