"""What a run writes beside its masks, and where it may not write."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from ..files.annotations import packed_lengths, write_coco
from ..files.films import CUT_OUTS, OVERLAYS, FilmWriter, check_ending
from ..files.frames import FrameSource
from ..files.given import Given
from ..files.images import contact_sheet, overlay, read_mask, resized, to_size
from ..files.threads import prefetch
from ..files.whole import atomic, make_folder, place, places, refuse_to_replace
from ..pipeline import Frames, Tracked, mask_files
from .record import NAME, STATE

Claim = Callable[[Path], None]
ENDINGS = {"overlay": OVERLAYS, "cut_out": CUT_OUTS, "sheet": (".png", ".jpg", ".jpeg"), "coco": (".json",)}
"""By output."""


@dataclass(frozen=True)
class Extras:
    """The files that a run makes beside its masks; None for those that are not asked for.

    Attributes:
        overlay: film with the objects tinted.
        cut_out: film of the objects alone, on transparency.
        sheet: eight overlays as one picture.
        coco: all masks as COCO's JSON.
    """

    overlay: Path | None = None
    cut_out: Path | None = None
    sheet: Path | None = None
    coco: Path | None = None

    def asked(self) -> dict[str, Path]:
        """Flag -> file, of those that are asked for."""
        found = {f"--{f.name.replace('_', '-')}": getattr(self, f.name) for f in fields(self)}
        return {flag: path for flag, path in found.items() if path}

    def refuse_endings(self) -> None:
        """Refuse files of an unknown kind.

        Raises:
            InputError: naming the endings that there are.
        """
        for flag, path in self.asked().items():
            check_ending(flag, path, ENDINGS[flag[2:].replace("-", "_")])
        if self.coco:
            packed_lengths()  # a missing package is said before the work, not after it

    def refuse_inputs(self, out: Path, source: FrameSource, inputs: Collection[Path]) -> None:
        """Refuse files that are inputs, that would be taken for a frame or a mask, or that are one and the same.

        Args:
            out: folder of the masks.
            source: the video from its first frame on.
            inputs: what is read besides its frames.

        Raises:
            InputError: naming flag and file.
        """
        read, taken = places([*source.files, *inputs]), {}
        masks = set() if source.is_video else {name.casefold() for name in source.names(source.count)}
        for flag, path in self.asked().items():
            where, stem = place(path), path.stem.casefold()
            inside = place(path.parent) == place(out)
            if where in read:
                raise InputError(f"{flag} {path} is an input of this run, and would be replaced: give {flag} another name")
            if inside and (path.name.casefold() in (NAME, STATE) or (path.suffix.lower() == ".png" and (
                    stem in masks or (source.is_video and stem.isdecimal())))):
                raise InputError(f"{flag} {path} has the name of a file that the masks in {out} need: give {flag} another name")
            if not source.is_video and flag == "--sheet" and place(path.parent) == place(source.path):
                raise InputError(f"{flag} {path} is in the folder of the frames, and would be taken for one: choose another "
                                 "folder")
            if where in taken:
                raise InputError(f"{taken[where]} and {flag} are one file, {path}: give one of them another name")
            taken[where] = flag

    def refuse_strangers(self, made: Collection[str]) -> None:
        """Refuse to replace what this run did not make.

        Raises:
            InputError: naming flag and file.
        """
        for flag, path in self.asked().items():
            refuse_to_replace(flag, path, made)

    def films(self, source: FrameSource, stack: ExitStack, claim: Claim) -> list[tuple[FilmWriter, Callable]]:
        """The films that are asked for, opened on the stack, each with what makes its picture of (frame, labels)."""
        wanted = [(self.overlay, OVERLAYS, overlay), (self.cut_out, CUT_OUTS, cut_out)]
        return [(stack.enter_context(FilmWriter(path, source.fps, source.size, codecs, claim)), draw)
                for path, codecs, draw in wanted if path]

    def finish(self, out: Path, source: FrameSource, frames: int, pictures: list[np.ndarray], names: dict[int, str],
               claim: Claim) -> None:
        """Write the contact sheet and the list, once all masks are there."""
        if self.sheet:
            make_folder(self.sheet.parent)
            with atomic(self.sheet, claim) as temporary:
                Image.fromarray(contact_sheet(pictures)).save(temporary)
        if self.coco:
            make_folder(self.coco.parent)
            masks = ((path.stem, read_mask(path)) for path in mask_files(out, source, frames))
            with atomic(self.coco, claim) as temporary:
                write_coco(temporary, source.size, masks, names)


class Sheet:
    """Gathers eight pictures throughout a video, at the size that is worked on.

    Args:
        source: the video.
        size: (h, w).
    """

    def __init__(self, source: FrameSource, size: tuple[int, int]):
        self.every, self.size, self.pictures = max(1, (source.count or 100) // 8), size, []

    def see(self, shown: Tracked) -> None:
        """Take the frame where it is its turn."""
        if shown.index % self.every == 0 and len(self.pictures) < 8:
            self.pictures.append(overlay(resized(shown.frame, self.size), to_size(shown.labels, self.size)))


def recorded(source: Frames, folder: Path, count: int) -> Iterator[Tracked]:
    """The first `count` frames with the masks that lie in `folder`."""
    with closing(prefetch(islice(source.whole(), count))) as frames:
        for index, (name, frame) in enumerate(frames):
            yield Tracked(index, name, frame, read_mask(folder / f"{name}.png"), None)


def cut_out(frame: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The objects of a frame on transparency: uint8 RGBA (H, W, 4) of RGB (H, W, 3) and ids (H, W)."""
    return np.dstack([frame, np.where(labels > 0, 255, 0).astype(np.uint8)])


def standing_masks(out: Path, source: FrameSource, given: Given) -> set[Path]:
    """Masks that are given and lie where they would be written: they stay as they are.

    Args:
        out: folder of the masks.
        source: the video from the first mask on.
        given: its masks.

    Raises:
        InputError: a mask lies there whose frame will have another answer, or that only a reader of colours understands.
    """
    places, standing = {place(path): index for index, path in given.files.items()}, set()
    for index, path in enumerate(mask_files(out, source, max(given.masks) + 1)):
        owner = places.get(place(path)) if path.exists() else None
        if owner is None:
            continue
        if owner != index or index != 0 or not _reads_as(path, given.masks[index]):
            raise InputError(f"{path} is a mask that you give, and the mask of its frame would replace it: choose another "
                             "--out")
        standing.add(path)
    return standing


def _reads_as(path: Path, ids: np.ndarray) -> bool:
    """Whether a mask says these ids (H, W) to whoever knows nothing of --colours."""
    try:
        return np.array_equal(read_mask(path), ids)
    except InputError:
        return False
