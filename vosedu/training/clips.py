"""What offline training learns from: frames with masks, from videos here and from photographs in `stills`."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..beyond.window import Gaze
from ..config import BEST
from ..errors import InputError
from ..files.datasets import AnnotatedVideo
from ..files.images import image_files, read_image
from .effects import bend, camera, mirrored, motion, recolour, to_bytes
from .shots import Shot

SIGHT = 0.008
"""Least share of the frame that an object covers where `AnyFrameClips` takes the frame as a reference."""
WHOLE = 4
"""One sequence in so many of `AnyFrameClips` looks at whole frames; the others look through a window, as BEST does."""
NEARER = 1.7
"""Each sequence comes nearer by a factor of its own up to this one: its shots have fewer rows than frames at work."""
CLOSE = 0.8
"""Most of a shot's height and width that the target's box takes because of it."""


def fit(shot: Shot, size: tuple[int, int]) -> Shot:
    """The shot scaled until it covers `size` (H, W), its shape kept; what stands over is cut off, so that the object comes
    as near to the middle as it can."""
    height, width = shot.mask.shape
    scale = max(size[0] / height, size[1] / width)
    rows, columns = np.nonzero(shot.mask)
    centre = np.array([columns.mean(), rows.mean()]) if len(rows) else np.array([width, height]) / 2
    shift = [np.clip(n / 2 - scale * c, n - scale * m, 0) for n, c, m in zip(size[::-1], centre, (width, height), strict=True)]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if scale < 0.7:  # a warp alone would alias: scale by averaging areas, and leave only the shift to the warp
        small = (max(size[1], round(width * scale)), max(size[0], round(height * scale)))
        shot = Shot(cv2.resize(shot.frame, small, interpolation=cv2.INTER_AREA),
                    cv2.resize(shot.mask, small, interpolation=cv2.INTER_NEAREST_EXACT))
        matrix[:, :2] /= scale
    frame, mask = (cv2.warpAffine(image, matrix, size[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
                   for image, how in ((shot.frame, cv2.INTER_LINEAR), (shot.mask, cv2.INTER_NEAREST)))
    return Shot(frame, mask)


def folder_and_names(path: Path) -> tuple[Path, list[str]]:
    """A folder of videos, and which of them are meant; none named: all.

    Args:
        path: a folder with JPEGImages and Annotations; or a list in its ImageSets, one name per line, such as
            DAVIS/ImageSets/2017/train.txt.

    Raises:
        InputError: a file that is not below a folder ImageSets, or that names nothing.
    """
    if not path.is_file():
        return path, []
    lists = next((folder for folder in path.resolve().parents if folder.name == "ImageSets"), None)
    if lists is None:
        raise InputError(f"{path} is a file: give a folder with JPEGImages and Annotations, or a list in its ImageSets")
    names = path.read_text(encoding="utf-8", errors="replace").split()
    if not names:
        raise InputError(f"{path} names no video: write one name per line")
    return lists.parent, names


class VideoClips:
    """Every object of annotated videos; the reference is the frame in which its mask is given, as in Section 3.3.

    Args:
        videos: as `vosedu.files.datasets.load` gives them.
        size: (H, W) of all shots.
        name: of the collection.
    """

    def __init__(self, videos: Sequence[AnnotatedVideo], size: tuple[int, int], name: str = "videos"):
        self.size, self.name = size, name
        self.paths = {video.name: image_files(video.frames) for video in videos}
        self.annotated = {video.name: _with_mask(video) for video in videos}
        self.items = [  # video, reference frame, object id
            (video, index, int(i))
            for video in videos
            for index, labels in video.entries().items()
            for i in np.unique(labels[labels > 0])
        ]

    def __len__(self) -> int:
        return len(self.items)

    def key(self, index: int) -> str:
        """Of the collection, the video and the object."""
        video, _, i = self.items[index]
        return f"{self.name}-{video.name}-{i}"

    def scene(self, index: int) -> str:
        """The video's name."""
        return self.items[index][0].name

    def shot(self, index: int, frame: int) -> Shot:
        """One frame of a sequence with its object's mask."""
        return fit(self._whole(index, frame), self.size)

    def _whole(self, index: int, frame: int) -> Shot:
        """The same at the video's own size."""
        video, _, i = self.items[index]
        return Shot(read_image(self.paths[video.name][frame]), (video.labels(frame) == i).astype(np.uint8))

    def others(self, index: int) -> list[int]:
        """The frames that `draw` chooses from: those with a mask after the reference frame, or if there is none, that one."""
        video, reference, _ = self.items[index]
        return [k for k in self.annotated[video.name] if k > reference] or [reference]

    def reference(self, index: int) -> Shot:
        """The frame in which the object's mask is given."""
        return self.shot(index, self.items[index][1])

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """One of the frames in `others`."""
        return self.shot(index, int(rng.choice(self.others(index))))


