"""What is learned before any video: on disks on noise, and numbers along a line."""

import copy
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from tiny_training import TINY, Disks
from tqdm import tqdm

from vosedu.evaluation.metrics import jaccard
from vosedu.rivals import offline
from vosedu.rivals.field import BUNDLED_FIELD, FIGURES, families, load_learned, ready
from vosedu.rivals.matching import Matching
from vosedu.rivals.propagation import Propagation
from vosedu.segmenter import Segmenter
from vosedu.target_model import OnlineTargets
from vosedu.training.checkpoints import save_weights
from vosedu.training.samples import Recipe, Samples
from vosedu.weights import load_pretrained, load_refinement


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.from_pretrained(config=TINY, device="cpu")


@pytest.fixture(scope="module")
def samples():
    recipe = Recipe(steps=30, batch=2, height=64)
    return Samples([(Disks(recipe.size), 1)], recipe)


def few(samples, **changes):
    """The same clips under another recipe."""
    return Samples(samples.sources, replace(samples.recipe, **changes))


def test_scale_and_offset_put_the_threshold_between_the_kinds():
    """Scores of 3 on the object and 1 elsewhere, with noise: the logit is 0 near 2, and rises from there."""
    g = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 32, 48)
    mask[:, 8:24, 8:32] = 1
    scores = [1 + 2 * mask[:, ::8, ::8] + 0.2 * torch.randn(2, 4, 6, generator=g)]
    scale, offset = offline.fitted(scores, [mask])
    assert scale > 1 and -offset / scale == pytest.approx(2, abs=0.25)
    other, moved = offline.fitted([s / 100 - 7 for s in scores], [mask])
    assert -moved / other == pytest.approx(-offset / scale / 100 - 7, abs=0.003), "whatever the family's own scale"


def test_scores_that_tell_nothing_apart_still_give_numbers():
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    for scores in (torch.zeros(1, 4, 4), 1 - mask[:, ::4, ::4]):
        assert all(abs(number) < 1e4 for number in offline.fitted([scores + 0.01 * torch.eye(4)], [mask]))


def test_lessons_are_the_same_for_all_and_in_the_same_order(segmenter, samples):
    batches = list(offline.lessons(segmenter, samples, 1, 2))
    again = list(offline.lessons(segmenter, samples, 0, 3))[1:]
    assert [[lesson.number for lesson in batch] for batch in batches] == [[2, 3], [4, 5]]
    for one, other in zip(chain(*batches), chain(*again), strict=True):
        assert torch.equal(one.first.features, other.first.features) and np.array_equal(one.masks, other.masks)
        assert one.first.features.shape[1] == TINY.samples and len(one.maps) == 5


def test_a_family_is_told_the_mask_before_only_where_it_asks_for_it(segmenter, samples):
    """The propagation network gets each frame's own mask, deformed; others see the frames alone."""
    lesson = next(offline.lessons(segmenter, samples, 0, 1))[0]
    seen = []

    class Spy:
        def __call__(self, x, target, previous):
            seen.append(previous.clone())
            return previous

    found = offline.scored(lambda config: Propagation(config, Spy()), TINY, lesson)
    truth = offline.covered(torch.from_numpy(lesson.masks).float(), lesson.maps[3].shape[-2:]).view_as(found)
    assert torch.equal(found, torch.cat(seen))
    for mine, true in zip(found, truth, strict=True):
        assert not mine.any() or (mine * true).sum() > 0.3 * true.sum()
    assert offline.scored(Matching, TINY, lesson).shape == found.shape


def test_the_propagation_network_learns(segmenter, samples):
    """J of its scores on clips that it has seen is higher after 40 steps than after one."""
    def overlap(network):
        found = []
        for lesson in chain(*offline.lessons(segmenter, samples, 0, 3)):
            scores = offline.scored(lambda config: Propagation(config, network), TINY, lesson)
            truth = offline.covered(torch.from_numpy(lesson.masks).float(), scores.shape[-2:]).view_as(scores)
            found.append(jaccard((scores > 0.5).numpy(), (truth > 0.5).numpy()))
        return np.mean(found)

    begun, learned = (overlap(offline.train_propagator(segmenter, samples, steps)) for steps in (1, 40))
    assert learned > 0.4 and learned > begun + 0.2


def test_every_family_gets_an_r_of_its_own_from_the_same_start(segmenter, samples, tmp_path):
    start = load_pretrained("compact")[1]
    before = copy.deepcopy(start.state_dict())
    some = {"D": OnlineTargets, "matching": Matching}
    nets = offline.tune_refinements(segmenter, some, start, few(samples, steps=3, rate=1e-3), tqdm(disable=True))
    weights = {name: net.project.conv1.weight for name, net in nets.items()}
    assert not torch.equal(weights["D"], weights["matching"]) and not torch.equal(weights["D"], start.project.conv1.weight)
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert not any(p.requires_grad for p in nets["D"].parameters()) and not nets["D"].training
    save_weights(tmp_path / "r.safetensors", "compact", {"refinement": nets["D"]})
    loaded = load_refinement(tmp_path / "r.safetensors", segmenter.backbone.channels)
    assert torch.equal(loaded.project.conv1.weight, weights["D"].half().float())


def test_r_follows_the_recipe(segmenter, samples, monkeypatch):
    """Adam's rate falls to a tenth in the last third; frozen norms keep the statistics of the start, others do not."""
    rates, step = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1])
    start = load_pretrained("compact")[1]
    for frozen in (False, True):
        recipe = few(samples, steps=3, rate=1e-2, frozen_norms=frozen)
        (net,) = offline.tune_refinements(segmenter, {"matching": Matching}, start, recipe, tqdm(disable=True)).values()
        same = [torch.equal(value, start.state_dict()[name]) for name, value in net.state_dict().items() if "running" in name]
        assert all(same) == frozen and same
    assert rates == pytest.approx(2 * [1e-2, 1e-2, 1e-3])


def test_the_propagation_network_goes_where_the_engine_is():
    """"meta" stands for any device that is not the CPU."""
    network = load_learned(BUNDLED_FIELD, 256, "meta").propagator
    assert {p.device.type for p in network.parameters()} == {"meta"}


def test_the_bundled_file_has_a_readout_for_every_family():
    """But for one that came later, and has D's scale: its row with a learned readout is there once `rivals` has run."""
    learned = load_learned(BUNDLED_FIELD, 256)
    rows = families(learned)
    assert set(rows) == set(ready(learned)) and set(learned.readouts) <= set(rows)
    assert set(rows) - set(learned.readouts) <= {"cross-entropy SGD"} and rows["cross-entropy SGD"].scaled
    assert all(scale > 0 and -offset / scale < 3 for scale, offset in learned.readouts.values())
    assert all(row.represents in FIGURES or row.represents == "" for row in rows.values())
    assert BUNDLED_FIELD.stat().st_size < 100_000
