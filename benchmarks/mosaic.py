"""Eight small objects, each far from the others: what a frame costs, and J, by the size of what each is seen at.

    python -m benchmarks.mosaic [--frames 17] [--rows 432 336 288 240] [--objects 1 4 8] [--json FILE]

Eight bundled scenes side by side are one video of 1278 x 720; in each the first object is tracked. Each has a window of its own
then, so F runs once for every object, and R. `--short-side` sets the rows of all windows alike; the last rows of the table look
at the whole frame (`--window-zoom 1`). Seconds are the processor's, on one thread, so that others on the machine matter less;
they are compared with one object (the first) at the first number of rows.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vosedu import BEST, Segmenter
from vosedu.evaluation.metrics import SequenceScorer
from vosedu.files.clip import Clip, load_clip
from vosedu.files.images import resized, to_size

SCENES = ("tumble", "fast", "hidden", "late", "lookalikes", "shadow", "huddle", "thin")
TILE, ACROSS = (240, 426), 3
"""Rows and columns of a scene in the mosaic, and how many stand side by side. One place of nine stays grey."""


def mosaic(frames: int) -> Clip:
    """The scenes side by side; object n + 1 is the first of scene n."""
    pictures = np.full((frames, 3 * TILE[0], ACROSS * TILE[1], 3), 128, np.uint8)
    masks = np.zeros(pictures.shape[:3], np.uint8)
    for n, name in enumerate(SCENES):
        clip, (row, column) = load_clip(name, frames=frames), divmod(n, ACROSS)
        first = np.unique(clip.masks[0])[1]
        place = np.s_[row * TILE[0] : (row + 1) * TILE[0], column * TILE[1] : (column + 1) * TILE[1]]
        for k in range(frames):
            pictures[k][place] = resized(clip.frames[k], TILE)
            masks[k][place] = np.where(to_size(clip.masks[k], TILE) == first, n + 1, 0)
    return Clip("mosaic", pictures, masks)


def measure(segmenter: Segmenter, clip: Clip, objects: int) -> dict[str, float]:
    """Processor milliseconds of a frame, their first one left out, how many windows it had, and mean J of the objects."""
    truth = np.where(clip.masks <= objects, clip.masks, 0)
    scorer = SequenceScorer(dict.fromkeys(range(1, objects + 1), 0), len(truth), drop_last=False)
    video, seconds, windows = segmenter.start(clip.frames[0], truth[0]), [], []
    for k in range(1, len(truth)):
        began = time.process_time()
        labels = video.step(clip.frames[k]).numpy()
        seconds.append(time.process_time() - began)
        windows.append(len(set(video.windows.now)))
        scorer.add(k, labels, truth[k])
    return {"ms": 1000 * float(np.mean(seconds[1:])), "windows": float(np.mean(windows)),
            "J": float(np.mean(list(scorer.j.values())))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=17, help="of every scene (default 17: two updates)")
    parser.add_argument("--rows", type=int, nargs="+", default=[432, 336, 288, 240], help="of the frames that the networks see")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clip, cases = mosaic(args.frames), []
    base = Segmenter.from_pretrained("compact", precision="auto")
    print("| rows | greatest zoom | objects | windows | ms a frame | times one object | J |\n" + 7 * "|---" + "|")
    for zoom in (BEST.window_zoom, 1.0):
        for rows in args.rows if zoom > 1 else args.rows[:1]:
            segmenter = base.changed(config=replace(BEST, window_zoom=zoom), short_side=rows)
            for objects in args.objects:
                case = {"rows": rows, "zoom": zoom, "objects": objects} | measure(segmenter, clip, objects)
                cases.append(case)
                print(f"| {rows} | {zoom:g} | {objects} | {case['windows']:.1f} | {case['ms']:.0f} | "
                      f"{case['ms'] / cases[0]['ms']:.2f} | {case['J']:.3f} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
