"""Clips from videos: sizes, labels that follow the object, references, lists of names."""

import cv2
import numpy as np
import pytest

from vosedu.errors import InputError
from vosedu.files import datasets
from vosedu.files.images import write_mask
from vosedu.training import clips as module
from vosedu.training.clips import AnyFrameClips, VideoClips, fit, folder_and_names
from vosedu.training.shots import VOID, Shot

SIZE = (48, 84)


def annotated(root, videos=("v0",), frames=3, layer="480p"):
    """A folder in DAVIS layout. A corner-shaped object, bright red on blue, grows from frame to frame on the left."""
    for video in videos:
        for t in range(frames):
            labels = np.zeros(SIZE, np.uint8)
            labels[10 : 22 + 6 * t, 20:24], labels[18 + 6 * t : 22 + 6 * t, 20 : 34 + 6 * t] = 1, 1
            image = np.where(labels[..., None] > 0, (230, 30, 20), (20, 30, 120)).astype(np.uint8)
            image_file, mask_file = (root / folder / layer / video / f"{t:05d}" for folder in ("JPEGImages", "Annotations"))
            for file in (image_file, mask_file):
                file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(image_file) + ".png", image[..., ::-1])
            write_mask(mask_file.with_suffix(".png"), labels)
    return root


def test_fit_covers_the_size_and_keeps_the_object():
    frame, mask = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    mask[80:95, 10:25] = 1
    frame[mask > 0] = 200
    shot = fit(Shot(frame, mask), (40, 80))
    assert shot.frame.shape == (40, 80, 3) and shot.mask.shape == (40, 80)
    assert 0.8 * 15 * 15 * 0.64 < shot.mask.sum() < 1.2 * 15 * 15 * 0.64
    assert shot.frame[shot.mask > 0].mean() > 180 and shot.frame[shot.mask == 0].mean() < 5


@pytest.mark.parametrize(("given", "size", "box"), [
    ((480, 854), (240, 432), (100, 260, 500, 560)),  # DAVIS at 480p for training: scale 0.506
    ((480, 600), (240, 432), (20, 130, 30, 80)),  # 0.72: by the warp alone, and the rows at the bottom are cut off
    ((600, 400), (96, 176), (420, 580, 100, 180)),  # 0.44: the rows at the top are cut off
    ((100, 120), (96, 176), (40, 60, 30, 70)),  # 1.47: rows on both sides are cut off
])
def test_fit_scales_once_and_cuts_where_geometry_says(given, size, box):
    """A box goes to the corners that hand calculation gives; a ramp of brightness tells where each pixel came from."""
    (height, width), (top, bottom, left, right) = given, box
    mask = np.zeros(given, np.uint8)
    mask[top:bottom, left:right] = 1
    frame = np.zeros((*given, 3), np.float32)
    frame[..., 0] = 40 + 160 * np.arange(width) / width
    frame[..., 1] = 40 + 160 * np.arange(height)[:, None] / height
    shot = fit(Shot(frame.round().astype(np.uint8), mask), size)
    scale = max(size[0] / height, size[1] / width)
    cut = []  # pixels taken off in front, down and across
    for middle, wanted, whole in zip(((top + bottom) / 2, (left + right) / 2), size, given, strict=True):
        cut.append(min(max(scale * middle - wanted / 2, 0), scale * whole - wanted))
    rows, columns = np.nonzero(shot.mask)
    found = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    edges = (0, top), (0, bottom), (1, left), (1, right)
    expected = [min(max(scale * edge - cut[axis], 0), size[axis]) for axis, edge in edges]
    assert np.abs(np.subtract(found, expected)).max() <= 1
    assert shot.mask.sum() == (found[1] - found[0]) * (found[3] - found[2])
    across = 40 + 160 * ((np.arange(size[1]) + cut[1]) / scale) / width
    down = 40 + 160 * ((np.arange(size[0]) + cut[0]) / scale) / height
    assert np.abs(shot.frame[..., 0] - across).max() < 2 and np.abs(shot.frame[..., 1] - down[:, None]).max() < 2


