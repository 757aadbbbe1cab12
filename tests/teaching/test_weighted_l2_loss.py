"""Notebook 02: learning anew by sliders, on features that say where the target is; and the two exercises."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from teaching.answers import Answers, exercises_of, judge
from teaching.known import CELLS, features_of, moved
from teaching.seeing import close, flat, is_described, over, shown

from vosedu.config import BEST
from vosedu.memory import initial_gamma
from vosedu.target_model import learn
from vosedu.teaching import weighted_l2_loss
from vosedu.teaching.weighted_l2_loss import Relearner

CONFIG = replace(BEST, samples=3, channels=4, projection_decay=1.0, filter_decay=1.0)
COLOURS = (60, 120, 90), (150, 40, 90)
LATER = moved(CELLS, 1, 4)


@pytest.fixture()
def relearner(first_frame):
    return Relearner([flat(colour) for colour in COLOURS], first_frame, features_of(LATER, 9), CONFIG)


def scores(relearner, x):
    model = relearner.learn()[0]
    return model.scores(model.project(x))[0].numpy()


def share_of(labels, kappa, power):
    """The target's share of the summed squared weights, by eq. (4), in NumPy. Power 1: v is the root; 2: v as printed."""
    y = labels.numpy() > 0
    total = np.zeros(2)
    for mask in y:
        on = kappa(mask.mean())
        total += (on / mask.mean()) ** power * mask.sum(), ((1 - on) / (1 - mask.mean())) ** power * (~mask).sum()
    return total[0] / total.sum()


def test_what_is_learned_is_what_the_config_learns(relearner, first_frame):
    gamma = initial_gamma(1, 3, CONFIG.first_weight, first_frame.features)
    wanted = learn(first_frame.features, first_frame.normal(CONFIG), gamma, CONFIG)
    assert torch.allclose(relearner.model.taps, wanted.taps, atol=1e-4)
    found = scores(relearner, features_of(LATER, 9))
    assert found[2, 5] > 0.6 and found[5, 6] > 0.6 and found[0, 0] < 0.3, "it finds the L where it has gone"


def test_the_picture_shows_the_first_frame_left_and_the_later_one_right(relearner, first_frame):
    given = []

    def project(x):
        given.append(x)
        return len(given)

    model = SimpleNamespace(project=project, scores=lambda number: torch.full((1, 6, 8), float(number - 1)))
    picture = relearner.picture(model)
    assert torch.equal(given[0].flatten(1), first_frame.features[0, 0]) and torch.equal(given[1], features_of(LATER, 9))
    left, right = np.hsplit(picture, 2)
    assert close(left, over(COLOURS[0], 0.0), 4) and close(right[:60], over(COLOURS[1], 1.0), 4)
    relearner.model = model
    given.clear()
    assert np.array_equal(relearner.picture(), picture), "what was learned last is shown where no model is given"
    given.clear()
    relearner.prepare = lambda: None
    relearner.draw()
    left, right = np.hsplit(shown(relearner), 2)
    assert close(left[:, 8:110], over(COLOURS[0], 0.0)) and close(right[:60, 12:], over(COLOURS[1], 1.0))


def test_a_slider_draws_and_says_what_it_did(relearner, first_frame):
    before = relearner.image.value
    for share in (0.01, 0.1, 0.5):
        relearner.share.value = share
        wanted = share_of(first_frame.labels, lambda actual, share=share: max(actual, share), 1)
        assert relearner.learn()[1] == pytest.approx(wanted, abs=1e-3) and f"{wanted:.2f}; learned in" in relearner.note.value
        assert f"value='{wanted:.3f}'" in relearner.note.value
    assert relearner.image.value != before
    assert abs(share_of(first_frame.labels, lambda actual: max(actual, 0.5), 1) - 0.5) < 1e-6


def test_more_share_for_the_target_raises_scores(first_frame):
    """Where regularisation holds scores down, the side that weighs more gets nearer to its label."""
    strong = replace(CONFIG, projection_decay=3000.0, filter_decay=3000.0)
    relearner = Relearner([flat(colour) for colour in COLOURS], first_frame, features_of(LATER, 9), strong)
    found = []
    for share in (0.01, 0.79):
        relearner.share.value = share
        found.append(scores(relearner, features_of(CELLS)))
    assert (found[1] > found[0] + 0.05).all()


