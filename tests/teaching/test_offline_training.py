"""Notebook 07: checkpoints of a training that is made up, and the two exercises."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, red_marker, says, shown, tinted

from vosedu.teaching import offline_training
from vosedu.teaching.offline_training import TrainingView

GREY = (90, 90, 90)
SIZE = 96, 160


def shot(void=False):
    """A frame whose target is its left half, 60 rows high."""
    mask = np.zeros(SIZE, np.uint8)
    mask[:60, :80] = 1
    if void:
        mask[60:] = 255
    return SimpleNamespace(frame=flat(GREY, SIZE), mask=mask)


def run(step, logits, given=None):
    """A training that gives these logits (H, W) at this step."""
    def answer(net, clips, frames):
        if given is not None:
            given.append((net, clips, frames))
        return torch.from_numpy(logits)[None].float(), None

    return SimpleNamespace(step=step, trained=lambda: f"R at {step}", logits=answer)


def band(column):
    """Logits of a checkpoint that labels 20 columns from there on, and is a little surer of it at each later one."""
    logits = np.full(SIZE, -1.0 - column / 40)
    logits[:, column : column + 20] = 1.0 + column / 40
    return logits


def entropy(logits, mask):
    """The mean cross-entropy, written with probabilities."""
    p = 1 / (1 + np.exp(-logits))
    return float(-np.where(mask > 0, np.log(p), np.log(1 - p)).mean())


@pytest.fixture()
def view():
    """Four checkpoints, at columns 0, 40, 80 and 120."""
    view = TrainingView(SimpleNamespace(draw=lambda index, rng: shot()))
    for number in range(4):
        view(run(20 * number + 20, band(40 * number)))
    return view


def test_it_shows_the_truth_before_the_first_checkpoint():
    asked = []
    clips = SimpleNamespace(draw=lambda index, rng: asked.append((index, rng.integers(10**9))) or shot())
    view = TrainingView(clips, index=3, seed=7)
    assert asked == [(3, np.random.default_rng(7).integers(10**9))]
    picture = shown(view)
    assert picture.shape == (96, 320, 3) and close(picture[8:52, 8:72], tinted(GREY), 10)
    assert close(picture[66:, 8:150], GREY, 10) and close(picture[8:52, 168:232], tinted(GREY), 10)


def test_every_checkpoint_is_kept_with_its_step_and_loss(view):
    assert view.steps == [20, 40, 60, 80]
    assert np.allclose(view.losses, [entropy(band(40 * k), shot().mask) for k in range(4)], rtol=1e-5)
    assert all(np.array_equal(view.masks[k], band(40 * k) > 0) for k in range(4))


@pytest.mark.parametrize("number", [3, 0, 2, 1])
def test_the_slider_goes_back_to_any_checkpoint(view, number):
    assert (view.index.value, view.index.max) == (3, 3), "the newest is shown when it comes"
    view.index.value = number
    left, right = np.hsplit(shown(view), 2)
    assert left.shape == (192, 320, 3)
    for k in range(4):
        wanted = tinted(GREY) if k == number else np.array(GREY)
        assert close(left[20:170, 80 * k + 8 : 80 * k + 32], wanted, 10), k
    heights = np.log10(view.losses)
    level = (heights[number] - heights.min()) / np.ptp(heights)
    assert red_marker(right) == pytest.approx((12 + 296 / 3 * number, 180 - 152 * level), abs=2)
    assert says(view.picture()[:24, 320:], f"step {20 * number + 20}, loss {view.losses[number]:.3g}")


def test_each_checkpoint_draws_once(view):
    drawn = []
    view.image.observe(lambda change: drawn.append(change), "value")
    view(run(100, band(10)))
    assert len(drawn) == 1 and view.index.value == 4


def test_the_engine_is_asked_for_the_held_out_frame():
    given, clips = [], SimpleNamespace(draw=lambda index, rng: shot())
    view = TrainingView(clips, index=2)
    view(run(20, band(0), given))
    (net, wanted, frames), = given
    assert net == "R at 20" and wanted == [(clips, 2)]
    assert frames.shape == (1, 1, *SIZE, 3) and np.array_equal(frames[0, 0].numpy(), view.shot.frame)


def test_pixels_that_nobody_knows_have_no_loss():
    view = TrainingView(SimpleNamespace(draw=lambda index, rng: shot(void=True)))
    view(run(20, band(40)))
    assert view.losses == [pytest.approx(entropy(band(40)[:60], shot().mask[:60]), rel=1e-5)]


def test_its_controls(view):
    assert is_described(view.widget)


def gradient(l, y):
    """By differences of the mean loss, in float64."""
    l, y, found = l.double().numpy(), y.double().numpy(), np.zeros(l.shape)
    for place in np.ndindex(l.shape):
        step = np.zeros(l.shape)
        step[place] = 1e-4
        found[place] = (entropy(l + step, y) - entropy(l - step, y)) / 2e-4
    return found


def backward(l, y):
    l.requires_grad_(True)
    torch.nn.functional.binary_cross_entropy_with_logits(l, y).backward()
    return l.grad


def stable(l, y):
    return l.clamp(min=0) - l * y + torch.log1p(torch.exp(-l.abs()))


def added(l, y):
    """log(exp(0) + exp(l)) - l y, in NumPy."""
    return np.logaddexp(0, l.double().numpy()) - l.numpy() * y.numpy()


def clamping(l, y):
    """Its loss is that of logits that it has clamped in place."""
    return stable(l.clamp_(-20, 20), y)


TABLE = {
    "entropy_gradient": Answers(
        [lambda l, y: (l.sigmoid() - y) / y.numel(), gradient, backward],
        [(lambda l, y: l.sigmoid() - y, "mean"), (lambda l, y: (y - l.sigmoid()) / y.numel(), "sign"),
         (lambda l, y: (l.sigmoid() - y) * l.sigmoid() * (1 - l.sigmoid()) / y.numel(), "squared loss"),
         (lambda l, y: (l.sigmoid() - y) / (l.sigmoid() * (1 - l.sigmoid())) / y.numel(), "chain rule"),
         (lambda l, y: l, "what is left"), (lambda l, y: (l.sigmoid() - y) / len(y), "what is left"),
         (lambda l, y: (l.sigmoid() - y).mean(), "shape")],
    ),
    "cross_entropy": Answers(
        [stable, added],
        [(lambda l, y: -y * l.sigmoid().log() - (1 - y) * (1 - l.sigmoid()).log(), "not finite"),
         (lambda l, y: torch.log1p(torch.exp(l)) - l * y, "not finite"),
         (lambda l, y: stable(l.sigmoid(), y), "which term"), (lambda l, y: stable(l, 1 - y), "exchanged"),
         (lambda l, y: -stable(l, y), "positive"), (lambda l, y: stable(l, y).clamp(max=100), "clamped"),
         (clamping, "which term"), (lambda l, y: l.clamp(min=0) - l * y, "which term"),
         (lambda l, y: stable(l, y).mean(), "shape")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(offline_training, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(offline_training) == set(TABLE)
