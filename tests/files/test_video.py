"""Frames in, masks and overlays out: formats, order, atomic writing, and every unusable input."""

import threading

import cv2
import numpy as np
import pytest
from helpers import moving_shapes, save_frames
from PIL import Image

from vosedu.errors import InputError
from vosedu.files.films import OverlayWriter
from vosedu.files.frames import FrameSource, working_size
from vosedu.files.images import DAVIS_PALETTE, check_first_mask, contact_sheet, overlay, read_image, read_mask, write_mask
from vosedu.files.threads import BackgroundWriter, prefetch
from vosedu.files.whole import atomic


def test_folder_in_natural_order_without_strays(tmp_path):
    frames, _ = moving_shapes(3)
    folder = save_frames(tmp_path / "Vidéo mit Lücke", frames, ["frame 10.png", "frame 9.png", "frame 1.png"])
    (folder / "notes.txt").write_text("stray")
    (folder / ".hidden.png").write_text("stray")
    source = FrameSource(folder)
    assert [name for name, _ in source] == ["frame 1", "frame 9", "frame 10"]
    assert source.count == 3 and source.size == (96, 128)
    assert np.array_equal(next(iter(source))[1], frames[2])


def test_video_file_round_trip(tmp_path):
    frames, _ = moving_shapes(12)
    path = tmp_path / "clip.mp4"
    with OverlayWriter(path, 12.0, (96, 128)) as writer:
        for frame in frames:
            writer.add(frame)
    source = FrameSource(path)
    found = list(source)
    assert [name for name, _ in found] == [f"{i:05d}" for i in range(12)]
    assert source.fps == pytest.approx(12) and source.count == 12
    assert np.abs(found[5][1].astype(int) - frames[5]).mean() < 8  # lossy, but the same picture and RGB order
    assert list(tmp_path.iterdir()) == [path]


def test_overlay_leaves_nothing_behind_when_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), OverlayWriter(tmp_path / "o.mp4", 24, (96, 128)) as writer:
        writer.add(np.zeros((96, 128, 3), np.uint8))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"\.mp4"):
        OverlayWriter(tmp_path / "o.avi", 24, (96, 128))


def test_frames_are_brought_to_the_short_side_and_keep_their_shape(tmp_path):
    frames, _ = moving_shapes(2)
    source = FrameSource(save_frames(tmp_path, frames), short_side=48)
    assert source.size == (96, 128) and source.working_size == (48, 64)
    assert next(iter(source))[1].shape == (48, 64, 3)
    large = next(iter(FrameSource(tmp_path, short_side=192)))[1]
    assert large.shape == (192, 256, 3)
    assert np.abs(cv2.resize(large, (128, 96), interpolation=cv2.INTER_AREA).astype(int) - frames[0]).mean() < 2


@pytest.mark.parametrize("size, expected", [
    ((480, 854), (360, 640)), ((1920, 1080), (640, 360)), ((120, 160), (360, 480)), ((360, 640), (360, 640)),
    ((100, 240), (267, 640)), ((300, 2000), (300, 2000)), ((720, 4000), (360, 2000)), ((32, 32), (360, 360)),
])
def test_working_size(size, expected):
    assert working_size(size, 360) == expected


@pytest.mark.parametrize("kind", ["grey", "alpha", "16 bit", "palette"])
def test_other_kinds_of_image_become_rgb(tmp_path, kind):
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) // 17
    path = tmp_path / "i.png"
    image = {
        "grey": lambda: Image.fromarray(grey.astype(np.uint8)),
        "alpha": lambda: Image.fromarray(np.dstack([grey.astype(np.uint8)] * 4)),
        "16 bit": lambda: Image.fromarray(grey * 256),
        "palette": lambda: Image.fromarray(grey.astype(np.uint8)).convert("P"),
    }[kind]()
    image.save(path)
    found = read_image(path)
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    assert np.abs(found[..., 0].astype(int) - grey).max() <= 1


def test_exif_rotation_is_honoured(tmp_path):
    image = Image.fromarray(moving_shapes(1)[0][0])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "r.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "r.jpg").shape == (128, 96, 3)


