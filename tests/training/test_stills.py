"""Clips from photographs: masks from two kinds of file, and labels that are where the target is seen."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vosedu.errors import InputError
from vosedu.evaluation.metrics import jaccard
from vosedu.files.images import write_mask
from vosedu.training import stills as module
from vosedu.training.shots import VOID
from vosedu.training.stills import StillClips, annotated_stills, instances, polygons, together

SIZE = (64, 112)
RED, BLUE, GREEN = (230, 30, 20), (20, 30, 120), (20, 200, 40)


def corner(n, size=(90, 120)):
    """An L, of which no mirror image or turn is itself; each photograph has it elsewhere."""
    mask = np.zeros(size, np.uint8)
    mask[20 + 4 * n : 65 + 4 * n, 20 + 6 * n : 36 + 6 * n] = 1
    mask[50 + 4 * n : 65 + 4 * n, 20 + 6 * n : 62 + 6 * n] = 1
    return mask


def photographs(root, masks=True, count=3):
    """Photographs of a red L on blue that is brighter on the left, with PNGs or with YOLO polygons."""
    for folder in ("images", "masks" if masks else "labels"):
        (root / folder).mkdir(parents=True)
    for n in range(count):
        mask = corner(n)
        ground = np.array(BLUE) + np.linspace(60, 0, mask.shape[1])[None, :, None]
        image = np.where(mask[..., None] > 0, RED, ground).astype(np.uint8)
        cv2.imwrite(str(root / "images" / f"p{n}.png"), image[..., ::-1])
        if masks:
            write_mask(root / "masks" / f"p{n}.png", mask)
        else:
            (outline,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            fractions = " ".join(f"{x / mask.shape[1]:.5f} {y / mask.shape[0]:.5f}" for x, y in outline[:, 0])
            (root / "labels" / f"p{n}.txt").write_text(f"3 {fractions}\n")
    return root


@pytest.fixture
def clips(tmp_path):
    return StillClips(photographs(tmp_path), SIZE)


@pytest.fixture
def plain(monkeypatch):
    """Light, camera, motion and displacement change nothing, so that colours tell what is seen."""
    monkeypatch.setattr(module, "recolour", lambda frame, rng, strength: frame)
    monkeypatch.setattr(module, "shade", lambda frame, rng: frame)
    monkeypatch.setattr(module, "camera", lambda frame, rng: frame)
    monkeypatch.setattr(module, "motion", lambda mask, rng, reach: np.eye(2, 3))
    monkeypatch.setattr(module, "bend", lambda images, matrix, rng, amplitude: [image.copy() for image in images])


def stranger(monkeypatch, window):
    """The only stranger is a green block."""
    alpha = np.zeros(SIZE, np.float32)
    alpha[window] = 1
    colours = np.broadcast_to(np.array(GREEN, np.float32) / 255, (*SIZE, 3))
    monkeypatch.setattr(StillClips, "_stranger", lambda self, rng: (colours, alpha))
    return alpha > 0


def is_red(frame):
    return frame[..., 0].astype(int) - frame[..., 2] > 40


def is_green(frame):
    return frame[..., 1].astype(int) - frame[..., 0] > 90


@pytest.mark.parametrize("masks", [True, False])
def test_labels_are_where_the_target_is_seen(tmp_path, monkeypatch, masks):
    """Under motion, mirroring and composition, with PNGs and with polygons. Now and then something else is red too: another
    photograph as the background, or what the edge of the picture mirrors."""
    monkeypatch.setattr(module, "recolour", lambda frame, rng, strength: frame)
    monkeypatch.setattr(module, "shade", lambda frame, rng: frame)
    monkeypatch.setattr(module, "camera", lambda frame, rng: frame)
    stranger(monkeypatch, np.s_[:20, 60:])
    clips = StillClips(photographs(tmp_path, masks), SIZE)
    assert [clips.key(i) for i in range(len(clips))] == ["stills-p0-0", "stills-p1-0", "stills-p2-0"]
    assert [clips.scene(i) for i in range(len(clips))] == ["p0", "p1", "p2"]
    alike = []
    for index in range(3):
        for shot in (clips.reference(index), *(clips.draw(index, np.random.default_rng(s)) for s in range(12))):
            assert shot.frame.shape == (*SIZE, 3) and shot.frame.dtype == np.uint8
            assert shot.mask.shape == SIZE and set(np.unique(shot.mask)) <= {0, 1}
            core = cv2.erode(shot.mask, np.ones((5, 5), np.uint8)) > 0
            assert is_red(shot.frame)[core].all()
            alike.append(jaccard(is_red(shot.frame), shot.mask) > 0.8)
    assert np.mean(alike) > 0.8


def test_a_mirrored_frame_has_its_mask_and_its_background_mirrored(clips, plain, monkeypatch):
    stranger(monkeypatch, np.s_[:0])
    monkeypatch.setattr(module, "OCCLUDED", 0.0)
    still = clips.still(0)
    for alone in (1.0, 0.0):
        monkeypatch.setattr(module, "ALONE", alone)
        monkeypatch.setattr(module, "MIRRORED", 1.0)
        frame, mask = clips.draw(0, np.random.default_rng(0))
        assert np.array_equal(mask, still.mask[:, ::-1])
        assert jaccard(is_red(frame), mask) > 0.9
        assert frame[:8, -20:].mean() > frame[:8, :20].mean() + 10, "the bright side is on the right now"
        monkeypatch.setattr(module, "MIRRORED", 0.0)
        frame, mask = clips.draw(0, np.random.default_rng(0))
        assert np.array_equal(mask, still.mask) and frame[:8, -20:].mean() < frame[:8, :20].mean() - 10


def test_what_is_before_the_target_is_not_the_target(clips, plain, monkeypatch):
    monkeypatch.setattr(module, "ALONE", 0.0)
    monkeypatch.setattr(module, "OCCLUDED", 1.0)
    rows, _ = np.nonzero(clips.still(0).mask)
    block = stranger(monkeypatch, np.s_[int(rows.mean()) :, :])
    for seed in range(4):
        frame, mask = clips.draw(0, np.random.default_rng(seed))
        assert is_green(frame)[block].all() and not mask[block].any()
        assert jaccard(is_red(frame), mask) > 0.9 and mask.sum() > 100


def test_what_is_under_the_target_does_not_hide_it(clips, plain, monkeypatch):
    monkeypatch.setattr(module, "ALONE", 0.0)
    monkeypatch.setattr(module, "OCCLUDED", 0.0)
    monkeypatch.setattr(module, "MIRRORED", 0.0)
    still, block = clips.still(0), stranger(monkeypatch, np.s_[:, :80])
    seen = 0
    for seed in range(8):
        frame, mask = clips.draw(0, np.random.default_rng(seed))
        assert np.array_equal(mask, still.mask) and jaccard(is_red(frame), mask) > 0.9
        far = cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0
        seen += is_green(frame)[block & far].all()
    assert 0 < seen < 8


def test_some_references_hide_a_part_of_the_target(clips, monkeypatch):
    monkeypatch.setattr(module, "HIDDEN", 1.0)
    rows, _ = np.nonzero(clips.still(0).mask)
    block = stranger(monkeypatch, np.s_[int(np.median(rows)) :, :])
    frame, mask = clips.reference(0)
    assert 0.3 < mask.sum() / clips.still(0).mask.sum() < 0.8
    assert is_green(frame)[block].all() and not mask[block].any() and jaccard(is_red(frame), mask) > 0.9
    stranger(monkeypatch, np.s_[:, :])  # everything: too much
    assert np.array_equal(clips.reference(0).mask, clips.still(0).mask)
    monkeypatch.setattr(module, "HIDDEN", 0.0)
    assert np.array_equal(clips.reference(0).frame, clips.still(0).frame)


def test_the_hole_in_the_background_is_filled(clips, plain, monkeypatch):
    """Where the target has moved away there is no trace of it."""
    stranger(monkeypatch, np.s_[:0])
    for constant, value in (("ALONE", 0.0), ("OCCLUDED", 0.0), ("MIRRORED", 0.0)):
        monkeypatch.setattr(module, constant, value)

    def moved(images, matrix, rng, amplitude):
        """Target and mask to the right; the background, which comes alone, stays."""
        return [np.roll(image, 30, axis=1) if len(images) == 2 else image.copy() for image in images]

    monkeypatch.setattr(module, "bend", moved)
    clean = []
    for seed in range(10):
        frame, mask = clips.draw(0, np.random.default_rng(seed))
        assert np.array_equal(mask, np.roll(clips.still(0).mask, 30, axis=1))
        left_behind = (clips.still(0).mask > 0) & (cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0)
        assert left_behind.sum() > 100
        clean.append(not is_red(frame)[left_behind].any())
    assert np.mean(clean) > 0.6, "in the others another photograph is the background"


def test_still_clips_are_a_function_of_the_seed(clips, tmp_path):
    a, b = (StillClips(tmp_path, SIZE).draw(1, np.random.default_rng(5)) for _ in range(2))
    c = clips.draw(1, np.random.default_rng(6))
    assert np.array_equal(a.frame, b.frame) and np.array_equal(a.mask, b.mask)
    assert not np.array_equal(a.frame, c.frame)


def test_the_rim_of_a_rough_outline_is_void(clips, tmp_path):
    sharp, rough = (StillClips(tmp_path, SIZE, rim=rim).draw(0, np.random.default_rng(3)) for rim in (0, 2))
    void = rough.mask == VOID
    assert np.array_equal(sharp.frame, rough.frame) and np.array_equal(sharp.mask[~void], rough.mask[~void])
    assert np.array_equal(void, cv2.dilate(sharp.mask, np.ones((5, 5))) > cv2.erode(sharp.mask, np.ones((5, 5))))


def test_a_png_has_a_mask_per_instance(tmp_path):
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 5:20], labels[25:35, 30:50] = 1, 7
    write_mask(tmp_path / "m.png", labels)
    one, seven = instances(tmp_path / "m.png", (40, 60))
    assert np.array_equal(one, labels == 1) and np.array_equal(seven, labels == 7) and one.dtype == np.uint8
    with pytest.raises(InputError, match="60x40"):
        instances(tmp_path / "m.png", (60, 40))


def test_a_polygon_is_in_fractions_of_width_and_height(tmp_path):
    (tmp_path / "l.txt").write_text("0 0.1 0.25 0.5 0.25 0.5 0.75 0.1 0.75\n4 0.6 0 0.9 0 0.9 0.1 0.6 0.1\n")
    first, second = polygons(tmp_path / "l.txt", (40, 100))
    assert np.argwhere(first).min(0).tolist() == [10, 10] and np.argwhere(first).max(0).tolist() == [30, 50]
    assert np.argwhere(second).max(0).tolist() == [4, 90] and first.max() == 1


def test_objects_too_small_or_too_large_are_left_out(tmp_path):
    """PNGs come before polygons; a photograph may have either, and one without any is left out."""
    photographs(tmp_path, count=4)
    labels = np.zeros((90, 120), np.uint8)
    labels[:60], labels[70:80, 10:30], labels[85:87, 100:104] = 1, 2, 3  # 67 %, 2 %, 0.1 %
    write_mask(tmp_path / "masks" / "p0.png", labels)
    (tmp_path / "masks" / "p1.png").unlink()
    (tmp_path / "masks" / "p2.png").unlink()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "p0.txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")
    (tmp_path / "labels" / "p2.txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")
    found = {path.stem: masks for path, masks in annotated_stills(tmp_path)}
    assert list(found) == ["p0", "p2", "p3"]
    assert len(found["p0"]) == 1 and np.array_equal(found["p0"][0], labels == 2)
    assert np.array_equal(found["p3"][0], corner(3)) and found["p2"][0].mean() == pytest.approx(0.045, rel=0.1)


def test_photographs_without_masks_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="polygons"):
        annotated_stills(tmp_path)


def test_touching_objects_are_one_together():
    a, b, c = (np.zeros((60, 80), np.uint8) for _ in range(3))
    a[10:20, 10:20], b[20:34, 10:20], c[40:50, 60:70] = 1, 1, 1
    (union,) = together([a, b, c])
    assert np.array_equal(union, a | b)
    assert together([a, b], high=0.01) == []


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
