"""The masks that a run is given: of the first frame, and of later ones in which objects enter or are corrected."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from .annotations import read_annotations
from .frames import FrameSource
from .images import IMAGES, check_first_mask, from_numbers, read_mask, to_size
from .labels import described

KINDS = (".png", ".npy", ".json", *(ending for ending in IMAGES if ending != ".png"))
"""Endings of masks."""


@dataclass
class Given:
    """Masks by frame.

    Attributes:
        masks: frame index -> ids (H, W).
        files: frame index -> the file it came from.
        names: object id -> its name, where annotations have names.
        left_out: files in a folder of masks that belong to no frame.
    """

    masks: dict[int, np.ndarray] = field(default_factory=dict)
    files: dict[int, Path] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The frame at which segmenting begins."""
        return min(self.masks)

    def beginning(self) -> "Given":
        """The same for a video that begins at frame `start`."""
        masks, files = ({index - self.start: one for index, one in part.items()} for part in (self.masks, self.files))
        return Given(masks, files, self.names, self.left_out)

    def digest(self) -> str:
        """SHA-256 of what the masks say: frames, size and ids, not of how they are stored."""
        whole = hashlib.sha256()
        for index, ids in sorted(self.masks.items()):
            whole.update(f"{index} {ids.shape[0]} {ids.shape[1]}\n".encode() + np.ascontiguousarray(ids, np.uint8).tobytes())
        return whole.hexdigest()

    def notes(self, source: FrameSource) -> list[str]:
        """What was understood, a line for each of the first masks; `source` is the video from its first frame on."""
        names = source.names(max(self.masks) + 1)
        lines = [f"{self.files[index]}, of frame {names[index]}: {described(ids, self.names)}"
                 for index, ids in sorted(self.masks.items())]
        if len(lines) > 4:
            lines[3:] = [f"and masks of {len(lines) - 3} later frames"]
        if self.start:
            lines.append(f"segmenting begins at frame {names[self.start]}, whose mask this is: the {self.start} before it are "
                         "left out")
        if self.left_out:
            lines.append(f"masks left out, for no frame has their name: {', '.join(p.name for p in self.left_out[:3])}"
                         + (f" and {len(self.left_out) - 3} more" if len(self.left_out) > 3 else ""))
        return lines


def read_given(path: Path, source: FrameSource, colours: bool = False, working: tuple[int, int] | None = None) -> Given:
    """Masks for a video.

    A file belongs to the frame of its name, or to the first frame where no frame has its name. In a folder every file is named
    after its frame.

    Args:
        path: PNG or another image, .npy, .json of labelme or COCO, or a folder of such.
        source: the video.
        colours: whether each colour of an RGB mask is an object.
        working: (h, w) at which frames are worked on; an object must be there at that size too.

    Raises:
        InputError: one cannot be used, or nothing can be learned from it.
    """
    given, known = Given(), ({} if colours else None, {})
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in KINDS and p.name != "run.json"
                       and not p.name.startswith(".") and p.is_file())
        for file in found:
            if file.suffix.lower() != ".json" and source.index(file.stem) is None:
                given.left_out.append(file)
            else:
                _take(given, file, source, known, False)
        if not given.masks:
            first, names = f" ({found[0].name}, …)" if found else "", ", ".join(source.names(1))
            raise InputError(f"no mask in {path}{first} is named after a frame of {source.path}, such as {names}: name each "
                             "after the frame that it is of")
    else:
        _take(given, path, source, known, True)
    for index, ids in given.masks.items():
        check_first_mask(ids, given.files[index])
        if working and working != ids.shape:
            check_first_mask(to_size(ids, working), f"{given.files[index]} at {working[1]}x{working[0]}")
    return given


def _take(given: Given, path: Path, source: FrameSource, known: tuple[dict | None, dict], alone: bool) -> None:
    """Add the masks of one file.

    Raises:
        InputError: it cannot be used, or a frame has two masks.
    """
    colours, keys = known
    ending, own = path.suffix.lower(), source.index(path.stem)
    if ending == ".json":
        found = read_annotations(path, source.size, keys)
        at = [_frame_of(one.picture, own, source, alone and len(found) == 1, path) for one in found]
        masks = [one.ids for one in found]
        given.names |= {i: name for one in found for i, name in one.names.items()}
    else:
        at, masks = [own or 0], [_array(path, source.size) if ending == ".npy" else read_mask(path, source.size, colours)]
    for index, ids in zip(at, masks, strict=True):
        if index in given.masks:
            raise InputError(f"{given.files[index]} and {path} are both masks of frame {source.names(index + 1)[-1]}: remove "
                             "one")
        if source.count is not None and source.exact and index >= source.count:
            raise InputError(f"the mask {path} is named after frame {path.stem}, and the last is "
                             f"{source.names(source.count)[-1]}: rename it")
        given.masks[index], given.files[index] = ids, path


def _frame_of(picture: str, own: int | None, source: FrameSource, alone: bool, path: Path) -> int:
    """The frame that annotations are of: the one of the picture that they name, else of their own file, else the first."""
    named = source.index(Path(picture.replace("\\", "/")).stem)
    if named is None and own is None and not alone:
        raise InputError(f"{path} annotates {picture or 'a picture without a name'}, which is no frame of {source.path}: "
                         f"frames are called as {source.names(1)[0]}")
    return named if named is not None else own or 0


def _array(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Ids of a NumPy file: whole numbers or truth values, (H, W), or with an axis of one beside these.

    Raises:
        InputError: no such array, or of another size.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"no mask at {path}: check the path given to --masks") from None
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"the mask {path} cannot be read ({reason}): save it with numpy.save") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"the mask {path} holds several arrays: save one, with numpy.save")
    values = values.squeeze() if values.ndim == 3 and 1 in values.shape else values
    if values.shape != tuple(size):
        raise InputError(f"the mask {path} is {'x'.join(map(str, values.shape[::-1]))}, the frames {size[1]}x{size[0]}: "
                         "give a mask of the frames' size")
    return from_numbers(values, path)
