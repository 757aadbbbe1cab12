"""What users bring: odd videos, odd images, odd names, and files that mean harm."""

import os
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from helpers import QUICK, ROOM, assert_found, moving_shapes, save_frames
from PIL import Image

from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.files.films import OverlayWriter
from vosedu.files.frames import FrameSource
from vosedu.files.images import MAX_PIXELS, natural_key, read_image, read_mask, write_mask
from vosedu.weights import load_pretrained


def film(path, frames, fps=12.0):
    with OverlayWriter(path, fps, frames.shape[1:3]) as writer:
        for frame in frames:
            writer.add(frame)
    return path


def segment(folder, source, labels, *more):
    write_mask(folder / "first.png", labels)
    return main(["segment", str(source), "--masks", str(folder / "first.png"), "--out", str(folder / "m"), *QUICK,
                 *map(str, more)])





def test_a_turned_video_is_turned_back(tmp_path, capsys):
    """Phones write upright videos lying down, with a rotation in the track header (ISO 14496-12, tkhd)."""
    frames, labels = moving_shapes(4, ROOM)
    path = film(tmp_path / "v.mp4", frames)
    data = bytearray(path.read_bytes())
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, 0, 0x10000, 0, -0x10000, 0, 0, ROOM[0] << 16, 0, 0x40000000)
    path.write_bytes(data)
    source = FrameSource(path)
    assert source.size == ROOM[::-1]
    assert np.abs(list(source)[3][1].astype(int) - np.rot90(frames[3], -1)).mean() < 8
    assert segment(tmp_path, path, np.ascontiguousarray(np.rot90(labels[0], -1))) == 0
    assert_found([read_mask(tmp_path / "m" / f"{i:05d}.png") for i in (1, 2, 3)], np.rot90(labels[1:], -1, (1, 2)))


@pytest.mark.parametrize("said", [99999.0, 300.0])
def test_a_container_that_misreports_its_length(tmp_path, capsys, said):
    frames, labels = moving_shapes(12)
    path = film(tmp_path / "v.webm", frames)
    data = bytearray(path.read_bytes())
    struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, said)  # Duration of Matroska, milliseconds
    path.write_bytes(data)
    assert FrameSource(path).count != 12
    assert segment(tmp_path, path, labels[0], "--sheet", tmp_path / "s.png") == 0
    captured = capsys.readouterr()
    assert "12 could be decoded" in captured.err and captured.out.startswith("12 frames")
    assert len(list((tmp_path / "m").glob("*.png"))) == 12


def test_a_video_that_breaks_off_says_so(tmp_path, capsys):
    frames, labels = moving_shapes(40, step=2)
    path = film(tmp_path / "v.webm", frames)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert segment(tmp_path, path, labels[0]) == 0
    err = capsys.readouterr().err
    assert "the container says 40 frames" in err and "could be decoded" in err


def test_4k_is_shrunk_before_the_engine_sees_it(tmp_path):
    frames, labels = moving_shapes(2, size=(2160, 3840), step=60)
    save_frames(tmp_path / "clip", frames)
    assert segment(tmp_path, tmp_path / "clip", labels[0], "--short-side", 128) == 0
    assert_found([read_mask(tmp_path / "m" / "00001.png")], labels[1:], 0.6)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (32, 301), (123, 32)])
