"""python -m vosedu table3: the families of methods that the paper compares itself with, on one F and before one R."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..beyond import method
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.attributes import with_attribute
from ..evaluation.scoring import resumable_sequence
from ..features import TARGET_DEPTH
from ..files import datasets
from ..files.whole import digest, read_json, write_json
from ..protocols import Engine
from ..rivals.bench import Cost, Timed
from ..rivals.field import ATTRIBUTES, BUNDLED_FIELD, FIELD, FIGURES, families, load_learned, ready, refined
from ..rivals.fine_tuning import AdaptiveSegmenter
from ..segmenter import READOUT, Segmenter
from ..training.baselines import load_base_net
from ..weights import BUNDLED_DV17, load_refinement
from .flags import Settings, add_dataset_flags, add_engine_flags, sequences_of
from .rows import add_row_flags, base_net_file, base_rows, chosen_rows, davis_rows, filled


class Row(NamedTuple):
    """A row of the table."""

    engine: Engine
    readout: str
    """What makes a mask of the scores."""
    represents: str
    """The row of the paper's table beside it; "" for none."""
    files: list[Path]
    """What was learned offline for it alone."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The data set, rows, what was learned offline, outputs, and the engine's flags."""
    add_dataset_flags(parser)
    add_row_flags(parser)
    parser.add_argument("--learned", type=Path, metavar="DIR", help="what `rivals` wrote: scale, offset and R of each family "
                        "(default: the bundled ones, and one R, made for D's scores, for all)")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """The paper's rivals on a data set: a row per family and readout, all from the same features, with the paper's figures of
    the method that each stands for beside them."""
    settings = Settings.given(args)
    sequences = sequences_of(args)
    segmenter = settings.segmenter()
    if segmenter.refinement is None:
        raise InputError(f"Table 3 needs a refinement network for {settings.backbone}: give it with --weights")
    segmenter = segmenter.changed(config=method(segmenter.config))  # the paper has no window, and no rule against leaps
    rows = {**family_rows(segmenter, args.learned), **{
        name: Row(engine.changed(readout=READOUT), "R of DAVIS alone", "D on DAVIS alone", [BUNDLED_DV17])
        for name, engine in davis_rows(segmenter, settings).items()}, **tuned_rows(segmenter, settings, args)}
    rows = chosen_rows(rows, args.rows)
    kinds = ATTRIBUTES if args.dataset == "scenes" else with_attribute(sequences)
    results = filled(args, settings, segmenter, sequences,
                     {name: (row.engine, {"learned": digest(row.files)}) for name, row in rows.items()},
                     lambda name, *rest: {"readout": rows[name].readout, **by_attribute(score(name, *rest), kinds)},
                     attributes=kinds)
    print(printed(results, {name: row.represents for name, row in rows.items()}))
    return 0


def family_rows(segmenter: Segmenter, folder: Path | None) -> dict[str, Row]:
    """Every family, its scores read out bilinearly, by a scale and an offset that were learned, and where it has a scale of its
    own by D's usual ones; and before R.

    Args:
        folder: of the command `rivals`; None: what is bundled.

    Raises:
        InputError: nothing was learned for this backbone.
    """
    path = folder / FIELD if folder else BUNDLED_FIELD
    if not folder and segmenter.backbone.name != "compact":
        raise InputError(f"nothing was learned offline for {segmenter.backbone.name}: make it with `vosedu rivals`, and give "
                         "its folder with --learned")
    rows, learned = {}, load_learned(path, segmenter.backbone.channels[TARGET_DEPTH], segmenter.device)
    for name, family in ready(learned).items():
        alone = segmenter.changed(targets=family.make, refinement=None)
        if name in learned.readouts:
            rows[name] = Row(alone, "bilinear", family.represents, [path])
        if family.scaled:
            plain = segmenter.changed(targets=families(learned)[name].make, refinement=None, readout=READOUT)
            rows[f"{name} at one half"] = Row(plain, "bilinear, 10 s - 5", family.represents, [path])
        own = folder and refined(folder, name)
        if own and own.is_file():
            refinement = load_refinement(own, segmenter.backbone.channels)
            rows[f"{name} + R"] = Row(alone.changed(refinement=refinement), "its R", family.represents, [path, own])
        else:
            before = segmenter.changed(targets=family.make)
            rows[f"{name} + R"] = Row(before, "R of D", family.represents, [path])
    rows["Ours"] = Row(segmenter.changed(readout=READOUT), "R of D", "D", [path])
    return rows


