"""Speed and memory, side by side in one process: what `python -m vosedu bench` measures, prints and draws.

Networks have random parameters and masks are disks: how long a fixed number of operations takes does not depend on what
they show, and so no backbone's weights are needed. What is compared runs in turn, A B A B …; figures are medians, with
the least and the greatest beside ratios. Machines differ and are shared, so ratios come first.
"""

import copy
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from . import datasets, literal
from .config import FAST, PAPER, Config
from .evaluation import to_size
from .features import TARGET_DEPTH, build_backbone
from .files import atomic
from .memory import initial_gamma
from .refinement import Refinement
from .runs import segment_video
from .segmenter import Segmenter, Video
from .solver import gauss_newton
from .target_model import (
    FirstFrameProblem,
    UpdateProblem,
    WeightedSamples,
    conditioning,
    initial_weights,
    normal_form,
    pixel_weights,
    update,
)
from .video import FrameSource, write_mask

DECAY = (PAPER.projection_decay, PAPER.filter_decay)
SIZES = {"240p": (240, 432), "480p": (480, 854), "1080p": (1080, 1920)}
SOLVER_SIZES = {True: (256, (15, 27), (240, 432)), False: (1024, (30, 54), (480, 854))}
"""Quick or not: channels, maps, labels."""
LENGTHS = {True: (60, 600), False: (60, 600, 6000)}
"""Quick or not: frames of the long video after which memory is read."""
STAGES = ("features", "target model", "refinement", "aggregation", "memory", "update")
NETWORKS = {"features", "refinement"}
"""Stages that are F and R; everything else is what this project's own part of a frame costs."""


class Clock:
    """Wall-clock seconds of calls; on a GPU the queue is emptied before the clock is read."""

    def __init__(self, device: torch.device):
        self.device = device

    def __call__(self, call: Callable[[], object]) -> float:
        """Seconds that `call` takes."""
        self._wait()
        began = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - began

    def in_turn(self, repeats: int, **calls: Callable[[], object]) -> dict[str, list[float]]:
        """Seconds of every call, `repeats` times in turn; the first named call warms up first."""
        next(iter(calls.values()))()
        rounds = [{name: self(call) for name, call in calls.items()} for _ in range(repeats)]
        return {name: [r[name] for r in rounds] for name in calls}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def ratios(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Median, least and greatest of slow / fast, pair by pair."""
    found = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(found), "least": min(found), "greatest": max(found)}


# --- the solver


def random_samples(
    count: int, channels: int, size: tuple[int, int], label_size: tuple[int, int], device: torch.device | str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (K, C, h, w) of unit variance, disks as labels (K, H, W), their pixel weights and gamma (1, K)."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, channels, *size, generator=g).to(device)
    rows, columns = torch.linspace(-1, 1, label_size[0])[:, None], torch.linspace(-1, 1, label_size[1])
    centres = torch.rand(count, 2, 1, 1, generator=g) - 0.5
    y = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < 0.1).float().to(device)
    return x, y, pixel_weights(y), initial_gamma(1, count, 2.0, x)


def first_frame_pair(x: Tensor, y: Tensor, v: Tensor, gamma: Tensor) -> tuple[Callable, Callable, Callable]:
    """First-frame optimisation by the engine and by `literal`, from the same start, and eq. (2) of either's result."""
    schedule, flat = PAPER.gn_schedule(), x.flatten(2)[None]
    condition = conditioning(flat, "none")
    start = initial_weights(1, x.shape[1], PAPER.channels, torch.Generator().manual_seed(1)).to(x)
    split = FirstFrameProblem(None, condition, PAPER.channels, DECAY).split
    data = (x, y, v, gamma[0], DECAY)

    def kernels(w: Tensor) -> literal.Weights:
        w1, w2 = split(w)
        return literal.kernels(w1[0], w2[0])

    def engine() -> literal.Weights:
        samples = WeightedSamples(flat, normal_form(y[None], v[None], x.shape[-2:]), gamma)
        return kernels(gauss_newton(FirstFrameProblem(samples, condition, PAPER.channels, DECAY), start, schedule))

    return engine, lambda: literal.gauss_newton(kernels(start), schedule, *data), lambda w: literal.loss(w, *data).item()


def update_pair(x: Tensor, y: Tensor, v: Tensor, gamma: Tensor) -> tuple[Callable, Callable, Callable]:
    """The same for an update of w2 on projected features. Normal forms are made at insertion, so they are not timed."""
    normal, c = normal_form(y[None], v[None], x.shape[-2:]), x.shape[1]
    w2 = (torch.randn(9, c, generator=torch.Generator().manual_seed(2)) * (2 / (9 * c)) ** 0.5).to(x)
    data = (x, y, v, gamma[0], DECAY[1:])

    def kernel(w: Tensor) -> literal.Weights:
        return (w.view(9, c).T.reshape(1, c, 3, 3),)

    def engine() -> literal.Weights:
        problem = UpdateProblem(WeightedSamples(x.flatten(2)[None], normal, gamma), DECAY[1])
        return kernel(gauss_newton(problem, w2.reshape(1, -1), [PAPER.cg_update]))

    return (engine, lambda: literal.gauss_newton(kernel(w2), [PAPER.cg_update], *data),
            lambda w: literal.loss(w, *data).item())


def solver(clock: Clock, quick: bool, repeats: int) -> dict:
    """(a), (b): the engine against eqs. (1) to (4) in the usual form: seconds, their ratio, end losses, FLOP/s, bytes."""
    channels, size, label_size = SOLVER_SIZES[quick]
    found = {}
    cases = (("first frame", first_frame_pair, PAPER.samples, channels, PAPER.gn_schedule()),
             ("update", update_pair, PAPER.capacity, PAPER.channels, [PAPER.cg_update]))
    for name, make, count, features, schedule in cases:
        x, y, v, gamma = random_samples(count, features, size, label_size, clock.device)
        engine, usual, loss = make(x, y, v, gamma)
        ends: dict[str, literal.Weights] = {}
        seconds = clock.in_turn(repeats, engine=lambda f=engine, ends=ends: ends.update(engine=f()),
                                usual=lambda f=usual, ends=ends: ends.update(usual=f()))
        # a product, and the gradient with which each Gauss-Newton step begins, filter and correlate with 9 taps
        flops = (sum(schedule) + len(schedule)) * 2 * 2 * 9 * x.numel()
        found[name] = {
            "samples": count, "channels": features, "maps": size, "labels": label_size, "seconds": seconds,
            "times faster": ratios(seconds["usual"], seconds["engine"]),
            "end loss": {who: loss(w) for who, w in ends.items()},
            "FLOP/s": flops / statistics.median(seconds["engine"]),
        }
    normal = normal_form(y[None], v[None], size)
    kept = {"engine": x.nbytes + sum(part.nbytes for part in normal), "usual": x.nbytes + y.nbytes + v.nbytes}
    found["memory of an object"] = {"bytes": kept, "times smaller": kept["usual"] / kept["engine"]}
    return found


def ceiling(clock: Clock, repeats: int) -> float:
    """(f) FLOP/s of a large float32 matrix product here."""
    n = 4096 if clock.device.type == "cuda" else 1536
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(0)).to(clock.device)
    return 2 * n**3 / statistics.median(clock.in_turn(max(3, repeats), product=lambda: a @ a)["product"])


