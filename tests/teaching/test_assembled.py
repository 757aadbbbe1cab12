"""The engine put together from parts gives the engine's masks, and says which part is wrong or slow."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import DOUBLE, FINDS, ROOM, assert_found, moving_shapes

from vosedu import Segmenter, literal
from vosedu.config import WHOLE
from vosedu.errors import InputError
from vosedu.evaluation.metrics import jaccard
from vosedu.files.clip import Clip, load_clip
from vosedu.pipeline import track
from vosedu.teaching import kept, parts, solutions, sources, your_engine
from vosedu.teaching.assembled import Assembled, refined_level
from vosedu.teaching.parts import OWN, Parts, difference
from vosedu.teaching.your_engine import PART_EXERCISES, compare, timed

CONFIG = replace(FINDS, first_share=0.0, update_every=2, window_share=0.0)


@pytest.fixture(scope="module")
def engine(segmenter):
    return segmenter.changed(config=CONFIG)


@pytest.fixture(scope="module")
def clip():
    return Clip("shapes", *moving_shapes(6, ROOM, objects=2))


def labels_of(engine, clip):
    return [step.labels for step in track(engine, clip, {0: clip.masks[0]}, seed=3)]


@pytest.fixture(scope="module")
def usual(engine, clip):
    """What the engine itself makes of the clip."""
    found = labels_of(engine, clip)
    assert_found(found, clip.masks)
    return found


def same(some, others, least=0.97):
    """Masks of every object agree but for what rounding does to a solution in float32."""
    for a, b in zip(some, others, strict=True):
        assert min(jaccard(a == i, b == i) for i in (1, 2)) > least


@pytest.mark.parametrize("literal_form", [False, True])
def test_it_gives_the_engine_s_masks(engine, clip, usual, literal_form):
    same(labels_of(Assembled(engine, Parts(), literal_form), clip), usual)


def solution(name):
    """The solution to a part's exercise, by the name that the exercise's number has in `solutions`."""
    number = your_engine.NUMBERS[name]
    return getattr(solutions, next(s.name for s in sources.ALL if s.number == number))


def test_every_part_can_be_the_student_s_and_is_used(engine, clip, usual):
    mine = Parts({name: solution(name) for name in OWN})
    run = timed(Assembled(engine, mine), clip, mine.jaccard, seed=3)
    same(run.labels, usual)
    for part in mine.table.values():
        assert part.calls > 0 and not part.fault and part.given is not part.own, part.name
        assert part.name in parts.SENSITIVE or part.difference < 1e-4


@pytest.mark.parametrize(("name", "bad", "words"), [
    ("pixel_weights", lambda labels, share: torch.ones_like(labels), "wrong: off by"),
    ("normal_product", lambda w1, w2, d1, d2, normal, decay: (w1, w2, d1), "another shape"),
    ("conjugate_gradient", lambda apply, b, count: 1 / 0, "ZeroDivisionError"),
    ("gauss_newton", lambda w, linearise, counts, solve: undefined, "NameError"),  # noqa: F821
    ("insertion", lambda gamma, newest, capacity, eta: (len(gamma), torch.cat([gamma, gamma[:1]]) * 2, 0.1), "wrong: off by"),
    ("channel_attention", lambda deeper, shallower, gate: shallower * float("nan"), "not finite"),
    ("target_encoder", lambda x, scores, project, mix: (scores, x), "another shape"),
    ("residual_block", lambda y, project, first, norm, second: y * 2, "wrong: off by"),
    ("refinement_level", lambda x, scores, deeper, encode, first, attention, second: second(first(encode(x, scores)[0])),
     "wrong: off by"),
    ("soft_aggregation", lambda p: p, "another shape"),
    ("jaccard", lambda a, b: "no number", "another shape"),
])
def test_a_wrong_part_is_named_and_the_others_are_not(engine, clip, name, bad, words):
    mine = Parts({name: bad})
    run = timed(Assembled(engine, mine), clip, mine.jaccard)
    assert words in mine.table[name].fault and len(run.labels) == 6 and np.isfinite(run.j)
    assert [part.name for part in mine.table.values() if part.fault] == [name]


@pytest.mark.parametrize("mine", [(), ("target_encoder", "residual_block", "refinement_level", "channel_attention")])
def test_a_level_from_parts_is_the_engine_s_on_real_features(mine):
    """R as it is bundled, on a frame of a scene."""
    bundled, seen = Segmenter.from_pretrained("compact"), load_clip("tumble", short_side=96, frames=1)
    network, maps = bundled.refinement, bundled.features(seen.frames)
    found = Parts({name: solution(name) for name in mine})
    scores, z, right = torch.from_numpy(seen.masks[:1, ::16, ::16]).float()[None], None, None
    for layer, x in zip(reversed(network.layers), reversed(maps), strict=False):
        z = refined_level(found, network, layer, x, scores, z)
        with torch.no_grad():
            right = network.level(layer, x, scores, right)
        assert z.shape == right.shape and difference(z, right) < 1e-5 < right.abs().max(), layer
    assert all(found.table[name].difference < 1e-5 for name in mine)
    assert [found.table[name].calls for name in ("target_encoder", "residual_block", "refinement_level")] == [4, 8, 4]


def test_what_the_engine_s_own_function_asks_of_parts_is_not_counted():
    """It runs beside a student's level, to compare, and in its place when it fails; here with parts that fail, too."""
    def encode(x, scores):
        return mine.target_encoder(x, scores, [], [])

    mine = Parts({"refinement_level": lambda x, scores, deeper, encode, *blocks: encode(x, scores)[0] + 1,
                  "target_encoder": lambda x, scores, project, mix: (x, x)})
    x = torch.ones(1, 64, 2, 2)
    mine.table["target_encoder"].own = lambda x, scores, project, mix: (x, x)
    assert torch.equal(mine.refinement_level(x, x, x, encode, lambda y: y, lambda d, y: y, lambda y: y), x + 1)
    assert mine.table["target_encoder"].calls == 1 and mine.table["refinement_level"].fault == "wrong: off by 100.0 %"
    never = Parts({"refinement_level": lambda *given: 1 / 0, "target_encoder": lambda *given: None})
    never.table["target_encoder"].own = lambda x, scores, project, mix: (x, x)
    blocks = (lambda *given: never.target_encoder(*given, [], [])), (lambda y: y), (lambda d, y: y), (lambda y: y)
    found = never.refinement_level(x, x, x, *blocks)
    assert torch.equal(found, x) and never.table["target_encoder"].calls == 0


