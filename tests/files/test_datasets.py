"""Layouts of DAVIS and YouTube-VOS made in a temporary folder; the real DAVIS where it is there."""

import json

import numpy as np
import pytest
from helpers import moving_shapes, save_frames
from PIL import Image

from vosedu.errors import InputError
from vosedu.files import datasets
from vosedu.files.images import write_mask


def make(root, name="a", resolution="480p", objects=2, frames=4):
    images, labels = moving_shapes(frames, objects=objects)
    save_frames(root / "JPEGImages" / resolution / name, images)
    folder = root / "Annotations" / resolution / name
    folder.mkdir(parents=True)
    return folder, labels


def test_davis_layout_and_merging(tmp_path):
    folder, labels = make(tmp_path)
    for index, ids in enumerate(labels):
        write_mask(folder / f"{index:05d}.png", ids)
    (one,) = datasets.load("davis2017", tmp_path)
    (merged,) = datasets.load("davis2016", tmp_path)
    assert one.frame_names == ["00000", "00001", "00002", "00003"]
    assert np.array_equal(one.entries()[0], labels[0]) and list(one.entries()) == [0]
    assert np.array_equal(merged.labels(2), labels[2] > 0)


def test_image_sets_decide_where_there_are_any(tmp_path):
    for name in ("a", "b"):
        folder, labels = make(tmp_path, name)
        write_mask(folder / "00000.png", labels[0])
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("b\n")
    assert [s.name for s in datasets.load("davis2017", tmp_path)] == ["b"]
    with pytest.raises(InputError, match="test-dev"):
        datasets.load("davis2017", tmp_path, "test-dev")


def test_objects_that_enter_late_in_youtube_vos(tmp_path):
    folder, labels = make(tmp_path / "valid", "v", "")
    write_mask(folder / "00000.png", np.where(labels[0] == 1, 1, 0).astype(np.uint8))
    write_mask(folder / "00002.png", labels[2])
    (video,) = datasets.load("ytvos", tmp_path, "valid")
    entries = video.entries()
    assert sorted(entries) == [0, 2] and set(np.unique(entries[2])) == {0, 2}
    assert video.labels(1) is None and not video.drop_last and video.seen == {}

    def meta(split, categories):
        objects = {str(i): {"category": c} for i, c in enumerate(categories, 1)}
        (tmp_path / split).mkdir(exist_ok=True)
        (tmp_path / split / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": objects}}}))

    meta("valid", ["cat", "yak"])
    meta("train", ["cat"])
    assert datasets.load("ytvos", tmp_path, "valid")[0].seen == {1: True, 2: False}


@pytest.mark.parametrize("name,sequences,words", [("davis", [], "choose one of"), ("davis2017", ["aa"], "did you mean a"),
                                                  ("ytvos", [], "check --root")])
def test_clear_errors(tmp_path, name, sequences, words):
    folder, labels = make(tmp_path)
    write_mask(folder / "00000.png", labels[0])
    with pytest.raises(InputError, match=words):
        datasets.load(name, tmp_path, sequences=sequences)


def test_bundled_scenes_are_what_their_notes_say():
    total = sum(p.stat().st_size for p in datasets.SCENES.rglob("*") if p.is_file())
    assert total < 25e6
    for name, notes in datasets.scene_notes().items():
        scene = datasets.scene(name)
        assert len(scene.frame_names) == notes["frames"] == len(list(scene.masks.glob("*.png")))
        assert notes["watch"] and notes["title"]
        declared = {int(i) for i in notes["objects"]}
        for index in range(notes["frames"]):
            labels = scene.labels(index)
            with Image.open(scene.frames / f"{scene.frame_names[index]}.jpg") as frame:
                assert frame.size == labels.shape[::-1]
            assert set(np.unique(labels)) <= declared | {0}
            for i in declared:
                assert (labels == i).sum() == notes["areas"][str(i)][index]


def test_real_davis(real_data):
    sequences = datasets.load("davis2016", real_data / "davis2016")
    assert len(sequences) == 14
    assert set(np.unique(sequences[0].labels(0))) == {0, 1}
