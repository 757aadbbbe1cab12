"""Painter, studio and scene editor without a browser: strokes go in, labels and files come out."""

import base64
import io
import re
import zipfile
from datetime import datetime, timezone

import numpy as np
import pytest
from helpers import assert_found, moving_shapes
from PIL import Image

from vosedu.errors import InputError
from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.frames import FrameSource
from vosedu.files.images import image_files, read_mask, to_size, write_mask
from vosedu.teaching import your_own_video
from vosedu.teaching.painter import Painter, rasterise, snap
from vosedu.teaching.your_own_video import SceneEditor, Studio, download_link

EMPTY = np.zeros((60, 100), np.uint8)


def stroke(kind, points, i=1, radius=5):
    return {"kind": kind, "id": i, "radius": radius, "points": points}


def test_box_and_ellipse_fill_between_their_corners():
    box = rasterise([stroke("box", [[70, 40], [3, 3], [10, 20]])], EMPTY)
    assert box[20:41, 10:71].all() and box.sum() == 21 * 61
    ellipse = rasterise([stroke("ellipse", [[10, 10], [50, 30]], 7)], EMPTY)
    assert (ellipse == 7).sum() == pytest.approx(np.pi * 20.5 * 10.5, rel=0.03) and ellipse[20, 30] == 7
    assert ellipse[11, 11] == 0


def test_brush_is_round_follows_its_points_and_zero_erases():
    line = stroke("brush", [[20, 30], [80, 30]], 3, radius=6)
    painted = rasterise([line], EMPTY)
    assert (painted[25:36, 20:80] == 3).all() and painted[30, 15] == 3 and painted[30, 12] == 0 and painted[40].max() == 0
    assert rasterise([stroke("brush", [[50, 30]], 3, 6)], EMPTY).sum() / 3 == pytest.approx(np.pi * 36, rel=0.15)
    erased = rasterise([line, stroke("box", [[0, 0], [99, 59]], 0)], EMPTY)
    assert not erased.any() and painted.any()


def test_an_empty_stroke_is_nothing_and_a_strange_one_is_refused():
    assert not rasterise([stroke("brush", [])], EMPTY).any()
    for bad in (stroke("spray", [[1, 1]]), stroke("box", [[1, 1]], 300)):
        with pytest.raises(InputError, match="stroke"):
            rasterise([bad], EMPTY)


def test_snap_pulls_a_rough_box_to_the_object():
    scene = datasets.scene("huddle")
    frame, truth = next(iter(FrameSource(scene.frames)))[1], scene.labels(0) == 3
    ys, xs = np.nonzero(truth)
    rough = rasterise([stroke("ellipse", [[xs.min(), ys.min()], [xs.max(), ys.max()]], 3)], np.zeros(truth.shape, np.uint8))
    tidy = snap(frame, rough)
    assert set(np.unique(tidy)) == {0, 3}
    assert jaccard(tidy == 3, truth) > jaccard(rough == 3, truth) + 0.05


def test_snap_keeps_what_it_cannot_improve():
    labels = np.full((60, 100), 2, np.uint8)
    assert np.array_equal(snap(np.zeros((60, 100, 3), np.uint8), labels), labels)


def test_painter_shows_what_is_painted():
    frame = np.full((60, 100, 3), 90, np.uint8)
    painter = Painter(frame)
    before = painter.value
    painter.strokes = [stroke("box", [[10, 10], [40, 40]], 2)]
    assert painter.value != before and painter.size == (100, 60)
    assert (painter.labels == 2).sum() == 31 * 31
    painter.labels = EMPTY + 1
    assert painter.strokes == [] and painter.labels.all()
    with pytest.raises(InputError, match="mask"):
        painter.labels = np.zeros((3, 3), np.uint8)


@pytest.fixture()
def clip(tmp_path):
    frames, labels = moving_shapes(6, size=(96, 128))
    folder = tmp_path / "my clip"
    folder.mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k:03d}.png")
    return folder, frames, labels


