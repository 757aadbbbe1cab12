"""Rough masks for photographs of one thing each: GrabCut from a central box, kept where the outcome looks like an object.

    python data/outline_photographs.py --images IMAGENET --out outlined

Writes what `vosedu train --rough outlined` reads: outlined/images (copies) and outlined/labels (YOLO polygons). About half
of 1,000 ImageNet photographs pass. The outlines cut off tails and heads: good enough to learn which features tell a thing
from its surroundings (`train --tune-backbone`), not to learn where edges are.
"""

import argparse
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

MARGIN = 0.12
"""Of width and height, on every side of the box that GrabCut starts from."""
AREA = 0.04, 0.4
"""Least and greatest share of the image that a mask covers."""
WHOLE = 0.7
"""Least share of the foreground that is one piece."""


def outline(image: np.ndarray) -> np.ndarray | None:
    """The outline of what GrabCut finds.

    Args:
        image: uint8 BGR (H, W, 3).

    Returns:
        (n, 2), x and y in fractions of width and height; None where what it finds does not look like one object.
    """
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    marks = np.zeros((height, width), np.uint8)
    box = (round(MARGIN * width), round(MARGIN * height), round((1 - 2 * MARGIN) * width), round((1 - 2 * MARGIN) * height))
    try:
        cv2.grabCut(small, marks, box, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a uniform image
        return None
    inside = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    pieces, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not pieces:
        return None
    largest = max(pieces, key=cv2.contourArea)
    area = cv2.contourArea(largest)
    if not AREA[0] < area / inside.size < AREA[1] or area < WHOLE * inside.sum():
        return None
    return largest[:, 0] / np.array([width, height])


def main() -> int:
    """Outline all photographs of a folder; 2 where it has none."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs, searched below as well")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    args = parser.parse_args()
    paths = sorted(p for p in args.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        print(f"outline_photographs: no .jpg or .png below {args.images}: check --images", file=sys.stderr)
        return 2
    for part in ("images", "labels"):
        (args.out / part).mkdir(parents=True, exist_ok=True)
    kept = 0
    for path in tqdm(paths, unit="image"):
        image = cv2.imread(str(path))
        points = None if image is None else outline(image)
        if points is not None:
            shutil.copyfile(path, args.out / "images" / path.name)
            line = "0 " + " ".join(f"{v:.4f}" for v in points.flatten())
            (args.out / "labels" / f"{path.stem}.txt").write_text(line + "\n")
            kept += 1
    print(f"{kept} of {len(paths)} photographs outlined in {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
