"""Matching (VM, FEELVOS): which remembered features does a position look like, those on the object or those beside it?

VideoMatch (Hu, Huang, Schwing, ECCV 2018) keeps two banks of features of unit length, m_j on the foreground and on the
background of the frames seen, and takes the mean of the best K cosine similarities to each:

    s_fg(i) = 1/K Σ_{j in top_K(fg)} x_iᵀ m_j / (‖x_i‖ ‖m_j‖),   s(i) = s_fg(i) - s_bg(i).

FEELVOS (Voigtlaender et al., CVPR 2019) matches globally, to the nearest feature of the first frame, and locally, to the
nearest within a window of L cells on the previous frame. Both learned their features for this; here all families have F's.
FEELVOS has a network weigh the two maps; here it is their mean, and the global one is VM's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..beyond.nearest import SURE, covered, first_cells, unit
from ..config import Config
from ..target_model import FirstFrame
from .family import Family

BEST_K = 20
"""Similarities that are averaged: VM's K, on maps with four times as many cells as these."""
RECENT = 2
"""Later frames in the banks, beside the first; the oldest goes first."""
WINDOW = 4
"""L: cells up, down, left and right in which a position is looked for on the previous frame."""


def top_mean(similarities: Tensor, members: Tensor, k: int) -> Tensor:
    """Mean of the k greatest over members: (N, M, P) and bool (N, M) -> (N, P); of all where there are fewer, -1 of none."""
    best = similarities.masked_fill(~members[..., None], -torch.inf).topk(min(k, similarities.shape[1]), dim=1)[0]
    there = best.isfinite()
    return torch.where(there.any(1), torch.where(there, best, 0.0).sum(1) / there.sum(1).clamp_min(1), -1.0)


class Matching(Family):
    """VM. Parts: bank (N, 1 + RECENT, P, C), inside and outside (N, 1 + RECENT, P), turn (N,): frames taken in so far.

    Args:
        config: the settings.
        k: similarities that are averaged; 1: the nearest alone.
    """

    def __init__(self, config: Config, k: int = BEST_K):
        super().__init__(config)
        self.k = k

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """The frame itself in the first slot, the others empty."""
        x = samples.features[:, 0].unflatten(2, samples.size)
        inside, outside = first_cells(covered(samples.labels[:1], samples.size).flatten(1))
        room = (0, 0, 0, RECENT)
        return {"bank": F.pad(unit(x)[:, None], (0, 0, *room)), "inside": F.pad(inside[:, None], room),
                "outside": F.pad(outside[:, None], room), "turn": torch.zeros(1, dtype=torch.int64, device=x.device)}

    def raw(self, x: Tensor) -> Tensor:
        """s_fg - s_bg."""
        p = self.parts
        similarities = p["bank"].flatten(1, 2) @ unit(x).mT
        inside, outside = (top_mean(similarities, p[name].flatten(1), self.k) for name in ("inside", "outside"))
        return (inside - outside).unflatten(1, x.shape[-2:])

    def relearn(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """The frame that was scored last replaces the oldest of the later ones."""
        known = {name: self.parts[name][: len(x)].clone() for name in ("bank", "inside", "outside", "turn")}
        rows, slot = torch.arange(len(x), device=x.device), 1 + known["turn"] % RECENT
        share = covered(masks, x.shape[-2:]).flatten(1)
        for name, part in (("bank", unit(x)), ("inside", share >= SURE), ("outside", share <= 1 - SURE)):
            known[name][rows, slot] = part
        return {**known, "turn": known["turn"] + 1}


class LocalMatching(Matching):
    """FEELVOS. Parts: VM's, and of the previous frame its features last (N, P, C), last_inside and last_outside (N, P)."""

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """The first frame is the previous one of the second."""
        parts = super().first(samples, seed)
        return {**parts, "last": parts["bank"][:, 0], "last_inside": parts["inside"][:, 0],
                "last_outside": parts["outside"][:, 0]}

    def raw(self, x: Tensor) -> Tensor:
        """Mean of the global map and of the local one."""
        p, size = self.parts, x.shape[-2:]
        rows, columns = (axis.flatten() for axis in torch.meshgrid(*(torch.arange(n, device=x.device) for n in size),
                                                                   indexing="ij"))
        near = ((rows[:, None] - rows).abs() <= WINDOW) & ((columns[:, None] - columns).abs() <= WINDOW)
        similarities = (p["last"] @ unit(x).mT).masked_fill(~near, -1.0)
        inside, outside = (similarities.masked_fill(~p[name][..., None], -1.0).amax(1)
                           for name in ("last_inside", "last_outside"))
        return (super().raw(x) + (inside - outside).unflatten(1, size)) / 2

    def follow(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """The frame that was scored last is the previous one of the next."""
        share = covered(masks, x.shape[-2:]).flatten(1)
        return {"last": unit(x), "last_inside": share >= 0.5, "last_outside": share < 0.5}
