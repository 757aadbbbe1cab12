"""python -m vosedu settings: every number of Section 3.5, with the presets' values."""

import argparse

from ..config import describe


def add_flags(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """List every setting and preset."""
    print(describe())
    return 0
