"""How long from a slider to pixels: each widget on a bundled scene, 240 rows, JPEG encoding included.

    python benchmarks/widgets.py

Median and worst of the moves. "live" widgets redraw while the slider moves and should stay under 100 ms; the others
redraw when it is let go.
"""

import statistics
import time

import ipywidgets
import numpy as np
import torch

from vosedu import BEST, Segmenter, load_clip
from vosedu.device import machine, versions
from vosedu.features import TARGET_DEPTH
from vosedu.files.images import overlay
from vosedu.teaching.augmentation import WarpBench
from vosedu.teaching.evaluation import CurveReader
from vosedu.teaching.features import Probe
from vosedu.teaching.gauss_newton_cg import Microscope
from vosedu.teaching.inference_and_updating import MemoryStrip
from vosedu.teaching.player import Player
from vosedu.teaching.refinement import BlobBench, DepthBench
from vosedu.teaching.weighted_l2_loss import Relearner


def milliseconds(control: ipywidgets.DOMWidget, values: list, repeat: int = 3) -> list[float]:
    """Time of each move of the control; every widget draws before the assignment returns."""
    times = []
    for value in values * repeat:
        start = time.perf_counter()
        control.value = value
        times.append(1000 * (time.perf_counter() - start))
    return times


def moves(segmenter: Segmenter) -> dict[str, tuple[str, ipywidgets.DOMWidget, list]]:
    """Of each widget: when it redraws, a control, and the values that it is set to."""
    clip = load_clip("tumble", short_side=240, frames=8)
    frames, mask = list(clip.frames), (clip.masks[0] == 1).astype(np.uint8)
    maps = [segmenter.features(frame[None]) for frame in frames]
    samples = segmenter.first_frame(frames[0], mask, seed=(0, 1))
    video = segmenter.start(frames[0], mask)
    labels, scores = [mask], [np.zeros(maps[0][TARGET_DEPTH].shape[-2:], np.float32)]
    for frame in frames[1:]:
        labels.append(video.step(frame).cpu().numpy())
        scores.append(video.scores[0].cpu().numpy())
    gammas, few = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None], [1, 3, 5, 7]
    late = frames[4], torch.from_numpy(scores[4]), maps[4]
    strip = MemoryStrip([overlay(*pair) for pair in zip(frames, labels, strict=True)], gammas, first=4)
    learner = Relearner([frames[0], frames[4]], samples, maps[4][TARGET_DEPTH][0], BEST)
    return {
        "Player": ("live", Player(frames, scores, labels).index, few),
        "MemoryStrip": ("live", strip.index, few),
        "Microscope": ("live", Microscope(frames[0], samples, BEST).index, [1, 9, 20, 33]),
        "WarpBench": ("live", WarpBench(frames[0], mask).angle, [-40, -10, 20, 50]),
        "Probe": ("live", Probe(frames[:2], maps[:2]).x, [40, 90, 200, 300]),
        "CurveReader": ("live", CurveReader({"tumble": (frames, labels, labels, scores)}).index, few),
        "DepthBench": ("a switch", DepthBench(segmenter, *late, labels[4]).switches[0], [False, True]),
        "BlobBench": ("on release", BlobBench(segmenter, *late).x, [40, 90, 200, 300]),
        "Relearner": ("on release", learner.share, [0.02, 0.05, 0.2, 0.5]),
    }


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    segmenter = Segmenter.from_pretrained("compact", device="cpu")
    print(machine(segmenter.device), versions())
    print(f"{'widget':<14}{'redraws':<12}{'median':>8}{'worst':>8}  ms")
    for name, (kind, control, values) in moves(segmenter).items():
        times = milliseconds(control, values, repeat=1 if name == "Relearner" else 3)
        print(f"{name:<14}{kind:<12}{statistics.median(times):8.0f}{max(times):8.0f}")


if __name__ == "__main__":
    main()
