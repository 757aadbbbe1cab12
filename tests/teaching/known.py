"""Features that say plainly where a target is, so that what is learned from them is known."""

import numpy as np
import torch

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
