"""What is hard in a video, as far as its annotated masks tell: attributes of the DAVIS benchmark.

Perazzi et al. (CVPR 2016, Table 1) give each video a list of attributes. Three of them are numbers of the masks, and a fourth
is seen in them; a fifth, ours, stands for a part of their "occlusion". The others (blur, clutter, changes of appearance and so
on) need the pictures, or a person. These here are computed, and are not the lists that come with the benchmark.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from ..files.datasets import AnnotatedVideo

FAST = 20 / 1080
"""Mean way of the centroid from frame to frame, in heights of the frame, above which motion is fast: the benchmark's 20 pixels,
taken as those of its Full HD frames."""
SCALE = 0.5
"""Scale varies where the areas of two of the object's bounding boxes have a smaller ratio."""
LOW = 0.1
"""Resolution is low where the bounding box covers a smaller share of the frame on average."""
PIECE = 0.1
"""Share of the object's pixels from which on its second largest piece shows that something lies across it."""
KINDS = ("fast motion", "scale variation", "low resolution", "out of view", "cut or hidden")


def attributes(masks: Mapping[int, np.ndarray]) -> set[str]:
    """The attributes of one object, some of `KINDS`.

    "out of view": the mask touches the frame's border in some frame. "cut or hidden": the object is in one piece in its first
    frame, and later in several (`PIECE`), or not there at all.

    Args:
        masks: frame index, in rising order -> (H, W), nonzero on the object. Frames without annotation are left out.
    """
    shown = {k: mask > 0 for k, mask in masks.items() if mask.any()}
    if not shown:
        return set()
    height, width = next(iter(shown.values())).shape
    frames, first = list(shown), next(iter(shown))
    places = [np.argwhere(mask) for mask in shown.values()]
    centres = np.array([where.mean(0) for where in places])
    ways = np.linalg.norm(np.diff(centres, axis=0), axis=1) / np.diff(frames)
    boxes = np.array([np.prod(np.ptp(where, axis=0) + 1) for where in places])
    cut = {k: second_piece(mask) >= PIECE for k, mask in shown.items()}
    found = {
        "fast motion": len(ways) > 0 and ways.mean() > FAST * height,
        "scale variation": boxes.min() < SCALE * boxes.max(),
        "low resolution": boxes.mean() < LOW * height * width,
        "out of view": any(m[[0, -1]].any() or m[:, [0, -1]].any() for m in shown.values()),
        "cut or hidden": not cut[first] and (any(cut.values()) or any(k > first for k in masks if k not in shown)),
    }
    return {kind for kind, there in found.items() if there}


def second_piece(mask: np.ndarray) -> float:
    """Share of a mask's pixels (H, W) in the second largest of its connected pieces; 0 where there is one piece."""
    areas = np.sort(cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA])
    return float(areas[-2] / areas.sum()) if len(areas) > 1 else 0.0


def with_attribute(videos: Sequence[AnnotatedVideo]) -> dict[str, list[str]]:
    """Kind -> names of the videos in which some object has it, in the order of `KINDS`; kinds that none has are left out."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for video in videos:
        labels = {k: ids for k in range(len(video.frame_names)) if (ids := video.labels(k)) is not None}
        objects = sorted({int(i) for ids in video.entries().values() for i in np.unique(ids) if i})
        for kind in set().union(*(attributes({k: ids == i for k, ids in labels.items()}) for i in objects)):
            found[kind].append(video.name)
    return {kind: names for kind, names in found.items() if names}
