"""What happens to a picture between two frames: motion, light, a camera's faults. Arrays in, arrays out."""

import math
from collections.abc import Sequence

import cv2
import numpy as np


def mirrored(*images: np.ndarray) -> list[np.ndarray]:
    """Images (H, W, …), such as a frame and its mask, with left and right exchanged."""
    return [image[:, ::-1].copy() for image in images]


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """A float image in [0, 1], clipped and rounded to uint8."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def recolour(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Random saturation, contrast, colour balance and brightness of a float image (H, W, 3) in [0, 1].

    The result is not clipped. Saturation scales the distance of each pixel from its own grey, contrast that of each value
    from the mean of the image; then each channel has a factor of its own, and the image an offset.
    """
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * math.exp(rng.normal(0, 0.3 * strength))
    image = (image - image.mean()) * math.exp(rng.normal(0, 0.25 * strength)) + image.mean()
    return image * np.exp(rng.normal(0, 0.12 * strength, 3)) + rng.normal(0, 0.08 * strength)


def shade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A float image (H, W, 3) with light and shadow that vary smoothly over it, as they do over an object that turns.

    Every pixel is multiplied by a gain, the same for its three channels; gains are bicubic between 3 x 5 random ones.
    """
    gain = np.exp(rng.normal(0, 0.25, (3, 5))).astype(np.float32)
    return image * cv2.resize(gain, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def streak(length: int, angle: float) -> np.ndarray:
    """The blur of a camera that moves: a line through the middle of (length, length) at an angle in radians; sum 1."""
    kernel = np.zeros((length, length), np.float32)
    middle = np.array([length // 2] * 2)
    end = length // 2 * np.array([math.cos(angle), math.sin(angle)])
    first, last = ((middle + side * end).round().astype(int).tolist() for side in (-1, 1))
    cv2.line(kernel, first, last, 1.0)
    return kernel / kernel.sum()


def camera(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Motion blur, defocus, noise and JPEG compression of a float32 image (H, W, 3) in [0, 1], each now and then."""
    if rng.random() < 0.2:
        length, angle = int(rng.integers(3, 12)), rng.uniform(0, math.pi)
        picture = cv2.filter2D(picture, -1, streak(length, angle))
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.3))
    if rng.random() < 0.3:
        picture = picture + rng.normal(0, 0.02, picture.shape).astype(np.float32)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        _, code = cv2.imencode(".jpg", (np.clip(picture, 0, 1) * 255).astype(np.uint8), quality)
        picture = cv2.imdecode(code, cv2.IMREAD_UNCHANGED).astype(np.float32) / 255
    return picture


def motion(mask: np.ndarray, rng: np.random.Generator, reach: float) -> np.ndarray:
    """A random affine map (2, 3) of pixel positions (x, y) about the centre of the mask (H, W).

    With `reach` 1 it goes about as far as the warps of the first-frame samples; with 0 nothing moves.
    """
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    centre = np.array([columns.mean(), rows.mean()]) if len(rows) else np.array([width, height]) / 2
    angle, scale = rng.normal(0, 0.22 * reach), math.exp(rng.normal(0, 0.3 * reach))
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    stretch = math.exp(rng.normal(0, 0.1 * reach))
    linear = turn @ np.array([[stretch, rng.normal(0, 0.1 * reach)], [0, 1 / stretch]])
    shift = rng.normal(0, 0.1 * reach, 2) * (width, height)
    return np.hstack([linear, (centre + shift - linear @ centre)[:, None]])


def bend(images: Sequence[np.ndarray], matrix: np.ndarray, rng: np.random.Generator, amplitude: float) -> list[np.ndarray]:
    """Images of one size under an affine map (2, 3) and a smooth displacement of `amplitude` pixels (standard deviation).

    All move alike. What comes in from outside is mirrored in pictures (H, W, 3), and 0 in masks (H, W).
    """
    height, width = images[0].shape[:2]
    inverse = cv2.invertAffineTransform(matrix)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    coarse = rng.normal(0, amplitude, (5, 8, 2)).astype(np.float32)
    moved = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = x + moved[..., 0], y + moved[..., 1]
    sources = [(row[0] * x + row[1] * y + row[2]).astype(np.float32) for row in inverse]
    borders = [cv2.BORDER_REFLECT_101 if image.ndim == 3 else cv2.BORDER_CONSTANT for image in images]
    return [cv2.remap(i, *sources, cv2.INTER_LINEAR, borderMode=b) for i, b in zip(images, borders, strict=True)]


def lay(ground: np.ndarray, colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) over the ground (H, W, 3) where alpha (H, W) is 1, and a mixture where it is between 0 and 1."""
    return ground + alpha[..., None] * (colours - ground)
