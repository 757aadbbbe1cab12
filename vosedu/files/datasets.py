"""Videos with masks: the sequences of DAVIS, YouTube-VOS and our bundled scenes, and a sequence as arrays."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InputError
from .bundled import bundled
from .images import image_files, natural_key, read_mask
from .layouts import Davis2016, Davis2017, Layout, PlainFolder, YouTubeVOS

SCENES = bundled("data/scenes")


@dataclass(frozen=True)
class AnnotatedVideo:
    """One video: a folder of frames and the masks that exist for them.

    Attributes:
        name: as the data set calls it.
        frames: folder of the frames.
        masks: folder of the index PNGs, each named after its frame; frames without one are not scored.
        merge: all objects count as one (DAVIS 2016).
        drop_last: the last frame is not scored (DAVIS), or is (YouTube-VOS).
        given: object id -> frame index in which its mask is given; where empty, each at its first appearance.
        seen: object id -> whether its class occurs in YouTube-VOS' training set; empty where that is not known.
    """

    name: str
    frames: Path
    masks: Path
    merge: bool = False
    drop_last: bool = True
    given: dict[int, int] = field(default_factory=dict)
    seen: dict[int, bool] = field(default_factory=dict)

    @cached_property
    def frame_names(self) -> list[str]:
        """Stems of the frames in order."""
        return [p.stem for p in image_files(self.frames)]

    def labels(self, index: int) -> np.ndarray | None:
        """Object ids of a frame, uint8 (H, W), or None where it has no mask.

        Raises:
            InputError: the mask cannot be used.
        """
        path = self.masks / f"{self.frame_names[index]}.png"
        if not path.exists():
            return None
        labels = read_mask(path)
        return (labels > 0).astype(np.uint8) if self.merge else labels

    def entries(self) -> dict[int, np.ndarray]:
        """Frame index -> ids (H, W) of the objects whose first mask is there: all that a method may be given.

        Raises:
            InputError: no mask holds an object.
        """
        if self.given:
            return {
                index: _only(self.labels(index), [i for i, at in self.given.items() if at == index])
                for index in sorted(set(self.given.values()))
            }
        found, known = {}, set()
        # DAVIS shows every object in the first frame; elsewhere each mask file may bring new ones.
        indices = [0] if self.drop_last else range(len(self.frame_names))
        for index in indices:
            labels = self.labels(index)
            if labels is None:
                continue
            new = set(np.unique(labels).tolist()) - known - {0}
            if new:
                known |= new
                found[index] = _only(labels, new)
        if not found:
            raise InputError(f"{self.name}: no mask below {self.masks} shows an object: check the annotations")
        return found


def _only(labels: np.ndarray, ids: Iterable[int]) -> np.ndarray:
    """The ids (H, W) with all but some set to 0."""
    return np.where(np.isin(labels, list(ids)), labels, 0).astype(np.uint8)


class Scenes(Layout):
    """The bundled scenes; `root` is ignored. scenes.json says which there are, and when each object is given."""

    name = "scenes"
    resolution = "480p"

    def __init__(self, root: Path, split: str):
        super().__init__(SCENES, split)

    @property
    def lists(self) -> Path:
        """Where scenes.json is."""
        return self.root

    def listed(self) -> list[str]:
        """The names in scenes.json."""
        return list(scene_notes())

    def given(self, sequence: str) -> dict[int, int]:
        """Object id -> frame index in which its mask is given."""
        return {int(i): index for i, index in scene_notes()[sequence]["given"].items()}


LAYOUTS: dict[str, type[Layout]] = {
    layout.name: layout for layout in (Davis2016, Davis2017, YouTubeVOS, PlainFolder, Scenes)
}
NAMES = tuple(LAYOUTS)


def load(name: str, root: Path, split: str = "val", sequences: Sequence[str] = ()) -> list[AnnotatedVideo]:
    """The sequences of a data set.

    Args:
        name: "davis2016", "davis2017" (JPEGImages/480p, Annotations/480p, ImageSets/<year>/<split>.txt if there),
            "ytvos" (<split>/JPEGImages, <split>/Annotations), "folder" (JPEGImages, Annotations, perhaps with a level 480p
            below, as data/render_scenes.py writes) or "scenes".
        root: where it lies; ignored by "scenes", which are bundled.
        split: of DAVIS and YouTube-VOS.
        sequences: names to keep; all where empty.

    Raises:
        InputError: unknown name, missing folders, unknown sequence.
    """
    if name not in LAYOUTS:
        raise InputError(f"unknown data set '{name}': choose one of {', '.join(LAYOUTS)}")
    layout = LAYOUTS[name](Path(root), split)
    return [
        AnnotatedVideo(s, layout.frames / s, layout.masks / s, layout.merge, layout.drop_last, layout.given(s), layout.seen(s))
        for s in _chosen(layout, sequences)
    ]


def _chosen(layout: Layout, wanted: Sequence[str]) -> list[str]:
    """The names in `wanted`, or all of the split in natural order.

    Raises:
        InputError: a name is not in the split, there is none, or one has no folder.
    """
    listed = layout.listed()
    unknown = [s for s in wanted if s not in listed]
    if unknown:
        close = difflib.get_close_matches(unknown[0], listed, 3) or sorted(listed)[:8]
        raise InputError(f"no sequence '{unknown[0]}' in {layout.frames}: did you mean {', '.join(close)}?")
    chosen = list(wanted) or sorted(listed, key=natural_key)
    if not chosen:
        raise InputError(f"no sequence has both frames below {layout.frames} and masks below {layout.masks}: check --root")
    complete = layout.complete()
    absent = [s for s in chosen if s not in complete]
    if absent:
        raise InputError(f"there is no folder {absent[0]!r} in {layout.frames} or in {layout.masks}: check --root and "
                         f"{layout.lists}")
    return chosen


def scene_notes() -> dict[str, dict]:
    """What scenes.json says of each bundled scene: title, what to watch for, objects, visible area per frame.

    Raises:
        InputError: the scenes are missing.
    """
    path = SCENES / "scenes.json"
    if not path.is_file():
        raise InputError(f"the bundled scenes are missing at {SCENES}: install vosedu anew, or restore data/scenes from the "
                         "repository")
    return json.loads(path.read_text(encoding="utf-8"))["scenes"]


def scene(name: str) -> AnnotatedVideo:
    """One bundled scene by name.

    Raises:
        InputError: there is none of that name; the message proposes others.
    """
    return load("scenes", SCENES, sequences=[name])[0]
