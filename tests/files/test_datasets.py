"""Layouts of DAVIS and YouTube-VOS made in a temporary folder; clips as arrays; the real DAVIS where it is there."""

import json

import numpy as np
import pytest
from helpers import moving_shapes, save_frames
from PIL import Image

from vosedu.errors import InputError
from vosedu.files import datasets
from vosedu.files.clip import Clip, load_clip
from vosedu.files.datasets import AnnotatedVideo
from vosedu.files.images import write_mask
from vosedu.files.layouts import Layout


def make(root, name="a", resolution="480p", objects=2, frames=4):
    images, labels = moving_shapes(frames, objects=objects)
    save_frames(root / "JPEGImages" / resolution / name, images)
    folder = root / "Annotations" / resolution / name
    folder.mkdir(parents=True)
    return folder, labels


def make_lists(root, **lists):
    """ImageSets/<year>/<split>.txt from a keyword like y2017_val."""
    for key, text in lists.items():
        year, split = key.removeprefix("y").split("_")
        path = root / "ImageSets" / year / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_davis_layout_and_merging(tmp_path):
    folder, labels = make(tmp_path)
    for index, ids in enumerate(labels):
        write_mask(folder / f"{index:05d}.png", ids)
    (one,) = datasets.load("davis2017", tmp_path)
    (merged,) = datasets.load("davis2016", tmp_path)
    assert one.frame_names == ["00000", "00001", "00002", "00003"]
    assert np.array_equal(one.entries()[0], labels[0]) and list(one.entries()) == [0]
    assert np.array_equal(merged.labels(2), labels[2] > 0) and merged.merge and not one.merge
    assert np.array_equal(merged.entries()[0], labels[0] > 0)


def test_in_davis_no_object_enters_late(tmp_path):
    """An id that shows only in a later annotation is none that a method is given."""
    folder, labels = make(tmp_path)
    write_mask(folder / "00000.png", np.where(labels[0] == 2, 2, 0).astype(np.uint8))
    write_mask(folder / "00002.png", labels[2])
    (davis,) = datasets.load("davis2017", tmp_path)
    (plain,) = datasets.load("folder", tmp_path)
    assert list(davis.entries()) == [0] and set(np.unique(davis.entries()[0])) == {0, 2}
    assert list(plain.entries()) == [0, 2] and set(np.unique(plain.entries()[2])) == {0, 1}


@pytest.mark.parametrize("name, drop_last", [("davis2016", True), ("davis2017", True), ("folder", False)])
def test_davis_does_not_score_the_last_frame(tmp_path, name, drop_last):
    make(tmp_path)
    assert datasets.load(name, tmp_path)[0].drop_last is drop_last


def test_image_sets_decide_where_there_are_any(tmp_path):
    for name in ("a", "b"):
        folder, labels = make(tmp_path, name)
        write_mask(folder / "00000.png", labels[0])
    make_lists(tmp_path, y2017_val="b\n", y2017_train="a\n\n")
    assert [s.name for s in datasets.load("davis2017", tmp_path)] == ["b"]
    assert [s.name for s in datasets.load("davis2017", tmp_path, "train")] == ["a"]
    with pytest.raises(InputError, match="test-dev"):
        datasets.load("davis2017", tmp_path, "test-dev")
    assert [s.name for s in datasets.load("folder", tmp_path)] == ["a", "b"]


def test_the_list_of_2016_has_paths_and_is_used_where_there_is_no_other(tmp_path):
    for name in ("a", "b", "c"):
        make(tmp_path, name)
    make_lists(tmp_path, y480p_val="".join(f"/JPEGImages/480p/{s}/0000{i}.jpg /Annotations/480p/{s}/0000{i}.png\n"
                                           for s in "ca" for i in range(3)))
    assert [s.name for s in datasets.load("davis2016", tmp_path)] == ["a", "c"]
    assert [s.name for s in datasets.load("davis2017", tmp_path)] == ["a", "b", "c"]  # "val" may lack its list
    make_lists(tmp_path, y2016_val="b\n")
    assert [s.name for s in datasets.load("davis2016", tmp_path)] == ["b"]


def test_natural_order_of_sequences_and_the_users_own_order(tmp_path):
    for name in ("s10", "s9", "S1"):
        make(tmp_path, name)
    assert [s.name for s in datasets.load("davis2017", tmp_path)] == ["S1", "s9", "s10"]
    assert [s.name for s in datasets.load("davis2017", tmp_path, sequences=["s10", "S1"])] == ["s10", "S1"]


