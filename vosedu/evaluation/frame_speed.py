"""Seconds per frame by stage, frame rates over objects and sizes, memory of long videos.

Networks have random parameters and masks are disks: how long a fixed number of operations takes does not depend on what
they show, and so no backbone's weights are needed.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from ..config import FAST, PAPER, Config
from ..errors import InputError
from ..features import TARGET_DEPTH, build_backbone
from ..files import datasets
from ..files.frames import FrameSource
from ..files.images import write_mask
from ..files.threads import BackgroundWriter
from ..pipeline import segment_video
from ..refinement import Refinement
from ..segmenter import Segmenter, Video
from ..target_model import update
from .timing import Clock, ratios

SIZES = {"240p": (240, 432), "480p": (480, 854), "1080p": (1080, 1920)}
LENGTHS = {True: (60, 600), False: (60, 600, 6000)}
"""Quick or not: frames of the long video after which memory is read."""
STAGES = ("features", "target model", "refinement", "aggregation", "memory", "update")
NETWORKS = {"features", "refinement"}
"""Stages that are F and R; everything else is what this project's own part of a frame costs."""


def build(backbone: str, device: str, precision: str = "float32") -> Segmenter:
    """F and R with random parameters."""
    torch.manual_seed(0)
    network = build_backbone(backbone)
    refinement = Refinement(network.channels).eval().requires_grad_(False)
    return Segmenter(network, refinement, config=PAPER, device=device, precision=precision)


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
    # what a first frame costs is measured elsewhere, and a memory that is not updated keeps this video's frames alike
    engine, frames = segmenter.changed(config=replace(config, samples=2, update_every=10000)), pictures(size)
    video = engine.start(frames[0], disks(size, objects))
    for frame in frames[1 : 4 if segmenter.replayed else 2]:  # recordings are made on the second
        video.step(frame)
    with torch.inference_mode():
        memory = video.targets.memory
        projected, normal, _ = memory.samples()
        sample = projected[:, 0].clone(), type(normal)(*(part[:, 0].clone() for part in normal))
        while memory.filled < config.capacity:
            memory.insert(*sample, torch.ones(objects, dtype=torch.bool, device=projected.device))
    return video, frames


def frame_rate(clock: Clock, video: Video, config: Config, frames: list[np.ndarray], budget: float) -> dict:
    """Seconds of a frame from decoded pixels to ids on the host, an update's share included, by stage.

    Frames are stepped for `budget` seconds, three at least; the update is timed by itself and counted every t_s-th frame.
    """
    before, times = video.stopwatch.seconds(), []
    while len(times) < 3 or (sum(times) < budget and len(times) < 60):
        times.append(clock(lambda: video.step(frames[len(times) % len(frames)]).cpu()))
    after = video.stopwatch.seconds()
    stages = {k: (after[k] - before.get(k, 0.0)) / len(times) for k in STAGES if k != "update"}
    with torch.inference_mode():
        model, samples = video.targets.model, video.targets.memory.samples()
        once = statistics.median(clock.in_turn(3, update=lambda: update(model, *samples, config))["update"])
    stages["update"] = once / config.update_every
    seconds = statistics.median(times) + stages["update"]
    ours = sum(s for k, s in stages.items() if k not in NETWORKS)
    return {"seconds": seconds, "frames per second": 1 / seconds, "stages": stages, "share of all but F and R": ours / seconds}


def frame_rates(clock: Clock, segmenter: Segmenter, quick: bool, budget: float, bar: tqdm) -> dict:
    """`frame_rate` over presets, sizes and numbers of objects; the bytes that D and M hold per object."""
    found = {}
    for preset, config in (("paper", PAPER), ("fast", FAST)):
        for name, size in SIZES.items():
            for objects in (1, 2) if quick else (1, 2, 4, 8):
                if quick and name == "1080p":
                    continue
                video, frames = begin(segmenter, config, size, objects)
                row, targets = frame_rate(clock, video, config, frames, budget), video.targets
                held = [*vars(targets.memory).values(), *targets.memory.normal, *vars(targets.model).values()]
                row["bytes per object"] = sum(t.nbytes for t in held if isinstance(t, Tensor)) / objects
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
    """Achieved FLOP/s of F and R on one image of `size` with one object."""
    found = {}
    for name, call in passes(segmenter, size).items():
        with FlopCounterMode(display=False) as counter:
            call(segmenter.without_graphs())
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
        kinds["bfloat16"] = build(backbone, str(clock.device), precision="bfloat16")
    if segmenter.replayed:
        kinds["launched"] = segmenter.without_graphs()
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
    return [f"bfloat16 in place of float32: {low or 'not on this device'}",
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


def overlap(clock: Clock, segmenter: Segmenter, folder: Path) -> dict:
    """Seconds per 480p frame: decoding alone, writing its mask alone, computing alone, and all three as `segment` runs them."""
    sequence = datasets.scene("tumble")
    source, given = FrameSource(sequence.frames), sequence.labels(0)
    segmenter = segmenter.changed(short_side=SIZES["480p"][0])
    frames = [frame for _, frame in source]
    video = segmenter.start(frames[0], given)
    answers = []
    alone = {
        "decoding": clock(lambda: list(source)),
        "computing": clock(lambda: answers.extend(video.step(frame).cpu().numpy() for frame in frames[1:])),
        "writing": clock(lambda: [write_mask(folder / "x.png", a) for a in answers]),
    }
    start = clock(lambda: segmenter.start(frames[0], given))

    def all_three() -> None:
        with BackgroundWriter() as writer:
            for _ in segment_video(segmenter, source, {0: given}, folder, writer):
                pass

    together = clock(all_three) - start
    return {**{k: s / len(answers) for k, s in alone.items()}, "together": together / len(answers)}


def resident() -> int:
    """Bytes of memory that this process holds.

    Raises:
        InputError: psutil, which knows it on every system, is not installed.
    """
    try:
        import psutil  # only here: nothing else needs it
    except ImportError:
        raise InputError("measuring memory needs psutil: pip install psutil, then run again") from None
    return psutil.Process().memory_info().rss


def long_video(segmenter: Segmenter, quick: bool, bar: tqdm) -> dict:
    """Host and device memory as one small video with two objects goes on."""
    size, found = (96, 160), {}
    frames = pictures(size)
    video = segmenter.changed(config=FAST).start(frames[0], disks(size, 2))
    for index in range(1, LENGTHS[quick][-1] + 1):
        video.step(frames[index % len(frames)])
        if index in LENGTHS[quick]:
            device = torch.cuda.max_memory_allocated() if segmenter.device.type == "cuda" else 0
            found[index] = {"host": resident(), "device": device}
            bar.update()
    return found
