"""Masks that are given: NumPy, labelme and COCO, folders of them; which frame each is of, and what is refused."""

import json

import numpy as np
import pytest
from helpers import moving_shapes, save_frames
from pycocotools import mask as rle

from vosedu.errors import InputError
from vosedu.files.annotations import read_annotations, write_coco
from vosedu.files.frames import FrameSource
from vosedu.files.given import read_given
from vosedu.files.images import write_mask

SIZE = (96, 128)
FRAMES, IDS = moving_shapes(4, SIZE, objects=2)


@pytest.fixture
def source(tmp_path):
    return FrameSource(save_frames(tmp_path / "clip", FRAMES, [f"f{t}.png" for t in range(4)]))


def saved(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("stored", [IDS[0], IDS[0].astype(np.int64), IDS[0].astype(float), IDS[0][None], IDS[0][..., None]])
def test_numpy_files(tmp_path, source, stored):
    np.save(tmp_path / "m.npy", stored)
    given = read_given(tmp_path / "m.npy", source)
    assert given.start == 0 and np.array_equal(given.masks[0], IDS[0])


def test_truth_values_are_one_object(tmp_path, source):
    np.save(tmp_path / "f2.npy", IDS[2] == 2)
    given = read_given(tmp_path / "f2.npy", source)
    assert given.start == 2 and np.array_equal(given.masks[2], IDS[2] == 2)
    assert given.beginning().masks.keys() == {0} and given.beginning().files[0] == tmp_path / "f2.npy"


@pytest.mark.parametrize(("stored", "words"), [
    (IDS[0][:50], "128x50, the frames 128x96"), (IDS[0] + 0.5, "other values than whole numbers"),
    (IDS[0].astype(int) * 300, "ids go from 1 to 255"), (-IDS[0].astype(int), "other values"),
    (np.array([{}], object), "cannot be read"), (IDS, "the frames 128x96"),
])
def test_unusable_numpy_files(tmp_path, source, stored, words):
    np.save(tmp_path / "m.npy", stored)
    with pytest.raises(InputError, match=words) as caught:
        read_given(tmp_path / "m.npy", source)
    assert "\n" not in str(caught.value)


def labelme(*shapes, height=96, width=128, picture="f0.png"):
    return {"version": "5", "shapes": list(shapes), "imagePath": picture, "imageHeight": height, "imageWidth": width}


def shape(label, points, kind="polygon", group=None):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group}


SQUARE = [[10, 20], [40, 20], [40, 50], [10, 50]]


def test_labelme(tmp_path, source):
    """Labels are objects in the order in which they come; parts of one label are one; later shapes cover earlier ones."""
    path = saved(tmp_path / "any.json", labelme(
        shape("cat", SQUARE), shape("dog", [[60, 30], [90, 70]], "rectangle"), shape("cat", [[100, 20], [110, 20]], "circle"),
        shape("ball", [[30, 30], [50, 30], [50, 60], [30, 60]]), picture="..\\pictures\\f2.png"))
    given = read_given(path, source)
    assert given.start == 2 and given.names == {1: "cat", 2: "dog", 3: "ball"}
    ids = given.masks[2]
    assert ids[25, 15] == 1 and ids[40, 35] == 3 and ids[55, 45] == 3 and ids[50, 75] == 2
    assert ids[20, 100] == 1 and ids[5, 5] == 0
    assert abs((ids == 2).sum() - 30 * 40) < 80 and abs((ids[:, 88:] == 1).sum() - np.pi * 100) < 40
    assert "1 (cat, " in given.notes(source)[0] and "of frame f2" in given.notes(source)[0]


def test_groups_and_numbers_of_labelme(tmp_path, source):
    """Two of one label and different groups are two objects; a label that is a number is the id."""
    far = [[x + 60, y] for x, y in SQUARE]
    path = saved(tmp_path / "m.json", labelme(shape("cat", SQUARE, group=1), shape("cat", far, group=2)))
    assert sorted(np.unique(read_given(path, source).masks[0])) == [0, 1, 2]
    saved(path, labelme(shape("7", SQUARE), shape("3", far)))
    assert sorted(np.unique(read_given(path, source).masks[0])) == [0, 3, 7]


@pytest.mark.parametrize(("content", "words"), [
    (labelme(shape("cat", SQUARE), height=90), "of a picture of 128x90"), (labelme(shape("a", SQUARE, "line")), "has no area"),
    (labelme(shape("cat", SQUARE[:2])), "damaged"), ({"shapes": [{}], "imageHeight": 96, "imageWidth": 128}, "damaged"),
    ({"a": 1}, "neither labelme's JSON"), (labelme(), "shows no object"), ({"images": [], "annotations": []}, "show no object"),
    ({"images": 3, "annotations": []}, "neither"), ({"images": [{"id": 1}], "annotations": [{"image_id": 1}]}, "damaged"),
])
def test_unusable_annotations(tmp_path, source, content, words):
    with pytest.raises(InputError, match=words) as caught:
        read_given(saved(tmp_path / "m.json", content), source)
    assert "\n" not in str(caught.value)


