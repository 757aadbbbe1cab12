"""The bank of remembered cells beside D, on features of two numbers whose cosines are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, moving_shapes
from rivals.toys import first_frame, pixels

from vosedu.beyond import nearest
from vosedu.beyond.nearest import SCALES, WithNearest, with_nearest
from vosedu.config import BEST, WHOLE
from vosedu.target_model import OnlineTargets

RIGHT, BETWEEN, UP = (3.0, 0.0), (0.8, 0.6), (0.0, 2.0)  # lengths do not matter: the cosines are 1, 0.8, 0.6, 0
SCALE, OFFSET = 4.0, 0.3
CONFIG = replace(WHOLE, nearest=0.25, min_pixels=5)


class Constant:
    """Target models that answer 2 everywhere, and note what they are told."""

    def __init__(self):
        self.told = []

    def learn(self, samples, seed):
        self.told.append(("learn", seed))

    def scores(self, features):
        self.told.append("scores")
        return torch.full(features.shape[-2:], 2.0)[None]

    def remember(self, masks):
        self.told.append("remember")

    def update(self):
        self.told.append("update")

    def state(self):
        return {"mine": torch.ones(1)}

    def load(self, state):
        self.told.append(("load", state["mine"].item()))


def plane(*rows):
    """Rows of pairs of numbers -> features (2, h, w)."""
    return torch.tensor(rows).permute(2, 0, 1)


def mixed(s):
    """What R reads where the target models say 2, and the bank s."""
    return pytest.approx(0.75 * 2 + 0.25 * (SCALE * s + OFFSET))


def learned(*objects):
    """Banks of objects, each (features, mask)."""
    targets = WithNearest(Constant(), CONFIG, (SCALE, OFFSET))
    for seed, (x, mask) in enumerate(objects):
        targets.learn(first_frame(plane(*x), mask), seed)
    return targets


FIRST = ([[RIGHT, UP]], [[1, 0]])


def test_scores_by_hand():
    """The object looks RIGHT, the background UP: cosines of 1, 0.8 and 0 to the one, 0, 0.6 and 1 to the other."""
    found = learned(FIRST).scores(plane([RIGHT, BETWEEN, UP]))
    assert found.shape == (1, 1, 3) and found[0, 0].tolist() == [mixed(1), mixed(0.2), mixed(-1)]


def test_large_maps_are_compared_a_part_at_a_time(monkeypatch):
    whole = learned(FIRST, ([[RIGHT, UP]], [[0, 1]]))
    expected, asked = whole.scores(plane([RIGHT, BETWEEN, UP])), []
    monkeypatch.setattr(nearest, "MOST", 9)  # of four cells in a bank
    monkeypatch.setattr(torch.Tensor, "amax", lambda x, dim, f=torch.Tensor.amax: asked.append(x.shape) or f(x, dim))
    assert torch.equal(whole.scores(plane([RIGHT, BETWEEN, UP])), expected)
    assert asked == [(2, 4)] * 2 + [(1, 4)] * 2 + [(2, 4)] * 2 + [(1, 4)] * 2


def test_the_nearest_counts_and_not_the_mean():
    targets = learned(([[RIGHT, BETWEEN, UP]], [[1, 1, 0]]))
    assert targets.scores(plane([RIGHT]))[0, 0].tolist() == [mixed(1 - 0)]


def test_an_object_that_fills_the_frame_has_no_background_to_be_like():
    assert learned(([[RIGHT, RIGHT]], [[1, 1]])).scores(plane([UP]))[0, 0].tolist() == [mixed(0 + 1)]


def test_what_was_learned_from_last_is_looked_up_and_the_first_frame_is_kept():
    targets = learned(FIRST)
    for mask, seen in (([[0, 1]], [[RIGHT, BETWEEN]]), ([[1, 0]], [[(0.0, -1.0), (-1.0, 0.0)]])):
        targets.scores(plane(*seen))
        bank = targets.bank.clone()
        targets.remember(pixels(mask)[None])
        assert targets.bank.equal(bank), "a frame that is only remembered changes nothing"
        targets.update()
    found = targets.scores(plane([(0.0, -1.0), (-1.0, 0.0), BETWEEN, RIGHT]))[0, 0].tolist()
    assert found == [mixed(1 - 0), mixed(0 - 1), mixed(0.8 - 0.6), mixed(1 - 0)], "BETWEEN was the object once, and gave way"


def test_cells_that_are_half_covered_are_neither_s():
    targets = learned(FIRST)
    targets.scores(plane([BETWEEN, UP]))
    targets.remember(torch.cat([torch.ones(1, 4, 2), torch.zeros(1, 4, 6)], dim=2))
    targets.update()
    assert targets.scores(plane([BETWEEN]))[0, 0].tolist() == [mixed(0.8 - 0.6)]


def test_who_is_hardly_there_or_came_since_keeps_the_bank():
    targets = learned(FIRST, FIRST)
    targets.scores(plane([BETWEEN, UP]))
    targets.learn(first_frame(plane(*FIRST[0]), FIRST[1]), 2)
    small = torch.zeros(4, 8)
    small[0, 0] = 1
    targets.remember(torch.stack([pixels([[1, 0]]), small, pixels([[1, 0]])]))
    before = targets.bank.clone()
    targets.update()
    changed = (targets.bank != before).flatten(1).any(1)
    assert changed.tolist() == [True, False, False] and torch.equal(targets.bank[:, 0], before[:, 0])


def test_each_object_may_have_features_of_its_own():
    targets = learned(FIRST, ([[RIGHT, UP]], [[0, 1]]))
    found = targets.scores(torch.stack([plane([RIGHT]), plane([BETWEEN])]))
    assert found[:, 0, 0].tolist() == [mixed(1), mixed(0.6 - 0.8)]


def test_the_target_models_are_told_everything():
    targets = learned(FIRST)
    targets.scores(plane([RIGHT, UP]))
    targets.remember(pixels([[1, 0]])[None])
    targets.update()
    targets.load(targets.state())
    assert targets.targets.told == [("learn", 0), "scores", "remember", "update", ("load", 1.0)]
    assert targets.told is targets.targets.told, "what it lacks is theirs"


def test_the_paper_s_method_has_none():
    targets = OnlineTargets(WHOLE)
    assert with_nearest(targets, WHOLE, "compact", "float32") is targets and BEST.nearest > 0
    assert with_nearest(targets, BEST, "resnet18", "float32") is targets, "cosines of other features were not measured"
    found = with_nearest(targets, BEST, "compact", "bfloat16")
    assert isinstance(found, WithNearest) and found.dtype == torch.bfloat16 and found.scale == SCALES["compact"]


def test_in_a_video_it_changes_scores_and_goes_on_from_a_checkpoint(segmenter):
    frames, masks = moving_shapes(frames=6, size=ROOM)
    engine = segmenter.changed(config=replace(FINDS, nearest=0.3, update_every=2))
    video, plain = engine.start(frames[0], masks[0]), segmenter.changed(config=FINDS).start(frames[0], masks[0])
    assert video.targets.model.taps.equal(plain.targets.model.taps), "D itself is the same"
    for frame in frames[1:4]:
        video.step(frame)
    plain.step(frames[1])
    state = video.state()
    again, bank = engine.restore(state), state["targets.nearest.bank"].clone()
    for frame in frames[4:]:
        assert torch.equal(video.step(frame), again.step(frame)) and torch.equal(video.seen, again.seen)
    assert state["targets.nearest.bank"].equal(bank) and not again.targets.bank.equal(bank), "the checkpoint stays as it was"
    first = engine.start(frames[0], masks[0])
    first.step(frames[1])
    assert not np.allclose(first.seen.numpy(), plain.seen.numpy(), atol=0.01)
