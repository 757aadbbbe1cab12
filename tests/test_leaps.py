"""A part of a mask that lies apart from the last one is dropped, unless the target may have gone there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from vosedu.beyond.close_up import OUTSIDE
from vosedu.beyond.leaps import ENOUGH, FARTHER, LARGE, leaps, without_leaps
from vosedu.config import BEST, WHOLE

SIZE = (120, 160)
REACH = 0.1


def boxes(*places):
    """A mask of boxes (top, left, height, width)."""
    mask = np.zeros(SIZE, np.uint8)
    for top, left, height, width in places:
        mask[top : top + height, left : left + width] = 1
    return mask


TARGET = (40, 20, 40, 40)
"""An area of 1,600, whose square root is 40: large parts may lie 4 pixels away, small ones 12."""
BEFORE = boxes(TARGET)


@pytest.mark.parametrize(("part", "gone"), [
    ((40, 100, 40, 40), True),  # a twin
    ((40, 65, 40, 20), True),  # large, 6 pixels to the right
    ((40, 62, 40, 20), False),  # 3 pixels
    ((40, 70, 19, 20), False),  # small: 380 of 400, 11 pixels
    ((40, 75, 19, 20), True),  # small, 16 pixels
    ((84, 75, 19, 20), True),  # at a corner, 16 across and 5 down
    ((86, 66, 10, 10), False),  # 7 pixels each way: 9.9
])
def test_what_lies_apart_is_dropped_and_large_parts_sooner(part, gone):
    found = leaps(boxes(TARGET, part), BEFORE, REACH)
    assert np.array_equal(found, boxes(part).astype(bool) if gone else np.zeros(SIZE, bool))
    assert (LARGE, FARTHER, ENOUGH) == (0.25, 3.0, 0.6), "what the places above were chosen by"


def test_it_follows_the_target_s_size():
    twice = cv2.resize(boxes(TARGET, (40, 65, 40, 20)), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert leaps(twice, cv2.resize(BEFORE, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), REACH).sum() == 4 * 800


@pytest.mark.parametrize(("now", "before"), [
    (boxes((40, 100, 40, 40)), BEFORE),  # it has jumped
    (boxes((40, 20, 23, 40), (40, 100, 40, 40)), BEFORE),  # 58 % of it are left where it was: covered, or on its way
    (boxes(TARGET, (40, 100, 40, 40)), boxes()),  # it was lost
    (boxes(), BEFORE),
    (boxes(TARGET), BEFORE),
])
def test_a_target_that_may_have_gone_elsewhere_is_not_dropped(now, before):
    assert not leaps(now, before, REACH).any()


def test_each_object_is_looked_at_by_itself_at_the_size_of_the_logits():
    labels = np.zeros((240, 320), np.uint8)
    labels[80:160, 40:120], labels[80:160, 200:280] = 1, 7
    both = torch.from_numpy(boxes(TARGET, (40, 100, 40, 40))).float() * 10 - 5
    logits = torch.stack([both, both, both])
    found = without_leaps(logits, labels, [1, 7, 9], REACH)
    assert (found[0, 40:80, 100:140] == OUTSIDE).all() and (found[1, 40:80, 20:60] == OUTSIDE).all()
    assert torch.equal(found[0, :, :100], both[:, :100]) and torch.equal(found[1, :, 100:], both[:, 100:])
    assert torch.equal(found[2], both), "nobody knows where 9 was"
    assert without_leaps(found, labels, [1, 7, 9], REACH) is found, "nothing more leaps"
    assert without_leaps(logits, labels, [1, 7, 9], 0.0) is logits


def test_the_engine_asks_with_the_last_answer_and_goes_on_from_a_state(segmenter, monkeypatch):
    assert BEST.leap > 0 == WHOLE.leap
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (*SIZE, 3), np.uint8)
    asked = []
    monkeypatch.setattr("vosedu.segmenter.without_leaps", lambda logits, labels, ids, reach:
                        asked.append((labels, list(ids), reach)) or logits)
    for leap in (0.0, 0.3):
        video = segmenter.changed(config=replace(segmenter.config, leap=leap)).start(frame, 4 * BEFORE)
        video.step(frame)
        after = video.labels.clone()
        again = video.segmenter.restore(video.state())
        assert torch.equal(again.labels, after)
        again.step(frame)
    assert [(ids, reach) for _, ids, reach in asked] == [([4], 0.0), ([4], 0.0), ([4], 0.3), ([4], 0.3)]
    assert np.array_equal(asked[2][0], 4 * BEFORE) and np.array_equal(asked[3][0], after.numpy())
