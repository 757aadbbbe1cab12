"""Frames of folders and video files: order, names, where to begin, and every unusable input."""

import cv2
import numpy as np
import pytest
from helpers import moving_shapes, save_frames

from vosedu.errors import InputError
from vosedu.files.films import OverlayWriter
from vosedu.files.frames import FrameSource


@pytest.fixture
def film(tmp_path):
    """A video file of twelve frames, and those frames."""
    frames, _ = moving_shapes(12)
    path = tmp_path / "clip.mp4"
    with OverlayWriter(path, 12.0, (96, 128)) as writer:
        for frame in frames:
            writer.add(frame)
    return path, frames


def test_folder_in_natural_order_without_strays(tmp_path):
    frames, _ = moving_shapes(3)
    folder = save_frames(tmp_path / "Vidéo mit Lücke", frames, ["frame 10.png", "frame 9.png", "frame 1.png"])
    (folder / "notes.txt").write_text("stray")
    (folder / ".hidden.png").write_text("stray")
    source = FrameSource(folder)
    found = list(source)
    assert [name for name, _ in found] == ["frame 1", "frame 9", "frame 10"]
    assert source.count == 3 and source.size == (96, 128) and source.fps == 24 and not source.is_video
    assert all(np.array_equal(picture, frames[n]) for (_, picture), n in zip(found, (2, 1, 0), strict=True))
    assert [name for name, _ in source] == ["frame 1", "frame 9", "frame 10"]  # it can be iterated again


def test_video_file_round_trip(film):
    path, frames = film
    source = FrameSource(path)
    found = list(source)
    assert [name for name, _ in found] == [f"{i:05d}" for i in range(12)]
    assert source.fps == pytest.approx(12) and source.count == 12 and source.size == (96, 128) and source.is_video
    for (_, picture), frame in zip(found, frames, strict=True):
        assert np.abs(picture.astype(int) - frame).mean() < 8  # lossy, but the same picture and RGB order
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["folder", "film"])
@pytest.mark.parametrize("start", [1, 5, 11, 12])
def test_whole_begins_where_it_is_told(tmp_path, film, kind, start):
    source = FrameSource(film[0] if kind == "film" else save_frames(tmp_path / "f", film[1]))
    everything, rest = list(source.whole()), list(source.whole(start))
    assert len(everything) == 12 and [name for name, _ in rest] == [f"{i:05d}" for i in range(start, 12)]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(everything[start:], rest, strict=True))


def bad_sources(tmp_path):
    frames, _ = moving_shapes(3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    save_frames(tmp_path / "sizes", [frames[0], frames[1][:90]])
    save_frames(tmp_path / "twins", frames[:2], ["a.png", "A.jpg"])
    broken = save_frames(tmp_path / "broken", frames[:1], ["0.png"])
    cv2.imwrite(str(broken / "1.jpg"), np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    data = (broken / "1.jpg").read_bytes()
    (broken / "1.jpg").write_bytes(data[: len(data) // 2])
    save_frames(tmp_path / "tiny", [frames[0][:31]])
    return {"absent": "no such file", "empty": "no frames", "text.mp4": "not a video",
            "sizes": "frame 00001 is 128x90, the first 128x96", "broken": r"1\.jpg cannot be read", "tiny": "128x31, and 32x32",
            "twins": "would have the same mask file"}


@pytest.mark.parametrize("name", ["absent", "empty", "text.mp4", "sizes", "broken", "tiny", "twins"])
def test_unusable_sources(tmp_path, name):
    expected = bad_sources(tmp_path)[name]
    with pytest.raises(InputError, match=expected) as caught:
        list(FrameSource(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_32_rows_are_enough(tmp_path):
    assert FrameSource(save_frames(tmp_path, [moving_shapes(1)[0][0][:32]])).size == (32, 128)


def test_names_are_those_of_the_files_and_numbers_in_a_film(film, tmp_path):
    path, frames = film
    assert FrameSource(path).names(3) == ["00000", "00001", "00002"]
    assert FrameSource(save_frames(tmp_path / "f", frames[:3], ["b9.png", "b10.png", "a.png"])).names(2) == ["a", "b9"]