def test_seconds_are_those_of_the_part_itself():
    """Not of the parts that it calls, nor of the engine's answer that it is compared with."""
    def slow_solve(apply, b, count):
        time.sleep(0.05)
        return b

    mine = Parts({"conjugate_gradient": slow_solve, "jaccard": lambda a, b: time.sleep(0.03) or 1.0})
    problem = lambda w: (w, lambda p: p)  # noqa: E731
    found = mine.gauss_newton(torch.ones(3), problem, [1, 1], mine.conjugate_gradient)
    assert torch.equal(found, torch.zeros(3))
    outer, inner = (mine.table[name] for name in ("gauss_newton", "conjugate_gradient"))
    assert (outer.calls, inner.calls) == (1, 2) and inner.seconds >= 0.1 > 0.05 > outer.seconds
    assert not hasattr(mine, "nothing_of_this_name")


def test_difference_of_answers():
    assert difference(np.array([1.0, 2.2]), torch.tensor([1.0, 2.0])) == pytest.approx(0.1)
    assert difference((1, torch.tensor([4.0])), (1, torch.tensor([5.0]))) == pytest.approx(0.2)
    assert np.isnan(difference((1.0, float("nan")), (1.0, 2.0)))
    for found, right in (([1.0], (1.0, 2.0)), (1.0, (1.0,)), (None, 1.0), ("a", 1.0), (torch.ones(2), torch.ones(3))):
        assert difference(found, right) is None


def put(folder, **functions):
    """A student's folder with solutions under these names."""
    for name, function in functions.items():
        kept.keep(name, function, folder)
    return folder


