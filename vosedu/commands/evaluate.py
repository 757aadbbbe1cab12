"""python -m vosedu evaluate: run and score a data set."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ..device import machine, versions
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.scoring import claim, resumable_sequence, score_results, table
from ..files.whole import make_folder, refuse_other_json, write_json
from .flags import Settings, add_dataset_flags, add_engine_flags, sequences_of


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The data set, outputs, and the engine's flags."""
    add_dataset_flags(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep masks and scores there; run again to resume")
    parser.add_argument("--results", type=Path, metavar="DIR", help="score the masks in DIR/<sequence> and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    add_engine_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Run and score a data set, or score existing results."""
    asked = Settings.given(args)
    sequences = sequences_of(args)
    if args.json:
        refuse_other_json("--json", args.json, "sequences")
        make_folder(args.json.parent)
    scorers, seconds, frames = {}, {}, {s.name: len(s.frame_names) for s in sequences}
    segmenter, settings = None, {"results": str(args.results)}
    if args.results is None:
        segmenter = asked.segmenter()
        settings = {"dataset": args.dataset, **asked.noted(segmenter)}
        if args.out is not None:
            claim(make_folder(args.out), settings)
        asked.announce(segmenter)
    with tqdm(total=sum(frames.values()), unit="frame", disable=args.quiet, file=sys.stderr) as bar:
        for sequence in sequences:
            bar.set_description(sequence.name)
            if args.results is not None:
                scorers[sequence.name] = score_results(sequence, args.results / sequence.name, bar)
            else:
                scorers[sequence.name], seconds[sequence.name] = resumable_sequence(
                    segmenter, sequence, args.out, args.seed, bar
                )
    try:
        result = metrics.report(scorers, frames)
    except ValueError as error:
        raise InputError(f"{args.root}: {error}") from None
    if g := metrics.overall_g(scorers, {s.name: s.seen for s in sequences}):
        result["youtube_vos"] = g
    result["fps"] = sum(frames.values()) / sum(seconds.values()) if seconds else None
    result["config"], result["versions"] = settings, versions()
    if segmenter:
        result["machine"] = machine(segmenter.device)
    print(table(result))
    if args.json:
        write_json(args.json, result)
    return 0