# --- whole frames


def build(backbone: str, device: str, autocast: bool = False) -> Segmenter:
    """F and R with random parameters."""
    torch.manual_seed(0)
    network = build_backbone(backbone)
    refinement = Refinement(network.channels).eval().requires_grad_(False)
    return Segmenter(network, refinement, config=PAPER, device=device, autocast=autocast)


def launching(segmenter: Segmenter) -> Segmenter:
    """The same without CUDA graphs."""
    plain = copy.copy(segmenter)
    plain.replayed = {}
    return plain


def pictures(size: tuple[int, int], count: int = 8) -> list[np.ndarray]:
    """Frames of a bundled scene at `size` (H, W)."""
    frames = islice(FrameSource(datasets.scene("huddle").frames), count)
    return [cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for _, frame in frames]


def disks(size: tuple[int, int], objects: int) -> np.ndarray:
    """Ids (H, W) of `objects` disks side by side."""
    labels = np.zeros(size, np.uint8)
    for n in range(objects):
        centre = round((n + 0.5) * size[1] / objects), size[0] // 2
        cv2.circle(labels, centre, max(8, round(0.35 * min(size[0], size[1] / objects))), n + 1, -1)
    return labels


def begin(segmenter: Segmenter, config: Config, size: tuple[int, int], objects: int) -> tuple[Video, list[np.ndarray]]:
    """A video under way whose memory is full, as it is from frame 61 on, and frames to go on with."""
    engine, frames = copy.copy(segmenter), pictures(size)
    engine.config = replace(config, samples=2)  # what a first frame costs is measured elsewhere
    video = engine.start(frames[0], disks(size, objects))
    for frame in frames[1 : 4 if segmenter.replayed else 2]:  # recordings are made on the second
        video.step(frame)
    with torch.inference_mode():
        projected, normal, _ = video.memory.samples()
        sample = projected[:, 0].clone(), type(normal)(*(part[:, 0].clone() for part in normal))
        while video.memory.filled < config.capacity:
            video.memory.insert(*sample, torch.ones(objects, dtype=torch.bool, device=projected.device))
    return video, frames