def coco(kind, t, i):
    """The segmentation of an object of a frame."""
    ids = np.asfortranarray((IDS[t] == i).astype(np.uint8))
    if kind == "packed":
        packed = rle.encode(ids)
        return {"size": list(SIZE), "counts": packed["counts"].decode()}
    flat = ids.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(SIZE), "counts": counts}


def listing(kind, frames, tracks=True, category=1):
    return {"images": [{"id": 10 + t, "file_name": f"JPEGImages/f{t}.png", "height": 96, "width": 128} for t in frames],
            "annotations": [{"id": 2 * t + i, "image_id": 10 + t, "category_id": category or i,
                             "segmentation": coco(kind, t, i), **({"track_id": i} if tracks else {})}
                            for t in frames for i in (2, 1)],
            "categories": [{"id": 1, "name": "shape"}, {"id": 2, "name": "other"}]}


@pytest.mark.parametrize("kind", ["packed", "numbers"])
def test_cocos_run_lengths_of_several_frames(tmp_path, source, kind):
    """The tracks say which objects are one, whatever the order; frames are those that the pictures are called."""
    given = read_given(saved(tmp_path / "a.json", listing(kind, (1, 3))), source)
    assert given.masks.keys() == {1, 3} and all(np.array_equal(given.masks[t], IDS[t]) for t in (1, 3))
    assert given.names == {1: "shape", 2: "shape"}


def test_cocos_categories_are_objects_where_there_are_no_tracks(tmp_path, source):
    given = read_given(saved(tmp_path / "a.json", listing("packed", (0, 2), False, None)), source)
    assert len(np.unique(given.masks[0])) == 3 and given.names.keys() == {1, 2}
    numbers = [{int(given.masks[t][IDS[t] == i][0]) for i in (1, 2)} for t in (0, 2)]
    assert numbers[0] == numbers[1] == {1, 2}
    assert all(len({int(given.masks[t][IDS[t] == i][0]) for t in (0, 2)}) == 1 for i in (1, 2))
    with pytest.raises(InputError, match="do not say which objects are the same"):
        read_given(saved(tmp_path / "b.json", listing("packed", (0, 2), False)), source)
    alone = read_given(saved(tmp_path / "c.json", listing("packed", (2,), False)), source)
    assert alone.start == 2 and len(np.unique(alone.masks[2])) == 3


def test_cocos_polygons(tmp_path, source):
    content = listing("packed", (0,))
    polygons = [np.ravel(SQUARE).tolist(), [60, 60, 80, 60, 80, 80]]
    content["annotations"] = [{"image_id": 10, "category_id": 2, "segmentation": polygons}]
    ids = read_annotations(saved(tmp_path / "a.json", content), SIZE, {})[0].ids
    assert ids[30, 20] == 1 and ids[65, 78] == 1 and ids[79, 61] == 0 and abs(int(ids.sum()) - 900 - 200) < 110


def test_what_is_written_is_read(tmp_path, source):
    write_coco(tmp_path / "a.json", SIZE, [(f"f{t}", IDS[t]) for t in range(4)], {1: "L"})
    given = read_given(tmp_path / "a.json", source)
    assert all(np.array_equal(given.masks[t], IDS[t]) for t in range(4)) and given.names == {1: "L", 2: "object 2"}


def test_a_folder_of_masks_of_all_kinds(tmp_path, source):
    """Labels keep their ids from file to file; files that no frame is named after are left out, two of one frame refused."""
    folder = tmp_path / "given"
    folder.mkdir()
    saved(folder / "f0.json", labelme(shape("dog", SQUARE)))
    saved(folder / "f2.json", labelme(shape("cat", [[x + 60, y] for x, y in SQUARE]), shape("dog", SQUARE), picture="f2.png"))
    np.save(folder / "f3.npy", IDS[3])
    write_mask(folder / "zzz.png", IDS[0])
    given = read_given(folder, source)
    assert given.masks.keys() == {0, 2, 3} and given.names == {1: "dog", 2: "cat"} and given.left_out == [folder / "zzz.png"]
    assert given.masks[2][30, 20] == 1 and given.masks[2][30, 80] == 2
    assert any("zzz.png" in line for line in given.notes(source))
    write_mask(folder / "f3_mask.png", IDS[3])
    with pytest.raises(InputError, match="are both masks of frame f3"):
        read_given(folder, source)


def test_the_digest_is_of_what_masks_say(tmp_path, source):
    write_mask(tmp_path / "a.png", IDS[0])
    np.save(tmp_path / "b.npy", IDS[0].astype(np.int32))
    np.save(tmp_path / "f1.npy", IDS[0])
    np.save(tmp_path / "c.npy", IDS[1])
    a, b, other, later = (read_given(tmp_path / name, source).digest() for name in ("a.png", "b.npy", "c.npy", "f1.npy"))
    assert a == b and len({a, other, later}) == 3


def test_an_object_must_be_there_at_the_size_that_is_worked_on(tmp_path, source):
    ids = np.zeros(SIZE, np.uint8)
    ids[10:14, 20:24] = 1
    write_mask(tmp_path / "a.png", ids)
    assert read_given(tmp_path / "a.png", source).masks[0].sum() == 16
    with pytest.raises(InputError, match=r"a\.png at 32x24 has"):
        read_given(tmp_path / "a.png", source, working=(24, 32))
