"""First frames that are small enough to compute by hand."""

import numpy as np
import torch

from vosedu.target_model import FirstFrame


def first_frame(features, mask, scale=4):
    """A frame's only sample: features (C, h, w), a mask (h, w) whose cells are `scale` pixels wide."""
    features, mask = torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(mask, dtype=torch.float32)
    labels = pixels(mask, scale)[None]
    images = np.zeros((1, *labels.shape[1:], 3), np.uint8)
    return FirstFrame(images, labels, features.flatten(1)[None, None], tuple(mask.shape))


def pixels(mask, scale=4):
    """A mask of cells (h, w) as a mask of pixels."""
    return torch.as_tensor(mask, dtype=torch.float32).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
