"""Notebook 00: the tour runs the chosen object of the chosen scene, and shows of every frame what belongs to it."""

import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOM, moving_shapes, save_frames
from PIL import Image
from teaching.seeing import is_described

from vosedu.config import BEST
from vosedu.features import TARGET_DEPTH
from vosedu.files import datasets
from vosedu.files.clip import load_clip
from vosedu.files.images import image_files, write_mask
from vosedu.teaching.pictures import pca_colours
from vosedu.teaching.tour import Tour

ROWS, SIZE = 128, (228, 128)
"""Of the tour's frames, and (width, height): in fewer rows few channels lose the car, and equal masks prove nothing."""


@pytest.fixture(scope="module")
def quick(segmenter):
    """The bundled engine with few samples and channels."""
    quick = copy.copy(segmenter)
    quick.config = replace(BEST, samples=4, channels=16)
    return quick


@pytest.fixture(scope="module")
def tour(quick):
    """A run of the second object of the scene "late", which enters in frame 23 of 40."""
    tour = Tour(quick, "tumble", height=ROWS)
    assert tour.player is None and tour.stage.children == ()
    tour.scene.value = "late"
    tour.object.value = 2
    tour.run()
    return tour


def test_scenes_and_objects_can_be_chosen(quick, monkeypatch):
    monkeypatch.delenv("VOSEDU_DATA", raising=False)
    tour = Tour(quick, "tumble", height=96)
    notes = datasets.scene_notes()
    assert tour.scene.value == "tumble" and tour.note.value == notes["tumble"]["watch"]
    assert [value for _, value in tour.scene.options] == list(notes)
    tour.scene.value = "late"
    assert [text for text, _ in tour.object.options] == ["tabby cat", "blue car"] and tour.object.value == 1
    assert tour.note.value == notes["late"]["watch"] != notes["tumble"]["watch"] and is_described(tour.widget)


def test_it_starts_where_the_object_enters(tour):
    player, scene = tour.player, datasets.scene("late")
    assert tour.stage.children == (player.widget,) and not tour.button.disabled and is_described(tour.widget)
    assert len(player.frames) == len(player.labels) == len(player.scores) == len(player.colours) == 40 - 23
    assert (tour.bar.value, tour.bar.max) == (17, 17)
    originals = [cv2.resize(np.asarray(Image.open(path).convert("RGB")), SIZE, interpolation=cv2.INTER_AREA)
                 for path in image_files(scene.frames)]
    for k in (0, 1, 9, 16):
        far = [np.abs(player.frames[k].astype(int) - original).mean() for original in originals]
        assert int(np.argmin(far)) == 23 + k and min(far) < 6  # it is kept as JPEG
    given = np.asarray(Image.fromarray((scene.labels(23) == 2).astype(np.uint8)).resize(SIZE, Image.Resampling.NEAREST))
    assert (player.labels[0] != given).mean() < 0.002 and player.labels[0].max() == 1 and given.sum() > 100


def test_every_frame_has_its_own_scores_labels_and_features(tour, quick):
    player, frames = tour.player, load_clip("late", short_side=ROWS).frames[23:]
    video = quick.start(frames[0], player.labels[0])
    for k in range(1, 17):
        labels = torch.as_tensor(video.step(frames[k])).cpu().numpy()
        assert np.array_equal(player.labels[k], labels), k
        assert np.allclose(player.scores[k], video.scores[0].float().cpu().numpy(), atol=1e-4), k
    assert np.array_equal(player.scores[0], player.scores[1]), "the first frame is given and has none of its own"
    assert player.labels[5].sum() > 1000
    basis = pca_colours(quick.features(frames[0][None])[TARGET_DEPTH][0])[1]
    for k in (0, 5, 16):
        wanted, _ = pca_colours(quick.features(frames[k][None])[TARGET_DEPTH][0], basis)
        assert np.abs(player.colours[k].astype(int) - wanted).max() <= 1, "one basis for all frames"


@pytest.mark.parametrize("below", [".", "davis2016", "DAVIS"])
def test_sequences_of_davis_at_hand_can_be_chosen(quick, tmp_path, monkeypatch, below):
    frames, labels = moving_shapes(4, ROOM)
    for name, masks in (("walk", labels), ("bare", None)):
        save_frames(tmp_path / below / "JPEGImages" / "480p" / name, frames)
        for t, mask in enumerate(() if masks is None else masks):
            path = tmp_path / below / "Annotations" / "480p" / name / f"{t:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mask(path, mask)
    monkeypatch.setenv("VOSEDU_DATA", str(tmp_path))
    tour = Tour(quick, "tumble", height=128)
    assert tour.scene.options[-1] == ("DAVIS: walk", "davis2016/walk")
    assert len(tour.scene.options) == len(datasets.scene_notes()) + 1
    tour.scene.value = "davis2016/walk"
    assert [value for _, value in tour.object.options] == [1] and "Real video" in tour.note.value and "walk" in tour.about()
    player = tour.run()
    assert len(player.frames) == 4 and tour.first_picture().shape == (*ROOM, 3)
    assert np.array_equal(player.labels[0] > 0, labels[0] > 0)


def test_what_was_run_does_not_stay_when_another_scene_or_object_is_chosen(quick):
    tour = Tour(quick, "late", height=96)
    for change in (lambda: setattr(tour.object, "value", 1), lambda: setattr(tour.scene, "value", "tumble")):
        tour.object.value = tour.object.options[-1][1]
        tour.player, tour.stage.children, tour.bar.value = "a player", (tour.note,), 5
        change()
        assert (tour.player, tour.stage.children, tour.bar.value) == (None, (), 0)
