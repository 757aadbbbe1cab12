"""python -m vosedu download: a data set from its authors."""

import argparse
from pathlib import Path

from ..files import download


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("dataset", help=", ".join(download.ARCHIVES))
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make (default: the data set's name)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Fetch a data set from its authors; run again, it goes on from where it was cut off."""
    out = args.out or Path(args.dataset)
    sha256 = download.download(args.dataset, out, args.quiet)
    print(f"{out}: {args.dataset}, from an archive of SHA-256 {sha256}\n"
          f"next: python -m vosedu evaluate {args.dataset} --root {out}")
    return 0
