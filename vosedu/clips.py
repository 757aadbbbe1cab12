"""What offline training learns from: videos with masks, and still images with masks that are made into clips."""

import math
from collections.abc import Sequence as Many
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from .augmentation import cut_out
from .datasets import Sequence
from .errors import InputError
from .video import image_files, read_image

VOID = 255
"""In a mask: not known, and left out of every loss."""
SIGHT = 0.008
"""Least share of the frame that an object covers in a rendered reference frame."""
ALONE = 0.35
"""Share of clip frames in which the camera alone moves: their edges are a photograph's own, not pasted ones."""
HIDDEN = 0.1
"""Share of stills whose reference frame shows a part of the target only: the rest is seen for the first time later."""


class Shot(NamedTuple):
    """A frame and where one object is in it."""

    frame: np.ndarray
    """uint8 RGB (H, W, 3)."""
    mask: np.ndarray
    """uint8 (H, W), 1 on the object, `VOID` where nobody knows."""


class Clips(Protocol):
    """A collection of sequences, each with one object; every shot has the size asked for at construction."""

    def __len__(self) -> int:
        """How many sequences there are."""

    def key(self, index: int) -> str:
        """A name that no other sequence has, for keeping what was learned on its reference frame."""

    def reference(self, index: int) -> Shot:
        """The frame that D is learned on; always the same."""

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """A validation frame (Section 3.3) at random."""