def frame_rate(clock: Clock, video: Video, frames: list[np.ndarray], budget: float) -> dict:
    """(c), (d) Seconds of a frame from decoded pixels to ids on the host, an update's share included, by stage.

    Frames are stepped for `budget` seconds, three at least; the update is timed by itself and counted every t_s-th frame.
    """
    config, before, times = video.segmenter.config, video.stopwatch.seconds(), []
    # a memory that is not updated keeps this video's frames alike
    video.segmenter.config = replace(config, update_every=10000)
    while len(times) < 3 or (sum(times) < budget and len(times) < 60):
        times.append(clock(lambda: video.step(frames[len(times) % len(frames)]).cpu()))
    after = video.stopwatch.seconds()
    stages = {k: (after[k] - before.get(k, 0.0)) / len(times) for k in STAGES if k != "update"}
    with torch.inference_mode():
        samples = video.memory.samples()
        once = statistics.median(clock.in_turn(3, update=lambda: update(video.model, *samples, config))["update"])
    stages["update"] = once / config.update_every
    seconds = statistics.median(times) + stages["update"]
    ours = sum(s for k, s in stages.items() if k not in NETWORKS)
    return {"seconds": seconds, "frames per second": 1 / seconds, "stages": stages, "share of all but F and R": ours / seconds}


def frame_rates(clock: Clock, segmenter: Segmenter, quick: bool, budget: float, bar: tqdm) -> dict:
    """(c), (d) `frame_rate` over presets, sizes and numbers of objects; the bytes that D and M hold an object."""
    found = {}
    for preset, config in (("paper", PAPER), ("fast", FAST)):
        for name, size in SIZES.items():
            for objects in (1, 2) if quick else (1, 2, 4, 8):
                if quick and name == "1080p":
                    continue
                video, frames = begin(segmenter, config, size, objects)
                row = frame_rate(clock, video, frames, budget)
                held = [*vars(video.memory).values(), *video.memory.normal, *vars(video.model).values()]
                row["bytes an object"] = sum(t.nbytes for t in held if isinstance(t, Tensor)) / objects
                if clock.device.type == "cuda":
                    row["device peak"] = torch.cuda.max_memory_allocated()
                    torch.cuda.reset_peak_memory_stats()
                found[f"{preset}, {name}, {objects}"] = row
                bar.update()
    return found


def passes(segmenter: Segmenter, size: tuple[int, int]) -> dict[str, Callable[[Segmenter], object]]:
    """F and R on one image of `size` with one object, for whichever segmenter is given."""
    frame = pictures(size, 1)[0][None]
    features = segmenter.features(frame)
    scores = torch.randn(1, *features[TARGET_DEPTH].shape[-2:], device=segmenter.device)
    return {"F": lambda s: s.features(frame), "R": lambda s: s.logits(features, scores, size)}


def networks(clock: Clock, segmenter: Segmenter, size: tuple[int, int], repeats: int) -> dict:
    """(f) Achieved FLOP/s of F and R on one image of `size` with one object."""
    found = {}
    for name, call in passes(segmenter, size).items():
        with FlopCounterMode(display=False) as counter:
            call(launching(segmenter))
        for _ in range(2):  # CUDA graphs are replayed from the third call on
            call(segmenter)
        seconds = statistics.median(clock.in_turn(repeats, call=partial(call, segmenter))["call"])
        found[name] = {"FLOP": counter.get_total_flops(), "seconds": seconds, "FLOP/s": counter.get_total_flops() / seconds}
    return found


def shortcuts(clock: Clock, backbone: str, size: tuple[int, int], repeats: int) -> dict:
    """How many times faster F and R are in bfloat16 than in float32, and on CUDA replayed than launched, in turn."""
    segmenter = build(backbone, str(clock.device))
    kinds, found = {"float32": segmenter}, {"bfloat16": {}, "CUDA graphs": {}}
    if clock.device.type != "mps":
        kinds["bfloat16"] = build(backbone, str(clock.device), autocast=True)
    if segmenter.replayed:
        kinds["launched"] = launching(segmenter)
    for name, call in passes(segmenter, size).items():
        calls = {kind: partial(call, s) for kind, s in kinds.items()}
        for warm in 3 * [*calls.values()]:
            warm()
        times = clock.in_turn(repeats, **calls)
        if "bfloat16" in kinds:
            found["bfloat16"][name] = ratios(times["float32"], times["bfloat16"])
        if "launched" in kinds:
            found["CUDA graphs"][name] = ratios(times["launched"], times["float32"])
    return {**found, "graphs": segmenter.graphs}


