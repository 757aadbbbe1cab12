"""F and R in the form in which they are exported to ONNX: the same functions, with fixed kernels and free sizes.

ONNX Runtime is slow at bicubic resizing and at adding windows up (`fold`), so what `refinement.Output` does with them is
written here as convolutions with constant kernels. `export` checks both networks against PyTorch before it writes them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..features import Backbone
from ..refinement import Output, Refinement

MAPS = ("x1", "x2", "x3", "x4", "x5")
"""Names of F's outputs, by depth, as the paper has them; R reads all but the first."""


class ExportedBackbone(nn.Module):
    """F on images of any size."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """RGB in [0, 1], float32 (B, 3, H, W) -> five maps, as `features.Backbone` gives them."""
        return self.backbone(images)


class Doubling(nn.Module):
    """`refinement.double` with one constant kernel down and one across.

    Each gives both halves of a pixel as two channels, which are then laid into one another.
    """

    def __init__(self, channels: int, filters: Tensor):
        super().__init__()
        self.channels = channels
        for name, size in (("down", (5, 1)), ("across", (1, 5))):
            self.register_buffer(name, filters.view(2, 1, *size).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 2H, 2W)."""
        c = self.channels
        n, _, h, w = x.shape
        padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
        rows = F.conv2d(padded, self.down, groups=c).reshape(n, c, 2, h, w + 4).transpose(2, 3).reshape(n, c, 2 * h, w + 4)
        return F.conv2d(rows, self.across, groups=c).reshape(n, c, 2, 2 * h, w).permute(0, 1, 3, 4, 2).reshape(
            n, c, 2 * h, 2 * w)


class ExportedOutput(nn.Module):
    """`refinement.Output`; `fold`, which adds nine maps where their tap meets them, is a convolution with nine ones."""

    def __init__(self, output: Output):
        super().__init__()
        wide, narrow = output.conv1.in_channels, output.conv2.in_channels
        self.conv1 = output.conv1
        self.first, self.second = Doubling(wide, output.filters), Doubling(9, output.filters)
        self.register_buffer("mix", output.conv2.weight[0].detach().reshape(narrow, 9).T[..., None, None].clone())
        self.register_buffer("meet", torch.eye(9).view(1, 9, 3, 3))
        self.register_buffer("bias", output.conv2.bias.detach().clone())

    def forward(self, z: Tensor, size: Sequence[int]) -> Tensor:
        """z (N, 64, h, w) -> logits (N, 1, H, W)."""
        maps = self.second(F.conv2d(F.relu(self.conv1(self.first(z))), self.mix))
        maps = F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
        return F.conv2d(maps, self.meet, self.bias, padding=1)


class ExportedRefinement(nn.Module):
    """R on maps of any size; the size of its logits is that of an image that is given beside them."""

    def __init__(self, refinement: Refinement):
        super().__init__()
        self.refinement = refinement
        self.refinement.project = ExportedOutput(refinement.project)

    def forward(self, images: Tensor, scores: Tensor, x2: Tensor, x3: Tensor, x4: Tensor, x5: Tensor) -> Tensor:
        """The image (1, 3, H, W), of which only the size matters, scores (N, h, w) and maps (1, …) -> logits (N, H, W)."""
        return self.refinement((x2, x3, x4, x5), scores, images.shape[-2:])