def test_eq_4_as_meant_and_as_printed(relearner, first_frame):
    actual = first_frame.labels.mean().item()
    assert 0.1 < actual < 0.2
    relearner.share.value = 0.3
    for name, rule in relearner.RULES:
        relearner.rule.value = rule
        kappa = {"max": max, "min": min}[name[:3]]
        wanted = share_of(first_frame.labels, lambda a, kappa=kappa: kappa(a, 0.3), 1 if "root" in name else 2)
        assert relearner.learn()[1] == pytest.approx(wanted, abs=1e-3), name
        assert f"{wanted:.2f}; learned in" in relearner.note.value
    relearner.rule.value = ("max", "root")
    meant = relearner.learn()[0].taps
    relearner.rule.value = ("max", "printed")
    assert not torch.allclose(meant, relearner.learn()[0].taps, atol=1e-2), "it is learned by that rule, too"


def test_lambda_is_ten_to_the_slider_for_both_layers(relearner, first_frame):
    gamma = initial_gamma(1, 3, CONFIG.first_weight, first_frame.features)
    assert relearner.decay.value == 0
    relearner.decay.value = 4.0
    config = replace(CONFIG, projection_decay=1e4, filter_decay=1e4)
    wanted = learn(first_frame.features, first_frame.normal(config), gamma, config)
    assert torch.allclose(relearner.model.taps, wanted.taps, atol=1e-5)
    assert torch.allclose(relearner.model.projection, wanted.projection, atol=1e-5)


def test_labels_move_to_the_right(relearner):
    def centre():
        weight = scores(relearner, features_of(CELLS)).clip(0)
        return (weight.sum(axis=0) * np.arange(8)).sum() / weight.sum()

    before = centre()
    relearner.shift.value = 16
    assert centre() > before + 0.5
    relearner.shift.value = -16
    assert centre() < before - 0.5


def test_its_controls(relearner):
    assert relearner.slow and is_described(relearner.widget) and relearner.note in relearner.widget.children
    assert not any(getattr(control, "continuous_update", False) for control in relearner.controls)


def weights(y, share, pick=np.maximum, power=0.5):
    """Eq. (4) in NumPy."""
    y = y.numpy()
    kappa = pick(y.mean(), share)
    return np.where(y > 0, kappa / y.mean(), (1 - kappa) / (1 - y.mean())) ** power


def shares(v, y):
    v, y = v.flatten().tolist(), y.flatten().tolist()
    return sum(a * a for a, b in zip(v, y, strict=True) if b) / sum(a * a for a in v)


TABLE = {
    "loss_share": Answers(
        [shares, lambda v, y: (v * v * y).sum() / (v * v).sum()],
        [(lambda v, y: (v * y).sum() / v.sum(), "squares it"), (lambda v, y: y.mean(), "share of pixels"),
         (lambda v, y: 0.1, "squares it"), (lambda v, y: (v**2 * y).sum(), "For one mask"),
         (lambda v, y: 1 - shares(v, y), "For one mask"), (lambda v, y: v**2 * y, "a number")],
    ),
    "pixel_weights": Answers(
        [weights],
        [(lambda y, s: weights(y, s, np.minimum), "printed min"), (lambda y, s: weights(y, s, np.minimum, 1), "printed min"),
         (lambda y, s: weights(y, s, power=1), "square root"),
         (lambda y, s: np.where(y > 0, weights(y, s).flat[-1], weights(y, s).flat[0]), "exchanged"),
         (lambda y, s: torch.full_like(y, 2), "elsewhere"), (lambda y, s: weights(y, s, lambda a, b: b), "held down"),
         (lambda y, s: weights(y, 0.1), "whatever is given"), (lambda y, s: y.mean(), "shape"),
         (lambda y, s: weights(y, s).T, "shape")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(weighted_l2_loss, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(weighted_l2_loss) == set(TABLE)
