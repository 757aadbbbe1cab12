"""What several test files make: a small textured video of arrays, folders of frames, a recording that computes."""

import cv2
import numpy as np
from PIL import Image


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


def save_frames(folder, frames, names=None):
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / (names[index] if names else f"{index:05d}.png"))
    return folder


def anew(function, *_tensors, **rest):
    """A recording that computes."""
    return lambda *tensors: function(*tensors, **rest)
