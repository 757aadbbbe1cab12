"""A look-alike that comes near is not the target: parts of a mask that appear where the last one was not.

D knows appearance alone, so it answers for a target's twins too, and then learns from them. But while a target is still where
it was, it is not elsewhere. So a part of a mask that lies apart from the last mask is dropped, where what lies near that one
makes up for most of it. Small parts may lie farther off than large ones: what stands before a target cuts it to pieces, and
a hidden piece comes back. The paper's method has no such rule.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from .close_up import OUTSIDE

LARGE = 0.25
"""Of the last mask's area: a part that covers as much is a thing of its own rather than a piece."""
FARTHER = 3.0
"""So many times as far as large parts, small ones may lie from the last mask."""
ENOUGH = 0.6
"""Of the last mask's area: what lies near it covers at least so much where the rest is dropped."""


def leaps(mask: np.ndarray, before: np.ndarray, reach: float) -> np.ndarray:
    """Where a mask shows what cannot be the target: connected parts beyond a distance from the last mask.

    Args:
        mask, before: (H, W), nonzero on the object now and in the frame before.
        reach: that distance for a large part, in square roots of the last mask's area.

    Returns:
        bool (H, W).
    """
    dropped, area = np.zeros(mask.shape, bool), np.count_nonzero(before)
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if not width or not area:
        return dropped
    box = np.s_[y : y + height, x : x + width]
    inside = (mask[box] > 0).astype(np.uint8)
    count, parts, found, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    if count <= 2:  # the background is the first
        return dropped
    distances, covered = cv2.distanceTransform((before == 0).astype(np.uint8), cv2.DIST_L2, 3), found[:, cv2.CC_STAT_AREA]
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, parts[inside > 0], distances[box][inside > 0])
    limit = reach * np.sqrt(area) * np.where(covered < LARGE * area, FARTHER, 1.0)
    apart = nearest > limit
    apart[0] = False
    stays = covered[1:][~apart[1:]].sum() >= ENOUGH * area
    if stays:
        dropped[box] = apart[parts]
    return dropped


def without_leaps(logits: Tensor, labels: np.ndarray | None, ids: Sequence[int], reach: float) -> Tensor:
    """Logits of a frame, `OUTSIDE` where they are above 0 on a part that leapt. The host waits for them.

    Args:
        logits: (N, h, w).
        labels: (H, W), ids in the frame before; None where nothing is asked.
        ids: of the N objects.
        reach: as `leaps` takes it; 0: nothing is asked.
    """
    if not reach:
        return logits
    masks, before = (logits > 0).cpu().numpy(), labels
    if before.shape != masks.shape[1:]:
        before = cv2.resize(before, masks.shape[:0:-1], interpolation=cv2.INTER_NEAREST_EXACT)
    dropped = np.stack([leaps(mask, before == i, reach) for mask, i in zip(masks, ids, strict=True)])
    return logits.masked_fill(torch.from_numpy(dropped).to(logits.device), OUTSIDE) if dropped.any() else logits
