"""What tests share: a small textured video made of arrays, real data where VOSEDU_DATA points to it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vosedu.features import build_backbone
from vosedu.segmenter import Segmenter


def moving_disk(frames=6, size=(96, 128), objects=1, step=6, radius=12):
    """Textured disks that move over a textured ground: uint8 frames (T, H, W, 3) and ids (T, H, W)."""
    rng = np.random.default_rng(0)
    height, width = size

    def texture(colour):
        noise = cv2.resize(rng.normal(0, 35, (8, 10)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + noise[..., None], 0, 255).astype(np.uint8)

    ground, coats = texture((90, 120, 60)), [texture(c) for c in ((200, 60, 50), (40, 60, 210), (220, 210, 60))]
    images, labels = [], []
    for t in range(frames):
        image, ids = ground.copy(), np.zeros(size, np.uint8)
        for n in range(objects):
            disk = cv2.circle(np.zeros(size, np.uint8), (2 * radius + step * t, 2 * radius - 2 + 26 * n), radius, 1, -1) > 0
            image[disk], ids[disk] = np.roll(coats[n], step * t, 1)[disk], n + 1
        images.append(image)
        labels.append(ids)
    return np.stack(images), np.stack(labels)


@pytest.fixture(scope="session")
def segmenter():
    """The bundled backbone with the target model alone, on the CPU."""
    return Segmenter.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="session")
def random_segmenter():
    """A backbone with random parameters: for everything that does not depend on what the features mean."""
    torch.manual_seed(0)
    return Segmenter(build_backbone("compact"), device="cpu")


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data, from VOSEDU_DATA; tests that need it are skipped where it is not there."""
    folder = os.environ.get("VOSEDU_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set VOSEDU_DATA to a folder with davis2016/")
    return Path(folder)
