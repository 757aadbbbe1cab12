"""The loop from frames to masks, with an engine whose answers can be told from the frame: what it is asked, in which order, and
what lies on the disk afterwards."""

import threading
from itertools import islice

import numpy as np
import pytest
import torch
from helpers import save_frames
from PIL import Image

from vosedu.commands.outputs import recorded
from vosedu.errors import InputError
from vosedu.files.clip import Clip
from vosedu.files.frames import FrameSource
from vosedu.files.images import write_mask
from vosedu.files.threads import BackgroundWriter
from vosedu.pipeline import mask_files, segment_video, track

SIZE = (40, 60)
RED = (128, 0, 0)
"""Of object 1 in the colours of DAVIS."""


def answer(t):
    """What the engine says of frame t: a box of object 1 that is no square, farther right in every frame."""
    found = np.zeros(SIZE, np.uint8)
    found[6:14, 4 * t : 4 * t + 12] = 1
    return found


def given(t, i):
    """A mask of object i for frame t, elsewhere than in the answers."""
    found = np.zeros(SIZE, np.uint8)
    found[20 + t : 30, 30:33] = i
    return found


class Engine:
    """Tells from a frame's blue which one it is; keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def working_size(self, size):
        return size[0] // 2, size[1] // 2

    def start(self, frame, labels, seed=0):
        self.asked.append((int(frame[0, 0, 2]), labels, seed))
        return State(self, frame.shape[:2])


class State:
    def __init__(self, engine, size, frame_index=0):
        self.engine, self.size, self.frame_index, self.ids = engine, size, frame_index, [1]

    def step(self, frame, new_labels=None):
        self.frame_index += 1
        self.engine.asked.append((int(frame[0, 0, 2]), new_labels, None))
        return torch.from_numpy(answer(int(frame[0, 0, 2])))


def frames(count=6):
    found = np.full((count, *SIZE, 3), 100, np.uint8)
    found[..., 2] = np.arange(count)[:, None, None]
    return found


@pytest.fixture(params=["folder", "clip"])
def source(request, tmp_path):
    """Six frames, in a folder and as arrays, of the same names."""
    names = [f"f{7 + t}" for t in range(6)]
    if request.param == "clip":
        return Clip("c", frames(), np.zeros((6, *SIZE), np.uint8), tuple(names))
    return FrameSource(save_frames(tmp_path / "clip", frames(), [f"{name}.png" for name in names]))


def test_every_frame_comes_once_in_order_with_what_was_made_of_it(source):
    """The first mask as it is given, then answers; the state goes along; the seed reaches the engine."""
    engine, first = Engine(), given(0, 1)
    shown = list(track(engine, source, {0: first}, seed=3))
    assert [s.index for s in shown] == list(range(6)) and [s.name for s in shown] == [f"f{7 + t}" for t in range(6)]
    assert all(np.array_equal(s.frame, frame) for s, frame in zip(shown, frames(), strict=True))
    assert np.array_equal(shown[0].labels, first)
    assert all(np.array_equal(s.labels, answer(s.index)) and s.labels.dtype == np.uint8 for s in shown[1:])
    assert len({id(s.state) for s in shown}) == 1 and shown[0].state.frame_index == 5
    assert [(t, seed) for t, _, seed in engine.asked] == [(0, 3), *((t, None) for t in range(1, 6))]
    assert [t for t, labels, _ in engine.asked if labels is not None] == [0]


def test_masks_are_given_in_their_frames_and_the_first_is_where_it_begins(source):
    """Objects enter at frames 2 and 4, whatever the order in which the masks are named; frames before are not asked for."""
    engine = Engine()
    shown = list(track(engine, source, {4: given(4, 9), 2: given(2, 5)}))
    assert [s.index for s in shown] == [2, 3, 4, 5] and [s.name for s in shown] == ["f9", "f10", "f11", "f12"]
    assert [t for t, _, _ in engine.asked] == [2, 3, 4, 5]
    masks = {t: labels for t, labels, _ in engine.asked if labels is not None}
    assert masks.keys() == {2, 4} and np.array_equal(masks[2], given(2, 5)) and np.array_equal(masks[4], given(4, 9))
    assert np.array_equal(shown[2].labels, answer(4)), "laying the mask over is the engine's part"


@pytest.mark.parametrize(("begun", "stepped", "rest"), [(0, 2, [3, 4, 5]), (1, 2, [4, 5]), (0, 5, [])])
def test_a_video_goes_on_after_the_frames_that_its_state_has_seen(source, begun, stepped, rest):
    """Begun at a frame, so many steps later; masks of frames that are behind it are not given again, later ones are."""
    engine = Engine()
    state = State(engine, SIZE, stepped)
    shown = list(track(engine, source, {begun: given(begun, 1), 4: given(4, 9)}, state=state))
    assert [s.index for s in shown] == rest and all(s.state is state for s in shown)
    assert [t for t, _, _ in engine.asked] == rest
    assert [t for t, labels, _ in engine.asked if labels is not None] == [t for t in rest if t == 4]


def test_a_mask_of_another_size_is_refused_before_anything_is_done(source):
    engine = Engine()
    with pytest.raises(InputError, match=r"mask of frame f10 is 50x40, the frames 60x40: give a mask of the frames' size"):
        next(track(engine, source, {0: given(0, 1), 3: given(3, 2)[:, :50]}))
    assert engine.asked == []


def prefetching():
    return [t for t in threading.enumerate() if t.name == "vosedu-prefetch"]


def test_leaving_early_ends_the_thread_that_decodes(source):
    shown = track(Engine(), source, {0: given(0, 1)})
    assert [s.index for s in islice(shown, 2)] == [0, 1] and prefetching()
    shown.close()
    assert not prefetching()


def test_a_full_memory_is_said_with_the_size_that_is_worked_on(source, monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(State, "step", full)
    with pytest.raises(InputError, match="ran out of memory on frames of 30x20"):
        list(track(Engine(), source, {0: given(0, 1)}))


def read(path):
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image)


class Drawing:
    """Stands for `OverlayWriter`."""

    def __init__(self):
        self.pictures = []

    def add(self, picture):
        self.pictures.append(picture)


def test_what_is_yielded_is_written_and_drawn(source, tmp_path):
    """A mask per frame, of its name, and an overlay per frame: the object's colour mixed in, an outline, the rest as it is."""
    folder, drawing = tmp_path / "masks", Drawing()
    folder.mkdir()
    with BackgroundWriter() as writer:
        shown = list(segment_video(Engine(), source, {1: given(1, 1)}, folder, writer, drawing))
    assert [s.index for s in shown] == [1, 2, 3, 4, 5]
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"f{7 + t}.png" for t in range(1, 6))
    assert np.array_equal(read(folder / "f8.png"), given(1, 1))
    assert all(np.array_equal(read(folder / f"f{7 + t}.png"), answer(t)) for t in range(2, 6))
    assert len(drawing.pictures) == 5
    for t, picture in enumerate(drawing.pictures[1:], 2):
        inside = np.array([100, 100, t]) * 0.55 + np.array(RED) * 0.45
        assert np.abs(picture[10, 4 * t + 6] - inside).max() <= 1 and picture[6, 4 * t].tolist() == list(RED)
        assert picture[20, 4 * t + 6].tolist() == [100, 100, t]


