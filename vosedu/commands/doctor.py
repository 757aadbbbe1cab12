"""What this machine has: versions, device, and a self-test."""

import argparse
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ..config import FAST
from ..device import machine, pick_device, versions
from ..errors import InputError
from ..evaluation import frame_speed, metrics, timing
from ..features import BACKBONES
from ..files import datasets
from ..segmenter import Segmenter
from ..weights import BUNDLED


def add_flags(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """Check this machine, one line per item; exit status 1 where something is missing."""
    fine = True

    def line(good: bool, text: str, remedy: str = "") -> None:
        nonlocal fine
        fine &= good
        print(f"{'ok     ' if good else 'missing'}  {text}" + (f": {remedy}" if remedy and not good else ""))

    line(sys.version_info >= (3, 10), f"Python {platform.python_version()}", "install Python 3.10 or newer")
    line(True, ", ".join(f"{k} {v}" for k, v in versions().items() if k != "python"))
    line(True, f"device {pick_device()} ({machine(pick_device())}); CUDA {'there' if torch.cuda.is_available() else 'absent'}, "
               f"MPS {'there' if torch.backends.mps.is_available() else 'absent'}")
    line(BUNDLED.is_file(), f"bundled weights {BUNDLED}", "restore data/weights from the repository")
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cached = sorted({n for n in BACKBONES for _ in cache.glob(f"{n}-*.pth")}) if cache.is_dir() else []
    line(True, f"ImageNet weights in {cache}: {', '.join(cached) or 'none; fetched when a ResNet is first asked for'}")
    try:
        line(True, f"bundled scenes: {', '.join(datasets.scene_notes())}")
    except InputError as error:
        line(False, str(error))
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        line(os.access(folder, os.W_OK), f"write access to {folder}", "choose other folders with --out")
    try:
        score, seconds = self_test()
        line(score > 0.8, f"self-test: J {score:.2f} on a moving disk, {seconds:.1f} s", "reinstall, and report this line")
        for text in frame_speed.shortcut_lines(frame_speed.shortcuts(timing.Clock(pick_device()), "compact", (240, 432), 5)):
            line(True, text)
    except InputError as error:
        line(False, f"self-test: {error}")
    return 0 if fine else 1


def self_test() -> tuple[float, float]:
    """Segment five frames of a textured disk that moves over a textured ground; mean J, and seconds."""
    rng = np.random.default_rng(0)

    def texture(colour: tuple[int, int, int]) -> np.ndarray:
        noise = cv2.resize(rng.normal(0, 40, (12, 16)).astype(np.float32), (256, 192), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + noise[..., None], 0, 255).astype(np.uint8)

    ground, disk, scores, began = texture((90, 120, 60)), texture((190, 70, 50)), [], time.perf_counter()
    segmenter, video = Segmenter.from_pretrained(config=replace(FAST, samples=6)), None
    for t in range(5):
        mask = cv2.circle(np.zeros((192, 256), np.uint8), (80 + 10 * t, 90 + 3 * t), 40, 1, -1)
        frame = np.where(mask[..., None] > 0, np.roll(disk, 10 * t, 1), ground)
        if video is None:
            video = segmenter.start(frame, mask)
        else:
            scores.append(metrics.jaccard(video.step(frame).cpu().numpy(), mask))
    return float(np.mean(scores)), time.perf_counter() - began
