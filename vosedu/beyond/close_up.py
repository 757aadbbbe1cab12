"""R on a CPU: its largest maps object by object, where they stay in the cache, and about each object alone.

Four fifths of R's time go into its shallowest level and the output. There each object is given a part of the image. What R
takes from all of the image, the averages of channel attention, is taken from all of it: beyond its part, an object's maps are
those of no object, and what these are on average is kept for some frames.
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
"""Positions along a cut for which the level's last four 3x3 convolutions before its average miss their neighbours."""


class Part(NamedTuple):
    """A part of an image, in its pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, maps: Tensor, stride: int) -> Tensor:
        """The part of maps (…, h, w) with so many pixels per position."""
        return maps[..., self.top // stride : -(-self.bottom // stride), self.left // stride : -(-self.right // stride)]

    def within(self, other: "Part") -> "Part":
        """The same part, as a part of another that holds it."""
        return Part(self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left)

    def all_of(self, size: tuple[int, int]) -> bool:
        """Whether it is all of an image whose size (H, W) is given."""
        return self == (0, 0, *size)


def refined(
    network: Refinement, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int], parts: Sequence[Part],
    beyond: Sequence[Tensor | None] | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """R for N objects in one image, each in its part alone.

    Args:
        network, features, scores, size: as `Refinement.forward` takes them.
        parts: where each object is, in pixels of `size`; every edge a multiple of `STRIDE`, or the image's.
        beyond: (64,) `average_beyond` each part, as it was in an earlier frame; without them they are made from this one.

    Returns:
        Logits (N, H, W), `OUTSIDE` beyond the parts, and the averages. Where a part is all of the image, and 64 pixels within
        others, the logits are the network's own up to rounding, but for what the averages lose: by their age, and where scores
        beyond the part are not 0.
    """
    scores, z = scores[:, None], None
    shallowest, *deeper = network.layers
    for layer, x in zip(reversed(deeper), reversed(features), strict=False):
        z = network.level(layer, x, scores, z)
    grid = features[1].shape[-2:]
    around = Part(0, 0, *size) if beyond is None else hull(parts, size)
    seen = F.interpolate(scores, size=grid, mode="bilinear", align_corners=False)
    shared, own, _ = network.TSE[shallowest].halves(around.of(features[1], STRIDE), around.of(seen, STRIDE))
    encode = network.TSE[shallowest].transform[1:]
    if beyond is None:
        nobody = None if all(part.all_of(size) for part in parts) else network.RRB1[shallowest](encode(shared))
        beyond = [None if part.all_of(size) else average_beyond(nobody, part, size) for part in parts]
    logits = []
    for n, part in enumerate(parts):
        inner = part.within(around)
        mine = inner.of(shared, STRIDE) + inner.of(own[n : n + 1], STRIDE)
        shallow = network.RRB1[shallowest](encode(mine.contiguous(memory_format=torch.channels_last)))
        attention = network.CAB[shallowest].weights(averaged(shallow, beyond[n], part, size), z[n : n + 1])
        enlarged = F.interpolate(z[n : n + 1], size=grid, mode="bilinear", align_corners=False)
        joined = network.RRB2[shallowest](shallow * attention + part.of(enlarged, STRIDE))
        if part.all_of(size):
            logits.append(network.project(joined, size))
            continue
        room = joined.new_full((1, 1, *(STRIDE * n for n in grid)), OUTSIDE)
        found = network.project(joined, tuple(STRIDE * n for n in joined.shape[-2:]))
        room[..., part.top : part.top + found.shape[-2], part.left : part.left + found.shape[-1]] = found
        logits.append(F.interpolate(room, size=size, mode="bilinear", align_corners=False))
    return torch.cat(logits)[:, 0], list(beyond)


def grown(part: Part, by: int, size: tuple[int, int]) -> Part:
    """A part of an image of `size` (H, W) with so many pixels more on each side, its edges on the grid of the shallow maps."""
    near = (max(0, (edge - by) // STRIDE * STRIDE) for edge in part[:2])
    far = (min(n, -(-(edge + by) // STRIDE) * STRIDE) for edge, n in zip(part[2:], size, strict=True))
    return Part(*near, *far)


def hull(parts: Sequence[Part], size: tuple[int, int]) -> Part:
    """The smallest part that holds all parts and what the first 3x3 convolution sees about them."""
    tops, lefts, bottoms, rights = zip(*parts, strict=True)
    return grown(Part(min(tops), min(lefts), max(bottoms), max(rights)), STRIDE, size)


def sure(part: Part, size: tuple[int, int]) -> Part:
    """A part of an image without what lies along its cuts."""
    return Part(*(edge + UNSURE * STRIDE * bool(edge) for edge in part[:2]),
                *(edge - UNSURE * STRIDE * (edge < n) for edge, n in zip(part[2:], size, strict=True)))


def average_beyond(nobody: Tensor, part: Part, size: tuple[int, int]) -> Tensor:
    """The average (64,) of the map of no object (1, 64, H, W) where a part, which is not all of the image, is not sure."""
    inside = sure(part, size).of(nobody, STRIDE)
    total = nobody.sum((0, 2, 3), dtype=torch.float32) - inside.sum((0, 2, 3), dtype=torch.float32)
    return total / (nobody[0, 0].numel() - inside[0, 0].numel())


def averaged(mine: Tensor, beyond: Tensor | None, part: Part, size: tuple[int, int]) -> Tensor:
    """The average (1, 64, 1, 1) over an image of a map that is `mine` (1, 64, h, w) where its part is sure, and on average
    `beyond` (64,) elsewhere; None: the part is all of the image."""
    if beyond is None:
        return mine.mean((2, 3), keepdim=True)
    inside = sure(part, size).within(part).of(mine, STRIDE)
    share = inside[0, 0].numel() / (-(-size[0] // STRIDE) * -(-size[1] // STRIDE))
    return beyond[:, None, None].lerp(inside.mean((2, 3), keepdim=True, dtype=torch.float32), share).to(mine.dtype)