def test_fit_does_not_alias_and_keeps_void():
    stripes = np.zeros((480, 854, 3), np.uint8)
    stripes[:, ::2] = 200
    mask = np.zeros((480, 854), np.uint8)
    mask[100:200, 300:400], mask[100:200, 400:500] = 1, VOID
    shot = fit(Shot(stripes, mask), (240, 432))
    assert shot.frame.std() < 15 and abs(shot.frame.mean() - 100) < 3
    ids, counts = np.unique(shot.mask, return_counts=True)
    assert ids.tolist() == [0, 1, VOID] and counts[1] == pytest.approx(counts[2], rel=0.03)
    larger = fit(Shot(stripes[:200, :300], mask[:200, 100:400]), (300, 450))
    assert np.unique(larger.mask).tolist() == [0, 1] and larger.mask.sum() == pytest.approx(100 * 100 * 1.5**2, rel=0.03)
    mask[150, 350] = VOID
    assert np.unique(fit(Shot(stripes[100:200, 300:450], mask[100:200, 300:450]), (220, 330)).mask).tolist() == [1, VOID]


def test_video_clips_have_one_sequence_per_object(tmp_path):
    frames, masks = tmp_path / "JPEGImages" / "v", tmp_path / "Annotations" / "v"
    for folder in (frames, masks):
        folder.mkdir(parents=True)
    for t in range(4):
        labels = np.zeros(SIZE, np.uint8)
        labels[10:20, 10 + t : 30 + t], labels[30:40, 50:70] = 1, 2
        cv2.imwrite(str(frames / f"{t:05d}.jpg"), labels * 60)
        if t != 2:
            write_mask(masks / f"{t:05d}.png", labels)
    clips = VideoClips(datasets.load("folder", tmp_path), SIZE)
    assert [clips.key(i) for i in range(len(clips))] == ["videos-v-1", "videos-v-2"]
    assert [clips.scene(i) for i in range(len(clips))] == ["v", "v"]
    assert clips.others(0) == [1, 3]
    assert np.array_equal(np.argwhere(clips.reference(0).mask)[0], [10, 10]) and clips.reference(1).mask.sum() == 200
    lefts = {int(np.argwhere(clips.draw(0, np.random.default_rng(s)).mask)[0, 1]) for s in range(12)}
    assert lefts == {11, 13}


def test_any_frame_is_a_reference_and_those_before_and_after_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1)
    monkeypatch.setattr(module, "NEARER", 1.0)
    clips = AnyFrameClips(datasets.load("folder", annotated(tmp_path)), SIZE, "rendered")
    assert [clips.key(i) for i in range(len(clips))] == ["rendered-v0-1-0", "rendered-v0-1-1", "rendered-v0-1-2"]
    areas = [clips.reference(i).mask.sum() for i in range(3)]
    assert areas == [12 * 4 + 4 * 10, 18 * 4 + 4 * 16, 24 * 4 + 4 * 22] and clips.others(1) == [0, 2]
    assert len({int(clips.draw(1, np.random.default_rng(s)).mask.sum()) for s in range(12)}) > 6


def test_frames_with_little_of_an_object_are_no_reference(tmp_path, monkeypatch):
    root = annotated(tmp_path, frames=4)
    covered = [(12 * 4 + 4 * 10 + t * 6 * 8) / (48 * 84) for t in range(4)]
    monkeypatch.setattr(module, "SIGHT", (covered[1] + covered[2]) / 2)
    clips = AnyFrameClips(datasets.load("folder", root), SIZE)
    assert [clips.key(i) for i in range(len(clips))] == ["videos-v0-1-2", "videos-v0-1-3"]
    assert clips.others(0) == [0, 1, 3]


