"""python -m vosedu table1: the paper's ablation."""

import argparse
import copy
import sys
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from ..config import PRESETS, Config, departures
from ..device import machine, versions
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.scoring import claim, resumable_sequence
from ..files import datasets, whole
from ..files.whole import make_folder, write_json
from ..segmenter import Segmenter
from ..training import baselines
from ..weights import BUNDLED_BASE
from .flags import add_engine_flags, announce, check_flags, make_segmenter, settings_of


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("dataset", help=", ".join(datasets.NAMES))
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where the data set lies")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="masks and scores; run again to resume")
    parser.add_argument("--base", type=Path, metavar="FILE",
                        help="Base net of `vosedu train --base-net`, for its rows "
                        "(default: the bundled one, with the bundled weights)")
    parser.add_argument("--rows", metavar="A,B", help="only these rows, by the names in the table")
    parser.add_argument("--fine-tuned", action="store_true", help="also Base net + F-T, minutes an object on a CPU")
    parser.add_argument("--sequences", metavar="A,B", help="only these")
    parser.add_argument("--split", default="val", help="default val")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """The ablation of Table 1 on a data set: one R, one evaluation, rows that differ in what the table says."""
    check_flags(args)
    names = [s for s in (args.sequences or "").split(",") if s]
    sequences = datasets.load(args.dataset, args.root, args.split, names)
    segmenter = make_segmenter(args)
    if segmenter.refinement is None:
        raise InputError(f"Table 1 needs a refinement network for {args.backbone}: give it with --weights")
    best, fast = segmenter.config, replace(PRESETS["fast"], **departures(segmenter.config))
    alone = copy.copy(segmenter)
    alone.refinement, alone.config = None, replace(best, cg_update=0)
    rows = {"D-only": alone, "Ours - no update": _with(segmenter, replace(best, cg_update=0)), "Ours": segmenter,
            "Ours (fast)": _with(segmenter, fast)}
    base = args.base or (BUNDLED_BASE if args.backbone == "compact" and not args.weights else None)
    if args.fine_tuned and not base:
        raise InputError("--fine-tuned needs a Base net for these weights: give it with --base")
    if base:
        net = baselines.load_base_net(base, segmenter.backbone.channels)
        tuned = {"Base net + F-T": baselines.BaseSegmenter(segmenter, net, fine_tune=True)} if args.fine_tuned else {}
        rows = {"Base net": baselines.BaseSegmenter(segmenter, net), **tuned, **rows}
    if args.rows:
        chosen = args.rows.split(",")
        unknown = [row for row in chosen if row not in rows]
        if unknown:
            raise InputError(f"no row '{unknown[0]}' in the table: choose of {', '.join(rows)}; Base net with other "
                             "weights than the bundled ones needs --base, and Base net + F-T --fine-tuned")
        rows = {row: engine for row, engine in rows.items() if row in chosen}
    announce(segmenter, args)
    frames, results = {s.name: len(s.frame_names) for s in sequences}, {}
    make_folder(args.out)
    with tqdm(total=sum(frames.values()) * len(rows), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for row, engine in rows.items():
            folder, scorers, seconds = args.out / row.replace(" ", "-"), {}, 0.0
            own = asdict(engine.config) if isinstance(engine, Segmenter) else {"base": whole.digest([base])}
            claim(make_folder(folder), {"dataset": args.dataset, "row": row, **settings_of(args, segmenter), **own})
            for sequence in sequences:
                bar.set_description(f"{row}, {sequence.name}")
                scorers[sequence.name], took = resumable_sequence(
                    engine, sequence, folder, args.short_side, args.seed, bar
                )
                seconds += took
            results[row] = {**metrics.report(scorers, frames), "fps": sum(frames.values()) / seconds}
    print(f"{'version':<18}      J      F    J&F    frames per second")
    for row, result in results.items():
        print(f"{row:<18}  {result['J']['mean']:.3f}  {result['F']['mean']:.3f}  {result['JF_mean']:.3f}  {result['fps']:6.2f}")
    write_json(args.out / "table1.json", {"rows": results, "settings": settings_of(args, segmenter), "versions": versions(),
                                           "machine": machine(segmenter.device)})
    return 0


def _with(segmenter: Segmenter, config: Config) -> Segmenter:
    changed = copy.copy(segmenter)
    changed.config = config
    return changed
