"""Run an engine over annotated sequences and score it: what `evaluate` and `table1` share. Resumable by sequence."""

import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from ..files.datasets import AnnotatedVideo
from ..files.frames import FrameSource
from ..files.images import read_mask, write_mask
from ..files.threads import BackgroundWriter
from ..files.whole import make_folder, read_json, sweep, write_json
from ..pipeline import track
from ..protocols import Engine
from .metrics import SequenceScorer


def run_sequence(
    engine: Engine, sequence: AnnotatedVideo, seed: int = 0, folder: Path | None = None, bar: tqdm | None = None
) -> tuple[SequenceScorer, float]:
    """Segment and score one sequence.

    Args:
        engine: ours or a baseline.
        sequence: frames and annotations; objects are given where `AnnotatedVideo.entries` says.
        seed: of the engine.
        folder: where masks are written, if anywhere.
        bar: moved on by one per frame.

    Returns:
        J and F of every object and frame, and the seconds that decoding, segmenting, writing and scoring took.
    """
    source, entries = FrameSource(sequence.frames), sequence.entries()
    scorer = _scorer(sequence, entries)
    if folder is not None:
        sweep(make_folder(folder))
    began = time.perf_counter()
    with BackgroundWriter() as writer:
        for shown in track(engine, source, entries, seed):
            if folder is not None:
                writer.submit(write_mask, folder / f"{shown.name}.png", shown.labels)
            writer.submit(_score, scorer, sequence, shown.index, shown.labels)
            if bar is not None:
                bar.update()
    return scorer, time.perf_counter() - began


def _scorer(sequence: AnnotatedVideo, entries: dict[int, np.ndarray]) -> SequenceScorer:
    first = {int(i): index for index, labels in entries.items() for i in np.unique(labels) if i}
    return SequenceScorer(first, len(sequence.frame_names), sequence.drop_last)


def _score(scorer: SequenceScorer, sequence: AnnotatedVideo, index: int, labels: np.ndarray) -> None:
    truth = sequence.labels(index)
    if truth is not None:
        if truth.shape != labels.shape:
            raise InputError(f"{sequence.name}: mask {sequence.frame_names[index]} is {labels.shape[1]}x{labels.shape[0]}, "
                             f"the annotation {truth.shape[1]}x{truth.shape[0]}: score masks of the input's size")
        scorer.add(index, labels, truth)


def score_results(sequence: AnnotatedVideo, folder: Path, bar: tqdm | None = None) -> SequenceScorer:
    """Score the masks that lie in `folder`, each named after its frame.

    Raises:
        InputError: one is missing or has another size.
    """
    scorer = _scorer(sequence, sequence.entries())
    for index, name in enumerate(sequence.frame_names):
        path = folder / f"{name}.png"
        needed = min(scorer.first_frames.values()) < index < scorer.end
        if needed and not path.is_file():
            raise InputError(f"no result for frame {name} of {sequence.name} at {path}: check --results")
        if needed:
            labels = read_mask(path)
            _score(scorer, sequence, index, (labels > 0).astype(np.uint8) if sequence.merge else labels)
        if bar is not None:
            bar.update()
    return scorer


def resumable_sequence(
    engine: Engine, sequence: AnnotatedVideo, out: Path | None, seed: int, bar: tqdm | None = None
) -> tuple[SequenceScorer, float]:
    """`run_sequence`, its scores kept in out/<sequence>.json and read from there where they are."""
    done = out and out / f"{sequence.name}.json"
    if done and done.is_file():
        if bar is not None:
            bar.update(len(sequence.frame_names))
        return _restore(done, sequence)
    if out:
        sweep(out, sequence.name)
    scorer, took = run_sequence(engine, sequence, seed, out and out / sequence.name, bar)
    if done:
        write_json(done, {"seconds": took, "J": scorer.j, "F": scorer.f})
    return scorer, took


def claim(out: Path, settings: dict) -> None:
    """Put settings.json into a folder of results.

    Raises:
        InputError: it is there and differs: results of different settings are not mixed; or it is not there, and the folder
            holds folders that no run made, such as the annotations.
    """
    path = out / "settings.json"
    if path.is_file():
        before = read_json(path)
        differing = [k for k in settings if before.get(k) != settings[k]]
        if differing:
            k = differing[0]
            raise InputError(f"{out} holds results with {k} {before.get(k)}, and this run has {settings[k]}: "
                             "choose another --out or the same settings")
    elif there := [p for p in out.iterdir() if p.is_dir() and not p.name.startswith(".")]:
        raise InputError(f"{out} holds {min(there).name}, which no run of vosedu made, and which might be replaced: choose "
                         "another --out")
    else:
        write_json(path, settings)


def _restore(path: Path, sequence: AnnotatedVideo) -> tuple[SequenceScorer, float]:
    saved = read_json(path)
    try:
        j, f = ({int(i): [float(v) for v in values] for i, values in saved[m].items()} for m in "JF")
        seconds = float(saved["seconds"])
        if {i: len(values) for i, values in j.items()} != {i: len(values) for i, values in f.items()}:
            raise ValueError
        if not all(0 <= v <= 1 for values in (*j.values(), *f.values()) for v in values):
            raise ValueError
    except (KeyError, AttributeError, TypeError, ValueError):
        raise InputError(f"{path} does not hold the scores of a sequence: delete it, and run again") from None
    scorer = SequenceScorer(dict.fromkeys(j, 0), len(sequence.frame_names), sequence.drop_last)
    scorer.j, scorer.f = j, f
    return scorer, seconds


def table(result: dict) -> str:
    """What `metrics.report` found, as lines for the screen."""
    width = max(len("sequence"), *(len(name) for name in result["sequences"]))
    rows = [f"{'sequence':<{width}}  frames  objects      J      F    J&F"]
    for name, row in result["sequences"].items():
        rows.append(f"{name:<{width}}  {row['frames']:6d}  {row['objects']:7d}  "
                    f"{row['J_mean']:.3f}  {row['F_mean']:.3f}  {row['JF_mean']:.3f}")
    j, f = result["J"], result["F"]
    rows.append(f"{'mean':<{width}}  {'':6}  {'':7}  {j['mean']:.3f}  {f['mean']:.3f}  {result['JF_mean']:.3f}")
    rows.append(f"J recall {j['recall']:.3f} decay {j['decay']:.3f}, F recall {f['recall']:.3f} decay {f['decay']:.3f}"
                + (f", {result['fps']:.2f} frames per second" if result["fps"] else ""))
    if "youtube_vos" in result:
        rows.append(", ".join(f"{key} {value:.3f}" for key, value in result["youtube_vos"].items()))
    return "\n".join(rows)
