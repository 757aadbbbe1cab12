"""What the commands' tests share: a video and a data set on disk, whose objects are found."""

import pytest
from helpers import ROOM, moving_shapes, save_frames, write_clip

from vosedu.files.images import write_mask


@pytest.fixture
def clip(tmp_path):
    """A folder with `clip`, twelve frames, and `first.png`, a first mask of two objects."""
    return write_clip(tmp_path, 12)


@pytest.fixture
def short_clip(tmp_path):
    """The same with the first five frames alone."""
    return write_clip(tmp_path, 5)


@pytest.fixture
def davis(tmp_path):
    """A data set of two short sequences in DAVIS layout."""
    for name, step in (("one", 5), ("two", 8)):
        frames, labels = moving_shapes(4, ROOM, objects=2, step=step)
        save_frames(tmp_path / "JPEGImages" / "480p" / name, frames)
        (tmp_path / "Annotations" / "480p" / name).mkdir(parents=True)
        for index, ids in enumerate(labels):
            write_mask(tmp_path / "Annotations" / "480p" / name / f"{index:05d}.png", ids)
    return tmp_path
