"""python -m vosedu average: the mean of several trainings of one network."""

import argparse
from pathlib import Path

from ..errors import InputError
from ..files.whole import write_bytes
from ..training.checkpoints import packed
from ..weights import State, read_state, weights_file
from .data_flags import weighted


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which files, and where to."""
    parser.add_argument("files", type=weighted, nargs="+", metavar="FILE[:WEIGHT]", help="weights that `train` wrote, or a "
                        "bundled name such as compact-free; the mean goes by weight (default: all the same)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="new .safetensors file for the mean")


def run(args: argparse.Namespace) -> int:
    """Write the mean of the parameters of several weights files. Trainings that began with the same weights end near each
    other, and their mean is often better than each (docs/weights.md, runs 11 and 12)."""
    if args.out.suffix != ".safetensors" or args.out.exists():
        why = "is there already" if args.out.exists() else "is no .safetensors file"
        raise InputError(f"--out {args.out} {why}: name a new one that ends in .safetensors")
    shares = [share for _, share in args.files]
    if all(share is None for share in shares):
        shares = [1.0] * len(shares)
    if None in shares or not all(0 < share < float("inf") for share in shares):
        raise InputError("some files have no weight above 0: write FILE:WEIGHT for all of them, or for none")
    shares = [share / sum(shares) for share in shares]
    paths = [weights_file(path) for path, _ in args.files]
    state, metadata = mean_state(paths, shares)
    metadata["recipe"] = "mean of " + ", ".join(f"{share:.3g} {path.name}" for path, share in zip(paths, shares, strict=True))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out, packed(state, metadata))
    print(f"{args.out}: use it with --weights; {metadata['recipe']}")
    return 0


def mean_state(paths: list[Path], shares: list[float]) -> tuple[State, dict[str, str]]:
    """Parameters and running statistics of several weights files, averaged.

    Args:
        paths: of the files.
        shares: of each in the mean; they sum to 1.

    Returns:
        The mean, float32, and the metadata of the first file: its backbone, and D's readout.

    Raises:
        InputError: a file cannot be read, or is of another network than the first.
    """
    states, notes = zip(*map(read_state, paths), strict=True)
    kinds = [(note.get("backbone"), {key: value.shape for key, value in state.items()})
             for state, note in zip(states, notes, strict=True)]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            raise InputError(f"{path} holds other networks than {paths[0]}: a mean needs files of the same kind")
    mean = dict(states[0])
    for key in (key for key, value in mean.items() if value.is_floating_point()):  # the others are counters of batches
        mean[key] = sum(share * state[key] for share, state in zip(shares, states, strict=True))
    return mean, notes[0]