def test_studio_from_painting_to_files(clip, tmp_path):
    folder, _, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    studio.buttons[1].click()
    assert "painting" in studio.note.value and studio.player is None, "an empty painting is refused, in words"
    assert studio.painter.labels.shape == (240, 320), "a small video is painted and segmented enlarged"
    studio.painter.labels = to_size(labels[0], (240, 320))
    studio.buttons[1].click()
    masks = image_files(tmp_path / "out" / "my clip-masks")
    assert [p.stem for p in masks] == [f"{k:03d}" for k in range(6)]
    assert np.array_equal(read_mask(masks[0]), labels[0])
    assert_found([read_mask(mask) for mask in masks[1:]], labels[1:])
    assert (tmp_path / "out" / "my clip-overlay.mp4").stat().st_size > 0
    assert np.array_equal(read_mask(tmp_path / "out" / "my clip-painted.png"), labels[0])
    assert len(studio.player.frames) == 5 and studio.bar.value == 6 and "6 frames" in studio.note.value
    links = dict(re.findall(r'download="([^"]+)" href="data:application/octet-stream;base64,([^"]+)"', studio.links.value))
    assert set(links) == {"my clip-masks.zip", "my clip-overlay.mp4"}
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(links["my clip-masks.zip"]))) as archive:
        assert archive.namelist() == [p.name for p in masks] and archive.read("000.png") == masks[0].read_bytes()
    assert base64.b64decode(links["my clip-overlay.mp4"]) == (tmp_path / "out" / "my clip-overlay.mp4").read_bytes()
    studio.short_side.value = 480
    assert studio.links.value == "", "a video that is opened anew has nothing to save yet"


def test_a_download_too_large_for_a_link_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(your_own_video, "LARGEST_LINK", 3)
    (tmp_path / "film.mp4").write_bytes(b"1234")
    assert "href" not in download_link("the film", [tmp_path / "film.mp4"])
    assert str(tmp_path) in download_link("the film", [tmp_path / "film.mp4"])


def test_studio_says_what_is_wrong_with_a_path_and_takes_an_uploaded_mask(clip, tmp_path):
    folder, _, labels = clip
    studio = Studio(folder, tmp_path / "out", device="cpu")
    studio.source.value = str(tmp_path / "nothing.mp4")
    assert "nothing.mp4" in studio.note.value and not studio.buttons[0].disabled
    studio.source.value = str(folder)
    write_mask(tmp_path / "m.png", labels[0])
    content = memoryview((tmp_path / "m.png").read_bytes())
    studio.upload.value = ({"name": "../../m.png", "type": "image/png", "size": len(content), "content": content,
                           "last_modified": datetime.now(timezone.utc)},)
    assert np.array_equal(studio.painter.labels, to_size(labels[0], (240, 320)))
    assert (tmp_path / "out" / "m.png").exists(), "the upload's name cannot lead out of the folder"


def test_scene_editor_clip_is_exact_and_its_controls_do_what_they_say(segmenter):
    editor = SceneEditor(segmenter, length=7, height=96)
    frames, masks = editor.clip()
    assert frames.shape == (7, 96, 171, 3) and masks.shape == (7, 96, 171) and len(editor.scores) == 6
    moved = [np.nonzero(m)[1].mean() for m in masks]
    assert np.all(np.diff(moved) > 5)
    far = frames[0][:, 120:]
    assert np.array_equal(far, editor.backdrop[:, 120:]) and not np.array_equal(frames[0], editor.backdrop)
    editor.cover.value = 1.5
    assert editor.clip()[1][3].sum() == 0 < editor.clip()[1][0].sum()
    editor.cover.value, editor.light.value = 0, 0.5
    assert editor.clip()[0][-1].mean() == pytest.approx(0.5 * frames[-1].mean(), rel=0.02)
    editor.light.value, editor.likeness.value = 1, 1
    twin = editor.clip()
    assert np.array_equal(twin[1], masks) and np.abs(twin[0].astype(int) - frames).max() > 60
    editor.run()
    assert editor.player is not None and f"{np.mean(editor.scores):.2f}" in editor.note.value
