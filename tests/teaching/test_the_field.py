"""Notebook 11: pictures whose colours are known, a family that is one function, a net that forgets, and the two exercises."""

import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, assert_found, moving_shapes
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, over, says, shown

from vosedu.evaluation.metrics import jaccard
from vosedu.files.clip import Clip
from vosedu.target_model import OnlineTargets
from vosedu.teaching import solutions, the_field
from vosedu.teaching.the_field import FieldBench, Linear, Run, compete, forget, maps_picture
from vosedu.training.baselines import load_base_net
from vosedu.weights import BUNDLED_BASE

GREYS = (40, 80, 120, 160)


def clip(name="one"):
    """Frames of one grey each; object 1 is in the middle."""
    masks = np.zeros((4, 96, 128), np.uint8)
    masks[:, 40:60, 50:80] = 1
    return Clip(name, np.stack([flat(g) for g in GREYS]), masks)


def run(first):
    """Flat scores that rise by a tenth a frame."""
    return Run([np.full((6, 8), first + 0.1 * k) for k in range(3)], np.array([first, first + 0.1, first + 0.2]), 1.0)


def test_each_cell_has_its_family_s_scores_of_its_frame():
    runs = {"D": run(0.2), "ridge": run(0.6)}
    picture = maps_picture(clip().frames[2], clip().masks[2], runs, 2, columns=2)
    assert picture.shape == (2 * 116, 256, 3)
    cells = [picture[y : y + 116, x : x + 128] for y in (0, 116) for x in (0, 128)]
    assert close(cells[0][25:50, 5:40], GREYS[2], 2)
    assert cells[0][58:63, 55:75].max(axis=0).min() > 230, "the frame, outlined in white"
    for cell, score in ((cells[1], 0.3), (cells[2], 0.7)):
        assert close(cell[25:50, 5:40], over((GREYS[2],) * 3, score), 4)
    assert close(cells[3], 255, 0), "nothing more"
    for cell, text in ((cells[0], "frame"), (cells[1], "D: J 0.30"), (cells[2], "ridge: J 0.70")):
        assert says(cell[:20], text, scale=0.45)


def test_the_bench_shows_the_scene_and_frame_that_its_controls_say():
    other = Clip("two", clip().frames[::-1].copy(), clip().masks)
    bench = FieldBench({"one": clip(), "two": other}, {"one": {"D": run(0.1)}, "two": {"D": run(0.5)}})
    assert (bench.index.min, bench.index.max) == (1, 3) and is_described(bench.widget)
    for scene, t, grey, score in (("one", 3, GREYS[3], 0.3), ("two", 1, GREYS[2], 0.5)):
        bench.scene.value, bench.index.value = scene, t
        picture = shown(bench)
        assert close(picture[30:50, 5:40], grey, 8) and close(picture[30:50, 133:168], over((grey,) * 3, score), 10)
        assert bench.words() == f"Frame {t}, J: D {score:.2f}"
    assert list(bench.grid().values()) == [["one", "two"], range(1, 4, 2)]


def test_all_compete_in_one_engine(quick_segmenter):
    """J, scores and seconds of D are those of a video of its own; the families of the notebook have a scale in common."""
    frames, labels = moving_shapes(3, ROOM)
    found = compete(quick_segmenter, {"D": OnlineTargets}, Clip("shapes", frames, labels))["D"]
    video = quick_segmenter.start(frames[0], labels[0])
    for t in (1, 2):
        assert found.j[t - 1] == jaccard(video.step(frames[t]).numpy() == 1, labels[t] == 1) > 0.3
        assert np.array_equal(found.scores[t - 1], video.scores[0].numpy())
    assert found.seconds > 0
    families = the_field.the_field()
    assert families["D"] is OnlineTargets and len(families) == 8
    assert type(families["matching"](FINDS)).__name__ == "Calibrated"


def test_one_function_is_a_family(quick_segmenter):
    """Fisher's discriminant finds two shapes, each by weights of its own, and scores 1 and 0 at the two means."""
    frames, labels = moving_shapes(3, ROOM, objects=2, step=3, turn=4)
    segmenter = quick_segmenter.changed(targets=lambda config: Linear(config, solutions.my_fisher))
    video = segmenter.start(frames[0], labels[0])
    assert_found([video.step(frame).numpy() for frame in frames[1:]], labels[1:])
    assert video.targets.parts["weights"].shape == (2, 257)
    x, inside = torch.randn(4, 30), (torch.arange(30) < 10).float()
    found = solutions.my_fisher(x, inside, 0.1)
    means = torch.stack([x[:, :10].mean(1), x[:, 10:].mean(1)])
    torch.testing.assert_close(means @ found[:-1] + found[-1], torch.tensor([1.0, 0.0]), rtol=1e-3, atol=1e-3)