class AnyFrameClips(VideoClips):
    """Objects of annotated videos where frames are few: each frame in which an object is well in sight is the reference of a
    sequence of its own. The frames before it and after it are drawn, now and then mirrored, warped a little, and with the
    light and the faults of a camera. Small targets are seen through windows (`beyond.window`), but for one sequence in `WHOLE`,
    and each sequence a little nearer; the window of a drawn frame is a little beside where it belongs, as it would be after a
    last frame.

    Args:
        videos: as `vosedu.files.datasets.load` gives them.
        size: (H, W) of all shots.
        name: of the collection.
    """

    def __init__(self, videos: Sequence[AnnotatedVideo], size: tuple[int, int], name: str = "videos"):
        super().__init__(videos, size, name)
        shares = {video.name: {k: _shares(video.labels(k)) for k in self.annotated[video.name]} for video in videos}
        self.items = [
            (video, k, i)
            for video, _, i in self.items
            for k, covered in shares[video.name].items()
            if covered.get(i, 0) > SIGHT
        ]

    def key(self, index: int) -> str:
        """As `VideoClips.key`, and of the reference frame, for here an object has several."""
        return f"{super().key(index)}-{self.items[index][1]}"

    def others(self, index: int) -> list[int]:
        """The other frames with a mask, before and after the reference frame."""
        video, reference, _ = self.items[index]
        return [k for k in self.annotated[video.name] if k != reference] or [reference]

    def reference(self, index: int) -> Shot:
        """The frame that the sequence begins with."""
        return fit(self._seen(index, self._whole(index, self.items[index][1])), self.size)

    def draw(self, index: int, rng: np.random.Generator) -> Shot:
        """As `VideoClips.draw`, with other light and colours, and as cameras blur and code it."""
        shot = fit(self._seen(index, self._whole(index, int(rng.choice(self.others(index)))), rng), self.size)
        frame, mask = shot.frame.astype(np.float32) / 255, shot.mask.astype(np.float32)
        if rng.random() < 0.3:
            frame, mask = mirrored(frame, mask)
        if rng.random() < 0.7:
            frame, mask = bend([frame, mask], motion(mask, rng, 0.4), rng, abs(rng.normal(0, self.size[0] / 240)))
        return Shot(to_bytes(camera(recolour(frame, rng, 0.3), rng)), (mask > 0.5).astype(np.uint8))

    def _seen(self, index: int, shot: Shot, rng: np.random.Generator | None = None) -> Shot:
        """What of a frame is looked at: of all of it, or of the target's window, the sequence's factor nearer; with an `rng` as
        it would be after another frame."""
        gaze, size = Gaze(shot.mask.shape, BEST.window_share, BEST.window_zoom), np.array(shot.mask.shape)
        if index % WHOLE:
            gaze.follow(shot.mask)
        nearer = np.random.default_rng((index, 77)).uniform(1, NEARER) * (np.exp(rng.normal(0, 0.12)) if rng else 1)
        places = np.argwhere(shot.mask)
        if len(places):
            room = CLOSE / (gaze.zoom * (np.ptp(places, axis=0) / size).max() + 1e-6)
            nearer = min(nearer, max(1.0, room))
            gaze.centre = gaze.centre if index % WHOLE else tuple(places.mean(0))
        gaze.zoom = max(1.0, gaze.zoom * nearer)
        if rng:
            gaze.centre = tuple(gaze.centre + rng.normal(0, 0.06, 2) * size / gaze.zoom)
        window = gaze.window
        return Shot(window.of(shot.frame), window.of(shot.mask))


def _with_mask(video: AnnotatedVideo) -> list[int]:
    """The frames of a video that have a mask."""
    return [k for k, name in enumerate(video.frame_names) if (video.masks / f"{name}.png").exists()]


def _shares(labels: np.ndarray) -> dict[int, float]:
    """Object id -> share of the frame that it covers, from ids (H, W)."""
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), (counts / labels.size).tolist(), strict=True))
