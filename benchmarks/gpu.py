"""Frames per second on a GPU: from a decoded 480p frame to ids on the host, one object, networks as they are at work.

    python -m benchmarks.gpu [--device cuda] [--frames 48]

A disk moves over a blurred texture; ResNet-101 and its R have random parameters, for time does not depend on what they show.
The first twelve frames, in which F and R are recorded as CUDA graphs, are not timed. Memory is the most that was allocated.
"""

import argparse
import time

import cv2
import numpy as np
import torch

from vosedu.config import PRESETS
from vosedu.device import machine, pick_device
from vosedu.evaluation.frame_speed import SIZES, build
from vosedu.segmenter import Segmenter

SIZE = SIZES["480p"]
WARM = 12
ROWS = (  # backbone, preset, rows that are worked on, precision
    ("compact", "best", 432, "bfloat16"),
    ("compact", "whole", 432, "bfloat16"),
    ("compact", "paper", 480, "bfloat16"),
    ("resnet101", "paper", 480, "bfloat16"),
    ("resnet101", "fast", 480, "bfloat16"),
    ("resnet101", "paper", 480, "float32"),
)


def moving_disk(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """So many frames uint8 (480, 854, 3), and the first one's mask."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    ground = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8), (0, 0), 5)
    masks = [(columns - 250 - 2 * i) ** 2 + (rows - 240) ** 2 < 80**2 for i in range(count)]
    return [np.where(mask[..., None], np.uint8((220, 60, 40)), ground) for mask in masks], masks[0].astype(np.uint8)


def engine(backbone: str, preset: str, rows: int, precision: str, device: str) -> Segmenter:
    """The bundled weights for `compact`, random ones for others."""
    if backbone == "compact":
        return Segmenter.from_pretrained(config=PRESETS[preset], device=device, precision=precision, short_side=rows)
    return build(backbone, device, precision).changed(config=PRESETS[preset], short_side=rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=48, help="that are timed")
    args = parser.parse_args()
    device = pick_device(args.device)
    frames, mask = moving_disk(1 + WARM + args.frames)
    print(machine(device))
    print(f"{'backbone':<11}{'preset':<7}{'rows':>5}  {'precision':<10}{'first, s':>9}{'ms':>8}{'fps':>7}{'MB':>7}  stages, ms")
    for row in ROWS:
        segmenter = engine(*row, args.device)
        segmenter.start(frames[0], mask)  # libraries load
        began = time.perf_counter()
        video = segmenter.start(frames[0], mask)
        video.labels.cpu()
        first = time.perf_counter() - began
        for frame in frames[1 : 1 + WARM]:
            video.step(frame).cpu()
        before, began = video.stopwatch.seconds(), time.perf_counter()
        for frame in frames[1 + WARM :]:
            video.step(frame).cpu()
        seconds = (time.perf_counter() - began) / args.frames
        stages = {name: 1e3 * (value - before.get(name, 0)) / args.frames for name, value in video.stopwatch.seconds().items()}
        memory = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else float("nan")
        told = ", ".join(f"{name} {value:.1f}" for name, value in stages.items() if value > 0.05)
        backbone, preset, rows, precision = row
        print(f"{backbone:<11}{preset:<7}{rows:>5}  {precision:<10}{first:>9.2f}{1e3 * seconds:>8.2f}{1 / seconds:>7.0f}"
              f"{memory:>7.0f}  {told}", flush=True)


if __name__ == "__main__":
    main()
