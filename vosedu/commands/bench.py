"""python -m vosedu bench: speed and memory of this machine, measured, printed and drawn."""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from ..beyond.precision import pick_precision
from ..config import PAPER
from ..device import machine, pick_device, versions
from ..evaluation.frame_speed import (
    LENGTHS,
    SIZES,
    STAGES,
    build,
    frame_rates,
    live_learning,
    long_video,
    networks,
    overlap,
    shortcut_lines,
    shortcuts,
)
from ..evaluation.solver_speed import samples_sweep, solver
from ..evaluation.timing import Clock, ceiling
from ..features import BACKBONES, architecture
from ..files.whole import atomic, make_folder, refuse_other_json, refuse_to_replace, write_json
from .flags import positive


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--quick", action="store_true", help="smaller problems, one and two objects: a minute or two")
    parser.add_argument("--repeats", type=int, default=3, help="of everything that is compared (default 3)")
    parser.add_argument("--backbone", default="compact", help=", ".join(BACKBONES) + " (random parameters; default compact)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--precision", default="auto", help="of F and R: float32, bfloat16, or auto (default): the faster here")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--figure", type=Path, metavar="FILE.png", help="draw cost over objects, pixels, samples and frames")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Measure this machine: the solver against the usual form, frames by stage, frame rates, memory, FLOP/s."""
    architecture(args.backbone)
    positive(args, repeats=1)
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    if args.json:
        refuse_other_json("--json", args.json, "quick")
    if args.figure:
        refuse_to_replace("--figure", args.figure)
    for path in (args.json, args.figure):
        if path:
            make_folder(path.parent)
    with tempfile.TemporaryDirectory() as folder, tqdm(unit="part", disable=args.quiet, file=sys.stderr) as bar:
        result = measure_all(args.backbone, args.device, args.precision, args.quick, args.repeats, Path(folder), bar)
    device = pick_device(args.device)
    result["machine"], result["versions"] = machine(device), versions()
    result["precision"] = pick_precision(args.precision, device)
    result["backbone"], result["quick"] = args.backbone, args.quick
    numbers = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    print(f"{result['machine']}, {numbers}; backbone {args.backbone}, {result['precision']}\n")
    print(table(result))
    if args.json:
        write_json(args.json, result)
    if args.figure:
        draw(result, args.figure)
    return 0


def measure_all(backbone: str, device: str, precision: str, quick: bool, repeats: int, folder: Path, bar: tqdm) -> dict:
    """Every measurement; `folder` takes what writing writes."""
    segmenter = build(backbone, device, precision)
    clock, budget = Clock(segmenter.device), 2.0 if quick else 6.0
    steps: dict[str, Callable[[], object]] = {
        "matrix product FLOP/s": lambda: ceiling(clock, repeats),
        "solver": lambda: solver(clock, quick, repeats),
        "networks": lambda: networks(clock, segmenter, SIZES["240p" if quick else "480p"], repeats),
        "shortcuts": lambda: shortcuts(clock, backbone, SIZES["240p" if quick else "480p"], max(5, repeats)),
        "live learning": lambda: live_learning(clock, segmenter, repeats),
        "samples": lambda: samples_sweep(clock, quick, repeats),
        "overlap": lambda: overlap(clock, segmenter, folder),
        "frames": lambda: frame_rates(clock, segmenter, quick, budget, bar),
        "long video": lambda: long_video(segmenter, quick, bar),
    }
    bar.total = len(steps) + (8 if quick else 24) + len(LENGTHS[quick])
    found = {}
    for name, step in steps.items():
        bar.set_description(name)
        found[name] = step()
        bar.update()
    return found