def tuned_rows(segmenter: Segmenter, settings: Settings, args: argparse.Namespace) -> dict[str, Row]:
    """Base net, and where they are asked for Base net + F-T and the same adapted online; each has an R of its own."""
    base = base_net_file(args, settings)
    stands = {"Base net": "", "Base net + F-T": "OSVOS-S"}
    rows = {name: Row(engine, "its R", stands[name], [base])
            for name, engine in base_rows(segmenter, base, args.fine_tuned).items()}
    if args.fine_tuned:
        engine = AdaptiveSegmenter(segmenter, load_base_net(base, segmenter.backbone.channels), fine_tune=True)
        rows["Base net + F-T online"] = Row(engine, "its R", "OnAVOS", [base])
    return rows


def score(
    name: str, engine: Engine, sequences: Sequence[datasets.AnnotatedVideo], folder: Path, seed: int, bar: tqdm
) -> dict:
    """J and F of one row, and what it costs; kept in `folder`, sequence by sequence."""
    scorers, cost = {}, Cost()
    for sequence in sequences:
        bar.set_description(f"{name}, {sequence.name}")
        kept, timed = folder / f"{sequence.name}.cost.json", Timed(engine)
        if not kept.is_file():
            (folder / f"{sequence.name}.json").unlink(missing_ok=True)
        scorers[sequence.name], _ = resumable_sequence(timed, sequence, folder, seed, bar)
        if timed.cost:
            write_json(kept, asdict(timed.cost))
        cost += Cost(**read_json(kept))
    report = metrics.report(scorers, {s.name: len(s.frame_names) for s in sequences})
    return {**report, "first_seconds": cost.first / cost.objects, "fps": cost.frames / cost.steps,
            "held_mb": cost.held / cost.objects / 2**20}


def by_attribute(report: dict, kinds: Mapping[str, Sequence[str]]) -> dict:
    """A row's report with the mean J of the sequences that have an attribute, and their number: attribute -> [J, n].

    Args:
        kinds: attribute -> names of sequences, some of which may not have been run.
    """
    found = {name: row["J_mean"] for name, row in report["sequences"].items()}
    chosen = {kind: [found[name] for name in names if name in found] for kind, names in kinds.items()}
    return {**report, "attributes": {kind: [float(np.mean(js)), len(js)] for kind, js in chosen.items() if js}}


def printed(results: dict[str, dict], represents: dict[str, str]) -> str:
    """The table as Markdown: the families, then J by attribute where the data have any."""
    lines = ["| row | readout | J | F | J&F | J decay | first frame, s | frames/s | MB | the paper's | J, DAVIS 2016 "
             "| J&F, DAVIS 2017 | frames/s |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, r in results.items():
        figure = FIGURES.get(represents[name])
        theirs = ["", "", "", ""] if figure is None else [figure.named, *map(_number, (figure.j_2016, figure.jf_2017)),
                                                          f"{figure.fps:g}"]
        mine = [f"{r['J']['mean']:.3f}", f"{r['F']['mean']:.3f}", f"{r['JF_mean']:.3f}", f"{r['J']['decay']:.3f}",
                f"{r['first_seconds']:.2f}", f"{r['fps']:.2f}", f"{r['held_mb']:.1f}"]
        lines.append("| " + " | ".join([name, r["readout"], *mine, *theirs]) + " |")
    kinds = next(iter(results.values()))["attributes"]
    if kinds:
        lines += ["", " | ".join(["| J by attribute (sequences)", *(f"{kind} ({n})" for kind, (_, n) in kinds.items())]) + " |",
                  "|---" * (1 + len(kinds)) + "|"]
        lines += [" | ".join([f"| {name}", *(f"{r['attributes'][kind][0]:.3f}" for kind in kinds)]) + " |"
                  for name, r in results.items()]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
