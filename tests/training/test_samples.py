"""What a training draws: rates, epochs, shares of sources, samples that depend on their number alone."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tiny_training import Disks

from vosedu.errors import InputError
from vosedu.training.samples import Recipe, Samples, Source
from vosedu.training.shots import Shot, without_target


class Numbered:
    """A collection of some size, whose frames tell the sequence and the draw."""

    def __init__(self, size, length):
        self.size, self.length = size, length

    def __len__(self):
        return self.length

    def scene(self, index):
        return f"scene {index // 2}"

    def draw(self, index, rng):
        return Shot(np.full((*self.size, 3), index, np.uint8), np.full(self.size, rng.integers(250), np.uint8))


RECIPE = Recipe(steps=100, batch=4, height=64)


def numbered(*lengths):
    return [Numbered(RECIPE.size, length) for length in lengths]


def test_rate_falls_to_a_tenth_after_two_thirds():
    recipe = Recipe(steps=300)
    assert recipe.rate_at(0) < recipe.rate_at(10) == recipe.rate_at(199) == 1e-3
    assert recipe.rate_at(200) == pytest.approx(1e-4)


def test_frames_are_16_to_9():
    assert Recipe(height=240).size == (240, 432) and Recipe(height=64).size == (64, 112)


def test_an_epoch_visits_every_entry_as_often_as_asked():
    samples = Samples([(Disks(RECIPE.size), 1), (Disks(RECIPE.size), 8)], RECIPE)
    epoch = [samples.entry(n) for n in range(54)]
    assert all(epoch.count((0, i)) == 1 and epoch.count((1, i)) == 8 for i in range(6))
    assert [samples.entry(n) for n in range(54, 108)] != epoch
    assert len(samples) == 400 and samples.epoch == 54 and samples.contents == [[6, 6], [6, 48]]


def test_weights_decide_the_share_of_a_source_and_not_its_size():
    """Of 3 + 25 + 12 = 40 sequences per epoch the weights 3 : 1 : 4 make 15, 5 and 20."""
    samples = Samples([Source(clips, weight=w) for clips, w in zip(numbered(3, 25, 12), (3, 1, 4), strict=True)], RECIPE)
    assert samples.epoch == 40 and samples.contents == [[3, 15], [25, 5], [12, 20]]
    entries = [samples.entry(n) for n in range(200)]
    for epoch in range(5):
        assert Counter(source for source, _ in entries[40 * epoch : 40 * epoch + 40]) == {0: 15, 1: 5, 2: 20}
    visits = Counter(entries)
    assert all(visits[0, i] == 25 for i in range(3)), "as often as each other"
    assert all(visits[1, i] == 1 for i in range(25)), "a source larger than its share is gone through in turn"
    assert {visits[2, i] for i in range(12)} == {8, 9}
    first = sorted(i for source, i in entries[:40] if source == 1)
    assert first != list(range(first[0], first[0] + 5)), "neighbours do not come together"
    assert [s for s, _ in entries[:40]] != [s for s, _ in entries[40:80]]


def test_a_source_of_any_weight_is_seen():
    samples = Samples([Source(clips, weight=w) for clips, w in zip(numbered(4, 5), (1000, 0.001), strict=True)], RECIPE)
    assert samples.contents == [[4, 9], [5, 1]]


@pytest.mark.parametrize("weights", [(None, None), (1, 1)])
def test_at_most_so_many_sequences_of_a_source_are_drawn_evenly_spread(weights):
    recipe = Recipe(steps=60, batch=1, references=4)
    samples = Samples([(Numbered(RECIPE.size, 10), 1, weights[0]), (Numbered(RECIPE.size, 4), 1, weights[1])], recipe)
    drawn = [samples.entry(n) for n in range(60)]
    assert {i for s, i in drawn if s == 0} == {0, 3, 6, 9} and {i for s, i in drawn if s == 1} == {0, 1, 2, 3}
    assert samples.epoch == 8


def test_in_some_samples_the_last_frame_is_of_another_scene_and_has_an_empty_mask():
    """Sequences 0 and 1, 2 and 3, ... are of one scene; frames tell the sequence, and masks are empty only there."""
    samples = Samples([(clips, 1) for clips in numbered(6)], replace(RECIPE, absent=0.25))
    drawn = [samples[n] for n in range(200)]
    without = [(index, int(frames[1].max())) for _, index, frames, masks in drawn if not masks[1].any()]
    assert 30 < len(without) < 70 and all(index // 2 != other // 2 for index, other in without)
    assert {other for _, other in without} == set(range(6))
    assert all((frames[0] == index).all() for _, index, frames, _ in drawn)
    plain = Samples([(clips, 1) for clips in numbered(6)], RECIPE)
    same = [np.array_equal(plain[n][3][0], drawn[n][3][0]) for n in range(200)]
    assert all(same), "what else a sample has does not change"


def test_where_all_is_one_scene_the_target_is_always_there():
    shot = without_target(Numbered(RECIPE.size, 2), 1, np.random.default_rng(3))
    assert np.array_equal(shot.mask, Numbered(RECIPE.size, 2).draw(1, np.random.default_rng(3)).mask)


def test_a_sample_depends_on_its_number_and_the_seed():
    sources = [(clips, 1) for clips in numbered(3, 4)]
    samples = Samples(sources, RECIPE)
    source, index, frames, masks = samples[9]
    assert (source, index) == samples.entry(9)
    assert frames.shape == (2, *RECIPE.size, 3) and masks.shape == (2, *RECIPE.size) and (frames == index).all()
    again, other = Samples(sources, RECIPE)[9], Samples(sources, Recipe(steps=100, batch=4, height=64, seed=1))[9]
    assert np.array_equal(again[3], masks) and not np.array_equal(other[3], masks)
    assert masks[0, 0, 0] != masks[1, 0, 0], "two frames of a sample are drawn one after the other"


@pytest.mark.parametrize(("sources", "line"), [
    ([], "holds no object"),
    ([(4, 1, None), (0, 1, None)], "holds no object"),
    ([(4, 1, 2.0), (3, 1, None)], "give all of them one, or none"),
    ([(4, 1, 0.0)], "above 0"),
    ([(4, 1, float("nan"))], "above 0"),
])
def test_what_cannot_be_drawn_from_is_refused(sources, line):
    with pytest.raises(InputError, match=line):
        Samples([Source(Numbered(RECIPE.size, length), *rest) for length, *rest in sources], RECIPE)
