"""python -m vosedu table1: the paper's ablation."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from ..beyond import method
from ..config import PRESETS, departures
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.scoring import resumable_sequence
from ..files import datasets
from ..files.whole import digest
from ..protocols import Engine
from ..segmenter import Segmenter
from ..weights import BUNDLED_DV17
from .flags import Settings, add_dataset_flags, add_engine_flags, sequences_of
from .rows import add_row_flags, base_net_file, base_rows, chosen_rows, davis_rows, filled


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The data set, rows, outputs, and the engine's flags."""
    add_dataset_flags(parser)
    add_row_flags(parser)
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """The ablation of Table 1 on a data set: one R, one evaluation, rows that differ in what the table says."""
    settings = Settings.given(args)
    sequences = sequences_of(args)
    segmenter = settings.segmenter()
    if segmenter.refinement is None:
        raise InputError(f"Table 1 needs a refinement network for {settings.backbone}: give it with --weights")
    base = base_net_file(args, settings)
    theirs, davis = base_rows(segmenter, base, args.fine_tuned), davis_rows(segmenter, settings)
    rows = chosen_rows({**theirs, **davis, **our_rows(segmenter)}, args.rows)

    def decides(row: str, engine: Engine) -> dict:
        if row in theirs:
            return {"base": digest([base])}
        return {**asdict(engine.config), **({"refinement": digest([BUNDLED_DV17])} if row in davis else {})}

    results = filled(args, settings, segmenter, sequences,
                     {row: (engine, decides(row, engine)) for row, engine in rows.items()}, score)
    print(f"{'version':<18}      J      F    J&F    frames per second")
    for row, result in results.items():
        print(f"{row:<18}  {result['J']['mean']:.3f}  {result['F']['mean']:.3f}  {result['JF_mean']:.3f}  {result['fps']:6.2f}")
    return 0


def our_rows(segmenter: Segmenter) -> dict[str, Engine]:
    """D-only, no update, ours, fast: one segmenter under several settings, all the paper's method; and what the settings
    have beyond it, one by one: ours with a window, then without leaps, and ours as it is set."""
    config, paper = segmenter.config, method(segmenter.config)
    still = segmenter.changed(config=replace(paper, cg_update=0))
    rows = {"D-only": still.changed(refinement=None), "Ours - no update": still, "Ours": segmenter.changed(config=paper),
            "Ours (fast)": segmenter.changed(config=replace(PRESETS["fast"], **departures(paper)))}
    if config.window_share and (config.leap or config.nearest):
        rows["Ours + window"] = segmenter.changed(config=replace(config, leap=0.0, nearest=0.0))
    if config.leap and config.nearest:
        rows["+ no leaps"] = segmenter.changed(config=replace(config, nearest=0.0))
    return rows if config == paper else {**rows, "Ours (default)": segmenter}


def score(row: str, engine: Engine, sequences: Sequence[datasets.AnnotatedVideo], folder: Path, seed: int, bar: tqdm) -> dict:
    """J and F of one row, and its frames per second; kept in `folder`, sequence by sequence."""
    scorers, seconds, frames = {}, 0.0, {s.name: len(s.frame_names) for s in sequences}
    for sequence in sequences:
        bar.set_description(f"{row}, {sequence.name}")
        scorers[sequence.name], took = resumable_sequence(engine, sequence, folder, seed, bar)
        seconds += took
    return {**metrics.report(scorers, frames), "fps": sum(frames.values()) / seconds}
