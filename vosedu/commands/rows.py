"""What the tables share: their flags, which rows they have, the Base net's rows, and the run through them."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from ..beyond import method
from ..device import machine, versions
from ..errors import InputError
from ..evaluation.scoring import claim
from ..files.datasets import AnnotatedVideo
from ..files.whole import make_folder, refuse_other_json, write_json
from ..protocols import Engine
from ..segmenter import Segmenter
from ..training.baselines import BaseSegmenter, load_base_net
from ..weights import BUNDLED_BASE, BUNDLED_DV17, load_refinement
from .flags import Settings

Row = TypeVar("Row")
Score = Callable[[str, Engine, Sequence[AnnotatedVideo], Path, int, tqdm], dict]
"""Row, engine, sequences, the row's folder, seed and bar -> the figures of the row, kept in the folder sequence by sequence."""


def add_row_flags(parser: argparse.ArgumentParser) -> None:
    """Where to, which rows, and what those of fine-tuning need."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="masks and scores; run again to resume")
    parser.add_argument("--base", type=Path, metavar="FILE", help="Base net of `vosedu train --base-net`, for its rows "
                        "(default: the bundled one, with the bundled weights)")
    parser.add_argument("--rows", metavar="A,B", help="only these rows, by the names in the table")
    parser.add_argument("--fine-tuned", action="store_true", help="also the fine-tuned rows, minutes per object on a CPU")


def base_net_file(args: argparse.Namespace, settings: Settings) -> Path | None:
    """The Base net that was given, or the bundled one where it goes with the weights; None: there is none.

    Raises:
        InputError: the fine-tuned rows need one.
    """
    base = args.base or (BUNDLED_BASE if settings.backbone == "compact" and not settings.weights else None)
    if args.fine_tuned and not base:
        raise InputError("--fine-tuned needs a Base net for these weights: give it with --base")
    return base


def base_rows(segmenter: Segmenter, base: Path | None, fine_tuned: bool) -> dict[str, Engine]:
    """Base net, and Base net + F-T where it is asked for; nothing without a trained one."""
    if not base:
        return {}
    net = load_base_net(base, segmenter.backbone.channels)
    rows: dict[str, Engine] = {"Base net": BaseSegmenter(segmenter, net)}
    return {**rows, "Base net + F-T": BaseSegmenter(segmenter, net, fine_tune=True)} if fine_tuned else rows


def davis_rows(segmenter: Segmenter, settings: Settings) -> dict[str, Segmenter]:
    """The paper's "Ours (DV17)" (Table 3), the method with an R that learned from DAVIS's training split alone; nothing with
    other weights than the bundled ones."""
    if settings.backbone != "compact" or settings.weights:
        return {}
    refinement = load_refinement(BUNDLED_DV17, segmenter.backbone.channels)
    return {"Ours (DV17)": segmenter.changed(refinement=refinement, config=method(segmenter.config))}


def chosen_rows(rows: dict[str, Row], names: str | None) -> dict[str, Row]:
    """The rows named, separated by commas; all where none is.

    Raises:
        InputError: there is no such row.
    """
    chosen = names.split(",") if names else list(rows)
    unknown = [row for row in chosen if row not in rows]
    if unknown:
        raise InputError(f"no row '{unknown[0]}' in the table: choose of {', '.join(rows)}; Base net with other "
                         "weights than the bundled ones needs --base, and Base net + F-T --fine-tuned")
    return {row: engine for row, engine in rows.items() if row in chosen}


def filled(
    args: argparse.Namespace, settings: Settings, segmenter: Segmenter, sequences: Sequence[AnnotatedVideo],
    rows: Mapping[str, tuple[Engine, dict]], score: Score, **more: object,
) -> dict[str, dict]:
    """Run every row through all sequences; resumes from --out, where each row has a folder.

    Args:
        rows: name -> engine, and what decides its masks beside the settings.
        more: what is written beside the results.

    Returns:
        Name -> what `score` found; written to --out as well, into a file of the command's name.
    """
    settings.announce(segmenter)
    file = make_folder(args.out) / f"{args.command}.json"
    refuse_other_json("--out", file, "rows")
    noted, results = settings.noted(segmenter), {}
    frames = sum(len(s.frame_names) for s in sequences) * len(rows)
    with tqdm(total=frames, unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for name, (engine, own) in rows.items():
            folder = make_folder(args.out / name.replace(" ", "-"))
            claim(folder, {"dataset": args.dataset, **noted, "row": name, **own})
            results[name] = score(name, engine, sequences, folder, settings.seed, bar)
    write_json(file, {"rows": results, **more, "settings": noted, "versions": versions(),
                      "machine": machine(segmenter.device)})
    return results
