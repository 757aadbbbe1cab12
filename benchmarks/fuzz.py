"""Damaged files of every kind that vosedu reads: what `python -m benchmarks.faults` feeds it."""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from vosedu import weights
from vosedu.commands import checkpoint, main, record
from vosedu.errors import InputError
from vosedu.evaluation import scoring
from vosedu.features import build_backbone
from vosedu.files import datasets, download, whole
from vosedu.files.films import OverlayWriter
from vosedu.files.frames import FrameSource
from vosedu.files.images import check_first_mask, read_image, read_mask
from vosedu.segmenter import Segmenter

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PROCESSES = multiprocessing.get_context(METHOD)
if METHOD == "forkserver":
    # so that kills fall into work, not into imports; the last three come with the first step of an optimiser and a curve
    COMMANDS = [f"vosedu.commands.{name}" for name in ("segment", "evaluate", "train")]
    PROCESSES.set_forkserver_preload([*COMMANDS, "torch._dynamo", "matplotlib.figure", "matplotlib.backends.backend_agg"])


@dataclass
class Tally:
    """One line of the summary."""

    part: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    note: str = ""

    def check(self, good: bool, what: str) -> bool:
        if not good:
            self.lost.append(what)
        return good


def disks(frames: int, size: int, objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Textured disks that move over a textured ground: RGB frames (T, H, W, 3), and the ids of the first."""
    rng = np.random.default_rng(0)

    def texture(colour: tuple[int, int, int]) -> np.ndarray:
        noise = cv2.resize(rng.normal(0, 30, (8, 8)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        return np.clip(np.array(colour) + noise[..., None], 0, 255).astype(np.uint8)

    ground, coats = texture((90, 120, 60)), [texture(c) for c in ((200, 60, 50), (40, 60, 210))[:objects]]
    pictures, first = np.repeat(ground[None], frames, axis=0), np.zeros((size, size), np.uint8)
    for t in range(frames):
        for n, coat in enumerate(coats):
            centre = (size // 4 + t * size // (2 * frames), size // 4 + n * size // 2)
            inside = cv2.circle(np.zeros((size, size), np.uint8), centre, size // 5, 1, -1) > 0
            pictures[t][inside] = coat[inside]
            if t == 0:
                first[inside] = n + 1
    return pictures, first


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, insert, blank, or double some of it."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(data) + 1)), int(np.exp(rng.uniform(0, np.log(200))))
        match rng.integers(6):
            case 0:
                for _ in range(8):
                    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8)) if data else 0
            case 1:
                data = data[: max(1, at)]
            case 2:
                data[at:at] = rng.bytes(length)
            case 3:
                data[at : at + length] = b"\0" * len(data[at : at + length])
            case 4:
                data[at : at + length] = b"\xff" * len(data[at : at + length])
            case 5:
                data[at:at] = data[at : at + length]
    return bytes(data)


ODD = (None, True, -1, 0, 1e308, float("nan"), 2**70, "", "x", "../..", "\0", [], [[]], {}, {"a": 1}, "-1", "--help")


def distort(content: bytes, rng: np.random.Generator) -> bytes:
    """Valid JSON of another shape: values replaced or left out; or damaged as bytes."""
    if rng.random() < 0.4:
        return damage(content, rng)
    tree = json.loads(content)
    for _ in range(rng.integers(1, 4)):
        node = tree
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = keys[int(rng.integers(len(keys)))]
            if isinstance(node[key], dict | list) and len(node[key]) and rng.random() < 0.7:
                node = node[key]
                continue
            if rng.random() < 0.2:
                del node[key]
            else:
                node[key] = ODD[int(rng.integers(len(ODD)))]
            break
    return json.dumps(tree).encode()


def one_line(words: list) -> None:
    """A command must answer with status 0, or 2 and one line; as `InputError` it comes out here."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        status = main([str(w) for w in words])
    if status != 0:
        line = said.getvalue()
        assert status == 2 and line.startswith("vosedu: ") and line.count("\n") == 1, line
        raise InputError(line.strip())


def fuzz_targets(home: Path) -> dict[str, tuple[str, bytes, Callable, Callable]]:
    """Kind of file -> its name, a good one, what damages it, what reads it. Made alike in every process."""
    pictures, first = disks(6, size=64, objects=2)
    folder = home / "good"
    folder.mkdir(exist_ok=True)
    for ending in ("jpg", "bmp", "webp"):
        cv2.imwrite(str(folder / f"i.{ending}"), pictures[0])
    for ending in ("mp4", "webm"):
        with OverlayWriter(folder / f"v.{ending}", 12, (64, 64)) as film:
            for picture in pictures:
                film.add(picture)
    tensors = {f"refinement.{k}": torch.arange(40.0).reshape(5, 8) for k in "abc"}
    save_file(tensors, folder / "w.safetensors", {"backbone": "compact", "readout": "[1, 2]"})
    torch.save(tensors, folder / "w.pth")
    notes = whole.read_json(home / "segment-whole" / "m" / record.NAME) | {"input": str(home / "gone")}
    sequence = datasets.load("davis2017", home)[0]
    scores = (home / "evaluate-whole" / "r" / f"{sequence.name}.json").read_bytes()
    settings = (home / "evaluate-whole" / "r" / "settings.json").read_bytes()
    meta = {"videos": {"a": {"objects": {"1": {"category": "cat", "frames": ["00000"]}}}}}
    segmenter = Segmenter(build_backbone("compact"), device="cpu")
    state = segmenter.start(pictures[0], first).state()
    save_file(state, folder / "checkpoint.safetensors", {"notes": json.dumps({"seconds": 1.0, "stages": {"x": 1.0}})})
    clip = FrameSource(home / "clip")

    def packed() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted((home / "JPEGImages").rglob("*.jpg")) + sorted((home / "Annotations").rglob("*.png")):
                file.write(path, Path("DAVIS") / path.relative_to(home))
        return buffer.getvalue()

    def unpack(path: Path) -> None:
        out = path.parent / "unpacked"
        try:
            download.unpack(path, out, 3, quiet=True)
        finally:
            assert sorted(p.name for p in path.parent.iterdir()) in ([path.name], sorted([path.name, "unpacked"])), "half"
            shutil.rmtree(out, ignore_errors=True)

    def frames(path: Path) -> None:
        for _ in zip(range(30), FrameSource(path), strict=False):
            pass

    def mask(path: Path) -> None:
        check_first_mask(read_mask(path), path)

    def resume(path: Path) -> None:
        checkpoint.Checkpoint(path.parent).load(segmenter, clip)

    def restore(path: Path) -> None:
        scoring.resumable_sequence(None, sequence, path.parent, 0)

    def begin(path: Path) -> None:
        planned = record.Run(**notes)
        planned.taken_up(path.parent, clip).elsewhere(planned)

    def claim(path: Path) -> None:
        scoring.claim(path.parent, json.loads(settings))

    def ytvos(path: Path) -> None:
        for part in ("JPEGImages", "Annotations"):
            (path.parent / part / "a").mkdir(parents=True, exist_ok=True)
        (path.parent.parent / "train").mkdir(exist_ok=True)
        (path.parent.parent / "train" / "meta.json").write_text(json.dumps(meta))
        datasets.load("ytvos", path.parent.parent, path.parent.name)

    def listed(path: Path) -> None:
        for part in ("JPEGImages", "Annotations"):
            (path.parents[2] / part / "480p" / "one").mkdir(parents=True, exist_ok=True)
        datasets.load("davis2017", path.parents[2])

    image, good = read_image, {p.name: p.read_bytes() for p in folder.iterdir()}
    return {
        "PNG frame": ("i.png", (home / "clip" / "00000.png").read_bytes(), damage, image),
        "JPEG frame": ("i.jpg", good["i.jpg"], damage, image), "BMP frame": ("i.bmp", good["i.bmp"], damage, image),
        "WebP frame": ("i.webp", good["i.webp"], damage, image),
        "mask": ("m.png", (home / "first.png").read_bytes(), damage, mask),
        "MP4 video": ("v.mp4", good["v.mp4"], damage, frames), "WebM video": ("v.webm", good["v.webm"], damage, frames),
        "safetensors": ("w.safetensors", good["w.safetensors"], damage, lambda p: weights.load_pretrained("compact", [p])),
        "pickle": ("w.pth", good["w.pth"], damage, lambda p: weights.load_pretrained("compact", [p])),
        "checkpoint": ("checkpoint.safetensors", good["checkpoint.safetensors"], damage, resume),
        "run.json": ("run.json", json.dumps(notes).encode(), distort, lambda p: one_line(["segment", "--from", p])),
        "run.json in --out": ("run.json", json.dumps(notes).encode(), distort, begin),
        "scores": (f"{sequence.name}.json", scores, distort, restore),
        "settings.json": ("settings.json", settings, distort, claim),
        "meta.json": ("meta.json", json.dumps(meta).encode(), distort, ytvos),
        "ImageSets list": ("ImageSets/2017/val.txt", b"one\ntwo\n", damage, listed),
        "archive": ("d.zip", packed(), damage, unpack),
    }


def fuzz_child(pipe, home: Path, start: int, cases: int, seed: int) -> None:
    """Cases from `start` on; sends the number and kind of each before, and its outcome after it."""
    torch.set_num_threads(1)
    targets = fuzz_targets(home)
    kinds = list(targets)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the codecs' own complaints
    for case in range(start, cases):
        kind = kinds[case % len(kinds)]
        name, content, spoil, read = targets[kind]
        pipe.send((case, kind, None))
        with tempfile.TemporaryDirectory(dir=home) as folder:
            path = Path(folder) / "spoilt" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(spoil(content, np.random.default_rng((seed, case))))
            try:
                read(path)
                outcome = "read"
            except InputError as error:
                outcome = "refused" if "\n" not in str(error) else f"more than a line: {error}"
            except BaseException as error:
                outcome = f"{type(error).__name__}: {error}"
        pipe.send((case, kind, outcome))
    pipe.send((cases, "", "end"))


def fuzz(home: Path, cases: int, seed: int) -> Tally:
    """Damaged files: each is read or refused in one line; no other exception, no crash, no hang of a minute."""
    tally, case, counts = Tally("damaged files"), 0, {"read": 0, "refused": 0}
    while case < cases:
        pipe, end = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=fuzz_child, args=(end, home, case, cases, seed), daemon=True)
        process.start()
        end.close()
        kind, outcome = "start", None
        try:
            while outcome != "end":
                if not pipe.poll(60):
                    raise EOFError
                case, kind, outcome = pipe.recv()
                if outcome in counts:
                    counts[outcome] += 1
                elif outcome not in (None, "end"):
                    tally.lost.append(f"{kind}, case {case}: {outcome}")
        except EOFError:
            tally.lost.append(f"{kind}, case {case}: the process died or hung")
            case += 1
        process.kill()
        process.join()
    tally.tried, tally.note = cases, f"{counts['read']} read all the same, {counts['refused']} refused in one line"
    return tally