def bad_sources(tmp_path):
    frames, _ = moving_shapes(3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    save_frames(tmp_path / "sizes", [frames[0], frames[1][:90]])
    broken = save_frames(tmp_path / "broken", frames[:1], ["0.png"])
    cv2.imwrite(str(broken / "1.jpg"), np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    data = (broken / "1.jpg").read_bytes()
    (broken / "1.jpg").write_bytes(data[: len(data) // 2])
    save_frames(tmp_path / "tiny", [frames[0][:20]])
    return {"absent": "no such file", "empty": "no frames", "text.mp4": "not a video", "sizes": "one size",
            "broken": r"1\.jpg cannot be read", "tiny": "32x32"}


@pytest.mark.parametrize("name", ["absent", "empty", "text.mp4", "sizes", "broken", "tiny"])
def test_unusable_sources(tmp_path, name):
    expected = bad_sources(tmp_path)[name]
    with pytest.raises(InputError, match=expected) as caught:
        list(FrameSource(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_prefetch_passes_items_and_errors_and_ends_its_thread():
    assert list(prefetch(range(20))) == list(range(20))

    def failing():
        yield 1
        raise InputError("frame 2 is broken")

    with pytest.raises(InputError, match="frame 2"):
        list(prefetch(failing()))
    items = prefetch(iter(range(10**9)))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()
    assert not [t for t in threading.enumerate() if t.name == "vosedu-prefetch"]


def test_palette_begins_as_davis_has_it():
    assert DAVIS_PALETTE[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert DAVIS_PALETTE[8].tolist() == [64, 0, 0] and DAVIS_PALETTE[255].tolist() == [224, 224, 192]


def test_masks_round_trip_as_palette_png(tmp_path):
    labels = moving_shapes(1, objects=3)[1][0]
    write_mask(tmp_path / "m.png", labels)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P" and image.getpalette()[3:6] == [128, 0, 0]
    assert np.array_equal(read_mask(tmp_path / "m.png"), labels)
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


def test_0_and_255_mean_one_object(tmp_path):
    labels = moving_shapes(1)[1][0]
    Image.fromarray(labels * 255).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), labels)


@pytest.mark.parametrize("kind,words", [("rgb", "RGB"), ("smooth", "anti-aliased"), ("size", "size"), ("absent", "no mask"),
                                        ("text", "cannot be read")])
def test_unusable_masks(tmp_path, kind, words):
    labels, path = moving_shapes(1)[1][0], tmp_path / "m.png"
    if kind == "rgb":
        Image.fromarray(DAVIS_PALETTE[labels]).save(path)
    elif kind == "smooth":
        Image.fromarray(cv2.GaussianBlur(labels * 255, (5, 5), 1)).save(path)
    elif kind == "size":
        Image.fromarray(labels[:50]).save(path)
    elif kind == "text":
        path.write_text("no image")
    with pytest.raises(InputError, match=words):
        read_mask(path, (96, 128))


@pytest.mark.parametrize("kind,words", [("empty", "no object"), ("full", "no background"), ("few", "9 pixels")])
def test_masks_that_nothing_can_be_learned_from(kind, words):
    labels = np.zeros((50, 50), np.uint8)
    if kind == "full":
        labels[:] = 1
    if kind == "few":
        labels[:3, :3] = 2
    with pytest.raises(InputError, match=words):
        check_first_mask(labels, "first.png")


def test_atomic_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_background_writer_reports_errors():
    def fail():
        raise OSError(28, "No space left on device", "mask.png")

    with pytest.raises(InputError, match=r"mask\.png.*No space left"), BackgroundWriter() as writer:
        writer.submit(fail)


def test_overlay_and_contact_sheet():
    frames, labels = moving_shapes(5)
    picture = overlay(frames[0], labels[0])
    assert np.array_equal(picture[90:, 100:], frames[0][90:, 100:])
    inside = tuple(np.argwhere(labels[0])[len(np.argwhere(labels[0])) // 2])
    assert not np.array_equal(picture[inside], frames[0][inside])
    assert contact_sheet([picture] * 5, columns=4, width=64).shape == (96, 256, 3)
