"""Videos with masks in the layouts in which DAVIS, YouTube-VOS and our bundled scenes come."""

import difflib
import json
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InputError
from .images import image_files, natural_key, read_mask
from .whole import read_json

SCENES = Path(__file__).resolve().parents[2] / "data" / "scenes"
NAMES = ("davis2016", "davis2017", "ytvos", "folder", "scenes")


@dataclass(frozen=True)
class Sequence:
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
        """Object ids (H, W) of a frame, or None where it has no mask."""
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
                k: np.where(np.isin(self.labels(k), [i for i, at in self.given.items() if at == k]), self.labels(k), 0)
                for k in sorted(set(self.given.values()))
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
                found[index] = np.where(np.isin(labels, list(new)), labels, 0).astype(np.uint8)
        if not found:
            raise InputError(f"{self.name}: no mask below {self.masks} shows an object: check the annotations")
        return found


def load(name: str, root: Path, split: str = "val", sequences: Many[str] = ()) -> list[Sequence]:
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
    if name not in NAMES:
        raise InputError(f"unknown data set '{name}': choose one of {', '.join(NAMES)}")
    root = SCENES if name == "scenes" else Path(root)
    if name == "ytvos":
        root = root / split
    layered = name == "folder" and any(p.is_dir() for p in (root / "JPEGImages" / "480p").glob("*"))
    resolution = "480p" if layered or name not in ("ytvos", "folder") else ""
    frames, masks = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    for folder in (frames, masks):
        if not folder.is_dir():
            raise InputError(f"{name} needs the folder {folder}, which is not there: check --root")
    found = there = [p.name for p in frames.iterdir() if p.is_dir() and (masks / p.name).is_dir()]
    if name == "scenes":
        found = list(scene_notes())
    listed = root / "ImageSets" / name.removeprefix("davis") / f"{split}.txt"
    if name == "davis2016" and not listed.is_file():
        listed = root / "ImageSets" / "480p" / f"{split}.txt"  # the archive of 2016: frame and mask paths, a line a frame
    if name.startswith("davis") and listed.is_file():
        text = listed.read_text(encoding="utf-8", errors="replace")
        lines = [line.split()[0] for line in text.splitlines() if line.strip()]
        found = list(dict.fromkeys(line.split("/")[-2] if "/" in line else line for line in lines))
    elif name.startswith("davis") and (root / "ImageSets").is_dir() and split != "val":
        raise InputError(f"no list of sequences at {listed}: check --split")
    unknown = [s for s in sequences if s not in found]
    if unknown:
        close = difflib.get_close_matches(unknown[0], found, 3) or sorted(found)[:8]
        raise InputError(f"no sequence '{unknown[0]}' in {frames}: did you mean {', '.join(close)}?")
    chosen = list(sequences) or sorted(found, key=natural_key)
    if not chosen:
        raise InputError(f"no sequence has both frames below {frames} and masks below {masks}: check --root")
    absent = [s for s in chosen if s not in there]
    if absent:
        raise InputError(f"there is no folder {absent[0]!r} in {frames} or in {masks}: check --root and {listed.parent}")
    seen = _seen_classes(root) if name == "ytvos" else {}
    davis = name in ("davis2016", "davis2017")
    notes = scene_notes() if name == "scenes" else {}
    given = {s: {int(i): k for i, k in note["given"].items()} for s, note in notes.items()}
    return [
        Sequence(s, frames / s, masks / s, name == "davis2016", davis, given.get(s, {}), seen.get(s, {})) for s in chosen
    ]


def _seen_classes(split: Path) -> dict[str, dict[int, bool]]:
    """Video -> object id -> whether the training split has its class, from both splits' meta.json; {} without them."""
    paths = split / "meta.json", split.parent / "train" / "meta.json"
    if not all(path.is_file() for path in paths):
        return {}
    here, train = map(read_json, paths)
    try:
        trained = {o["category"] for video in train["videos"].values() for o in video["objects"].values()}
        return {v: {int(i): o["category"] in trained for i, o in d["objects"].items()} for v, d in here["videos"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{paths[0]} or {paths[1]} is damaged: take it from YouTube-VOS again, or delete it") from None


def scene_notes() -> dict[str, dict]:
    """What scenes.json says of each bundled scene: title, what to watch for, objects, visible area by frame."""
    path = SCENES / "scenes.json"
    if not path.is_file():
        raise InputError(f"the bundled scenes are missing at {SCENES}: restore data/scenes from the repository")
    return json.loads(path.read_text(encoding="utf-8"))["scenes"]


def scene(name: str) -> Sequence:
    """One bundled scene by name."""
    return load("scenes", SCENES, sequences=[name])[0]
