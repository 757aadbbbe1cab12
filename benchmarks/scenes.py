"""Why does the engine fail where it fails? Errors on the bundled scenes, by kind.

    python -m vosedu evaluate scenes --out results
    python benchmarks/scenes.py --results results

For each scene: J, the share of the target that was missed, and what was labelled in error, as shares of the target's
area, within a cell of the score map (16 pixels) of the target and farther off. `coarse` is the J that the true mask
itself has once it is averaged over 16-pixel cells, upsampled and cut at one half: no score map can do better alone.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.images import read_mask

CELL = 16


def coarse(mask: np.ndarray) -> np.ndarray:
    """The mask behind a score map's resolution."""
    height, width = mask.shape
    cells = cv2.resize(mask.astype(np.float32), (-(-width // CELL), -(-height // CELL)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def errors(sequence: datasets.AnnotatedVideo, folder: Path) -> np.ndarray:
    """Mean over objects and frames: J, missed, near, far, J of the coarse truth."""
    rows = []
    for i, given in sequence.given.items():
        for index in range(given + 1, len(sequence.frame_names)):
            truth = sequence.labels(index) == i
            found = read_mask(folder / f"{sequence.frame_names[index]}.png") == i
            if not truth.any():
                continue
            close = cv2.dilate(truth.astype(np.uint8), np.ones((2 * CELL + 1, 2 * CELL + 1), np.uint8)) > 0
            counts = [(truth & ~found).sum(), (found & ~truth & close).sum(), (found & ~close).sum()]
            rows.append([jaccard(found, truth), *(c / truth.sum() for c in counts), jaccard(coarse(truth), truth)])
    return np.mean(rows, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, required=True, help="--out of `vosedu evaluate scenes`")
    args = parser.parse_args()
    print(f"{'scene':<12}     J  missed   near    far  coarse")
    for name in datasets.scene_notes():
        j, missed, near, far, bound = errors(datasets.scene(name), args.results / name)
        print(f"{name:<12} {j:.3f}   {missed:.3f}  {near:.3f}  {far:.3f}   {bound:.3f}")


if __name__ == "__main__":
    main()