def test_small_and_odd_sizes(tmp_path, size):
    frames, labels = moving_shapes(3, size=size, radius=6, step=1)
    save_frames(tmp_path / "clip", frames)
    assert segment(tmp_path, tmp_path / "clip", labels[0], "--overlay", tmp_path / "o.mp4") == 0
    assert read_mask(tmp_path / "m" / "00002.png").shape == size
    assert FrameSource(tmp_path / "o.mp4").size == tuple(n // 2 * 2 for n in size)


def test_frames_of_every_kind_in_one_folder_with_an_awkward_name(tmp_path):
    """Grey, alpha, 16-bit and palette; not padded; stray files; spaces and other scripts in every path."""
    frames, labels = moving_shapes(12, ROOM, step=2)
    home = tmp_path / "мой ролик, été (1)"
    clip = save_frames(home / "кадры", frames[:8], [f"bild {n}.png" for n in range(1, 9)])
    Image.fromarray(frames[8]).convert("L").save(clip / "bild 9.png")
    Image.fromarray(frames[9]).convert("RGBA").save(clip / "bild 10.png")
    cv2.imencode(".png", frames[10].astype(np.uint16) * 257)[1].tofile(clip / "bild 11.png")
    Image.fromarray(frames[11]).convert("P").save(clip / "bild 12.png")
    (clip / "Thumbs.db").write_bytes(b"\0" * 9)
    (clip / ".DS_Store.png").write_bytes(b"\0" * 9)
    (clip / "folder.png").mkdir()
    assert segment(home, clip, labels[0], "--overlay", home / "überlagert 1.mp4", "--sheet", home / "блатт.png") == 0
    assert sorted((p.stem for p in (home / "m").glob("*.png")), key=natural_key) == [f"bild {n}" for n in range(1, 13)]
    colourless = (8, 10)  # the target is told by its colour: grey and 16-bit frames need only be read
    kept = [n for n in range(1, 12) if n not in colourless]
    assert_found([read_mask(home / "m" / f"bild {n + 1}.png") for n in kept], labels[kept])
    assert (home / "überlagert 1.mp4").is_file() and (home / "блатт.png").is_file()


@pytest.mark.parametrize("mode", ["LA", "I;16", "I", "F", "CMYK", "1", "RGBA", "P"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    grey = np.asarray(Image.fromarray(moving_shapes(1)[0][0]).convert("L"))
    deep = mode in ("I", "I;16")
    image = Image.fromarray(grey.astype(np.uint16) * 256) if deep else Image.fromarray(grey).convert(mode)
    path = tmp_path / "i.png"  # what it is is read from the file, not from its name
    image.convert("I" if mode == "I" else image.mode).save(path, "TIFF" if mode in ("I", "F", "CMYK") else "PNG")
    found = read_image(path)
    assert found.shape == (96, 128, 3) and found.dtype == np.uint8 and found.std() > 5


def test_natural_order_bears_every_digit():
    assert sorted(["a10", "a9", "a²", "a٣"], key=natural_key) == ["a٣", "a9", "a10", "a²"]


def test_two_frames_with_one_name_are_refused(tmp_path):
    frames, _ = moving_shapes(2)
    save_frames(tmp_path, frames, ["a.png", "a.jpg"])
    with pytest.raises(InputError, match=r"a\.\w+ and a\.\w+ would have the same mask file"):
        FrameSource(tmp_path)


def bomb(path, width, height):
    """A PNG of a few hundred bytes that declares any size; its pixels are missing, so decoding it would fail otherwise."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 99)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
    return path


@pytest.mark.parametrize("height", [MAX_PIXELS // 8000 + 1, 20000, 2**30])
def test_a_bomb_is_refused_by_its_size_alone(tmp_path, monkeypatch, height):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    path = bomb(tmp_path / "b.png", 8000, height)
    for read in (read_image, read_mask):
        with pytest.raises(InputError, match="pixels") as caught:
            read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class Trap:
    """Runs `call` with `arguments` when it is unpickled."""

    def __init__(self, call, *arguments):
        self.what = call, arguments

    def __reduce__(self):
        return self.what


def traps(marker):
    return {
        "open": Trap(open, str(marker), "w"), "exec": Trap(exec, f"open({str(marker)!r}, 'w')"),
        "system": Trap(os.system, f"echo > {marker}"), "eval": Trap(eval, f"open({str(marker)!r}, 'w')"),
        "mkdir": Trap(os.mkdir, str(marker)),
    }


@pytest.mark.parametrize("kind", traps(""))
@pytest.mark.parametrize("form", ["pickle", "zip", "inside"])
def test_pickles_that_run_code_are_inert(tmp_path, kind, form):
    """The same trap goes off under a plain unpickler, so it is armed; under ours it is refused and does nothing."""
    marker = tmp_path / "marker"
    trap = traps(marker)[kind]
    content = {"model": {"w": torch.zeros(2), "x": trap}} if form == "inside" else {"model": trap}
    path = tmp_path / "w.pth"
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=r"w\.pth") as caught:
        load_pretrained("compact", [path])
    assert "\n" not in str(caught.value) and not marker.exists()
    path.rename(tmp_path / "w.safetensors")
    with pytest.raises(InputError):
        load_pretrained("compact", [tmp_path / "w.safetensors"])
    assert not marker.exists()
    pickle.loads(pickle.dumps(trap))
    assert marker.exists()
