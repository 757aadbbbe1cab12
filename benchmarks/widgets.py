"""How long from a slider to pixels: each widget on a bundled scene, 240 rows, JPEG encoding included.

    python benchmarks/widgets.py

Median and worst of the moves. "live" widgets redraw while the slider moves and should stay under 100 ms; the others
redraw when it is let go.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from vosedu import BEST, Segmenter
from vosedu.device import machine, versions
from vosedu.features import TARGET_DEPTH
from vosedu.files import datasets
from vosedu.files.frames import FrameSource
from vosedu.files.images import overlay, to_size
from vosedu.teaching.augmentation import WarpBench
from vosedu.teaching.evaluation import CurveReader
from vosedu.teaching.features import Probe
from vosedu.teaching.gauss_newton_cg import Microscope
from vosedu.teaching.inference_and_updating import MemoryStrip
from vosedu.teaching.player import Player
from vosedu.teaching.refinement import BlobBench, DepthBench
from vosedu.teaching.weighted_l2_loss import Relearner


def milliseconds(slider, values: list, repeat: int = 3) -> list[float]:
    """Time of each move of the slider; every widget draws before the assignment returns."""
    times = []
    for value in values * repeat:
        start = time.perf_counter()
        slider.value = value
        times.append(1000 * (time.perf_counter() - start))
    return times


@torch.inference_mode()
def main() -> None:
    segmenter = Segmenter.from_pretrained("compact", device="cpu")
    scene = datasets.scene("tumble")
    frames = [frame for _, frame in FrameSource(scene.frames, short_side=240)][:8]
    mask = to_size((scene.labels(0) == 1).astype(np.uint8), frames[0].shape[:2])
    maps = [segmenter.features(frame[None]) for frame in frames]
    samples = segmenter.first_frame(frames[0], mask, seed=(0, 1))
    video = segmenter.start(frames[0], mask)
    labels, scores = [mask], [np.zeros(maps[0][TARGET_DEPTH].shape[-2:], np.float32)]
    for frame in frames[1:]:
        labels.append(video.step(frame).cpu().numpy())
        scores.append(video.scores[0].cpu().numpy())
    gammas = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None]

    player = Player(frames, scores, labels)
    strip = MemoryStrip([overlay(*pair) for pair in zip(frames, labels, strict=True)], gammas, first=4)
    scope, bench = Microscope(frames[0], samples, BEST), WarpBench(frames[0], mask)
    probe, blob = Probe(frames[:2], maps[:2]), BlobBench(segmenter, frames[4], torch.from_numpy(scores[4]), maps[4])
    depths = DepthBench(segmenter, frames[4], torch.from_numpy(scores[4]), maps[4], labels[4])
    reader = CurveReader({"tumble": (frames, labels, labels, scores)})
    learner = Relearner([frames[0], frames[4]], samples, maps[4][TARGET_DEPTH][0], BEST)
    print(machine(segmenter.device), versions())
    moves: list[tuple[str, str, Callable[[], list[float]]]] = [
        ("Player", "live", lambda: milliseconds(player.index, [1, 3, 5, 7])),
        ("MemoryStrip", "live", lambda: milliseconds(strip.index, [1, 3, 5, 7])),
        ("Microscope", "live", lambda: milliseconds(scope.index, [1, 9, 20, 33])),
        ("WarpBench", "live", lambda: milliseconds(bench.angle, [-40, -10, 20, 50])),
        ("Probe", "live", lambda: milliseconds(probe.x, [40, 90, 200, 300])),
        ("CurveReader", "live", lambda: milliseconds(reader.index, [1, 3, 5, 7])),
        ("DepthBench", "a switch", lambda: milliseconds(depths.switches[0], [False, True])),
        ("BlobBench", "on release", lambda: milliseconds(blob.x, [40, 90, 200, 300])),
        ("Relearner", "on release", lambda: milliseconds(learner.share, [0.02, 0.05, 0.2, 0.5], repeat=1)),
    ]
    print(f"{'widget':<14}{'redraws':<12}{'median':>8}{'worst':>8}  ms")
    for name, kind, measure in moves:
        times = measure()
        print(f"{name:<14}{kind:<12}{statistics.median(times):8.0f}{max(times):8.0f}")


if __name__ == "__main__":
    main()