def test_without_a_drawing_masks_are_written_all_the_same_and_a_state_goes_on(source, tmp_path):
    engine = Engine()
    with BackgroundWriter() as writer:
        shown = list(segment_video(engine, source, {0: given(0, 1)}, tmp_path, writer, seed=8, state=State(engine, SIZE, 3)))
    assert [s.index for s in shown] == [4, 5] and sorted(p.name for p in tmp_path.glob("*.png")) == ["f11.png", "f12.png"]
    with BackgroundWriter() as writer:
        next(segment_video(engine, source, {0: given(0, 1)}, tmp_path, writer, seed=8))
    assert engine.asked[-1][2] == 8


def test_recorded_masks_come_with_their_frames(source, tmp_path):
    """The first three, in their order, without a state; a mask that is missing is said."""
    for t in range(4):
        write_mask(tmp_path / f"f{7 + t}.png", answer(t))
    shown = list(recorded(source, tmp_path, 3))
    assert [(s.index, s.name, s.state) for s in shown] == [(0, "f7", None), (1, "f8", None), (2, "f9", None)]
    assert all(np.array_equal(s.labels, answer(s.index)) and np.array_equal(s.frame, frames()[s.index]) for s in shown)
    assert list(recorded(source, tmp_path, 0)) == [] and not prefetching()
    with pytest.raises(InputError, match=r"no mask at .*f11\.png"):
        list(recorded(source, tmp_path, 6))


def test_masks_are_named_after_their_frames(source, tmp_path):
    assert mask_files(tmp_path, source, 3) == [tmp_path / "f7.png", tmp_path / "f8.png", tmp_path / "f9.png"]
    assert mask_files(tmp_path, source, 0) == []
