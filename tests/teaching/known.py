"""Features that say plainly where a target is, so that what is learned from them is known."""

from types import SimpleNamespace

import numpy as np
import torch

from vosedu.config import BEST
from vosedu.features import TARGET_DEPTH

CELLS = ((1, 1), (2, 1), (3, 1), (4, 1), (4, 2), (4, 3))
"""The target's cells of 16 x 16 pixels, an L in a frame of 96 x 128 (6 x 8 cells)."""


def features_of(cells, seed=0):
    """(16, 6, 8): one kind of vector in these cells, another elsewhere, and a little noise."""
    g = torch.Generator().manual_seed(1)
    target, ground = torch.randn(2, 16, generator=g)
    x = ground[:, None, None].expand(16, 6, 8).clone()
    for row, column in cells:
        x[:, row, column] = target
    return x + 0.05 * torch.randn(16, 6, 8, generator=torch.Generator().manual_seed(seed))


def mask_of(cells):
    """uint8 (96, 128), 1 in these cells."""
    mask = np.zeros((6, 8), np.uint8)
    for cell in cells:
        mask[cell] = 1
    return np.kron(mask, np.ones((16, 16), np.uint8))


def moved(cells, down, right):
    return [(row + down, column + right) for row, column in cells]


class Reddish:
    """What stands for a segmenter: the features of a cell are its mean colour, and D's score is the share of red in it."""

    def __init__(self, config=BEST):
        self.config = config
        self.started = []

    def changed(self, config):
        self.last = Reddish(config)
        return self.last

    def features(self, images):
        batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
        return (torch.nn.functional.avg_pool2d(batch, 16),) * (TARGET_DEPTH + 1)

    def start(self, frame, mask):
        self.started.append((frame, mask))
        return SimpleNamespace(targets=SimpleNamespace(scores=lambda maps: maps[None, 0] / 255))
