"""Where a data set keeps its frames, its masks and its list of sequences: one class per data set.

A new data set is one more class here or in a file of its own, and one more entry in `vosedu.files.datasets.LAYOUTS`.
"""

from functools import cached_property
from pathlib import Path

from ..errors import InputError
from .whole import read_json


class Layout:
    """JPEGImages and Annotations below `root`, with one folder per sequence in each. Subclasses say what differs.

    Args:
        root: where the data set lies.
        split: part of the data set, where it has parts.

    Attributes:
        name: of the data set.
        merge: all objects count as one.
        drop_last: the last frame is not scored.
        frames: folder with one folder of frames per sequence.
        masks: folder with one folder of masks per sequence.

    Raises:
        InputError: a folder is missing.
    """

    name: str
    merge = False
    drop_last = False

    def __init__(self, root: Path, split: str):
        self.root, self.split = root, split
        self.frames, self.masks = root / "JPEGImages" / self.resolution, root / "Annotations" / self.resolution
        for folder in (self.frames, self.masks):
            if not folder.is_dir():
                raise InputError(f"{self.name} needs the folder {folder}, which is not there: check --root")

    @property
    def resolution(self) -> str:
        """The folder between JPEGImages and the sequences; empty where there is none."""
        return ""

    @property
    def lists(self) -> Path:
        """Where the lists of sequences are."""
        return self.root / "ImageSets"

    def complete(self) -> list[str]:
        """Names of the sequences that have a folder of frames and a folder of masks."""
        return [p.name for p in self.frames.iterdir() if p.is_dir() and (self.masks / p.name).is_dir()]

    def listed(self) -> list[str]:
        """Names of the sequences that belong to the split.

        Raises:
            InputError: the split has no list, or it cannot be read.
        """
        return self.complete()

    def given(self, sequence: str) -> dict[int, int]:
        """Object id -> frame index in which its mask is given; empty where each is given at its first appearance."""
        return {}

    def seen(self, sequence: str) -> dict[int, bool]:
        """Object id -> whether its class occurs in YouTube-VOS' training set; empty where that is not known."""
        return {}


class PlainFolder(Layout):
    """Two folders without a list; there may be a folder 480p in each, as data/render_scenes.py writes."""

    name = "folder"

    @property
    def resolution(self) -> str:
        """"480p" where that folder has folders in it."""
        return "480p" if any(p.is_dir() for p in (self.root / "JPEGImages" / "480p").glob("*")) else ""


class Davis2017(Layout):
    """DAVIS 2017: folders 480p, and ImageSets/2017/<split>.txt with one name per line where it is there."""

    name = "davis2017"
    resolution = "480p"
    drop_last = True

    @property
    def list_file(self) -> Path:
        """Where the names of the split are."""
        return self.root / "ImageSets" / "2017" / f"{self.split}.txt"

    @property
    def lists(self) -> Path:
        """Where the lists of sequences are."""
        return self.list_file.parent

    def listed(self) -> list[str]:
        """The names in `list_file`; without that file, for the split "val" all that are complete.

        Raises:
            InputError: there are lists, but none for another split than "val".
        """
        if self.list_file.is_file():
            text = self.list_file.read_text(encoding="utf-8", errors="replace")
            lines = [line.split()[0] for line in text.splitlines() if line.strip()]
            return list(dict.fromkeys(line.split("/")[-2] if "/" in line else line for line in lines))
        if (self.root / "ImageSets").is_dir() and self.split != "val":
            raise InputError(f"no list of sequences at {self.list_file}: check --split")
        return self.complete()


class Davis2016(Davis2017):
    """DAVIS 2016: as 2017, but all objects of a video count as one."""

    name = "davis2016"
    merge = True

    @property
    def list_file(self) -> Path:
        """As in 2017; the archive of 2016 has it in a folder 480p, with the paths of a frame and its mask per line."""
        usual = self.root / "ImageSets" / "2016" / f"{self.split}.txt"
        return usual if usual.is_file() else self.root / "ImageSets" / "480p" / f"{self.split}.txt"


class YouTubeVOS(Layout):
    """YouTube-VOS: one folder per split, and meta.json in it with the class of every object."""

    name = "ytvos"

    def __init__(self, root: Path, split: str):
        super().__init__(root / split, split)

    def seen(self, sequence: str) -> dict[int, bool]:
        """Object id -> whether its class occurs in the training set; empty without the meta.json of both splits.

        Raises:
            InputError: a meta.json is damaged.
        """
        return self._seen.get(sequence, {})

    @cached_property
    def _seen(self) -> dict[str, dict[int, bool]]:
        paths = self.root / "meta.json", self.root.parent / "train" / "meta.json"
        if not all(path.is_file() for path in paths):
            return {}
        here, train = map(read_json, paths)
        try:
            trained = {o["category"] for video in train["videos"].values() for o in video["objects"].values()}
            return {v: {int(i): o["category"] in trained for i, o in d["objects"].items()} for v, d in here["videos"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(f"{paths[0]} or {paths[1]} is damaged: take it from YouTube-VOS again, or delete it") from None
