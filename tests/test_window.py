"""The window that follows a target: by hand on rectangles, and in the engine on shapes that are small, hide and return."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, assert_found, moving_shapes

from vosedu import BEST, PAPER, WHOLE, Segmenter
from vosedu.beyond import window
from vosedu.beyond.close_up import Part
from vosedu.beyond.window import KEPT, Gaze, Window, Windows, joined
from vosedu.evaluation.metrics import jaccard

SIZE = (200, 300)


def box(top, left, height, width):
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


@pytest.mark.parametrize(("target", "zoom"), [
    ((90, 120, 20, 30), (0.06 * 200 * 300 / 600) ** 0.5),  # the share of the area decides
    ((90, 20, 4, 100), 0.5 * 300 / 100),  # a long one may take half of the window's width
    ((20, 120, 90, 4), 0.5 * 200 / 90),  # or of its height
    ((90, 120, 4, 5), 3.0),  # never nearer than the limit
    ((10, 10, 150, 200), 1.0),  # a large one is looked at in the whole frame
])
def test_the_zoom_gives_the_target_its_share_of_the_window(target, zoom):
    gaze = Gaze(SIZE, 0.06, 3.0)
    gaze.follow(box(*target))
    assert gaze.zoom == pytest.approx(zoom)


def test_the_window_has_the_frames_shape_the_target_in_its_middle_and_stays_inside():
    gaze = Gaze(SIZE, 0.06, 3.0)
    gaze.follow(box(90, 120, 8, 10))
    assert gaze.window == Window(94 - 34, 125 - 50, 67, 100)  # 200 / 3 and 300 / 3 about row 94, column 125
    gaze.follow(box(0, 290, 8, 10))
    assert gaze.window == Window(0, 200, 67, 100), "in the corner"
    gaze.follow(box(190, 2, 8, 10))
    assert gaze.window == Window(133, 0, 67, 100)


def test_out_at_once_in_slowly_and_out_while_it_is_lost():
    """A target that comes near is given room in the same frame; one that is covered is not approached; one that is gone is
    looked for in the whole frame after a few frames."""
    gaze = Gaze(SIZE, 0.06, 3.0)
    gaze.follow(box(90, 120, 20, 30))
    near = gaze.zoom
    gaze.follow(box(80, 110, 40, 60))
    assert gaze.zoom == pytest.approx(near / 2)
    gaze.follow(box(80, 110, 40, 15))  # three quarters of it are covered
    assert gaze.zoom == pytest.approx(near / 2 / 0.95**0.5), "as if 95 % of its area were left"
    before = gaze.zoom, gaze.centre
    gaze.follow(box(80, 110, 10, 15))  # a sixteenth is a rest that may be anything
    assert gaze.zoom == pytest.approx(before[0] ** 0.75) and gaze.centre == before[1]
    for _ in range(8):
        gaze.follow(np.zeros(SIZE))
    assert gaze.window == Window(0, 0, *SIZE)
    assert Gaze(SIZE, 0.06, 3.0).window == Window(0, 0, *SIZE), "before anything was seen"


def test_without_a_share_the_window_is_the_whole_frame():
    windows = Windows(SIZE, (100, 150), 0.0, 3.0)
    assert len(windows.first(np.zeros((*SIZE, 3), np.uint8), box(90, 120, 20, 30))) == 1
    windows.follow(box(90, 120, 8, 10), [1], 1)
    (view,) = windows.look(np.full((*SIZE, 3), 7, np.uint8))
    assert view.shape == (100, 150, 3) and windows.whole and windows.now == [(0, 0, *SIZE)]


def test_views_that_coincide_are_one_and_each_object_has_its_own():
    """Two large objects share the whole frame; a small one has a window of the video's own pixels."""
    windows, frame = Windows(SIZE, (100, 150), 0.06, 2.0), np.zeros((*SIZE, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(200)[:, None], np.arange(300)[None, :] % 256
    for target in ((10, 10, 150, 200), (60, 80, 10, 10), (40, 90, 140, 200)):
        assert windows.first(frame, box(*target))
    views = windows.look(frame)
    assert len(views) == 2 and windows.owner == [0, 1, 0] and not windows.whole
    top, left, height, width = windows.now[1]
    assert (height, width) == (100, 150) and np.array_equal(views[1], frame[top : top + 100, left : left + 150])


def test_first_views_are_the_window_and_the_whole_frame():
    """So that D knows what else there is; a speck of which nothing is left at the working size is no object."""
    windows, frame = Windows(SIZE, (50, 75), 0.06, 2.0), np.zeros((*SIZE, 3), np.uint8)
    (near, mask), (far, small) = windows.first(frame, box(60, 80, 20, 20))
    assert near.shape == far.shape == (50, 75, 3) and mask.sum() == 10 * 10 and small.sum() == 5 * 5
    assert windows.first(frame, np.zeros(SIZE)) == [] and len(windows.gazes) == 1


def test_maps_are_spread_into_the_frame_and_masks_seen_through_the_windows():
    """Each object's map fills its own window and nothing else; masks come back cut to it; a new object shows nothing."""
    windows = Windows((8, 12), (4, 6), 0.06, 2.0)
    windows.now = [Window(2, 3, 4, 6), Window(0, 0, 8, 12)]
    maps = torch.stack([torch.arange(24.0).view(4, 6), torch.full((4, 6), 5.0)])
    out = windows.spread(maps, (8, 12))
    assert torch.equal(out[0, 2:6, 3:9], maps[0]) and (out[0] == -20).sum() == 8 * 12 - 24 and (out[1] == 5).all()
    assert torch.equal(windows.spread(maps, (4, 6), 0.0)[1], maps[1]) and windows.spread(maps, (4, 6), 0.0)[0, 0].sum() == 0
    masks = torch.zeros(3, 8, 12)
    masks[0, 3, 4:7] = masks[1, 2:4, 4:6] = masks[2] = 1
    seen = windows.through(masks)
    assert seen[0].nonzero().tolist() == [[1, 1], [1, 2], [1, 3]]
    assert seen[1].nonzero().tolist() == [[1, 2]] and seen[2].sum() == 0


def test_state_is_all_there_is():
    windows = Windows(SIZE, (100, 150), 0.06, 3.0)
    for target in ((60, 80, 10, 10), (90, 20, 4, 100)):
        windows.first(np.zeros((*SIZE, 3), np.uint8), box(*target))
    again = Windows(SIZE, (100, 150), 0.06, 3.0)
    again.load(windows.state())
    for mask in (box(60, 90, 9, 9), box(0, 0, 1, 0)):
        for each in (windows, again):
            each.follow(mask, [1, 2], 1)
        assert [g.window for g in again.gazes] == [g.window for g in windows.gazes]
        assert torch.equal(again.state(), windows.state())


def test_windows_are_joined_that_lose_little_zoom():
    """Two small ones side by side and one far away; the joint window of the two has the frame's shape and holds both."""
    a, b, far = Window(20, 30, 40, 60), Window(30, 60, 40, 60), Window(120, 200, 80, 100)
    assert joined([a, far, a, b], 1.4, SIZE) == [a, far, a, b], "the joint one of the two is 1.5 times as high"
    one, other, again, two = joined([a, far, a, b], 1.5, SIZE)
    assert other == far and one == again == two == Window(15, 30, 60, 90)
    assert set(joined([a, b, far], 5.0, SIZE)) == {(0, 0, *SIZE)}, "they are nearly as wide as the frame together"
    row = [Window(20, left, 40, 60) for left in (30, 40, 50, 60, 70)]
    assert max(window.height for window in joined(row, 1.4, SIZE)) <= 1.4 * 40, "against their own, not those joined before"


def test_the_part_of_an_object_is_room_about_its_box():
    """In pixels of the working size, half the frame's; outwards to multiples of 16, and within the window."""
    windows = Windows(SIZE, (100, 150), 0.06, 1.0, room=2.0)
    for target in ((90, 120, 20, 60), (0, 250, 150, 20)):
        windows.first(np.zeros((*SIZE, 3), np.uint8), box(*target))
    windows.look(np.zeros((*SIZE, 3), np.uint8))
    # rows: 50, and the least reach, an eighth of 100, and 24 more; columns: 75, 2 * 30 / 2 and 24
    assert windows.parts([0]) == [Part(0, 16, 96, 144)]
    assert windows.parts([1, 0]) == [Part(0, 80, 100, 150), Part(0, 16, 96, 144)]
    windows.follow(np.zeros(SIZE), [1, 2], 1)
    windows.look(np.zeros((*SIZE, 3), np.uint8))
    assert windows.parts([0]) == [Part(0, 0, 100, 150)], "it is lost"


class Asked(Windows):
    """Windows whose R, in place of `refined`, notes the averages that it is given, and makes them of the score maps."""

    def __init__(self, monkeypatch, objects=1):
        super().__init__(SIZE, (96, 144), 0.06, 1.0, room=1.0)
        self.given = []
        monkeypatch.setattr(window, "refined", self.refined)
        for _ in range(objects):
            self.gazes.append(Gaze(SIZE, 0.06, 1.0))
            self.gazes[-1].box = 20.0, 20.0

    def refined(self, network, features, scores, size, parts, beyond=None):
        self.given.append(beyond and [None if average is None else average[0].item() for average in beyond])
        made = [None if part.all_of(size) else score[0, :1].expand(64) for part, score in zip(parts, scores, strict=True)]
        return scores, beyond or made

    def ask(self, frame, objects=(0,), view=(0, 0, *SIZE)):
        """R about objects, whose scores are the frame's number and 10 times theirs."""
        self.now = [Window(*view)] * len(self.gazes)
        scores = torch.stack([torch.full((2, 2), 10.0 * n + frame) for n in objects])
        return self.refine(objects, lambda *_: "all of it", (), scores, self.working_size)


def test_what_r_has_beyond_an_object_is_kept_for_some_frames(monkeypatch):
    windows = Asked(monkeypatch)
    for frame in range(1, 2 * KEPT + 2):
        windows.ask(frame)
    assert windows.given == [None, *[[1.0]] * (KEPT - 1), None, *[[1.0 + KEPT]] * (KEPT - 1), None]


def test_it_is_kept_while_the_window_is_about_the_same(monkeypatch):
    windows = Asked(monkeypatch)
    for frame, (top, left, zoom) in enumerate([(0, 0, 2), (37, 37, 2), (38, 0, 2), (38, 0, 2), (38, 0, 3)]):
        windows.ask(frame, view=(top, left, 200 // zoom, 300 // zoom))
    assert windows.given == [None, [0.0], None, [2.0], None]  # a quarter of 150 is 37.5


def test_each_object_has_its_own_average_and_who_shares_a_view_is_asked_with_the_others(monkeypatch):
    windows = Asked(monkeypatch, objects=3)
    for frame, objects in enumerate([(2,), (0,), (2,), (0, 2), (1, 0), (0, 1)]):
        windows.ask(frame, objects)
    assert windows.given == [None, None, [20.0], [1.0, 20.0], None, [4.0, 14.0]], "object 1 had none: both are made"


def test_who_is_lost_is_looked_for_in_all_of_the_view_without_an_average_and_leaves_none(monkeypatch):
    windows = Asked(monkeypatch, objects=2)
    windows.ask(1, (0, 1))
    windows.gazes[0].box = np.inf, np.inf
    windows.ask(2, (0, 1))
    assert windows.given == [None, [None, 11.0]]
    assert windows.ask(3, (0,)) == "all of it" and len(windows.given) == 2, "one alone: by the network itself"
    windows.gazes[0].box = 20.0, 20.0
    windows.ask(4, (0, 1))
    windows.ask(5, (0, 1))
    assert windows.given[2:] == [None, [4.0, 14.0]], "its own was missing"


def test_an_average_does_not_outlive_frames_in_which_one_alone_was_lost(monkeypatch):
    windows = Asked(monkeypatch)
    windows.ask(1)
    windows.gazes[0].box = np.inf, np.inf
    assert windows.ask(2) == "all of it" and windows.gazes[0].kept is None
    windows.gazes[0].box = 20.0, 20.0
    windows.ask(50)
    assert windows.given == [None, None]


def test_averages_can_be_taken_up_again(monkeypatch):
    windows, other = Asked(monkeypatch, objects=2), Asked(monkeypatch, objects=0)
    windows.ask(1, (1,))
    windows.ask(2, (1,))
    other.load(windows.state())
    assert other.gazes[0].kept is None and other.gazes[1].kept[1:] == windows.gazes[1].kept[1:] == ((0, 0, *SIZE), 2)
    assert torch.equal(other.gazes[1].kept.beyond, windows.gazes[1].kept.beyond)
    assert torch.equal(other.state(), windows.state())


def test_presets_have_it_where_it_belongs():
    assert BEST.window_share > 0 == WHOLE.window_share == PAPER.window_share 
    assert replace(BEST, window_share=0.0, window_room=0.0, window_joint=1.0, leap=0.0, nearest=0.0) == WHOLE


def test_a_small_target_is_followed_better_through_a_window(segmenter):
    """A shape of a hundredth of the frame, which the networks see three times as large: J is higher by a tenth and more."""
    frames, labels = moving_shapes(8, (384, 528), step=12, radius=24)
    found = {}
    for name, share in (("window", 0.06), ("whole", 0.0)):
        engine = segmenter.changed(config=replace(FINDS, window_share=share), short_side=128)
        video = engine.start(frames[0], labels[0])
        found[name] = np.mean([jaccard(video.step(f).numpy(), y) for f, y in zip(frames[1:], labels[1:], strict=True)])
    assert found["window"] > found["whole"] + 0.1 and found["window"] > 0.5, found


def test_objects_that_enter_late_hide_and_return_through_windows_and_restarts(quick_segmenter):
    """Two small shapes, each with a window of its own: ids stay, and a restored video gives the same bits in every frame."""
    frames, labels = moving_shapes(12, (256, 352), objects=2, radius=28, absent={2: (0, 1, 6, 7)})
    engine = Segmenter(quick_segmenter.backbone, config=replace(FINDS, window_share=0.1, update_every=3), device="cpu",
                       short_side=ROOM[0])
    video, found, zooms = engine.start(frames[0], labels[0]), [], []
    for t, frame in enumerate(frames[1:], 1):
        given = np.where(labels[t] == 2, 2, 0) if t == 2 else None
        restored = engine.restore(video.state())
        found.append(video.step(frame, given).numpy())
        assert torch.equal(restored.step(frame, given), video.labels)
        zooms.append([gaze.zoom for gaze in video.windows.gazes])
    assert video.ids == [1, 2] and len(set(video.windows.now)) == 2 and max(zooms[-1]) > 1.2
    assert video.scores.shape == (2, 8, 11) and video.probabilities.shape == (3, 256, 352)
    assert_found(found[:5] + found[9:], np.concatenate([labels[1:6], labels[10:]]))