def test_a_half_finished_folder(engine, clip, tmp_path):
    folder = put(tmp_path / "mine", soft_aggregation=solutions.soft_aggregation, insertion=solutions.insertion)
    (folder / "conjugate_gradient.py").write_text("from vosedu.teaching.solutions import my_cg\n\n\n"
                                                  "def conjugate_gradient(apply, b, count):\n"
                                                  "    return my_cg(apply, b, count - 1)\n")
    (folder / "pixel_weights.py").write_text("import time\nfrom vosedu.teaching.solutions import my_pixel_weights\n\n\n"
                                             "def pixel_weights(labels, share):\n    time.sleep(0.02)\n"
                                             "    return my_pixel_weights(labels, share)\n")
    found = compare(engine, clip, folder)
    verdicts = {name: found.verdict(name) for name in OWN}
    assert verdicts["soft_aggregation"] == verdicts["insertion"] == "right"
    assert verdicts["conjugate_gradient"] == "not yet. Nothing has moved."
    assert verdicts["pixel_weights"].startswith("right, and slow: ")
    assert {n: v for n, v in verdicts.items() if n not in ("soft_aggregation", "insertion", "conjugate_gradient",
                                                           "pixel_weights")} == {
        "normal_product": "not yours yet: exercise 10.1", "gauss_newton": "not yours yet: exercise 10.2",
        "channel_attention": "not yours yet: exercise 05.1", "target_encoder": "not yours yet: exercise 05.3",
        "residual_block": "not yours yet: exercise 05.4", "refinement_level": "not yours yet: exercise 05.5",
        "jaccard": "not yours yet: exercise 08.1"}
    same(found.same.labels, found.engine.labels)
    same(found.literal.labels, found.engine.labels)
    assert found.same.j == pytest.approx(found.engine.j, abs=0.01) and found.engine.j > 0.5
    lines = found.table().splitlines()
    assert len(lines) == 1 + len(OWN) + 2 + 4 and lines[0].split()[:3] == ["part", "whose", "calls"]
    assert sum(line.split()[1:2] == ["yours"] for line in lines) == 4 and f"{found.literal.j:.3f}" in lines[-1]


def test_an_empty_folder_and_a_broken_one(engine, clip, tmp_path):
    assert parts.load_parts(tmp_path / "nowhere") == {}
    (tmp_path / "jaccard.py").write_text("def jaccard(:\n")
    with pytest.raises(InputError, match=r"jaccard\.py stops with SyntaxError"):
        compare(engine, clip, tmp_path)


def test_every_part_has_an_exercise_of_its_name_and_number():
    assert PART_EXERCISES.keys() == OWN.keys() == your_engine.NUMBERS.keys()
    for name, exercise in PART_EXERCISES.items():
        assert exercise.name == name and exercise.judge(OWN[name])[0] and exercise.judge(solution(name))[0]


def test_the_whole_product_is_that_of_the_printed_equations():
    """Against autograd on eq. (2), at label resolution, in float64."""
    g = torch.Generator().manual_seed(0)
    draw = lambda *size: torch.randn(*size, generator=g, dtype=DOUBLE)  # noqa: E731
    x, (w1, d1), (w2, d2) = draw(2, 5, 4, 6), draw(2, 3, 5), draw(2, 9, 3)
    y, gamma, decay = (draw(2, 32, 48) > 0.5).to(DOUBLE), torch.tensor([0.7, 0.3], dtype=DOUBLE), (0.4, 3.0)
    v = torch.stack([literal.pixel_weights(label) for label in y])
    wanted = literal.normal_product(literal.kernels(w1, w2), literal.kernels(d1, d2), x, y, v, gamma, decay)
    samples = your_engine.parts.loss.WeightedSamples(
        x.flatten(2)[None], your_engine.NormalForm(*(part[None] for part in parts.loss.normal_form(y, v, (4, 6)))), gamma[None])
    for function in (parts.normal_product, solutions.normal_product):
        p1, p2 = function(w1, w2, d1, d2, lambda taps: samples.product(taps[None])[0], decay)
        assert torch.allclose(p1, wanted[0][:, :, 0, 0]) and torch.allclose(p2.T.reshape(1, 3, 3, 3), wanted[1])


def test_gauss_newton_of_the_exercise_ends_where_the_loss_is_flat():
    start = torch.tensor([1.5, -0.5, 2.0], dtype=DOUBLE)
    w = parts.gauss_newton(start, your_engine._curved, [3] * 30, your_engine._solve)

    def loss(w):
        return torch.stack([w[0] * w[1] - 1, w[0] - 2 * w[2], w[2] + w[1] - 3, w[0] ** 2 / 4]).square().sum()

    for at in (start, w):
        gradient = torch.autograd.functional.jacobian(loss, at)
        assert torch.allclose(2 * your_engine._curved(at)[0], gradient, atol=1e-9)
    assert gradient.abs().max() < 1e-6 and loss(w) < loss(start)


def test_settings_that_it_lacks_are_left_out(segmenter):
    taken = Assembled(segmenter.changed(config=replace(WHOLE, window_share=0.06)), Parts())
    assert taken.config.first_share == 0 and taken.config.window_share == 0 and taken.segmenter.config == taken.config
