"""Training clips: sizes, labels that follow the object, sources that agree with their files."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vosedu.errors import InputError
from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.images import write_mask
from vosedu.training.clips import VOID, RenderedClips, Shot, VideoClips, fit
from vosedu.training.effects import bend, motion
from vosedu.training.stills import StillClips, annotated_stills, together

SIZE = (64, 112)


@pytest.fixture
def stills(tmp_path):
    """Three photographs of a bright red ellipse on dull blue noise, with YOLO polygons."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for n in range(3):
        image = rng.integers(0, 60, (90, 120, 3)).astype(np.uint8) + np.array([0, 0, 90], np.uint8)
        outline = cv2.ellipse2Poly((60 + 5 * n, 45), (24, 16), 30 * n, 0, 360, 10)
        cv2.fillPoly(image, [outline], (230, 30, 20))
        cv2.imwrite(str(tmp_path / "images" / f"p{n}.png"), image[..., ::-1])
        fractions = " ".join(f"{x / 120:.5f} {y / 90:.5f}" for x, y in outline)
        (tmp_path / "labels" / f"p{n}.txt").write_text(f"3 {fractions}\n")
    return tmp_path


def test_fit_covers_the_size_and_keeps_the_object():
    frame, mask = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    mask[80:95, 10:25] = 1
    frame[mask > 0] = 200
    shot = fit(Shot(frame, mask), (40, 80))
    assert shot.frame.shape == (40, 80, 3) and shot.mask.shape == (40, 80)
    assert 0.8 * 15 * 15 * 0.64 < shot.mask.sum() < 1.2 * 15 * 15 * 0.64
    assert shot.frame[shot.mask > 0].mean() > 180 and shot.frame[shot.mask == 0].mean() < 5


def test_bend_moves_image_and_mask_alike():
    rng = np.random.default_rng(1)
    mask = cv2.circle(np.zeros(SIZE, np.float32), (50, 30), 14, 1.0, -1)
    image = np.repeat(mask[..., None], 3, axis=2)
    moved, alpha = bend([image, mask], motion(mask, rng, 1.0), rng, 2.0)
    inside = np.s_[4:-4, 4:-4]  # at the border the image is reflected, the mask is not
    assert np.abs(moved[..., 0] - alpha)[inside].max() < 1e-5
    assert 0.3 * mask.sum() < alpha.sum() < 3 * mask.sum() and np.abs(alpha - mask).max() > 0.5


def test_still_clips_label_the_object(stills):
    clips = StillClips(stills, SIZE)
    assert len(clips) == 3 and len({clips.key(i) for i in range(3)}) == 3
    for index in range(3):
        for shot in (clips.reference(index), *(clips.draw(index, np.random.default_rng(s)) for s in range(6))):
            assert shot.frame.shape == (*SIZE, 3) and shot.frame.dtype == np.uint8
            assert shot.mask.shape == SIZE and set(np.unique(shot.mask)) <= {0, 1}
            if shot.mask.sum() > 30:
                core = cv2.erode(shot.mask, np.ones((5, 5), np.uint8)) > 0
                redness = shot.frame[..., 0].astype(float) - shot.frame[..., 2]
                if core.any():
                    assert redness[core].mean() > redness[shot.mask == 0].mean() + 30


def test_still_clips_are_a_function_of_the_seed(stills):
    a, b = (StillClips(stills, SIZE).draw(1, np.random.default_rng(5)) for _ in range(2))
    c = StillClips(stills, SIZE).draw(1, np.random.default_rng(6))
    assert np.array_equal(a.frame, b.frame) and np.array_equal(a.mask, b.mask)
    assert not np.array_equal(a.frame, c.frame)


def test_stills_without_polygons_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="polygons"):
        annotated_stills(tmp_path)


def test_video_clips_have_one_sequence_an_object(tmp_path):
    frames, masks = tmp_path / "JPEGImages" / "v", tmp_path / "Annotations" / "v"
    for folder in (frames, masks):
        folder.mkdir(parents=True)
    for t in range(4):
        labels = np.zeros((48, 84), np.uint8)
        labels[10:20, 10 + t : 30 + t], labels[30:40, 50:70] = 1, 2
        cv2.imwrite(str(frames / f"{t:05d}.jpg"), labels * 60)
        write_mask(masks / f"{t:05d}.png", labels)
    clips = VideoClips(datasets.load("folder", tmp_path), (48, 84))
    assert [clips.key(i) for i in range(len(clips))] == ["videos-v-1", "videos-v-2"]
    assert clips.later(0) == [1, 2, 3]
    assert np.array_equal(np.argwhere(clips.reference(0).mask)[0], [10, 10]) and clips.reference(1).mask.sum() == 200
    drawn = clips.draw(0, np.random.default_rng(0)).mask
    assert drawn.sum() == 200 and not np.array_equal(drawn, clips.reference(0).mask)


