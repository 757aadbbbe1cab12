"""python -m vosedu table1: the paper's ablation."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from ..beyond import method
from ..config import PRESETS, departures
from ..device import machine, versions
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.scoring import claim, resumable_sequence
from ..files import datasets
from ..files.whole import digest, make_folder, refuse_other_json, write_json
from ..protocols import Engine
from ..segmenter import Segmenter
from ..training.baselines import BaseSegmenter, load_base_net
from ..weights import BUNDLED_BASE
from .flags import Settings, add_dataset_flags, add_engine_flags, sequences_of


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The data set, rows, outputs, and the engine's flags."""
    add_dataset_flags(parser)
    add_row_flags(parser)
    add_engine_flags(parser)


def add_row_flags(parser: argparse.ArgumentParser) -> None:
    """What both tables take: where to, which rows, and what those of fine-tuning need."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="masks and scores; run again to resume")
    parser.add_argument("--base", type=Path, metavar="FILE", help="Base net of `vosedu train --base-net`, for its rows "
                        "(default: the bundled one, with the bundled weights)")
    parser.add_argument("--rows", metavar="A,B", help="only these rows, by the names in the table")
    parser.add_argument("--fine-tuned", action="store_true", help="also the fine-tuned rows, minutes per object on a CPU")


def run(args: argparse.Namespace) -> int:
    """The ablation of Table 1 on a data set: one R, one evaluation, rows that differ in what the table says."""
    settings = Settings.given(args)
    sequences = sequences_of(args)
    segmenter = settings.segmenter()
    if segmenter.refinement is None:
        raise InputError(f"Table 1 needs a refinement network for {settings.backbone}: give it with --weights")
    base = base_net_file(args, settings)
    rows = chosen_rows({**base_rows(segmenter, base, args.fine_tuned), **our_rows(segmenter)}, args.rows)
    settings.announce(segmenter)
    noted, results = {"dataset": args.dataset, **settings.noted(segmenter)}, {}
    refuse_other_json("--out", make_folder(args.out) / "table1.json", "rows")
    frames = sum(len(s.frame_names) for s in sequences) * len(rows)
    with tqdm(total=frames, unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for row, engine in rows.items():
            own = asdict(engine.config) if isinstance(engine, Segmenter) else {"base": digest([base])}
            folder = make_folder(args.out / row.replace(" ", "-"))
            claim(folder, {**noted, "row": row, **own})
            results[row] = score(row, engine, sequences, folder, settings.seed, bar)
    print(f"{'version':<18}      J      F    J&F    frames per second")
    for row, result in results.items():
        print(f"{row:<18}  {result['J']['mean']:.3f}  {result['F']['mean']:.3f}  {result['JF_mean']:.3f}  {result['fps']:6.2f}")
    write_json(args.out / "table1.json", {"rows": results, "settings": settings.noted(segmenter), "versions": versions(),
                                           "machine": machine(segmenter.device)})
    return 0


def our_rows(segmenter: Segmenter) -> dict[str, Engine]:
    """D-only, no update, ours, fast: one segmenter under several settings, all the paper's method; and what the settings
    have beyond it: ours with a window, and ours as it is set."""
    config, paper = segmenter.config, method(segmenter.config)
    still = segmenter.changed(config=replace(paper, cg_update=0))
    rows = {"D-only": still.changed(refinement=None), "Ours - no update": still, "Ours": segmenter.changed(config=paper),
            "Ours (fast)": segmenter.changed(config=replace(PRESETS["fast"], **departures(paper)))}
    if config.window_share:
        rows["Ours + window"] = segmenter.changed(config=replace(config, leap=0.0))
    return {**rows, "Ours (default)": segmenter} if config.leap else rows


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


def chosen_rows(rows: dict[str, Engine], names: str | None) -> dict[str, Engine]:
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


def score(row: str, engine: Engine, sequences: Sequence[datasets.AnnotatedVideo], folder: Path, seed: int, bar: tqdm) -> dict:
    """J and F of one row, and its frames per second; kept in `folder`, sequence by sequence."""
    scorers, seconds, frames = {}, 0.0, {s.name: len(s.frame_names) for s in sequences}
    for sequence in sequences:
        bar.set_description(f"{row}, {sequence.name}")
        scorers[sequence.name], took = resumable_sequence(engine, sequence, folder, seed, bar)
        seconds += took
    return {**metrics.report(scorers, frames), "fps": sum(frames.values()) / seconds}
