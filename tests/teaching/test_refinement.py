"""Notebook 05: the two workbenches with a refinement network that is known by heart, the diagram, and the two exercises."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from teaching.answers import Answers, exercises_of, judge
from teaching.seeing import close, flat, is_described, over, shown, tinted

from vosedu.teaching import refinement
from vosedu.teaching.refinement import BlobBench, DepthBench, refinement_diagram

GREY = (90, 90, 90)
MAPS = [torch.full((1, 3, 24, 32), float(d)) for d in (1, 2, 3, 4, 5)]


def believing(threshold=0.5, left_of=128):
    """An engine whose R labels what scores more than a threshold, left of a column."""
    def logits(features, scores, size):
        found = F.interpolate(scores[:, None], size=size, mode="nearest")[:, 0] - threshold
        found[..., left_of:] = -1
        return found

    return SimpleNamespace(logits=logits)


def test_a_blob_is_where_its_sliders_say():
    bench = BlobBench(believing(), flat(GREY), torch.zeros(6, 8), MAPS)
    with bench.at_once():
        bench.x.value, bench.y.value, bench.radius.value = 104, 24, 1
    wanted = np.zeros((6, 8), bool)
    wanted[1, 6] = True  # cells of 16 pixels; the centres of all others are a cell or more away
    assert np.array_equal(bench.blob(), wanted)
    bench.x.value, bench.radius.value = 112, 2
    wanted[:3, 5:] = True
    assert np.array_equal(bench.blob(), wanted), "between two columns of cells"
    bench.radius.value = 0
    assert not bench.blob().any()


def test_a_blob_is_shown_in_the_scores_and_in_the_mask():
    scores = torch.zeros(6, 8)
    scores[4, 1] = 0.75
    bench = BlobBench(believing(), flat(GREY), scores, MAPS)
    with bench.at_once():
        bench.x.value, bench.y.value, bench.radius.value = 96, 48, 2
    left, right = np.hsplit(shown(bench), 2)
    assert left.shape == (96, 128, 3)
    assert close(left[42:54, 90:102], over(GREY, 1.0), 10) and close(left[5:14, :60], over(GREY, 0.0))
    assert close(left[71:73, 23:25], over(GREY, 0.75), 40), "the other scores are as they were"
    assert close(right[42:54, 90:102], tinted(GREY), 10) and close(right[20:60, 4:60], GREY, 12)
    assert close(right[68:76, 20:28], tinted(GREY), 12)


@pytest.mark.parametrize(("engine", "share"), [(believing(), 1.0), (believing(2.0), 0.0), (believing(left_of=64), 0.5)])
def test_what_survives_is_the_share_of_the_blob_that_is_labelled(engine, share):
    bench = BlobBench(engine, flat(GREY), torch.zeros(6, 8), MAPS)
    bench.radius.value = 2
    assert bench.survives() == share
    bench.radius.value = 0
    assert bench.survives() == 0


def test_the_engine_is_given_the_features_and_the_size():
    given = []

    def logits(features, scores, size):
        given.append((features, tuple(scores.shape), tuple(size)))
        return torch.full((1, *size), -1.0)

    BlobBench(SimpleNamespace(logits=logits), flat(GREY, (96, 112)), torch.zeros(6, 7), MAPS)
    (features, shape, size), = given
    assert features is MAPS and shape == (1, 6, 7) and size == (96, 112)


def striped():
    """An engine whose R labels, per depth 2 to 5, a band of 24 rows where that depth is given, left of column 64."""
    def logits(features, scores, size):
        assert features[0].any(), "the first map is never switched off"
        found = torch.full((1, 96, 128), -1.0)
        for band, x in enumerate(features[1:]):
            found[:, 24 * band : 24 * band + 24, :64] = x.mean() - 0.5
        return found * scores.mean()

    return SimpleNamespace(logits=logits)


@pytest.fixture()
def depths():
    truth = np.zeros((96, 128), np.uint8)
    truth[:48, :64] = 1
    return DepthBench(striped(), flat(GREY), torch.ones(6, 8), MAPS, truth)


@pytest.mark.parametrize("depth", range(4))
def test_a_switch_turns_its_own_depth_off(depths, depth):
    whole = np.zeros((96, 128), bool)
    whole[:, :64] = True
    assert np.array_equal(depths.mask(), whole) and np.array_equal(depths.found, whole)
    depths.switches[depth].value = False
    whole[24 * depth : 24 * depth + 24] = False
    assert np.array_equal(depths.mask(), whole) and np.array_equal(depths.found, whole)
    assert [s.description for s in depths.switches] == ["conv2_x", "conv3_x", "conv4_x", "conv5_x"]


def test_its_note_is_j_and_f(depths):
    assert depths.note.value.startswith("J 0.50, F 0."), "half of what is labelled is right"
    depths.switches[2].value = depths.switches[3].value = False
    assert depths.note.value == "J 1.00, F 1.00"
    depths.switches[0].value = False
    assert depths.note.value.startswith("J 0.50, F 0.")
    depths.switches[1].value = False
    assert depths.note.value == "J 0.00, F 0.00"


def test_its_picture_is_the_mask_and_its_boundary_against_the_truth(depths):
    depths.switches[0].value = depths.switches[2].value = depths.switches[3].value = False
    left, right = np.hsplit(shown(depths), 2)
    assert close(left[30:42, 8:56], tinted(GREY), 10) and close(left[:14, 4:120], GREY) and close(left[64:], GREY)
    assert close(right[30:42, 63], (60, 220, 90), 60), "where mask and truth end together: green"
    assert close(right[4:14, 63], 255, 60), "the truth's edge that is not found: white"
    assert close(right[23, 20:44], (255, 60, 220), 60), "the mask's false edge: magenta"
    assert close(right[60:, :], 0.45 * 90, 10) and close(right[30:40, 8:48], 0.45 * 90, 12)
    given = np.zeros((96, 128), bool)
    assert close(depths.picture(given)[:, :128], GREY, 0), "a mask can be given"


def test_their_controls(depths):
    bench = BlobBench(believing(), flat(GREY), torch.zeros(6, 8), MAPS)
    assert is_described(depths.widget) and is_described(bench.widget) and depths.slow and bench.slow
    assert not any(slider.continuous_update for slider in bench.controls) and depths.note in depths.widget.children
    assert (bench.x.max, bench.y.max, bench.x.value, bench.y.value) == (127, 95, 64, 48)


def test_the_diagram_names_what_refinement_has():
    refinement_diagram()
    texts = [text.get_text() for text in plt.gcf().axes[0].texts]
    levels = [text for text in texts if "conv" in text and "stride" in text]
    assert [(text[text.index("conv") : text.index("\n")], text.split()[-1]) for text in levels] == [
        ("conv5_x", "32"), ("conv4_x", "16"), ("conv3_x", "8"), ("conv2_x", "4")]
    joined = " ".join(texts)
    assert joined.count("TSE") == 4 + 1 and joined.count("CAB") == 4 and joined.count("RRB") == 8
    plt.close("all")


def attention(deeper, shallower, gate, order=1, up=True, squash=True, mode="bilinear", all_of_it=False):
    means = [x.mean((2, 3)) for x in (shallower, deeper)][::order]
    raised = torch.nn.functional.interpolate(deeper, shallower.shape[2:], mode=mode) * up
    factors = gate(torch.cat(means, 1))[..., None, None]
    factors = factors.sigmoid() if squash else factors
    return (shallower + raised) * factors if all_of_it else shallower * factors + raised


def attention_by_hand(deeper, shallower, gate):
    """Half as far apart, so each value is 3/4 of the nearer neighbour and 1/4 of the other, along both axes."""
    def doubled(x):
        padded = np.concatenate([x[..., :1], x, x[..., -1:]], axis=-1)
        return np.stack([0.75 * x + 0.25 * padded[..., :-2], 0.75 * x + 0.25 * padded[..., 2:]], -1).reshape(*x.shape[:-1], -1)

    d, s = deeper.numpy(), shallower.numpy()
    up = doubled(doubled(d).swapaxes(2, 3)).swapaxes(2, 3)
    averages = np.concatenate([s.mean((2, 3)), d.mean((2, 3))], axis=1)
    return s / (1 + np.exp(-gate(torch.from_numpy(averages)).numpy()))[..., None, None] + up


def shared(convolve, weight, h, s):
    return convolve(h, weight[:, :-1]) + convolve(s, weight[:, -1:])


def unshared(convolve, weight, h, s, order=1):
    parts = [h.expand(len(s), -1, -1, -1), s][::order]
    return convolve(torch.cat(parts, 1), weight)


def encoder(x, scores, project, mix, between=True, after=False, bias=True, last=True, mode="bilinear", inner=True, end=True):
    """With modules, in another order than the solution."""
    def module(kernel, shift):
        made = torch.nn.utils.skip_init(torch.nn.Conv2d, *kernel.shape[1::-1], kernel.shape[-1], padding="same")
        made.weight.data, made.bias.data = kernel, shift * bias
        return made.requires_grad_(False)

    a, b = (module(*pair) for pair in project)
    s = F.interpolate(scores, tuple(x.shape[-2:]), mode=mode)
    h = b(a(x).clamp_min(0) if between else a(x))
    h = h.clamp_min(0) if after else h
    y = torch.cat((h, s) if last else (s, h), 1)
    for number, pair in enumerate(mix, start=1):
        y = module(*pair)(y)
        y = y.clamp_min(0) if (end if number == len(mix) else inner) else y
    return y, h


def encoder_by_hand(x, scores, project, mix):
    """In NumPy, convolutions as sums over shifts; the score enlarged twofold by hand, as in `attention_by_hand`."""
    def convolved(y, pair):
        kernel, shift = (part.numpy() for part in pair)
        r = kernel.shape[-1] // 2
        padded = np.pad(y, ((0, 0), (r, r), (r, r)))
        return shift[:, None, None] + sum(
            np.einsum("oc,chw->ohw", kernel[:, :, i, j], padded[:, i : i + y.shape[1], j : j + y.shape[2]])
            for i in range(2 * r + 1) for j in range(2 * r + 1))

    projected = convolved(np.maximum(convolved(x[0].numpy(), project[0]), 0), project[1])
    zero = lambda averages: torch.zeros_like(averages[:, :1])  # noqa: E731
    up = attention_by_hand(scores, torch.zeros(1, 1, *x.shape[2:]), zero)[0]
    y = np.concatenate([projected, up])
    for pair in mix:
        y = np.maximum(convolved(y, pair), 0)
    return y[None], projected[None]


def encoder_in_place(x, scores, project, mix):
    found = encoder(x, scores, project, mix)
    for part in (x, scores, *(part for pair in (*project, *mix) for part in pair)):
        part.zero_()
    return found


def block(y, project, first, norm, second, inner=True, end=True, normal=True, late=False, onto="base"):
    base = torch.nn.functional.conv2d(y, project[0]) + project[1][None, :, None, None]
    b = F.conv2d(base, first[0], first[1], 1, 1)
    b = norm(b) if normal and not late else b
    b = b.clamp_min(0) if inner else b
    b = norm(b) if late else b
    b = F.conv2d(b, second[0], second[1], 1, 1)
    b = {"base": base + b, "input": y + b, "nothing": b}[onto]
    return b * (b > 0) if end else b


def block_in_place(y, project, first, norm, second):
    found = block(y, project, first, norm, second)
    for part in (y, *project, *first, second[0]):
        part.zero_()
    return found


def level(x, scores, deeper, encode, first, attention, second, order="afbs", alone="mean"):
    """z of a level: attention block a, residual blocks f and s, b is the encoding; from inside out."""
    encoded, projected = encode(x, scores)
    stand_in = {"mean": projected.flatten(2).mean(2)[..., None, None], "zeros": torch.zeros(1, 8, 1, 1), "whole": projected}
    deep = stand_in[alone] if deeper is None else deeper
    steps = {"f": first, "s": second, "a": lambda y: attention(deep, y)}
    for name in order:
        encoded = steps[name](encoded)
    return encoded


def ordered(order="fas", alone="mean"):
    return lambda *given: level(*given, order=order, alone=alone)


def level_twice(x, scores, deeper, encode, first, attention, second):
    """Right, and asks the encoder twice."""
    deeper = encode(x, scores)[1].mean((2, 3), True) if deeper is None else deeper
    return second(attention(deeper, first(encode(x, scores)[0])))


def level_in_place(x, scores, deeper, *blocks):
    found = ordered()(x, scores, deeper, *blocks)
    x.zero_(), scores.zero_()
    return found


def slip(answer, **options):
    """An answer that goes wrong in one way."""
    return lambda *given: answer(*given, **options)


TABLE = {
    "channel_attention": Answers(
        [attention, attention_by_hand],
        [(lambda d, s, g: attention(d, s, g, order=-1), "wrong order"), (lambda d, s, g: s, "sigmoid of gate"),
         (lambda d, s, g: attention(d, s, g, squash=False), "sigmoid is missing"),
         (lambda d, s, g: attention(d, s, g, up=False), "not added"),
         (lambda d, s, g: attention(d, s, g, all_of_it=True), "not the sum"),
         (lambda d, s, g: attention(d, s, g, mode="nearest"), "bilinearly"), (lambda d, s, g: d, "shape")],
    ),
    "shared_convolution": Answers(
        [shared, lambda c, w, h, s: c(h, w[:, :4]) + torch.cat([c(s[n : n + 1], w[:, 4:]) for n in range(3)])],
        [(unshared, "multiplications"), (lambda c, w, h, s: unshared(c, w, h, s, -1), "last channel"),
         (lambda c, w, h, s: c(s, w[:, -1:]), "features' part"), (lambda c, w, h, s: c(h, w[:, :-1]), "shape"),
         (lambda c, w, h, s: c(h, w[:, :-1]).expand(3, -1, -1, -1), "scores' part"),
         (lambda c, w, h, s: unshared(lambda x, k: F.conv2d(x, k, padding=1), w, h, s), "not all of it came from"),
         (lambda c, w, h, s: shared(c, w, h, s.flip(0)), "split alike"), (lambda c, w, h, s: shared(c, -w, h, s), "split")],
    ),
    "target_encoder": Answers(
        [encoder, encoder_by_hand, encoder_in_place],
        [(slip(encoder, between=False), "between the two 1x1"),
         (slip(encoder, after=True), "No ReLU follows"), (slip(encoder, bias=False), "biases"),
         (slip(encoder, last=False), "last channel"), (slip(encoder, mode="nearest"), "bilinearly"),
         (slip(encoder, inner=False), "between the 3x3"), (slip(encoder, end=False), "the last 3x3"),
         (lambda *given: encoder(*given)[0], "Return two maps"), (lambda *given: encoder(*given)[::-1], "encoding comes first"),
         (lambda x, s, project, mix: encoder(x, s, project, mix[:2]), "of shape (1, 8, 6, 8), and got one of shape (1, 9"),
         (lambda *given: [part[0] for part in encoder(*given)], "shape"),
         (lambda *given: tuple(part * float("nan") for part in encoder(*given)), "NaN"),
         (lambda *given: (encoder(*given)[0] * 0 + 0.5, encoder(*given)[1]), "Join the projected"),
         (lambda *given: (encoder(*given)[0], encoder(*given)[1] + 0.5), "two 1x1 convolutions")],
    ),
    "residual_block": Answers(
        [block, block_in_place, lambda *given: block(*given).double().numpy()],
        [(slip(block, onto="input"), "own input"), (slip(block, onto="nothing"), "not added"),
         (slip(block, end=False), "ends in a ReLU"), (slip(block, inner=False), "between the two"),
         (slip(block, normal=False), "normalisation is missing"),
         (slip(block, late=True), "before the ReLU"), (lambda y, *rest: y, "A 1x1 convolution; to"),
         (lambda *given: block(*given)[..., 1:], "shape"), (lambda *given: block(*given) * float("nan"), "NaN")],
    ),
    "refinement_level": Answers(
        [ordered(), level_in_place, lambda *given: ordered()(*given).double().numpy()],
        [(ordered("as"), "first residual block is missing"), (ordered("fa"), "second residual block is missing"),
         (ordered("saf"), "exchanged"), (ordered("fs"), "attention block is missing"), (ordered(alone="zeros"), "not zeros"),
         (ordered(alone="whole"), "averaged over all"), (level_twice, "asked 2 times"),
         (ordered("fass"), "Encode; then"), (lambda x, s, deeper, *blocks: torch.zeros(1, 8, 6, 8), "Encode; then"),
         (lambda *given: ordered()(*given)[0], "shape"), (lambda *given: ordered()(*given) * float("nan"), "NaN")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_answers(name, capsys, monkeypatch):
    judge(refinement, name, TABLE[name], capsys, monkeypatch)


def test_every_exercise_has_a_table():
    assert exercises_of(refinement) == set(TABLE)
