"""What the families share, and each of them in the engine: several objects, a late one, a restored video, a window."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, assert_found, moving_shapes

from vosedu.beyond.nearest import covered
from vosedu.config import WHOLE
from vosedu.features import TARGET_DEPTH
from vosedu.rivals import discriminative
from vosedu.rivals.family import Calibrated
from vosedu.rivals.field import BUNDLED_FIELD, load_learned, ready
from vosedu.segmenter import READOUT

FAMILIES = ready(load_learned(BUNDLED_FIELD, 256))
FOUND = [name for name in FAMILIES if name != "propagation"]
"""Those that find shapes which the propagation network, trained on photographs, does not know."""


def test_covered_cells_by_hand():
    mask = torch.zeros(1, 4, 6)
    mask[0, :2, :3] = 1
    mask[0, 3, 5] = 1
    assert covered(mask, (2, 2)).flatten().tolist() == [1, 0, 0, pytest.approx(1 / 6)]


def test_a_calibrated_score_has_d_s_scale():
    """Raw scores s with logits 4 s - 1: through D's readout the calibrated ones have those logits again."""
    class Raw:
        def scores(self, features):
            return features

        def state(self):
            return "of the family"

    found = Calibrated(Raw(), 4.0, -1.0)
    s = torch.tensor([0.0, 0.25, 2.0])
    torch.testing.assert_close(READOUT[0] * found.scores(s) + READOUT[1], 4 * s - 1)
    assert found.scores(torch.tensor([0.25])).item() == pytest.approx(0.5) and found.state() == "of the family"


@pytest.mark.parametrize("name", FOUND)
def test_it_finds_two_objects_that_move_and_turn(quick_segmenter, name, monkeypatch):
    """Adam, which has as long as Gauss-Newton has on larger frames, gets more steps on these."""
    monkeypatch.setattr(discriminative, "STEPS", 150)
    frames, labels = moving_shapes(5, ROOM, objects=2, step=3, turn=4)
    segmenter = quick_segmenter.changed(targets=FAMILIES[name].make, config=replace(FINDS, update_every=2))
    video = segmenter.start(frames[0], labels[0])
    assert_found([video.step(frame).numpy() for frame in frames[1:]], labels[1:], 0.15 if name == "generative" else 0.3)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_late_object_and_a_restored_video(quick_segmenter, name):
    """The second object enters in the frame in which the first is updated; then a copy of the state steps to the same bits."""
    frames, labels = moving_shapes(6, ROOM, objects=2)
    config = replace(FINDS, update_every=2)
    segmenter = quick_segmenter.changed(targets=FAMILIES[name].make, config=config)
    video = segmenter.start(frames[0], np.where(labels[0] == 1, 1, 0))
    video.step(frames[1])
    found = video.step(frames[2], np.where(labels[2] == 2, 2, 0))
    assert video.ids == [1, 2] and (found.numpy()[labels[2] == 2] == 2).all()
    video.step(frames[3])
    other = segmenter.restore({part: value.clone() for part, value in video.state().items()})
    for frame in frames[4:]:
        assert torch.equal(video.step(frame), other.step(frame)), name
        assert torch.equal(video.seen, other.seen)
    assert video.seen.shape[0] == 2 and video.seen.std() > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_objects_may_look_through_windows_of_their_own(quick_segmenter, name):
    """Features (N, C, h, w), one map an object, give the scores that each map gives alone."""
    frames, labels = moving_shapes(3, ROOM, objects=2)
    segmenter = quick_segmenter.changed(targets=FAMILIES[name].make, config=FINDS)
    video = segmenter.start(frames[0], labels[0])
    x, other = (segmenter.features(frame[None])[TARGET_DEPTH][0] for frame in frames[1:])
    apart = video.targets.scores(torch.stack([x, other]))
    torch.testing.assert_close(apart[0], video.targets.scores(x)[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(apart[1], video.targets.scores(other)[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_scores(quick_segmenter, name):
    frames, labels = moving_shapes(2, ROOM)
    segmenter = quick_segmenter.changed(targets=FAMILIES[name].make, config=FINDS)
    runs = []
    for _ in range(2):
        video = segmenter.start(frames[0], labels[0], seed=4)
        video.step(frames[1])
        runs.append(video.seen)
    assert torch.equal(*runs)


def test_every_preset_s_numbers_go_through(quick_segmenter):
    """PAPER's capacity and so on: a family is made from any `Config`."""
    assert {row.make(WHOLE).config for row in FAMILIES.values()} == {WHOLE}
