"""R: the refinement network, from coarse scores and features to a mask at full resolution (Section 3.2).

Module names follow the authors' later release (layer5 is conv5_x), so that its checkpoints load as they are.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64
"""Channels throughout R."""


def _conv(inputs: int, outputs: int, size: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class TargetSegmentationEncoder(nn.Module):
    """T^d: projects features to 64 channels, joins the scores, and encodes both with three convolutions."""

    def __init__(self, features: int):
        super().__init__()
        self.reduce = nn.Sequential(_conv(features, WIDTH, 1), nn.ReLU(), _conv(WIDTH, WIDTH, 1))
        both = WIDTH + 1
        self.transform = nn.Sequential(
            _conv(both, both, 3), nn.ReLU(), _conv(both, both, 3), nn.ReLU(), _conv(both, WIDTH, 3), nn.ReLU()
        )

    def forward(self, features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Features (1, C, H, W), shared by all objects, and scores (N, 1, h, w) -> (N, 64, H, W), (1, 64, H, W).

        The second is the projection, which does not depend on the object. In training, features come one a score map.
        """
        shared, own, projected = self.halves(features, _resize(scores, features))
        return self.transform[1:](shared + own), projected

    def halves(self, features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first convolution over [projection, scores] as a sum of one over each, of which all objects share the first:
        (1, 65, H, W), (N, 65, H, W); and the projection. Scores have the size of the features."""
        projected, first = self.reduce(features), self.transform[0]
        shared = F.conv2d(projected, first.weight[:, :WIDTH], first.bias, padding=1)
        return shared, F.conv2d(scores, first.weight[:, WIDTH:], padding=1), projected


class ResidualBlock(nn.Module):
    """Refinement residual block (RRB): ReLU(h + b(h)) with h a 1x1 convolution and b two 3x3 ones."""

    def __init__(self):
        super().__init__()
        self.conv1x1 = _conv(WIDTH, WIDTH, 1)
        self.bblock = nn.Sequential(
            _conv(WIDTH, WIDTH, 3), nn.BatchNorm2d(WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH, 3, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 64, H, W) -> the same shape."""
        h = self.conv1x1(x)
        return F.relu(h + self.bblock(h))


class ChannelAttention(nn.Module):
    """Channel attention block (CAB): what both maps hold on average decides how much of each shallow channel passes."""

    def __init__(self):
        super().__init__()
        self.convreluconv = nn.Sequential(_conv(2 * WIDTH, WIDTH, 1), nn.ReLU(), _conv(WIDTH, WIDTH, 1))

    def forward(self, deeper: Tensor, shallower: Tensor) -> Tensor:
        """Two maps (N, 64, …) -> the size of the shallower: its weighted channels plus the enlarged deeper map."""
        return shallower * self.weights(shallower.mean((2, 3), True), deeper) + _resize(deeper, shallower)

    def weights(self, average: Tensor, deeper: Tensor) -> Tensor:
        """From the average (N, 64, 1, 1) of the shallower map and the deeper map: how much of each channel passes."""
        return torch.sigmoid(self.convreluconv(torch.cat([average, deeper.mean((2, 3), True)], dim=1)))


def _bicubic_filters() -> Tensor:
    """(2, 5): the fixed filters that give the two pixels into which bicubic upsampling by two splits one, along an axis."""
    a = -0.75  # PyTorch's

    def kernel(d: Tensor) -> Tensor:
        near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
        return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))

    # the two halves of a pixel lie a quarter to the left and to the right of its centre
    return torch.stack([kernel((torch.arange(-2.0, 3.0) - at).abs()) for at in (-0.25, 0.25)])


def double(x: Tensor, filters: Tensor) -> Tensor:
    """Bicubic upsampling of (N, C, H, W) by two, as convolutions down and across: equal to PyTorch's, and faster both ways."""
    n, c, h, w = x.shape
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate").contiguous(memory_format=torch.channels_last)
    doubled = torch.empty((n, c, 2 * h, 2 * w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    down, across = (filters.view(2, 1, 1, *size).expand(2, c, 1, *size) for size in ((5, 1), (1, 5)))
    for i in range(2):
        rows = F.conv2d(padded, down[i], groups=c)
        for j in range(2):
            doubled[:, :, i::2, j::2] = F.conv2d(rows, across[j], groups=c)
    return doubled


class Output(nn.Module):
    """From z^1 to logits at image resolution: two upsamplings, each with a convolution after it."""

    def __init__(self):
        super().__init__()
        self.conv1 = _conv(WIDTH, WIDTH // 2, 3)
        self.conv2 = _conv(WIDTH // 2, 1, 3)
        self.register_buffer("filters", _bicubic_filters(), persistent=False)

    def forward(self, z: Tensor, size: tuple[int, int]) -> Tensor:
        """z (N, 64, h, w) -> logits (N, 1, H, W)."""
        x = F.relu(self.conv1(double(z, self.filters)))
        # What follows is linear: a bicubic and a bilinear resampling of 32 channels, then a 3x3 convolution to one. So
        # the channels are mixed into that convolution's nine taps first, nine maps are resampled in place of 32, and
        # each is added where its tap meets it (fold adds at mirrored taps, hence the flip).
        taps = F.conv2d(x, self.conv2.weight[0].flatten(1).T.flip(0)[..., None, None])
        maps = double(taps, self.filters)
        if maps.shape[-2:] != size:
            maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        return F.fold(maps.to(torch.promote_types(maps.dtype, torch.float32)).flatten(2), size, 3, padding=1) + self.conv2.bias


class Refinement(nn.Module):
    """R (eq. 5): z^d = R^d(T^d(x^d, s), z^(d+1)), from the deepest map to the shallowest, then `Output`.

    Args:
        channels: C_d of the five maps, shallowest first. As in the authors' later code, the max-pooling map is not
            used: conv2_x has the same stride.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.layers = [f"layer{depth + 1}" for depth in range(1, len(channels))]
        self.TSE = nn.ModuleDict(
            {layer: TargetSegmentationEncoder(c) for layer, c in zip(self.layers, channels[1:], strict=True)}
        )
        self.RRB1 = nn.ModuleDict({layer: ResidualBlock() for layer in self.layers})
        self.CAB = nn.ModuleDict({layer: ChannelAttention() for layer in self.layers})
        self.RRB2 = nn.ModuleDict({layer: ResidualBlock() for layer in self.layers})
        self.project = Output()

    def forward(self, features: Sequence[Tensor], scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits (N, H, W) for N objects in one image.

        Args:
            features: five maps (1, C_d, h_d, w_d) of the image; or (N, …), N images with an object each.
            scores: (N, h, w), the target model's, as they come.
            size: (H, W).
        """
        scores, z = scores[:, None], None
        for layer, x in zip(reversed(self.layers), reversed(features), strict=False):
            z = self.level(layer, x, scores, z)
        return self.project(z, size)[:, 0]

    def level(self, layer: str, x: Tensor, scores: Tensor, z: Tensor | None) -> Tensor:
        """z^d (N, 64, h_d, w_d), from x^d, scores (N, 1, h, w) and z^(d+1)."""
        encoded, projected = self.TSE[layer](x, scores)
        if z is None:  # the deepest: an intermediate projection of x^d inside T^d stands for z^(d+1)
            z = projected.mean((2, 3), keepdim=True).expand(len(scores), -1, -1, -1)
        return self.RRB2[layer](self.CAB[layer](z, self.RRB1[layer](encoded)))