def test_outlined_photographs_are_stills(tmp_path):
    """A bright disk is found by GrabCut; noise without an object is left out; the result loads as stills."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    scene = rng.integers(40, 70, (160, 200, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in" / "flat.png"), np.full((160, 200, 3), 90, np.uint8))
    truth = cv2.circle(np.zeros((160, 200), np.uint8), (100, 80), 40, 1, -1)
    scene[truth > 0] = (30, 60, 220)
    cv2.imwrite(str(tmp_path / "in" / "disk.png"), scene)
    script = Path(__file__).parents[2] / "data" / "outline_photographs.py"
    run = subprocess.run([sys.executable, str(script), "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out")],
                         capture_output=True, text=True, check=True)
    assert "1 of 2 photographs" in run.stdout
    ((path, (mask,)),) = annotated_stills(tmp_path / "out")
    assert path.name == "disk.png" and jaccard(mask, truth) > 0.9


def rendered(root, videos=1, frames=3):
    """A folder as data/render_scenes.py writes it: one square that grows from frame to frame."""
    for v in range(videos):
        for t in range(frames):
            labels = np.zeros((48, 84), np.uint8)
            labels[10 : 22 + 6 * t, 20 : 34 + 6 * t] = 1
            for folder, image in (("JPEGImages", labels * 200), ("Annotations", labels)):
                (root / folder / "480p" / f"v{v}").mkdir(parents=True, exist_ok=True)
                if folder == "JPEGImages":
                    cv2.imwrite(str(root / folder / "480p" / f"v{v}" / f"{t:05d}.jpg"), image)
                else:
                    write_mask(root / folder / "480p" / f"v{v}" / f"{t:05d}.png", image)
    return root


def test_every_rendered_frame_is_a_reference_and_the_others_are_drawn(tmp_path):
    clips = RenderedClips(datasets.load("folder", rendered(tmp_path)), (48, 84))
    assert [clips.key(i) for i in range(len(clips))] == ["rendered-v0-1-0", "rendered-v0-1-1", "rendered-v0-1-2"]
    areas = [clips.reference(i).mask.sum() for i in range(3)]
    assert areas == [12 * 14, 18 * 20, 24 * 26] and clips.later(1) == [0, 2]
    shots = [clips.draw(1, np.random.default_rng(s)) for s in range(12)]
    for shot in shots:
        core = cv2.erode(shot.mask, np.ones((5, 5), np.uint8)) > 0
        far = cv2.dilate(shot.mask, np.ones((9, 9), np.uint8)) == 0
        assert shot.frame[core].mean() > shot.frame[far].mean() + 60
    assert len({int(shot.mask.sum()) for shot in shots}) > 6


def test_touching_objects_are_one_together():
    a, b, c = (np.zeros((60, 80), np.uint8) for _ in range(3))
    a[10:20, 10:20], b[20:34, 10:20], c[40:50, 60:70] = 1, 1, 1
    (union,) = together([a, b, c])
    assert np.array_equal(union, a | b)
    assert together([a, b], high=0.01) == []


def test_the_rim_of_a_rough_outline_is_void(stills):
    sharp, rough = (StillClips(stills, SIZE, rim=rim).draw(0, np.random.default_rng(3)) for rim in (0, 2))
    void = rough.mask == VOID
    assert np.array_equal(sharp.frame, rough.frame) and np.array_equal(sharp.mask[~void], rough.mask[~void])
    assert np.array_equal(void, cv2.dilate(sharp.mask, np.ones((5, 5))) > cv2.erode(sharp.mask, np.ones((5, 5))))


def test_some_references_hide_a_part_of_the_target(stills, monkeypatch):
    monkeypatch.setattr("vosedu.training.stills.HIDDEN", 1.0)
    clips = StillClips(stills, SIZE)
    shares = [clips.reference(i).mask.sum() / clips._still(i).mask.sum() for i in range(3)]
    assert any(0.3 < share < 0.8 for share in shares) and all(share <= 1 for share in shares)
