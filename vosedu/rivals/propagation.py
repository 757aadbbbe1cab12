"""Propagation (RGMP, OSNM): a network that was trained before carries the previous mask over to the frame of now.

OSNM (Yang et al., CVPR 2018) modulates a segmentation network twice: per channel, by what the object looks like in the first
frame, and per position, by where it was in the previous one. RGMP (Oh et al., CVPR 2018) puts the previous mask beside the
features of now, too. Here, in small:

    z = ReLU((1 + A x̄_0) · B x_i),   s = C [z, y_(i-1)]

with x̄_0 the mean of the features on the object in the first frame, y_(i-1) how far the previous mask covers each cell, A and B
linear, and C two 3x3 convolutions, the first dilated. Nothing is learned online. Offline the previous mask is the true one of
the frame itself, deformed, as in MaskTrack (Perazzi et al., CVPR 2017), so that it learns from single frames.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..beyond.nearest import covered
from ..config import Config
from ..target_model import FirstFrame
from .family import Family

WIDTH = 32
"""Channels of z."""


class Propagator(nn.Module):
    """The network. Features are divided by their root mean square.

    Args:
        channels: C of the features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.guide = nn.Linear(channels, WIDTH)
        self.reduce = nn.Conv2d(channels, WIDTH, 1)
        self.compare = nn.Sequential(nn.Conv2d(WIDTH + 1, WIDTH, 3, padding=2, dilation=2), nn.ReLU(),
                                     nn.Conv2d(WIDTH, 1, 3, padding=1))

    def forward(self, x: Tensor, target: Tensor, previous: Tensor) -> Tensor:
        """Features (N, C, h, w), the object's mean (N, C) and covered cells (N, h, w) -> scores (N, h, w)."""
        scale = x.square().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12).rsqrt()
        factors = 1 + self.guide(target * scale[:, 0, :, 0])[..., None, None]
        return self.compare(torch.cat([F.relu(factors * self.reduce(x * scale)), previous[:, None]], dim=1))[:, 0]


def deformed(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask uint8 (H, W) of 0 and 1 as it may have been a frame before: moved by up to a tenth of the object's extent, scaled
    by up to 5 % (MaskTrack's), its rim grown or shrunk; one in twenty is lost altogether."""
    rows, columns = np.nonzero(mask)
    if not len(rows) or rng.random() < 0.05:
        return np.zeros_like(mask)
    centre = np.array([columns.mean(), rows.mean()])
    extent = np.array([np.ptp(columns), np.ptp(rows)]) + 1
    scale = rng.uniform(0.95, 1.05)
    moved = centre - scale * centre + rng.uniform(-0.1, 0.1, 2) * extent
    matrix = np.hstack([scale * np.eye(2), moved[:, None]])
    found = cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
    kernel = np.ones((2 * int(rng.integers(0, 5)) + 1,) * 2, np.uint8)
    return (cv2.dilate if rng.random() < 0.5 else cv2.erode)(found, kernel)


class Propagation(Family):
    """Parts: target (N, C), the object's mean features in the first frame, and previous (N, h, w), where it was.

    Args:
        config: the settings.
        network: a trained one.
    """

    def __init__(self, config: Config, network: Propagator):
        super().__init__(config)
        self.network = network

    def first(self, samples: FirstFrame, seed: int) -> dict[str, Tensor]:
        """Of the frame itself."""
        share = covered(samples.labels[:1], samples.size)
        mean = (samples.features[:, 0] * share.flatten(1)[:, None]).sum(2) / share.sum((1, 2))[:, None].clamp_min(1e-3)
        return {"target": mean, "previous": share}

    def raw(self, x: Tensor) -> Tensor:
        """The network's scores."""
        return self.network(x, self.parts["target"], self.parts["previous"])

    def follow(self, x: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """The last mask is the previous one of the next frame."""
        return {"previous": covered(masks, x.shape[-2:])}

    def _take(self, found: dict[str, Tensor]) -> None:
        """An object that was lost has no previous mask: unlike the other families it does not keep its last one."""
        for name, part in found.items():
            self.parts[name] = torch.cat([part, self.parts[name][len(part) :]])
