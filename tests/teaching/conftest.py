"""What the tests of two notebooks learn from."""

import numpy as np
import pytest
import torch
from teaching.known import CELLS, features_of, mask_of, moved

from vosedu.segmenter import FirstFrame


@pytest.fixture()
def first_frame():
    """Three samples: the L, and the L moved by one and by two columns."""
    places = [moved(CELLS, 0, right) for right in range(3)]
    features = torch.stack([features_of(cells, seed) for seed, cells in enumerate(places)])
    labels = np.stack([mask_of(cells) for cells in places])
    images = labels[..., None] * np.uint8([200, 60, 30]) + np.uint8(20)
    return FirstFrame(images, torch.from_numpy(labels).float(), features.flatten(2)[None], (6, 8))
