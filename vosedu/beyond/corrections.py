"""Masks that are given for objects that are known already: what a person corrected, which the paper has no case of."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..files.images import to_size


def corrected(labels: Tensor, given: np.ndarray, known: Sequence[int]) -> Tensor:
    """An answer in which the known objects that a given mask shows are where it shows them, and nowhere else.

    Args:
        labels: (H, W) ids, the answer.
        given: (H, W) ids, at any size; objects that it does not show, and those that are not known, change nothing.
        known: ids.

    Returns:
        (H, W), of the type of `labels`.
    """
    shown = [i for i in np.unique(given).tolist() if i in known]
    if not shown:
        return labels
    ids = torch.from_numpy(to_size(np.where(np.isin(given, shown), given, 0).astype(np.uint8), tuple(labels.shape)))
    fresh = ids.to(labels.device, labels.dtype)
    wrong = torch.isin(labels, torch.tensor(shown, dtype=labels.dtype, device=labels.device))
    return torch.where((fresh > 0) | wrong, fresh, labels)
