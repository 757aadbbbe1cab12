"""Recording and replaying, with stand-ins for CUDA: what is recorded when, what comes out, and when it is left alone."""

import copy

import pytest
import torch
from helpers import FINDS, ROOM, anew, assert_found, moving_shapes

from vosedu import Segmenter
from vosedu.beyond import cuda_graphs
from vosedu.beyond.cuda_graphs import Replayed
from vosedu.features import build_backbone, fold_batchnorm


def double(*tensors, plus=0):
    """What is recorded here; counts its calls."""
    double.calls += 1
    return tuple(2 * x + plus for x in tensors)


def like_cuda(function, *tensors, **rest):
    """As `cuda_graphs.record` does it: a pass of warming up, one that is recorded, and replays in the same memory."""
    inputs = [x.clone() for x in tensors]
    function(*inputs, **rest)
    outputs = function(*inputs, **rest)

    def replay(*tensors):
        for mine, given in zip(inputs, tensors, strict=True):
            mine.copy_(given)
        for x, fresh in zip(outputs, (2 * x + rest.get("plus", 0) for x in inputs), strict=True):
            x.copy_(fresh)
        return tuple(x.clone() for x in outputs)

    return replay


@pytest.fixture(autouse=True)
def counted():
    double.calls = 0


def test_the_third_call_is_replayed_and_answers_stay():
    replayed, kept = Replayed(double, like_cuda), []
    for n in range(5):
        kept.append(replayed(torch.full((2, 3), float(n)))[0])
        assert double.calls == (1, 4, 4, 4, 4)[n]  # the second: itself, warming up, recording
    assert [x.unique().tolist() for x in kept] == [[0.0], [2.0], [4.0], [6.0], [8.0]]
    assert replayed.refused == ""


def test_shapes_layouts_and_keywords_have_recordings_of_their_own():
    replayed = Replayed(double, like_cuda)
    x = torch.arange(6.0).view(2, 3)
    for _ in range(3):
        assert torch.equal(replayed(x)[0], 2 * x)
        assert torch.equal(replayed(x, plus=1)[0], 2 * x + 1)
        assert torch.equal(replayed(x.T)[0], 2 * x.T)
        assert [y.shape for y in replayed(x, x[:1])] == [(2, 3), (1, 3)]
    assert double.calls == 4 * 4
    for size in range(1, 8):
        for _ in range(2):
            replayed(torch.zeros(size))
    assert len(replayed._recordings) == cuda_graphs.KEPT


def test_a_segmenter_by_recordings_gives_the_same_masks(segmenter):
    """Frames through recordings, as on a GPU, in a copy whose R is another one later."""
    first, second = (copy.deepcopy(segmenter.refinement) for _ in range(2))
    second.project.conv2.bias += 0.5
    frames, labels = moving_shapes(5, ROOM, objects=2)
    plain, replaying = (Segmenter(copy.deepcopy(segmenter.backbone), first, config=FINDS, device="cpu") for _ in range(2))
    replaying.replayed = {"F": Replayed(plain._maps, anew), "R": Replayed(plain._refine, anew)}
    for refinement in (plain.refinement, second):
        plain.refinement = replaying.refinement = refinement
        one, other = (s.start(frames[0], labels[0]) for s in (plain, replaying))
        for frame, ids in zip(frames[1:], labels[1:], strict=True):
            assert torch.equal(one.step(frame), other.step(frame))
            assert_found([one.labels.numpy()], [ids])
            assert torch.allclose(one.probabilities, other.probabilities, atol=1e-4)  # on a CPU, objects go one by one
    assert len(replaying.replayed["R"]._recordings) == 2
    assert replaying.graphs == "on" and plain.graphs == "off: no CUDA device"
    replaying.replayed["R"].refused = "out of memory"
    assert replaying.graphs == "off: out of memory"


def fails(*_args, **_rest):
    raise RuntimeError("operation not permitted when stream is capturing\nand a second line")


def lies(*_args, **_rest):
    return lambda *tensors: tuple(3 * x for x in tensors)


def gives_nan(*_args, **_rest):
    return lambda *tensors: tuple(x * torch.nan for x in tensors)


@pytest.mark.parametrize(("make", "why"), [
    (fails, "operation not permitted when stream is capturing"), (lies, "a replay differs"), (gives_nan, "a replay differs")
])
def test_what_cannot_be_recorded_is_called_as_it_is(make, why):
    replayed, x = Replayed(double, make), torch.ones(2)
    for n in range(4):
        assert torch.equal(replayed(x)[0], 2 * x) and double.calls == n + 1
    assert replayed.refused.startswith(why) and "\n" not in replayed.refused


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_network_on_a_gpu():
    network = fold_batchnorm(build_backbone("compact")).cuda()
    replayed = Replayed(lambda x: network(x))
    for _ in range(4):
        x = torch.rand(1, 3, 96, 128, device="cuda")
        for mine, its in zip(replayed(x), network(x), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-3)
    assert replayed.refused == ""
