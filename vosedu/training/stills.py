"""Photographs with masks that are made into clips: the target is cut out and moved apart from its background."""

from pathlib import Path

import cv2
import numpy as np

from ..augmentation import cut_out
from ..errors import InputError
from ..files.images import image_files, read_image, read_mask
from .clips import fit
from .effects import bend, camera, lay, mirrored, motion, recolour, shade, to_bytes
from .shots import VOID, Shot

ALONE = 0.35
"""Share of clip frames in which the camera alone moves: their edges are a photograph's own, not pasted ones."""
HIDDEN = 0.1
"""Share of stills whose reference frame shows a part of the target only: the rest is seen for the first time later."""
MIRRORED = 0.15
"""Share of clip frames with left and right exchanged."""
OCCLUDED = 0.12
"""Share of composites with an object in front of the target."""


def polygons(path: Path, size: tuple[int, int]) -> list[np.ndarray]:
    """Masks of the instances in a YOLO label file, uint8 (H, W) of zeros and ones each.

    Args:
        path: a line per instance: class, then x y in fractions of the image, along its outline.
        size: (H, W).
    """
    scale, lines = np.array(size[::-1]), path.read_text(encoding="utf-8").splitlines()
    points = [np.array(line.split()[1:], float).reshape(-1, 2) * scale for line in lines]
    return [cv2.fillPoly(np.zeros(size, np.uint8), [p.round().astype(np.int32)], 1) for p in points]


def instances(path: Path, size: tuple[int, int]) -> list[np.ndarray]:
    """Masks of the instances in an index PNG (0 the background, an id per instance), uint8 (H, W) of zeros and ones each.

    Args:
        path: of the PNG.
        size: (H, W) that it must have.

    Raises:
        InputError: it has another size, or cannot be used.
    """
    labels = read_mask(path, size)
    return [(labels == i).astype(np.uint8) for i in np.unique(labels[labels > 0])]


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
    """Photographs in root/images, each with the masks of its objects, uint8 (H, W) of zeros and ones.

    Args:
        root: beside images it has masks/NAME.png, as `instances` reads it, or labels/NAME.txt, as `polygons` does; or both,
            in part of the photographs: a PNG comes first.
        low, high: objects that cover less or more of the photograph are left out.

    Raises:
        InputError: nothing is left, or a file cannot be used.
    """
    root, found = Path(root), []
    for path in image_files(root / "images") if (root / "images").is_dir() else []:
        for file, read in ((root / "masks" / f"{path.stem}.png", instances), (root / "labels" / f"{path.stem}.txt", polygons)):
            if file.exists():
                masks = [mask for mask in read(file, read_image(path).shape[:2]) if low < mask.mean() < high]
                found += [(path, masks)] if masks else []
                break
    if not found:
        raise InputError(f"no photograph in {root}/images has an object that covers {100 * low:.0f} to {100 * high:.0f} % of "
                         f"it in {root}/masks (PNG) or {root}/labels (YOLO polygons): give a folder with images and one of "
                         "these")
    return found


class StillClips:
    """Objects of photographs, moved apart from their backgrounds.

    Two objects that touch are also one together. The reference frame is a crop of the photograph, sometimes with another
    photograph's object in front of the target. In a validation frame either the whole crop is warped; or the object, the
    background with the object inpainted away (or another photograph), and objects of other photographs as distractors and
    occluders are warped each on their own. Then come light, blur and noise.

    Args:
        root: folder of photographs and masks, as `annotated_stills` takes it.
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

    def scene(self, index: int) -> str:
        """The photograph's name."""
        return self.photographs[self.items[index][0]][0].stem

    def reference(self, index: int) -> Shot:
        """The photograph; in a part of them the target is half hidden."""
        shot, rng = self.still(index), np.random.default_rng((*self.items[index], 1))
        if rng.random() < HIDDEN:
            for _ in range(10):
                colours, alpha = self._stranger(rng)
                seen = shot.mask & (alpha <= 0.5)
                if 0.3 < seen.sum() / shot.mask.sum() < 0.8:
                    return Shot(to_bytes(lay(shot.frame.astype(np.float32) / 255, colours, alpha)), seen.astype(np.uint8))
        return shot

    def still(self, index: int) -> Shot:
        """A crop of the photograph with the whole target, at a scale of its own; always the same."""
        n, k = self.items[index]
        path, masks = self.photographs[n]
        image, mask = read_image(path), masks[k]
        # not so close that the object fills the frame
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
        shot = self.still(index)
        flip = rng.random() < MIRRORED
        if flip:
            shot = Shot(*mirrored(*shot))
        amplitude = abs(rng.normal(0, self.size[0] / 120))
        if rng.random() < ALONE:
            mask = shot.mask.astype(np.float32)
            picture, alpha = bend([shot.frame.astype(np.float32) / 255, mask], motion(mask, rng, 0.7), rng, amplitude)
            label = alpha > 0.5
        else:
            picture, label = self._composite(index, shot, flip, amplitude, rng)
        picture = recolour(shade(picture, rng) if rng.random() < 0.2 else picture, rng, 0.25)
        picture, label = camera(picture, rng), label.astype(np.uint8)
        if self.rim:
            near = np.ones((2 * self.rim + 1,) * 2, np.uint8)
            label[cv2.dilate(label, near) > cv2.erode(label, near)] = VOID
        return Shot(to_bytes(picture), label)

    def _composite(
        self, index: int, shot: Shot, flip: bool, amplitude: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The target on its own or another background, distractors behind it, perhaps an occluder in front of it.

        Args:
            index: of the sequence.
            shot: its still, mirrored if `flip`.
            flip: whether its own background is to be mirrored likewise.
            amplitude: of the displacements, in pixels.

        Returns:
            The picture, float (H, W, 3) in [0, 1], and where the target is seen in it, bool (H, W).
        """
        frame, mask = shot.frame.astype(np.float32) / 255, shot.mask.astype(np.float32)
        ground = self._ground(index, flip, rng)
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
        if rng.random() < OCCLUDED:
            colours, alpha = self._stranger(rng)
            picture = lay(picture, colours, alpha)
            label = label & (alpha <= 0.5)
        return picture, label

    def _ground(self, index: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
        """The photograph with the target inpainted away, or now and then another photograph: float (H, W, 3) in [0, 1]."""
        if rng.random() >= 0.9:
            return self.still(int(rng.integers(len(self)))).frame.astype(np.float32) / 255
        if index not in self._plates:
            self._plates[index] = cut_out(*self.still(index)).background
        (plate,) = mirrored(self._plates[index]) if flip else (self._plates[index],)
        return plate.astype(np.float32) / 255

    def _stranger(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Another photograph's object somewhere in the frame: colours (H, W, 3) and alpha (H, W)."""
        shot = self.still(int(rng.integers(len(self))))
        mask = shot.mask.astype(np.float32)
        matrix = motion(mask, rng, 1.2)
        matrix[:, 2] += rng.uniform(-0.4, 0.4, 2) * self.size[::-1]
        colours, alpha = bend([shot.frame.astype(np.float32) / 255, mask], matrix, rng, 2.0)
        return recolour(colours, rng, 0.4), cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 1.2))