def test_a_net_is_asked_about_what_it_learns_and_about_the_rest(quick_segmenter):
    """A copy is tuned; after 0 steps all are asked as it was; J on the frame that it learns from rises."""
    net = load_base_net(BUNDLED_BASE, quick_segmenter.backbone.channels)
    before = net.refinement.project.conv1.weight.clone()
    clips = [Clip(str(n), *moving_shapes(3, ROOM, step=3 + n)) for n in range(2)]
    found = forget(quick_segmenter, net, clips, (0, 12), 5e-4, asked=(0, 2))
    assert torch.equal(before, net.refinement.project.conv1.weight)
    assert found.steps == [0, 12] and found.learned[1] > found.learned[0] + 0.1
    assert all(0 <= value <= 1 for part in found[1:] for value in part) and found.later != found.others


def numpy_matching(bank, inside, x, k):
    """Position by position, by sorting."""
    bank, x, inside = np.asarray(bank, float), np.asarray(x, float), np.asarray(inside)
    out = []
    for column in x.T:
        cosines = [m @ column / np.linalg.norm(m) / np.linalg.norm(column) for m in bank.T]
        on, off = ([c for c, i in zip(cosines, inside, strict=True) if i == part] for part in (True, False))
        out.append(np.mean(sorted(on)[-k:]) - np.mean(sorted(off)[-k:]))
    return np.array(out)


def mean_of_best(similar, inside, k, both=True):
    best = [similar[part].topk(k, dim=0)[0].mean(0) for part in (inside, ~inside)]
    return best[0] - best[1] if both else best[0]


def length(x):
    return x / x.norm(dim=0)


def numpy_fisher(x, inside, ridge, share=None, about=None, scaled=True, offset=True):
    """The same, by NumPy's weighted covariances."""
    x, share = np.asarray(x, float), np.asarray(inside if share is None else share, float)
    on, off = (np.average(x, axis=1, weights=w) for w in (share, 1 - share))
    if about is None:
        spread = sum(np.cov(x, aweights=w, bias=True) * w.sum() for w in (share, 1 - share)) / x.shape[1]
    else:
        spread = np.cov(x, bias=True)
    w = np.linalg.inv(spread + ridge * np.trace(spread) / len(x) * np.eye(len(x))) @ (on - off)
    w = w / (w @ (on - off)) if scaled else w
    return np.append(w, 1 - w @ on if offset else 0.0)


TABLE = {
    "match": Answers(
        [numpy_matching, solutions.matching],
        [(lambda b, i, x, k: mean_of_best(b.T @ x, i, k), "inner products"),
         (lambda b, i, x, k: mean_of_best(length(b).T @ x, i, k), "of now are not"),
         (lambda b, i, x, k: mean_of_best(b.T @ length(x), i, k), "remembered features are not"),
         (lambda b, i, x, k: -solutions.matching(b, i, x, k), "exchanged"),
         (lambda b, i, x, k: (length(b).T @ length(x))[i].mean(0) - (length(b).T @ length(x))[~i].mean(0), "only the best"),
         (lambda b, i, x, k: mean_of_best(length(b).T @ length(x), i, k, both=False), "background's part"),
         (lambda b, i, x, k: solutions.matching(b, i, x, k) / 2, "object less background"),
         (lambda b, i, x, k: b.T @ x, "shape (7,)")],
    ),
    "fisher": Answers(
        [numpy_fisher, solutions.my_fisher],
        [(lambda x, i, r: numpy_fisher(x, i, r, about="all"), "not about the mean of all"),
         (lambda x, i, r: numpy_fisher(x, i, r, share=i > 0.5), "a quarter belongs to both"),
         (lambda x, i, r: numpy_fisher(x, i, r, offset=False), "b is missing"),
         (lambda x, i, r: numpy_fisher(x, i, r, scaled=False), "divide it by"),
         (lambda x, i, r: numpy_fisher(x, i, 0.0), "Add the ridge"),
         (lambda x, i, r: 2 * numpy_fisher(x, i, r), "w solves"), (lambda x, i, r: x, "shape (5,)")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(the_field, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(the_field) == set(TABLE)
