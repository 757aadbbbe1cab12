"""R for several objects on a CPU: its largest maps object by object, where they stay in the cache, and about each alone.

Four fifths of R's time go into its shallowest level and the output. There each object is given a part of the image. What R
takes from all of the image, the averages of channel attention, is taken from all of it: beyond its part, an object's maps are
those of no object, made once for all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..refinement import Refinement

OUTSIDE = -20.0
"""Logit of what lies beyond an object's part of an image."""
STRIDE = 4
"""Pixels per position of the shallowest level."""
UNSURE = 4
"""Positions along a cut for which the level's first four 3x3 convolutions miss their neighbours."""


class Part(NamedTuple):
    """A part of an image, in its pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, maps: Tensor, stride: int) -> Tensor:
        """The part of maps (…, h, w) with so many pixels per position."""
        return maps[..., self.top // stride : -(-self.bottom // stride), self.left // stride : -(-self.right // stride)]

    def all_of(self, size: tuple[int, int]) -> bool:
        """Whether it is all of an image whose size (H, W) is given."""
        return self == (0, 0, *size)


def refined(
    network: Refinement, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int], parts: Sequence[Part]
) -> Tensor:
    """Logits (N, H, W) for N objects in one image, `OUTSIDE` beyond their parts.

    Where a part is all of the image, and 64 pixels within others, they are the network's own up to rounding, but for what
    the averages lose where scores beyond the part are not 0.

    Args:
        network, features, scores, size: as `Refinement.forward` takes them.
        parts: where each object is, in pixels of `size`; every edge a multiple of `STRIDE`, or the image's.
    """
    scores, z = scores[:, None], None
    shallowest, *deeper = network.layers
    for layer, x in zip(reversed(deeper), reversed(features), strict=False):
        z = network.level(layer, x, scores, z)
    shared, own, _ = network.TSE[shallowest].halves(features[1], scores)
    encode = network.TSE[shallowest].transform[1:]
    nobody = None if all(part.all_of(size) for part in parts) else network.RRB1[shallowest](encode(shared))
    logits = []
    for n, part in enumerate(parts):
        mine = part.of(shared, STRIDE) + part.of(own[n : n + 1], STRIDE)
        shallow = network.RRB1[shallowest](encode(mine.contiguous(memory_format=torch.channels_last)))
        average = shallow.mean((2, 3), keepdim=True) if nobody is None else averaged(shallow, nobody, part, size)
        attention = network.CAB[shallowest].weights(average, z[n : n + 1])
        enlarged = F.interpolate(z[n : n + 1], size=shared.shape[-2:], mode="bilinear", align_corners=False)
        joined = network.RRB2[shallowest](shallow * attention + part.of(enlarged, STRIDE))
        if part.all_of(size):
            logits.append(network.project(joined, size))
            continue
        room = joined.new_full((1, 1, *(STRIDE * n for n in shared.shape[-2:])), OUTSIDE)
        found = network.project(joined, tuple(STRIDE * n for n in joined.shape[-2:]))
        room[..., part.top : part.top + found.shape[-2], part.left : part.left + found.shape[-1]] = found
        logits.append(F.interpolate(room, size=size, mode="bilinear", align_corners=False))
    return torch.cat(logits)[:, 0]


def averaged(mine: Tensor, nobody: Tensor, part: Part, size: tuple[int, int]) -> Tensor:
    """The average (1, 64, 1, 1) of a map (1, 64, H, W) that is `mine` in the part, where it is sure, and `nobody` elsewhere."""
    if part.all_of(size):
        return mine.mean((2, 3), keepdim=True)
    edges = [a + UNSURE * STRIDE * bool(a) for a in part[:2]] + [
        b - UNSURE * STRIDE * (b < n) for b, n in zip(part[2:], size, strict=True)]
    sure = Part(*edges)
    inner = Part(sure.top - part.top, sure.left - part.left, sure.bottom - part.top, sure.right - part.left)
    rest = nobody.sum((2, 3), True) - sure.of(nobody, STRIDE).sum((2, 3), True)
    return (rest + inner.of(mine, STRIDE).sum((2, 3), True)) / nobody[0, 0].numel()
