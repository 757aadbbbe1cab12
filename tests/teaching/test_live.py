"""What a reader sees while a video is segmented."""

from types import SimpleNamespace

import numpy as np
import pytest
from teaching.seeing import is_described

from vosedu.beyond.window import Window
from vosedu.files.images import overlay
from vosedu.files.labels import DAVIS_PALETTE
from vosedu.pipeline import Tracked
from vosedu.teaching.live import Live, with_windows
from vosedu.teaching.states import decoded

FRAME = np.full((40, 60, 3), 90, np.uint8)
LABELS = np.zeros((40, 60), np.uint8)
LABELS[10:20, 10:20] = 1


def tracked(*windows, whole=False, ids=(1, 2)):
    return Tracked(3, "003", FRAME, LABELS, SimpleNamespace(windows=SimpleNamespace(whole=whole, now=list(windows)), ids=ids))


def test_each_window_is_a_rectangle_in_its_objects_colour():
    shown = tracked(Window(4, 8, 20, 30), Window(0, 0, 40, 60))
    picture = with_windows(FRAME[::2, ::2].copy(), shown)
    first, second = (np.argwhere((picture == DAVIS_PALETTE[i]).all(axis=2)) for i in (1, 2))
    assert first.min(axis=0).tolist() == [2, 4] and first.max(axis=0).tolist() == [11, 18], "half as large as in the frame"
    assert len(first) == 2 * 15 + 2 * 8, "an outline, one pixel wide"
    assert second.min(axis=0).tolist() == [0, 0] and second.max(axis=0).tolist() == [19, 29]
    assert (FRAME == 90).all(), "the frame itself is as it was"


@pytest.mark.parametrize("state", [None, SimpleNamespace(ids=[1]), SimpleNamespace(windows=SimpleNamespace(whole=True, now=[
    Window(0, 0, 40, 60)]), ids=[1])])
def test_without_windows_there_is_nothing_to_show(state):
    assert with_windows(FRAME, Tracked(0, "000", FRAME, LABELS, state)) is FRAME


def test_an_object_that_has_just_entered_has_no_window_yet():
    assert (with_windows(FRAME, tracked(Window(4, 8, 20, 30), ids=(1, 2))) != 90).any()


def test_a_frame_is_shown_as_it_comes():
    live, seen = Live((40, 60)), []
    live.observe(lambda change: seen.append(change.new), "value")
    picture = live.show(tracked(whole=True))
    assert np.array_equal(picture, overlay(FRAME, LABELS)) and len(seen) == 1 and is_described(live)
    assert np.abs(decoded(live.value).astype(int) - picture).mean() < 8
    assert Live((20, 30)).show(tracked(whole=True)).shape == (20, 30, 3)
