"""python -m vosedu notebooks: the notebooks as files of one's own."""

import argparse
import shutil
from pathlib import Path

from ..errors import InputError
from ..files.bundled import bundled
from ..files.whole import make_folder, occupant


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Where they go."""
    parser.add_argument("--to", type=Path, default=Path("vosedu-notebooks"), metavar="DIR",
                        help="default vosedu-notebooks; nothing in it is replaced")


def run(args: argparse.Namespace) -> int:
    """Copy the notebooks and their solutions into a folder; what is there already is left, and refused."""
    source = bundled("notebooks")
    found = [p.relative_to(source) for p in source.rglob("*") if p.suffix in (".ipynb", ".md")]
    files = sorted(p for p in found if not any(part.startswith(".") for part in p.parts))
    if not files:
        raise InputError(f"the notebooks are missing at {source}: install vosedu anew, or restore them from the repository")
    for file in files:
        if there := occupant(args.to / file):
            raise InputError(f"{there} is there already, perhaps with your answers in it: give another folder with --to")
    for file in files:
        make_folder((args.to / file).parent)
        shutil.copyfile(source / file, args.to / file)
    print(f"{len(files)} files in {args.to}; open them with: jupyter lab {args.to / '00_tour.ipynb'}")
    return 0