def table(result: dict) -> str:
    """The results as Markdown."""
    top, lines = result["matrix product FLOP/s"], []

    def share(flops: float) -> str:
        return f"{flops / 1e9:.0f} GFLOP/s, {100 * flops / top:.0f} % of a matrix product's {top / 1e9:.0f}"

    lines += ["| against the usual form | times faster (least to greatest) | engine, usual: s | end losses | rate |",
              "|---|---|---|---|---|"]
    for name in ("first frame", "update"):
        row = result["solver"][name]
        r, ends = row["times faster"], row["end loss"]
        engine, usual = (statistics.median(row["seconds"][k]) for k in ("engine", "usual"))
        h, w = row["labels"]
        lines.append(f"| {name}: {row['samples']} samples, {row['channels']} channels, {w}x{h} labels | **{r['median']:.1f}** "
                     f"({r['least']:.1f} to {r['greatest']:.1f}) | {engine:.3f}, {usual:.2f} | {ends['engine']:.6g}, "
                     f"{ends['usual']:.6g} | {share(row['FLOP/s'])} |")
    kept, r = result["solver"]["memory of an object"], result["live learning"]["ratio"]
    ours, theirs = (kept["bytes"][k] / 1e6 for k in ("engine", "usual"))
    lines += ["", f"- Memory of an object: {ours:.1f} MB against {theirs:.1f} MB with labels kept at full size, "
              f"{kept['times smaller']:.1f} times smaller",
              "- A first frame learned at 240p, augmentation and features included: "
              f"{r['median']:.2f} times ({r['least']:.2f} to {r['greatest']:.2f}) the time of its {PAPER.samples} passes of F",
              *(f"- {name} on one image: {row['FLOP'] / 1e9:.1f} GFLOP, {share(row['FLOP/s'])}"
                for name, row in result["networks"].items())]
    lines += [f"- {line}" for line in shortcut_lines(result["shortcuts"])]
    for name in ("240p", "480p"):
        one, two = (result["frames"].get(f"paper, {name}, {n}") for n in (1, 2))
        if one and two:
            first, second = one["seconds"], two["seconds"] - one["seconds"]
            lines.append(f"- A second object at {name} costs {second / first:.2f} of the first, "
                         f"R {one['stages']['refinement'] / first:.2f} of it")
    o = result["overlap"]
    lines += [f"- A 480p frame: decoding {1000 * o['decoding']:.0f} ms, computing {1000 * o['computing']:.0f} ms, writing "
              f"{1000 * o['writing']:.0f} ms, each alone; all together as `segment` runs them {1000 * o['together']:.0f} ms"]
    lines.append("- Host memory of one long video: " + ", ".join(
        f"{row['host'] / 1e6:.0f} MB at frame {index}" for index, row in result["long video"].items()))
    columns = ["preset, size, objects", "frames per second", "ms", *STAGES, "all but F and R", "MB per object"]
    lines += ["", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, row in result["frames"].items():
        ms = " | ".join(f"{1000 * row['stages'][k]:.1f}" for k in STAGES)
        lines.append(f"| {name} | {row['frames per second']:.2f} | {1000 * row['seconds']:.0f} | {ms} | "
                     f"{100 * row['share of all but F and R']:.1f} % | {row['bytes per object'] / 1e6:.1f} |")
    return "\n".join(lines)


def draw(result: dict, path: Path) -> None:
    """Cost over objects, resolution, samples and frames as one PNG."""
    from matplotlib.figure import Figure  # only here: measuring needs no matplotlib

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    objects, pixels, samples, frames = figure.subplots(2, 2).flat
    rows = {tuple(name.split(", ")): row for name, row in result["frames"].items()}
    for preset, line in (("paper", "-"), ("fast", "--")):
        for mark, size in zip("os^", SIZES, strict=True):
            points = [(int(n), 1000 * row["seconds"]) for (p, s, n), row in rows.items() if (p, s) == (preset, size)]
            if points:
                objects.plot(*zip(*points, strict=True), line, marker=mark, label=f"{preset.upper()}, {size}")
        alone = {s: row for (p, s, n), row in rows.items() if (p, n) == (preset, "1")}
        points = [(math.prod(SIZES[s]) / 1e6, 1000 * row["seconds"]) for s, row in alone.items()]
        pixels.plot(*zip(*points, strict=True), line, marker="o", label=preset.upper())
    objects.set(xlabel="objects", ylabel="ms per frame", yscale="log", title="Objects share F, not R")
    pixels.set(xlabel="megapixels per frame", ylabel="ms per frame, one object", title="Linear in the pixels", ylim=0)
    counts = [int(k) for k in result["samples"]]
    for who, label in (("engine", "low resolution, one filter"), ("usual", "eqs. 1 to 4 as written")):
        samples.plot(counts, [row[who] for row in result["samples"].values()], marker="o", label=label)
    samples.set(xlabel="first-frame samples K", ylabel="s", yscale="log", title="First-frame optimisation, 240p, 256 channels")
    numbers = [int(k) for k in result["long video"]]
    frames.plot(numbers, [row["host"] / 1e6 for row in result["long video"].values()], marker="o")
    frames.set(xlabel="frames so far", ylabel="host memory, MB", xscale="log", title="A long video needs no more",
               ylim=(0, 1.3 * max(row["host"] for row in result["long video"].values()) / 1e6))
    objects.legend(fontsize=8, ncols=2, loc="upper left")
    objects.margins(y=0.4)
    for axes in (pixels, samples):
        axes.legend(fontsize=8)
    for axes in (objects, pixels, samples, frames):
        axes.grid(alpha=0.3)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
