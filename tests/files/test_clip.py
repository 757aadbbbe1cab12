"""Videos with their masks as arrays, against the files as Pillow reads them."""

import numpy as np
import pytest
from helpers import moving_shapes, save_frames
from PIL import Image

from vosedu.errors import InputError
from vosedu.files import datasets
from vosedu.files.clip import Clip, load_clip
from vosedu.files.images import write_mask


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
    assert [name for name, _ in own] == ["00000", "00001"] and own.names(2) == ["00000", "00001"] and own.size == (64, 114)


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