def test_labels_of_drawn_frames_are_where_the_object_is(tmp_path, monkeypatch):
    """By colour, which light and camera leave as it is here: also in frames that are mirrored and bent."""
    monkeypatch.setattr(module, "WHOLE", 1)
    monkeypatch.setattr(module, "NEARER", 1.0)
    monkeypatch.setattr(module, "recolour", lambda frame, rng, strength: frame)
    monkeypatch.setattr(module, "camera", lambda frame, rng: frame)
    clips = AnyFrameClips(datasets.load("folder", annotated(tmp_path)), SIZE)
    sides = set()
    for s in range(30):
        frame, mask = clips.draw(2, np.random.default_rng(s))
        red = frame[..., 0].astype(int) > 125
        assert (red & (mask > 0)).sum() > 0.85 * (red | (mask > 0)).sum()
        sides.add(np.argwhere(mask)[:, 1].mean() > 42)
    assert sides == {False, True}


def test_most_sequences_see_a_small_target_through_a_window(tmp_path, monkeypatch):
    """The object covers 88 to 184 of 4032 pixels, and 6 % of a window are 242: but the box may have half of the window."""
    monkeypatch.setattr(module, "recolour", lambda frame, rng, strength: frame)
    monkeypatch.setattr(module, "camera", lambda frame, rng: frame)
    monkeypatch.setattr(module, "SIGHT", 0.0)
    monkeypatch.setattr(module, "NEARER", 1.0)
    clips = AnyFrameClips(datasets.load("folder", annotated(tmp_path)), SIZE)
    given = [12 * 4 + 4 * 10, 18 * 4 + 4 * 16, 24 * 4 + 4 * 22]
    heights = [12, 18, 24]
    zooms = [min(np.sqrt(0.06 * 48 * 84 / area), 24 / height) for area, height in zip(given, heights, strict=True)]
    for index in range(3):
        zoom = zooms[index] if index % module.WHOLE and zooms[index] > 1.1 else 1.0
        assert clips.reference(index).mask.sum() == pytest.approx(zoom**2 * given[index], rel=0.12)
    # drawn: window and frame are cut alike, and no two windows of one frame are at the same place
    clips.others = lambda index: [0]
    shots = [clips.draw(1, np.random.default_rng(s)) for s in range(20)]
    assert len({tuple(np.argwhere(shot.mask)[0]) for shot in shots}) > 10
    assert np.mean([shot.mask.sum() for shot in shots]) > 1.6 * given[0]
    for frame, mask in shots:  # by colour; an object four pixels wide is mostly rim
        red = frame[..., 0].astype(int) > 125
        assert (red & (mask > 0)).sum() > 0.75 * (red | (mask > 0)).sum()


def test_each_sequence_comes_nearer_by_a_factor_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SIGHT", 0.0)
    root, factors = annotated(tmp_path, frames=9), []
    whole = VideoClips(datasets.load("folder", root), SIZE)
    clips = AnyFrameClips(datasets.load("folder", root), SIZE)
    for index in range(0, 9, module.WHOLE):  # those that look at whole frames
        shot, before = clips.reference(index), whole.shot(0, index)
        factors.append(np.sqrt(shot.mask.sum() / before.mask.sum()))
        assert np.ptp(np.argwhere(shot.mask)[:, 0]) < 0.85 * SIZE[0]
        assert np.array_equal(shot.frame, clips.reference(index).frame)
    assert all(0.95 < f < 1.8 for f in factors) and np.ptp(factors) > 0.05


def test_a_list_of_names_stands_for_its_videos(tmp_path):
    root = annotated(tmp_path / "d", videos=("cat", "dog", "elk"))
    lists = root / "ImageSets" / "480p"
    lists.mkdir(parents=True)
    (lists / "fit.txt").write_text("elk\ncat\n")
    assert folder_and_names(root) == (root, [])
    found, names = folder_and_names(lists / "fit.txt")
    assert found.samefile(root) and names == ["elk", "cat"]
    (lists / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="names no video"):
        folder_and_names(lists / "empty.txt")
    (tmp_path / "fit.txt").write_text("cat\n")
    with pytest.raises(InputError, match="is a file"):
        folder_and_names(tmp_path / "fit.txt")
