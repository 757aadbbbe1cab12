"""J and F of the DAVIS benchmark, and their mean, recall and decay (Perazzi et al. 2016; Section 4)."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

BOUNDARY_TOLERANCE = 0.008
"""Of the image's diagonal."""


def jaccard(prediction: np.ndarray, truth: np.ndarray) -> float:
    """J: intersection over union of two masks (H, W), nonzero on the object; 1 where both are empty."""
    prediction, truth = prediction > 0, truth > 0
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary(mask: np.ndarray) -> np.ndarray:
    """Boundary map (H, W), bool: pixels that differ from their east, south or south-east neighbour.

    The last row looks east only, the last column south only, as in the benchmark's own code.
    """
    m = mask > 0
    edge = np.zeros_like(m)
    edge[:, :-1] |= m[:, :-1] ^ m[:, 1:]
    edge[:-1, :] |= m[:-1, :] ^ m[1:, :]
    edge[:-1, :-1] |= m[:-1, :-1] ^ m[1:, 1:]
    return edge


def boundary_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    """F: harmonic mean of the boundary's precision and recall, each within ceil(0.008 · diagonal) pixels.

    Both boundaries empty counts 1, one empty counts 0.

    Args:
        prediction, truth: (H, W), nonzero on the object.
    """
    found, wanted = boundary(prediction), boundary(truth)
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    precision = float(near(found, wanted)[found].mean())
    recall = float(near(wanted, found)[wanted].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def near(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the pixels `points` (H, W) have one of `others` within F's tolerance: bool (H, W)."""
    radius = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*points.shape))
    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # squared distances are whole numbers: half of one separates r² from r² + 1 whatever the rounding
    return points & (distance**2 < radius * radius + 0.5) if others.any() else np.zeros_like(points)


def summarise(values: Sequence[float]) -> dict[str, float]:
    """Mean, recall and decay of one object's scores over frames.

    Recall is the share above 0.5. Decay is the mean of the first quarter minus that of the last, with the benchmark's
    borders: round(linspace(1, n, 5)), both ends counted in.

    Raises:
        ValueError: no values.
    """
    x = np.asarray(values, dtype=float)
    if x.size == 0:
        raise ValueError("no frames to score")
    borders = np.round(np.linspace(1, x.size, 5) + 1e-10).astype(int) - 1
    first, last = x[borders[0] : borders[1] + 1], x[borders[3] : borders[4] + 1]
    return {
        "mean": float(x.mean()),
        "recall": float((x > 0.5).mean()),
        "decay": float(first.mean() - last.mean()),
    }


class SequenceScorer:
    """J and F of every object of one video, added frame by frame.

    Args:
        first_frames: object id -> index of the frame whose mask is given; scoring starts after it.
        frames: length of the video.
        drop_last: the last frame is not scored (DAVIS' protocol); False for YouTube-VOS, which scores it.
    """

    def __init__(self, first_frames: dict[int, int], frames: int, drop_last: bool = True):
        self.first_frames = first_frames
        self.end = frames - 1 if drop_last else frames
        self.j: dict[int, list[float]] = {i: [] for i in first_frames}
        self.f: dict[int, list[float]] = {i: [] for i in first_frames}

    def add(self, index: int, labels: np.ndarray, truth: np.ndarray) -> None:
        """Score frame `index` (from 0): predicted and true object ids, both (H, W)."""
        for i, first in self.first_frames.items():
            if first < index < self.end:
                self.j[i].append(jaccard(labels == i, truth == i))
                self.f[i].append(boundary_f(labels == i, truth == i))

    def objects(self) -> dict[int, dict[str, dict[str, float]]]:
        """Object id -> {"J": summary, "F": summary}; an object without a scored frame is left out."""
        return {i: {"J": summarise(self.j[i]), "F": summarise(self.f[i])} for i in self.j if self.j[i]}


def report(scores: dict[str, SequenceScorer], frames: dict[str, int]) -> dict:
    """Benchmark figures: per sequence the mean over its objects, overall the mean over all objects.

    Args:
        scores: sequence name -> scorer.
        frames: sequence name -> number of frames.

    Returns:
        {"J": {mean, recall, decay}, "F": {…}, "JF_mean", "sequences": {name: {J_mean, F_mean, JF_mean, frames, objects}}}.

    Raises:
        ValueError: no sequence has a frame to score.
    """
    rows, everyone = {}, []
    for name, scorer in scores.items():
        objects = list(scorer.objects().values())
        everyone += objects
        j, f = (float(np.mean([o[m]["mean"] for o in objects])) if objects else math.nan for m in "JF")
        rows[name] = {
            "J_mean": j, "F_mean": f, "JF_mean": (j + f) / 2, "frames": frames[name], "objects": len(scorer.j),
        }
    if not everyone:
        raise ValueError("no sequence has a frame to score: a video needs three frames or more")
    overall = {
        m: {key: float(np.mean([o[m][key] for o in everyone])) for key in ("mean", "recall", "decay")} for m in "JF"
    }
    return {**overall, "JF_mean": (overall["J"]["mean"] + overall["F"]["mean"]) / 2, "sequences": rows}


def overall_g(scores: dict[str, SequenceScorer], seen: dict[str, dict[int, bool]]) -> dict[str, float] | None:
    """G of YouTube-VOS: the mean of J and F over objects of seen and of unseen classes (Section 4).

    Args:
        scores: sequence name -> scorer.
        seen: sequence name -> object id -> whether the class occurs in the training set.

    Returns:
        {"G", "J_seen", "J_unseen", "F_seen", "F_unseen"}, or None unless both kinds of class are there.
    """
    groups: dict[str, list[float]] = {}
    for name, scorer in scores.items():
        for i, figures in scorer.objects().items():
            if i in seen.get(name, {}):
                for m in "JF":
                    groups.setdefault(f"{m}_{'seen' if seen[name][i] else 'unseen'}", []).append(figures[m]["mean"])
    if len(groups) < 4:
        return None
    means = {key: float(np.mean(values)) for key, values in sorted(groups.items())}
    return {"G": float(np.mean(list(means.values()))), **means}