def fit(shot: Shot, size: tuple[int, int]) -> Shot:
    """The shot scaled until it covers `size` (H, W), then cropped about the object."""
    height, width = shot.mask.shape
    scale = max(size[0] / height, size[1] / width)
    rows, columns = np.nonzero(shot.mask)
    centre = np.array([columns.mean(), rows.mean()]) if len(rows) else np.array([width, height]) / 2
    shift = [np.clip(n / 2 - scale * c, n - scale * m, 0) for n, c, m in zip(size[::-1], centre, (width, height), strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if scale < 0.7:  # a small picture by area averages first: a warp alone would alias
        small = (max(size[1], round(width * scale)), max(size[0], round(height * scale)))
        shot = Shot(cv2.resize(shot.frame, small, interpolation=cv2.INTER_AREA),
                    cv2.resize(shot.mask, small, interpolation=cv2.INTER_NEAREST_EXACT))
        matrix[:, :2] /= scale
    return Shot(*(cv2.warpAffine(part, matrix, size[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
                  for part, how in zip(shot, (cv2.INTER_LINEAR, cv2.INTER_NEAREST), strict=True)))


def annotated(sequence: Sequence) -> list[int]:
    """The frames of a sequence that have a mask."""
    return [k for k, name in enumerate(sequence.frame_names) if (sequence.masks / f"{name}.png").exists()]


class VideoClips:
    """Every object of annotated videos: DAVIS, YouTube-VOS, rendered scenes (`vosedu.datasets.load`).

    Args:
        sequences: as `vosedu.datasets.load` gives them.
        size: (H, W) of all shots.
        name: of the collection.
    """

    def __init__(self, sequences: Many[Sequence], size: tuple[int, int], name: str = "videos"):
        self.size, self.name = size, name
        self.items = [
            (sequence, index, int(i))
            for sequence in sequences
            for index, labels in sequence.entries().items()
            for i in np.unique(labels[labels > 0])
        ]

    def __len__(self) -> int:
        return len(self.items)

    def key(self, index: int) -> str:
        """Of the collection, the video and the object."""
        sequence, _, i = self.items[index]
        return f"{self.name}-{sequence.name}-{i}"

    def shot(self, index: int, frame: int) -> Shot:
        """One frame of a sequence with its object's mask."""
        sequence, _, i = self.items[index]
        path = image_files(sequence.frames)[frame]
        return fit(Shot(read_image(path), (sequence.labels(frame) == i).astype(np.uint8)), self.size)

    def later(self, index: int) -> list[int]:
        """The annotated frames behind the reference frame."""
        sequence, first, _ = self.items[index]
        return [k for k in annotated(sequence) if k > first] or [first]

    def reference(self, index: int) -> Shot:
        """The frame in which the object's mask is given."""
        return self.shot(index, self.items[index][1])

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """One of the labelled frames that `later` lists."""
        return self.shot(index, int(rng.choice(self.later(index))))


class RenderedClips(VideoClips):
    """Objects of rendered scenes, where frames are few: every frame with the object well in sight is the reference frame of a
    sequence of its own, and what is drawn from the others is mirrored now and then, warped a little, and has the light and
    the faults of a camera."""

    def __init__(self, sequences: Many[Sequence], size: tuple[int, int], name: str = "rendered"):
        super().__init__(sequences, size, name)
        self.items = [
            (sequence, k, i)
            for sequence, _, i in self.items
            for k in annotated(sequence)
            if (sequence.labels(k) == i).mean() > SIGHT
        ]

    def key(self, index: int) -> str:
        """As `VideoClips.key`, and of the reference frame, for here an object has several."""
        return f"{super().key(index)}-{self.items[index][1]}"

    def later(self, index: int) -> list[int]:
        """The other annotated frames, before and behind the reference frame."""
        sequence, reference, _ = self.items[index]
        return [k for k in annotated(sequence) if k != reference] or [reference]

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """As `VideoClips.draw`, with other light and colours, and as cameras blur and code it."""
        shot = super().draw(index, rng)
        frame, mask = shot.frame.astype(np.float32) / 255, shot.mask.astype(np.float32)
        if rng.random() < 0.3:
            frame, mask = frame[:, ::-1].copy(), mask[:, ::-1].copy()
        if rng.random() < 0.7:
            frame, mask = bend([frame, mask], motion(mask, rng, 0.4), rng, abs(rng.normal(0, self.size[0] / 240)))
        picture = camera(recolour(frame, rng, 0.3), rng)
        return Shot((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), (mask > 0.5).astype(np.uint8))


def polygons(path: Path, size: tuple[int, int]) -> list[np.ndarray]:
    """Masks (H, W) of the instances in a YOLO label file: a line each, class, then x y in fractions of the image."""
    scale, lines = np.array(size[::-1]), path.read_text(encoding="utf-8").splitlines()
    points = [np.array(line.split()[1:], float).reshape(-1, 2) * scale for line in lines]
    return [cv2.fillPoly(np.zeros(size, np.uint8), [p.round().astype(np.int32)], 1) for p in points]


def together(masks: list[np.ndarray], high: float = 0.4) -> list[np.ndarray]:
    """The union of every two masks (H, W) that touch along more than a fiftieth of the smaller one's area, if it covers less
    than `high` of the image: a rider and what is ridden, say, one object in DAVIS 2016."""
    grown = [cv2.dilate(mask, np.ones((7, 7), np.uint8)) for mask in masks]
    unions = [
        mask | masks[b]
        for a, mask in enumerate(masks)
        for b in range(a)
        if (grown[a] & masks[b]).sum() > 0.02 * min(mask.sum(), masks[b].sum())
    ]
    return [union for union in unions if union.mean() < high]


def annotated_stills(root: Path, low: float = 0.01, high: float = 0.4) -> list[tuple[Path, list[np.ndarray]]]:
    """Photographs below root/images with the masks of root/labels that cover `low` to `high` of the image.

    Raises:
        InputError: there is none.
    """
    found = []
    folder = Path(root) / "images"
    for path in image_files(folder) if folder.is_dir() else []:
        labels = Path(root) / "labels" / f"{path.stem}.txt"
        if labels.exists():
            size = read_image(path).shape[:2]
            masks = [mask for mask in polygons(labels, size) if low < mask.mean() < high]
            if masks:
                found.append((path, masks))
    if not found:
        raise InputError(f"no photograph in {root}/images has polygons in {root}/labels: give a folder with both")
    return found


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


def bend(images: Many[np.ndarray], matrix: np.ndarray, rng: np.random.Generator, amplitude: float) -> list[np.ndarray]:
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


class StillClips:
    """Objects of photographs, moved apart from their backgrounds.

    Two objects that touch are also one together. The reference frame is a crop of the photograph, sometimes with a stranger
    before the target. In a validation frame either the whole crop is warped, or the object, the background with the object
    inpainted away (or another photograph), and objects of other photographs as distractors and occluders are warped each on
    their own; then light, blur and noise.

    Args:
        root: folder with images/ and labels/ (`annotated_stills`).
        size: (H, W) of all shots.
        name: of the collection.
        rim: pixels on both sides of an outline that are `VOID` in validation frames, where outlines are rough.
    """

    def __init__(self, root: Path, size: tuple[int, int], name: str = "stills", rim: int = 0):
        self.size, self.name, self.rim = size, name, rim
        self.photographs = [(path, masks + together(masks)) for path, masks in annotated_stills(root)]
        self.items = [(n, k) for n, (_, masks) in enumerate(self.photographs) for k in range(len(masks))]
        self._plates: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.items)

    def key(self, index: int) -> str:
        """Of the collection, the photograph and the target in it."""
        n, k = self.items[index]
        return f"{self.name}-{self.photographs[n][0].stem}-{k}"

    def reference(self, index: int) -> Shot:
        """The photograph; in a part of them the target is half hidden."""
        shot, rng = self._still(index), np.random.default_rng((*self.items[index], 1))
        if rng.random() < HIDDEN:
            for _ in range(10):
                colours, alpha = self._stranger(rng)
                seen = shot.mask & (alpha <= 0.5)
                if 0.3 < seen.sum() / shot.mask.sum() < 0.8:
                    picture = lay(shot.frame.astype(np.float32) / 255, colours, alpha)
                    return Shot((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), seen.astype(np.uint8))
        return shot

    def _still(self, index: int) -> Shot:
        """The crop with the whole target."""
        n, k = self.items[index]
        path, masks = self.photographs[n]
        image, mask = read_image(path), masks[k]
        # a crop at a scale of its own, not so close that the object fills the frame
        rng = np.random.default_rng((n, k))
        rows, columns = np.nonzero(mask)
        box = max(np.ptp(rows) / self.size[0], np.ptp(columns) / self.size[1]) + 1e-6
        cover = max(self.size[0] / mask.shape[0], self.size[1] / mask.shape[1])
        zoom = max(1.0, min(rng.uniform(1.0, 2.0), 0.85 / (box * cover)))
        inner = [round(n / zoom) for n in mask.shape]
        centre = np.array([rows.mean(), columns.mean()]) + rng.normal(0, 0.15, 2) * inner
        top, left = (int(np.clip(c - i / 2, 0, m - i)) for c, i, m in zip(centre, inner, mask.shape, strict=True))
        window = np.s_[top : top + inner[0], left : left + inner[1]]
        shot = fit(Shot(image[window], mask[window]), self.size)
        return shot if shot.mask.any() else fit(Shot(image, mask), self.size)

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """The photograph after an invented motion of camera and target, of distractors, and of the light."""
        shot = self._still(index)
        frame, mask = shot.frame.astype(np.float32) / 255, shot.mask.astype(np.float32)
        if rng.random() < 0.15:
            frame, mask = frame[:, ::-1].copy(), mask[:, ::-1].copy()
            flipped = True
        else:
            flipped = False
        amplitude = abs(rng.normal(0, self.size[0] / 120))
        if rng.random() < ALONE:
            picture, alpha = bend([frame, mask], motion(mask, rng, 0.7), rng, amplitude)
            label = alpha > 0.5
        else:
            picture, label = self._composite(index, frame, mask, flipped, amplitude, rng)
        picture = recolour(shade(picture, rng) if rng.random() < 0.2 else picture, rng, 0.25)
        picture, label = camera(picture, rng), label.astype(np.uint8)
        if self.rim:
            near = np.ones((2 * self.rim + 1,) * 2, np.uint8)
            label[cv2.dilate(label, near) > cv2.erode(label, near)] = VOID
        return Shot((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), label)

    def _composite(self, index, frame, mask, flipped, amplitude, rng) -> tuple[np.ndarray, np.ndarray]:
        """The target over its own or a foreign background, distractors behind it, perhaps an occluder before it."""
        if rng.random() < 0.9:
            if index not in self._plates:
                self._plates[index] = cut_out(*self._still(index)).background
            plate = self._plates[index][:, ::-1] if flipped else self._plates[index]
            ground = plate.astype(np.float32) / 255
        else:
            ground = self._still(int(rng.integers(len(self)))).frame.astype(np.float32) / 255
        (ground,) = bend([ground], motion(np.zeros_like(mask), rng, 0.6), rng, amplitude / 2)
        for _ in range(rng.integers(0, 3)):
            ground = lay(ground, *self._stranger(rng))
        for _ in range(20):
            colours, alpha = bend([frame, mask], motion(mask, rng, 0.8), rng, amplitude)
            if alpha.sum() > 0.2 * mask.sum():
                break
        if rng.random() < 0.2:
            colours = recolour(colours, rng, 0.3)
        if rng.random() < 0.5:
            colours = shade(colours, rng)
        label = alpha > 0.5
        picture = lay(ground, colours, cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 1.2)))
        if rng.random() < 0.12:
            colours, alpha = self._stranger(rng)
            picture = lay(picture, colours, alpha)
            label = label & (alpha <= 0.5)
        return picture, label

    def _stranger(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Another photograph's object somewhere in the frame: colours and alpha."""
        shot = self._still(int(rng.integers(len(self))))
        mask = shot.mask.astype(np.float32)
        matrix = motion(mask, rng, 1.2)
        matrix[:, 2] += rng.uniform(-0.4, 0.4, 2) * self.size[::-1]
        colours, alpha = bend([shot.frame.astype(np.float32) / 255, mask], matrix, rng, 2.0)
        return recolour(colours, rng, 0.4), cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 1.2))
