"""From one probability map per object to one label per pixel: soft aggregation (Section 3.4)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def aggregate(probabilities: Tensor, rule: str = "softmax") -> Tensor:
    """Soft aggregation of objects segmented alone (Section 3.4, after its reference [27]).

    "softmax": the background has probability Π(1 - p_n); a softmax over log-odds makes all sum to one, which is each
    one's odds over their sum. "min", the authors' later code: background min(1 - p_n), softmax over odds.

    Args:
        probabilities: (N, H, W) in [0, 1].

    Returns:
        (N + 1, H, W), the background first, summing to one everywhere.
    """
    p = probabilities.new_empty(len(probabilities) + 1, *probabilities.shape[1:])
    p[0] = (1 - probabilities).prod(dim=0) if rule == "softmax" else (1 - probabilities).amin(dim=0)
    p[1:] = probabilities
    # 1e-5 keeps odds finite in float32 and lies beyond any threshold that matters; in place, for these maps are large.
    p.clamp_(1e-5, 1 - 1e-5)
    odds = p.div_(1 - p)
    return odds.div_(odds.sum(dim=0)) if rule == "softmax" else odds.softmax(dim=0)


def labels_at(probabilities: Tensor, ids: Sequence[int], size: tuple[int, int]) -> Tensor:
    """The likeliest id of every pixel at another size: probabilities are resampled bilinearly, for ids do not mix.

    Args:
        probabilities: (N + 1, h, w), the background first.
        ids: of the N objects.
        size: (H, W).

    Returns:
        uint8 (H, W), 0 the background.
    """
    if probabilities.shape[-2:] != size:
        probabilities = F.interpolate(probabilities[None], size=size, mode="bilinear", align_corners=False)[0]
    greatest, labels = probabilities[0], torch.zeros(size, dtype=torch.uint8, device=probabilities.device)
    for p, i in zip(probabilities[1:], ids, strict=True):  # faster than argmax for few objects, and no table of ids to upload
        labels = torch.where(p > greatest, i, labels)
        greatest = torch.maximum(greatest, p)
    return labels


class Answer(NamedTuple):
    """What becomes of the logits of one frame."""

    probabilities: Tensor
    """(N + 1, h, w) after aggregation, the background first."""
    small: Tensor
    """uint8 (h, w), ids at the size of the probabilities."""
    labels: Tensor
    """uint8 (H, W), ids at the size asked for."""


def answer(logits: Tensor, ids: Sequence[int], size: tuple[int, int], rule: str = "softmax") -> Answer:
    """Aggregate the logits (N, h, w) of objects segmented alone, and label every pixel at both sizes.

    Args:
        logits: (N, h, w), of R or of the readout of D alone.
        ids: of the N objects.
        size: (H, W) of the video.
        rule: as `aggregate` takes it.
    """
    probabilities = aggregate(logits.sigmoid(), rule)
    small = labels_at(probabilities, ids, probabilities.shape[-2:])
    labels = small if tuple(probabilities.shape[-2:]) == tuple(size) else labels_at(probabilities, ids, size)
    return Answer(probabilities, small, labels)


def laid_over(labels: Tensor, given: np.ndarray) -> Tensor:
    """The labels (H, W), with the ids given (H, W) in their place where those are not 0: uint8 (H, W)."""
    fresh = torch.from_numpy(given.astype(np.uint8)).to(labels.device)
    return torch.where(fresh > 0, fresh, labels)
