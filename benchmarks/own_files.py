"""Files of the user's: what lies beside a run, in its way, or means another thing than it seems; a part of `benchmarks.faults`.

Each case is made in a folder of its own and run twice. Nothing that was there before may be lost or changed, whatever happens,
and the command ends as it should: with masks, or with status 2 and one line.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vosedu.files.films import OverlayWriter
from vosedu.files.images import DAVIS_PALETTE, write_mask

from .fuzz import Tally, disks

Case = tuple[Callable[[Path, np.ndarray], None], str, str]
"""What is put beside `clip`, `clip.mp4` and `first.png`; the words after `segment`; what it says, "" where it succeeds."""


def _copied(*names: str) -> Callable[[Path, np.ndarray], None]:
    """Copies of the first mask."""
    def make(home: Path, ids: np.ndarray) -> None:
        for name in names:
            (home / name).parent.mkdir(exist_ok=True)
            shutil.copy(home / "first.png", home / name)
    return make


def _saved(name: str, change: Callable[[np.ndarray], np.ndarray], palette: np.ndarray | None = None) -> Callable:
    """The first mask's ids, changed and saved."""
    def make(home: Path, ids: np.ndarray) -> None:
        image = Image.fromarray(change(ids).astype(np.uint8))
        if palette is not None:
            image.putpalette(palette.astype(np.uint8).tobytes())
        image.save(home / name)
    return make


def _linked(name: str, target: str) -> Callable[[Path, np.ndarray], None]:
    def make(home: Path, ids: np.ndarray) -> None:
        (home / name).symlink_to(target)
    return make


def _deep(home: Path, ids: np.ndarray) -> None:
    (home / "deep").mkdir()
    for path in (home / "clip").iterdir():
        cv2.imwrite(str(home / "deep" / path.name), cv2.imread(str(path)).astype(np.uint16) << 4)


def _nothing(home: Path, ids: np.ndarray) -> None:
    pass


REVERSED = np.vstack([(255, 255, 255), DAVIS_PALETTE[1:2], (0, 0, 0)])
FIRST = "--masks first.png"
CASES: dict[str, Case] = {
    "masks among the frames": (_nothing, f"clip {FIRST} --out clip", "folder of the frames"),
    "masks among the frames, by a link": (_linked("link", "clip"), f"clip {FIRST} --out link", "folder of the frames"),
    "hand-made masks in --out": (_copied("m/00002.png"), f"clip {FIRST}", "no run of vosedu made"),
    "the same in capitals": (_copied("m/00002.PNG"), f"clip {FIRST}", "no run of vosedu made"),
    "the first mask in --out": (_copied("m/00000.png"), "clip --masks m/00000.png", ""),
    "the film as overlay": (_nothing, f"clip.mp4 {FIRST} --overlay clip.mp4", "is an input"),
    "the film as overlay, in capitals": (_nothing, f"clip.mp4 {FIRST} --overlay CLIP.mp4", "is an input"),
    "the film as overlay, by a link": (_linked("o.mp4", "clip.mp4"), f"clip.mp4 {FIRST} --overlay o.mp4", "is an input"),
    "another film as overlay": (_copied("o.mp4"), f"clip {FIRST} --overlay o.mp4", "is there already"),
    "the first mask as sheet": (_nothing, f"clip {FIRST} --sheet first.png", "is an input"),
    "a sheet without an ending": (_nothing, f"clip {FIRST} --sheet sheet", "has no ending"),
    "a mask of a later frame": (_copied("00003.png"), "clip --masks 00003.png", ""),
    "masks beside the frames": (_copied("clip/00001_mask.png"), f"clip {FIRST}", ""),
    "a frame that is a dead link": (_linked("clip/00009.png", "nowhere.png"), f"clip {FIRST}", "link to nothing"),
    "grey ids with void": (_saved("g.png", lambda i: np.where(i == 2, 255, i)), "clip --masks g.png", ""),
    "greys that are seen": (_saved("g.png", lambda i: i * 127.5), "clip --masks g.png", ""),
    "a palette the other way round": (_saved("p.png", lambda i: 2 - i, REVERSED), "clip --masks p.png", ""),
    "smoothed edges": (_saved("s.png", lambda i: cv2.GaussianBlur((i > 0) * 255.0, (0, 0), 1.5)), "clip --masks s.png",
                       "smoothed"),
    "noise": (_saved("n.png", lambda i: np.random.default_rng(0).integers(0, 90, i.shape)), "clip --masks n.png", "noise"),
    "12 bits in files of 16": (_deep, f"deep {FIRST}", ""),
}


def state(home: Path) -> dict[str, str]:
    """What lies in a folder, by content; links by where they lead."""
    found = {}
    for path in home.rglob("*"):
        name = str(path.relative_to(home))
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def own_files(home: Path, run: Callable[[list], tuple[object, str]]) -> Tally:
    """All cases; `run` takes the words of a command and gives its status and what it said."""
    tally, engine = Tally("files of the user's"), ["--preset", "fast", "--samples", "4", "--short-side", "0", "--quiet"]
    pictures, first = disks(5, size=64, objects=2)
    for name, (make, words, said) in CASES.items():
        folder = home / "own" / name.replace(" ", "-")
        (folder / "clip").mkdir(parents=True)
        for index, picture in enumerate(pictures):
            cv2.imwrite(str(folder / "clip" / f"{index:05d}.png"), picture[..., ::-1])
        write_mask(folder / "first.png", first)
        with OverlayWriter(folder / "clip.mp4", 12, (64, 64)) as film:
            for picture in pictures:
                film.add(picture)
        make(folder, first)
        before = state(folder)
        parts = [folder / word if not word.startswith("--") else word for word in words.split()]
        out = [] if "--out" in words else ["--out", folder / "m"]
        for _ in range(2):
            status, text = run(["segment", *parts, *out, *engine])
            tally.tried += 1
            now, lines = state(folder), [line for line in text.splitlines() if line]
            tally.check(before.items() <= now.items(), f"{name}: a file was lost or changed")
            if said:
                tally.check(status == 2 and len(lines) == 1 and said in text, f"{name}: {status} {text[-200:]}")
                tally.check(now == before, f"{name}: refused, and something was written")
            else:
                tally.check(status == 0 and (folder / "m" / "00004.png").is_file(), f"{name}: {status} {text[-200:]}")
    return tally