def shortcut_lines(found: dict) -> list[str]:
    """`shortcuts` in words."""
    low, replayed = (", ".join(f"{name} {r['median']:.2f} times as fast ({r['least']:.2f} to {r['greatest']:.2f})"
                               for name, r in found[kind].items()) for kind in ("bfloat16", "CUDA graphs"))
    return [f"bfloat16 (--autocast): {low or 'not on this device'}",
            f"CUDA graphs {found['graphs']}" + (f": {replayed}" if replayed else "")]


def live_learning(clock: Clock, segmenter: Segmenter, repeats: int) -> dict:
    """Augmentation, features and optimisation of a first frame at 240p, against 20 passes of F alone."""
    size = SIZES["240p"]
    frame, mask = pictures(size, 1)[0], disks(size, 1)

    def twenty() -> None:
        for _ in range(PAPER.samples):
            segmenter.features(frame[None])

    seconds = clock.in_turn(repeats, passes=twenty, learning=lambda: segmenter.start(frame, mask))
    return {"seconds": seconds, "ratio": ratios(seconds["learning"], seconds["passes"])}


def samples_sweep(clock: Clock, quick: bool, repeats: int) -> dict:
    """Seconds of a first-frame optimisation over the number of samples, at teaching size."""
    counts = (5, 10, 20) if quick else (5, 10, 20, 40, 80)
    found = {}
    for count in counts:
        engine, usual, _ = first_frame_pair(*random_samples(count, *SOLVER_SIZES[True], clock.device))
        found[count] = {k: statistics.median(v) for k, v in clock.in_turn(repeats, engine=engine, usual=usual).items()}
    return found


def overlap(clock: Clock, segmenter: Segmenter, folder: Path) -> dict:
    """Seconds a 480p frame: decoding alone, writing its mask alone, computing alone, and all three as `segment` runs them."""
    sequence = datasets.scene("tumble")
    source, given = FrameSource(sequence.frames, SIZES["480p"][0]), sequence.labels(0)
    labels = to_size(given, source.working_size)
    frames = [frame for _, frame in source]
    video = segmenter.start(frames[0], labels)
    answers = []
    alone = {
        "decoding": clock(lambda: list(source)),
        "computing": clock(lambda: answers.extend(video.step(frame).cpu().numpy() for frame in frames[1:])),
        "writing": clock(lambda: [write_mask(folder / "x.png", a) for a in answers]),
    }
    start = clock(lambda: segmenter.start(frames[0], labels))
    together = clock(lambda: segment_video(segmenter, source, given, labels, folder, None)) - start
    return {**{k: s / len(answers) for k, s in alone.items()}, "together": together / len(answers)}


def long_video(segmenter: Segmenter, quick: bool, bar: tqdm) -> dict:
    """(e) Host and device memory as one small video with two objects goes on."""
    size, found = (96, 160), {}
    engine, frames = copy.copy(segmenter), pictures(size)
    engine.config = FAST
    video = engine.start(frames[0], disks(size, 2))
    for index in range(1, LENGTHS[quick][-1] + 1):
        video.step(frames[index % len(frames)])
        if index in LENGTHS[quick]:
            device = torch.cuda.max_memory_allocated() if segmenter.device.type == "cuda" else 0
            found[index] = {"host": psutil.Process().memory_info().rss, "device": device}
            bar.update()
    return found


# --- all of it


def measure(backbone: str, device: str, autocast: bool, quick: bool, repeats: int, folder: Path, bar: tqdm) -> dict:
    """Every measurement; `folder` takes what writing writes."""
    segmenter = build(backbone, device, autocast)
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
    columns = ["preset, size, objects", "frames per second", "ms", *STAGES, "all but F and R", "MB an object"]
    lines += ["", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, row in result["frames"].items():
        ms = " | ".join(f"{1000 * row['stages'][k]:.1f}" for k in STAGES)
        lines.append(f"| {name} | {row['frames per second']:.2f} | {1000 * row['seconds']:.0f} | {ms} | "
                     f"{100 * row['share of all but F and R']:.1f} % | {row['bytes an object'] / 1e6:.1f} |")
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
    objects.set(xlabel="objects", ylabel="ms a frame", yscale="log", title="Objects share F, not R")
    pixels.set(xlabel="megapixels of a frame", ylabel="ms a frame, one object", title="Linear in the pixels", ylim=0)
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
