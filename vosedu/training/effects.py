"""What happens to a picture between two frames: motion, light, a camera's faults. Arrays in, arrays out."""

import math
from collections.abc import Sequence

import cv2
import numpy as np


def recolour(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Random saturation, contrast, colour balance and brightness of a float image in [0, 1]; the result is not clipped."""
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * math.exp(rng.normal(0, 0.3 * strength))
    image = (image - image.mean()) * math.exp(rng.normal(0, 0.25 * strength)) + image.mean()
    return image * np.exp(rng.normal(0, 0.12 * strength, 3)) + rng.normal(0, 0.08 * strength)


def shade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A float image with light and shadow that vary smoothly over it, as they do over an object that turns."""
    gain = np.exp(rng.normal(0, 0.25, (3, 5))).astype(np.float32)
    return image * cv2.resize(gain, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def camera(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Motion blur, defocus, noise and compression of a float image, each now and then."""
    if rng.random() < 0.2:
        length = int(rng.integers(3, 12))
        kernel = np.zeros((length, length), np.float32)
        end = length // 2 * np.array([math.cos(a := rng.uniform(0, math.pi)), math.sin(a)])
        middle = np.array([length // 2] * 2)
        cv2.line(kernel, *(tuple(p.round().astype(int).tolist()) for p in (middle - end, middle + end)), 1.0)
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
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
    """A random affine map (2, 3) about the mask's centre; `reach` 1 is the range of the first-frame samples' warps."""
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
    """The images under an affine map and a smooth displacement of `amplitude` pixels (standard deviation)."""
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
    """Colours over the ground where alpha is 1."""
    return ground + alpha[..., None] * (colours - ground)
