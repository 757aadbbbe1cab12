"""First-frame samples: cut the target out, inpaint, warp, blur, paste (Section 3.1, initial sample generation)."""

import math
from typing import NamedTuple

import cv2
import numpy as np

MAX_ROTATION = math.radians(25)
MAX_SCALE = 1.5
MAX_SHEAR = 0.15
MAX_SHIFT = 0.2
"""Of the image's height and width."""
MAX_BLUR = 2.0
"""Standard deviation in pixels of a 480-row image."""
INPAINT_ROWS = 240
"""Telea's method is run on an image of at most so many rows: what it makes up is smooth anyway."""


class Pieces(NamedTuple):
    """A frame taken apart."""

    background: np.ndarray
    """uint8 (H, W, 3), the frame with the target inpainted away."""
    target: np.ndarray
    """float32 (H, W, 3), the frame's colours."""
    mask: np.ndarray
    """uint8 (H, W), 1 on the target."""


def cut_out(frame: np.ndarray, mask: np.ndarray) -> Pieces:
    """Separate target and background; the hole is filled by Telea's fast marching inpainting (2004).

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: (H, W), nonzero on the target.
    """
    height, width = mask.shape
    mask = (mask > 0).astype(np.uint8)
    scale = min(1.0, INPAINT_ROWS / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # The target's rim is mixed with its colours in any real image; a wider hole keeps them out of the background.
    rim = max(1, round(height / 120))
    hole = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1)))
    if hole.all():
        filled = np.broadcast_to(frame.mean(axis=(0, 1)).astype(np.uint8), frame.shape)
    else:
        small_hole = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
        if small_hole.all():
            small_hole[0, 0] = 0
        small = cv2.inpaint(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), small_hole, 3, cv2.INPAINT_TELEA)
        filled = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    background = np.where(hole[..., None] > 0, filled, frame)
    return Pieces(background, frame.astype(np.float32), mask)


def random_warp(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random affine map (2, 3) of pixel positions, about the centre of the target.

    Rotation, shear and shift are uniform, scale log-uniform, within the limits above.
    """
    height, width = mask.shape
    counts = [np.count_nonzero(mask, axis=axis) for axis in (0, 1)]  # far quicker than the places of all pixels
    centre = np.array([count @ np.arange(len(count)) / count.sum() for count in counts])
    angle = rng.uniform(-MAX_ROTATION, MAX_ROTATION)
    scale = math.exp(rng.uniform(-1, 1) * math.log(MAX_SCALE))
    shear = rng.uniform(-MAX_SHEAR, MAX_SHEAR)
    cos, sin = math.cos(angle), math.sin(angle)
    linear = scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]])
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * np.array([width, height])
    return np.hstack([linear, (centre + shift - linear @ centre)[:, None]])


def paste(pieces: Pieces, warp: np.ndarray, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Warp the target, blur it (standard deviation in pixels) and lay it over the background.

    Returns:
        uint8 (H, W, 3) image and uint8 (H, W) mask of zeros and ones.
    """
    size = pieces.mask.shape[1], pieces.mask.shape[0]
    alpha = cv2.warpAffine(pieces.mask.astype(np.float32), warp, size, flags=cv2.INTER_LINEAR)
    colours = cv2.warpAffine(pieces.target, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    label = (alpha > 0.5).astype(np.uint8)
    # the rest is background: a blur reaches four deviations, and needs as many again to be itself there
    (x, y, w, h), reach = cv2.boundingRect((alpha > 0).astype(np.uint8)), math.ceil(8 * blur) + 4
    box = slice(max(0, y - reach), y + h + reach), slice(max(0, x - reach), x + w + reach)
    colours, alpha, image = colours[box], alpha[box], pieces.background.copy()
    if blur > 0:
        colours, alpha = cv2.GaussianBlur(colours, (0, 0), blur), cv2.GaussianBlur(alpha, (0, 0), blur)
    mixed = image[box] + alpha[..., None] * (colours - image[box])
    image[box] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return image, label


def first_frame_samples(
    frame: np.ndarray, mask: np.ndarray, count: int, seed: int | tuple[int, ...] = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of M_0: the frame as it is, then `count - 1` augmented copies (Section 3.1).

    Warps that would leave less than half of the target's pixels in the image are drawn again.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: (H, W), nonzero on the target; other objects stay in the background.
        count: 1 or more.
        seed: of the warps and blurs.

    Returns:
        uint8 (count, H, W, 3) and uint8 (count, H, W) of zeros and ones, each with a pixel of the target.
    """
    rng = np.random.default_rng(seed)
    pieces = cut_out(frame, mask)
    images, labels = [frame], [pieces.mask]
    for _ in range(count - 1):
        for _ in range(50):
            warp, blur = random_warp(pieces.mask, rng), rng.uniform(0, MAX_BLUR) * frame.shape[0] / 480
            image, label = paste(pieces, warp, blur)
            # the warp's own enlargement must not hide that the target has left the image
            enlargement = abs(np.linalg.det(warp[:, :2]))
            if label.sum() >= max(1, 0.5 * min(1.0, enlargement) * pieces.mask.sum()):
                break
        else:
            image, label = frame, pieces.mask
        images.append(image)
        labels.append(label)
    return np.stack(images), np.stack(labels)
