"""What this machine has: packages, device, and a self-test. It imports nothing that may be missing before it has tried it."""

import argparse
import importlib
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import InputError
from ..files.bundled import bundled

ENGINE = {"numpy": "numpy", "torch": "torch", "torchvision": "torchvision", "cv2": "opencv-python", "PIL": "pillow",
          "av": "av", "safetensors": "safetensors", "tqdm": "tqdm"}
"""What `segment` needs: module -> package."""
NOTEBOOKS = {"matplotlib": "matplotlib", "ipywidgets": "ipywidgets", "anywidget": "anywidget", "jupyterlab": "jupyterlab"}
"""What only the notebooks need."""
REMEDIES = {"cv2": "pip install opencv-python-headless in place of opencv-python, which needs the system's libGL (on Debian "
                   "and Ubuntu also: apt install libgl1)"}
"""Where it is not to install a package."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """None."""


class Report:
    """Prints one line per item, and keeps whether something is missing."""

    fine = True

    def line(self, good: bool, text: str, remedy: str = "") -> None:
        """One item."""
        self.fine &= good
        print(f"{'ok     ' if good else 'missing'}  {text}" + (f": {remedy}" if remedy and not good else ""))


def run(args: argparse.Namespace) -> int:
    """Check this machine, one line per item; exit status 1 where something is missing."""
    report = Report()
    report.line(sys.version_info >= (3, 10), f"Python {platform.python_version()} at {sys.executable}",
                "install Python 3.10 or newer")
    absent = packages(report)
    weights, scenes = bundled("data/weights") / "compact.safetensors", bundled("data/scenes") / "scenes.json"
    for file, what in ((weights, "weights"), (scenes, "scenes")):
        report.line(file.is_file(), f"bundled {what} {file}",
                    f"install vosedu anew, or restore data/{what} from the repository")
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        report.line(os.access(folder, os.W_OK), f"write access to {folder}", "choose other folders with --out")
    if absent & set(ENGINE):
        report.line(False, "self-test", "it needs the packages above")
        return 1
    devices(report)
    try:
        score, seconds = self_test()
        report.line(score > 0.8, f"self-test: J {score:.2f} on a moving disk, {seconds:.1f} s",
                    "reinstall, and report this line")
        for text in shortcuts():
            report.line(True, text)
    except InputError as error:
        report.line(False, f"self-test: {error}")
    return 0 if report.fine else 1


def packages(report: Report) -> set[str]:
    """Try to import each; returns the modules that cannot be."""
    absent = set()
    for module, package in {**ENGINE, **NOTEBOOKS}.items():
        try:
            importlib.import_module(module)
            report.line(True, f"{package} {_version(package)}")
        except Exception as error:  # a library of the system that is missing, a binary of another version: whatever it is
            absent.add(module)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            use = "" if module in ENGINE else ", which only the notebooks need"
            report.line(False, f"{package}{use} ({reason})", REMEDIES.get(module, f"pip install --force-reinstall {package}"))
    return absent


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of an unknown version"


def devices(report: Report) -> None:
    """What computes, and which networks are at hand."""
    import torch

    from ..device import machine, pick_device
    from ..features import BACKBONES
    from ..files import datasets

    report.line(True, f"device {pick_device()} ({machine(pick_device())}); "
                      f"CUDA {'there' if torch.cuda.is_available() else 'absent'}, "
                      f"MPS {'there' if torch.backends.mps.is_available() else 'absent'}")
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cached = sorted({n for n in BACKBONES for _ in cache.glob(f"{n}-*.pth")}) if cache.is_dir() else []
    report.line(True, f"ImageNet weights in {cache}: {', '.join(cached) or 'none; fetched when a ResNet is first asked for'}")
    try:
        report.line(True, f"scenes: {', '.join(datasets.scene_notes())}")
    except InputError as error:
        report.line(False, str(error))


def shortcuts() -> list[str]:
    """What bfloat16 and CUDA graphs bring here."""
    from ..device import pick_device
    from ..evaluation import frame_speed, timing

    return frame_speed.shortcut_lines(frame_speed.shortcuts(timing.Clock(pick_device()), "compact", (240, 432), 5))


def self_test() -> tuple[float, float]:
    """Segment five frames of a textured disk that moves over a textured ground; mean J, and seconds."""
    import cv2
    import numpy as np

    from ..config import FAST
    from ..evaluation.metrics import jaccard
    from ..segmenter import Segmenter

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
            scores.append(jaccard(video.step(frame).cpu().numpy(), mask))
    return float(np.mean(scores)), time.perf_counter() - began