def test_objects_that_enter_late_in_youtube_vos(tmp_path):
    folder, labels = make(tmp_path / "valid", "v", "")
    write_mask(folder / "00000.png", np.where(labels[0] == 1, 1, 0).astype(np.uint8))
    write_mask(folder / "00002.png", labels[2])
    (video,) = datasets.load("ytvos", tmp_path, "valid")
    entries = video.entries()
    assert sorted(entries) == [0, 2] and set(np.unique(entries[2])) == {0, 2}
    assert np.array_equal(entries[2] == 2, labels[2] == 2) and entries[2].dtype == np.uint8
    assert video.labels(1) is None and not video.drop_last and not video.merge and video.seen == {}

    def meta(split, categories):
        objects = {str(i): {"category": c} for i, c in enumerate(categories, 1)}
        (tmp_path / split).mkdir(exist_ok=True)
        (tmp_path / split / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": objects}}}))

    meta("valid", ["cat", "yak"])
    meta("train", ["cat"])
    assert datasets.load("ytvos", tmp_path, "valid")[0].seen == {1: True, 2: False}
    (tmp_path / "train" / "meta.json").write_text(json.dumps({"videos": {"v": {"objects": [1]}}}))
    with pytest.raises(InputError, match="is damaged"):
        datasets.load("ytvos", tmp_path, "valid")


def test_objects_are_given_where_the_notes_say(tmp_path):
    folder, labels = make(tmp_path, objects=3)
    for index, ids in enumerate(labels):
        write_mask(folder / f"{index:05d}.png", ids)
    video = AnnotatedVideo("a", tmp_path / "JPEGImages" / "480p" / "a", folder, given={1: 2, 3: 1, 2: 2})
    entries = video.entries()
    assert list(entries) == [1, 2]
    assert np.array_equal(entries[1], np.where(labels[1] == 3, 3, 0))
    assert np.array_equal(entries[2], np.where(labels[2] < 3, labels[2], 0))


def test_a_video_without_an_object_is_refused(tmp_path):
    folder, labels = make(tmp_path)
    write_mask(folder / "00000.png", np.zeros_like(labels[0]))
    with pytest.raises(InputError, match=r"no mask below .* shows an object"):
        datasets.load("folder", tmp_path)[0].entries()


@pytest.mark.parametrize("name,sequences,words", [("davis", [], "choose one of davis2016, davis2017, ytvos, folder, scenes"),
                                                  ("davis2017", ["aa"], "did you mean a"), ("ytvos", [], "check --root"),
                                                  ("scenes", ["hudle"], "did you mean huddle"),
                                                  ("davis2017", ["gone"], r"no folder 'gone' .* ImageSets.2017"),
                                                  ("davis2016", [], "no sequence has both")])
def test_clear_errors(tmp_path, name, sequences, words):
    folder, labels = make(tmp_path)
    write_mask(folder / "00000.png", labels[0])
    make_lists(tmp_path, y2017_val="a\ngone\n", y2016_val="\n")
    with pytest.raises(InputError, match=words.replace(" .* ", ".*")):
        datasets.load(name, tmp_path, sequences=sequences)


def test_a_data_set_of_ones_own_is_one_class_and_one_entry(tmp_path, monkeypatch):
    class Toy(Layout):
        name = "toy"
        merge = True

        def listed(self):
            return ["b"]

        def given(self, sequence):
            return {1: 3}

    monkeypatch.setitem(datasets.LAYOUTS, "toy", Toy)
    make(tmp_path, "a", "")
    make(tmp_path, "b", "")
    (video,) = datasets.load("toy", tmp_path)
    assert (video.name, video.merge, video.drop_last, video.given, video.seen) == ("b", True, False, {1: 3}, {})
    assert video.frames == tmp_path / "JPEGImages" / "b" and video.masks == tmp_path / "Annotations" / "b"


def test_bundled_scenes_are_what_their_notes_say():
    total = sum(p.stat().st_size for p in datasets.SCENES.rglob("*") if p.is_file())
    assert total < 25e6
    for name, notes in datasets.scene_notes().items():
        scene = datasets.scene(name)
        assert len(scene.frame_names) == notes["frames"] == len(list(scene.masks.glob("*.png")))
        assert notes["watch"] and notes["title"]
        declared = {int(i) for i in notes["objects"]}
        assert scene.given == {int(i): index for i, index in notes["given"].items()} and scene.given.keys() == declared
        for index in range(notes["frames"]):
            labels = scene.labels(index)
            with Image.open(scene.frames / f"{scene.frame_names[index]}.jpg") as frame:
                assert frame.size == labels.shape[::-1]
            assert set(np.unique(labels)) <= declared | {0}
            for i in declared:
                assert (labels == i).sum() == notes["areas"][str(i)][index]


def scene_file(kind, name, index, ending):
    with Image.open(datasets.SCENES / kind / "480p" / name / f"{index:05d}.{ending}") as image:
        return np.asarray(image)


def nearest(n, m):
    """Of the m new pixels those with one nearest of the n old ones, and which that is; halving takes the second of two."""
    x = (np.arange(m) + 0.5) * n / m
    sure = np.flatnonzero((np.abs(x - x.round()) > 1e-6) | (n == 2 * m))
    return sure, x[sure].astype(int)


@pytest.mark.parametrize("name, short_side, size", [("late", 240, (240, 427)), ("huddle", 500, (500, 889)),
                                                    ("fast", 0, (480, 854))])
def test_a_clip_is_the_scenes_files_at_one_size(name, short_side, size):
    """Against the files as Pillow reads them: frames by the mean of areas where they shrink, ids by the nearest pixel."""
    clip = load_clip(name, short_side, frames=25 if short_side == 240 else 2)
    assert clip.name == name and clip.size == size
    assert clip.frames.shape == (*clip.masks.shape, 3) and clip.frames.dtype == clip.masks.dtype == np.uint8
    (rows, from_rows), (columns, from_columns) = nearest(480, size[0]), nearest(854, size[1])
    for index in (0, len(clip.frames) - 1):
        frame, ids = scene_file("JPEGImages", name, index, "jpg"), scene_file("Annotations", name, index, "png")
        assert np.array_equal(clip.masks[index][np.ix_(rows, columns)], ids[np.ix_(from_rows, from_columns)])
        assert len(rows) > 0.9 * size[0] and ids.max() == len(np.unique(ids)) - 1 > 0
        if short_side == 0:
            assert np.array_equal(clip.frames[index], frame)
        elif short_side == 240:
            assert np.abs(clip.frames[index] - frame.reshape(240, 2, 427, 2, 3).mean(axis=(1, 3))).max() <= 0.5
        else:
            near = frame[np.ix_(from_rows, from_columns)]
            assert np.abs(clip.frames[index][np.ix_(rows, columns)].astype(int) - near).mean() < 3


def test_a_clip_is_iterated_as_frames_are():
    clip = load_clip("tumble", short_side=64, frames=3)
    assert len(clip.frames) == len(clip.masks) == 3
    assert [name for name, _ in clip] == ["00000", "00001", "00002"]
    rest = list(clip.whole(2))
    assert len(rest) == 1 and rest[0][0] == "00002" and np.array_equal(rest[0][1], clip.frames[2])
    own = Clip("own", clip.frames[:2], clip.masks[:2])
    assert [name for name, _ in own] == ["00000", "00001"] and own.frame_name(1) == "00001" and own.size == (64, 114)


def test_a_clip_of_another_data_set(tmp_path):
    """Named as its files are; where a frame has no mask its ids are 0."""
    images, labels = moving_shapes(3, objects=2)
    save_frames(tmp_path / "val" / "JPEGImages" / "v", images, ["00000.png", "00005.png", "00010.png"])
    (tmp_path / "val" / "Annotations" / "v").mkdir(parents=True)
    write_mask(tmp_path / "val" / "Annotations" / "v" / "00000.png", labels[0])
    write_mask(tmp_path / "val" / "Annotations" / "v" / "00010.png", labels[2])
    clip = load_clip("v", root=tmp_path, dataset="ytvos")
    assert [name for name, _ in clip] == ["00000", "00005", "00010"] == list(clip.frame_names)
    assert np.array_equal(clip.frames, images)
    assert np.array_equal(clip.masks, np.stack([labels[0], 0 * labels[1], labels[2]]))
    write_mask(tmp_path / "val" / "Annotations" / "v" / "00005.png", labels[1][:, :100])
    with pytest.raises(InputError, match="mask of frame 00005 has another size"):
        load_clip("v", root=tmp_path, dataset="ytvos")
    with pytest.raises(InputError, match="did you mean v"):
        load_clip("w", root=tmp_path, dataset="ytvos")


def test_real_davis(real_data):
    sequences = datasets.load("davis2016", real_data / "davis2016")
    assert len(sequences) == 14
    assert set(np.unique(sequences[0].labels(0))) == {0, 1}
