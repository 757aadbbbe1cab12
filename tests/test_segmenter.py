"""Algorithm 1: several objects, late ones, absence and return, seeds, bounded state."""

from dataclasses import replace
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
import torch
from helpers import moving_disk
from torch.utils._python_dispatch import TorchDispatchMode

from vosedu import BEST, PAPER, InputError, Segmenter
from vosedu.aggregation import aggregate
from vosedu.augmentation import first_frame_samples
from vosedu.device import Stopwatch, pick_device
from vosedu.evaluation.metrics import jaccard
from vosedu.features import build_backbone
from vosedu.files import datasets
from vosedu.files.frames import FrameSource
from vosedu.files.images import read_image
from vosedu.loss import WeightedSamples, normal_form, pixel_weights
from vosedu.solver import gauss_newton
from vosedu.target_model import FirstFrameProblem, conditioning, initial_weights


def run(segmenter, frames, labels, seed=0):
    video = segmenter.start(frames[0], labels[0], seed)
    return video, [video.step(f).numpy() for f in frames[1:]]


def test_follows_a_moving_disk(segmenter):
    frames, labels = moving_disk(10, size=(192, 256), step=8, radius=36)
    video, found = run(segmenter, frames, labels)
    assert np.mean([jaccard(a, b) for a, b in zip(found, labels[1:], strict=True)]) > 0.75
    assert video.scores.shape == (1, 12, 16) and video.probabilities.shape == (2, 192, 256)
    assert torch.allclose(video.probabilities.sum(0), torch.ones(192, 256), atol=1e-5)


def test_same_seed_same_masks_other_seed_other_scores(random_segmenter):
    frames, labels = moving_disk(4)
    a, b, c = (run(random_segmenter, frames, labels, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    assert torch.equal(a[0].scores, b[0].scores) and not torch.equal(a[0].scores, c[0].scores)


def test_ids_are_permanent_whatever_their_order(random_segmenter):
    frames, labels = moving_disk(3, objects=3)
    renamed = np.array([0, 200, 7, 31], np.uint8)[labels]
    video, found = run(random_segmenter, frames, renamed)
    assert video.ids == [7, 31, 200]
    assert set(np.unique(found[-1])) <= {0, 7, 31, 200}


def test_an_object_does_not_depend_on_who_else_is_there(random_segmenter):
    frames, labels = moving_disk(3, objects=2)
    together, _ = run(random_segmenter, frames, labels)
    alone, _ = run(random_segmenter, frames[:1], np.where(labels == 2, 2, 0).astype(np.uint8))
    first, _ = run(random_segmenter, frames[:1], labels)
    assert torch.allclose(first.model.taps[1], alone.model.taps[0], rtol=1e-3, atol=1e-5)
    assert together.ids == [1, 2]


def test_late_object_overrules_and_keeps_the_others(random_segmenter):
    frames, labels = moving_disk(4, objects=2)
    video = random_segmenter.start(frames[0], np.where(labels[0] == 1, 1, 0).astype(np.uint8))
    video.step(frames[1])
    late = np.where(labels[2] == 2, 2, 0).astype(np.uint8)
    answer = video.step(frames[2], late).numpy()
    assert video.ids == [1, 2] and (answer[late == 2] == 2).all()
    assert video.step(frames[3]).shape == labels[3].shape
    assert video.memory.gamma.shape[0] == 2


def test_a_vanished_object_is_not_learned_from(random_segmenter):
    frames, labels = moving_disk(3)
    video = random_segmenter.start(frames[0], labels[0])
    video.labels = torch.zeros(96, 128, dtype=torch.uint8)
    features = random_segmenter.features(frames[1][None])
    before, taps = video.memory.gamma.clone(), video.model.taps.clone()
    with torch.inference_mode():
        video._remember(video.model.project(features[3][0]), torch.tensor([1], dtype=torch.uint8))
        video._update()
    assert torch.equal(video.memory.gamma, before) and torch.equal(video.model.taps, taps)


def test_update_happens_every_eighth_frame(random_segmenter):
    frames, labels = moving_disk(17, step=2)
    video, changed = random_segmenter.start(frames[0], labels[0]), []
    for index, frame in enumerate(frames[1:], 1):
        taps = video.model.taps
        # the whole image as target keeps the object present, whatever random features say
        video.step(frame)
        if video.model.taps is not taps:
            changed.append(index)
    assert changed == [8, 16]


def test_no_update_setting_leaves_the_model_alone():
    torch.manual_seed(0)
    segmenter = Segmenter(build_backbone("compact"), config=PAPER.__class__(cg_update=0, channels=8), device="cpu")
    frames, labels = moving_disk(10)
    video = segmenter.start(frames[0], labels[0])
    taps = video.model.taps
    for frame in frames[1:]:
        video.step(frame)
    assert video.model.taps is taps


def test_aggregation_by_hand():
    p = torch.tensor([0.8, 0.5]).view(2, 1, 1)
    found = aggregate(p)[:, 0, 0]
    odds = torch.tensor([0.1 / 0.9, 0.8 / 0.2, 1.0])  # background (1 - 0.8)(1 - 0.5) = 0.1
    assert torch.allclose(found, odds / odds.sum(), atol=1e-4)
    least = aggregate(p, "min")[:, 0, 0]
    assert torch.allclose(least, torch.tensor([0.2 / 0.8, 4.0, 1.0]).softmax(0), atol=1e-4)
    for rule in ("softmax", "min"):
        extreme = aggregate(torch.tensor([0.0, 1.0]).view(2, 1, 1), rule)
        assert torch.isfinite(extreme).all() and extreme.argmax() == 2


@pytest.mark.parametrize(
    "frame,labels,words",
    [
        (np.zeros((96, 128, 3), np.float32), np.ones((96, 128), np.uint8), "uint8"),
        (np.zeros((96, 128, 3), np.uint8), np.ones((90, 128), np.uint8), "size"),
        (np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8), "no object"),
        (np.zeros((96, 128, 3), np.uint8), np.full((96, 128), 300), "255"),
    ],
)
def test_bad_first_frames_are_refused(random_segmenter, frame, labels, words):
    with pytest.raises(InputError, match=words):
        random_segmenter.start(frame, labels)


def test_one_and_two_threads_agree(segmenter):
    frames, labels = moving_disk(9, size=(192, 256), step=8)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(np.stack(run(segmenter, frames, labels)[1]))
    finally:
        torch.set_num_threads(before)
    assert (results[0] == results[1]).mean() >= 0.999


def test_devices(monkeypatch):
    for cuda, mps, expected in [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert pick_device().type == expected
    with pytest.raises(InputError, match="--device cpu"):
        pick_device("cuda")
    with pytest.raises(InputError, match="unknown device"):
        pick_device("tpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu(segmenter):
    frames, labels = moving_disk(9, size=(192, 256), step=8)
    on_gpu = Segmenter.from_pretrained("compact", device="cuda").start(frames[0], labels[0])
    on_cpu = segmenter.start(frames[0], labels[0])
    same = [(on_gpu.step(f).cpu() == on_cpu.step(f)).float().mean().item() for f in frames[1:]]
    assert np.mean(same) > 0.995


def test_bfloat16_is_for_the_networks_alone(segmenter):
    """Parameters cast once give what PyTorch's autocast gives; D and M stay in float32; masks agree with float32."""
    frames, labels = moving_disk(9, size=(192, 256), step=8)
    low = Segmenter.from_pretrained("compact", device="cpu", autocast=True)
    images = torch.from_numpy(frames[:1])
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        maps = segmenter.backbone(images.permute(0, 3, 1, 2).float() / 255)
        logits = segmenter.refinement(maps, torch.ones(2, 12, 16), (192, 256))
    for mine, its in zip(low.features(frames[:1]), maps, strict=True):
        assert mine.dtype == torch.float32 and its.dtype == torch.bfloat16 and torch.equal(mine, its.float())
    torch.testing.assert_close(low.logits(maps, torch.ones(2, 12, 16), (192, 256)), logits.float(), atol=2e-3, rtol=1e-3)
    video, found = run(low, frames, labels)
    assert {t.dtype for t in (video.model.taps, video.memory.projected, *video.memory.normal)} == {torch.float32}
    assert (np.stack(found) == np.stack(run(segmenter, frames, labels)[1])).mean() >= 0.995


class Event:
    """Stands for torch.cuda.Event: recorded at a count of all records; done once `over` has reached that."""

    now = over = waits = 0

    def __init__(self, enable_timing=False):
        self.at = None

    def record(self):
        Event.now += 1
        self.at = Event.now

    def query(self):
        return self.at <= Event.over

    def synchronize(self):
        Event.waits += not self.query()
        Event.over = max(Event.over, self.at)

    def elapsed_time(self, other):
        return float(other.at - self.at)


def test_timing_on_a_gpu_waits_only_when_it_is_read(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    watch = Stopwatch(torch.device("cuda"))
    for k in range(3000):
        Event.over = Event.now - 50 if k % 7 else Event.now - 5000
        with watch("a" if k % 2 else "b"):
            pass
    assert Event.waits == 0 and len(watch._events) < 1300
    assert watch.seconds() == pytest.approx({"a": 1.5, "b": 1.5}) and Event.waits > 0


class Waits(TorchDispatchMode):
    """Collects the operations for which the host would wait for a GPU: numbers asked for, sizes that depend on data, and
    tensors made from Python numbers, whose upload is not asynchronous."""

    OPERATIONS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "lift_fresh", "is_nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._overloadpacket._qualified_op_name.split("::")[1]
        if name in self.OPERATIONS:
            self.found.add(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("preset", [PAPER, BEST])
def test_a_frame_with_its_update_never_makes_the_host_wait(preset, monkeypatch):
    frames, labels = moving_disk(2, objects=2)
    config = replace(preset, samples=3, gn_steps=1, update_every=1, min_pixels=0)
    segmenter = Segmenter.from_pretrained(config=config, device="cpu")
    video = segmenter.start(frames[0], labels[0])
    maps = segmenter.features(frames[1][None])
    monkeypatch.setattr(segmenter, "features", lambda _images: maps)  # the frame's own upload is from pinned memory
    taps = video.model.taps.clone()
    with Waits() as waits:
        video.step(frames[1])
    assert waits.found == set() and not torch.equal(video.model.taps, taps)
    with Waits() as waits:
        torch.tensor([1]), torch.ones(2).sum().item()
    assert waits.found == {"lift_fresh", "_local_scalar_dense"}


def test_each_gauss_newton_step_lowers_the_loss_on_real_features(real_data, segmenter):
    """Both layers, BEST and PAPER, on first-frame samples of a real video; the solver's own loss before and after."""
    sequence = datasets.load("davis2016", real_data / "davis2016", sequences=["blackswan"])[0]
    frame = cv2.resize(read_image(sequence.frames / "00000.jpg"), (428, 240), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(sequence.labels(0), (428, 240), interpolation=cv2.INTER_NEAREST)
    images, labels = first_frame_samples(frame, mask, 6)
    features = segmenter.features(images)[3].flatten(2)[None]
    y = torch.from_numpy(labels)[None].float()
    samples = WeightedSamples(features, normal_form(y, pixel_weights(y), (15, 27)), torch.full((1, 6), 1 / 6))
    for config in (PAPER, BEST):
        problem = FirstFrameProblem(samples, conditioning(features, config.conditioning), 96, (0.0, 0.0))
        w = initial_weights(1, 256, 96, torch.Generator().manual_seed(0)) * config.start_scale
        losses = [problem.loss(w).item()]
        for count in config.gn_schedule():
            w = gauss_newton(problem, w, [count])
            losses.append(problem.loss(w).item())
        assert all(b < a for a, b in pairwise(losses)), losses


def test_a_real_video_is_followed(real_data, segmenter):
    sequence = datasets.load("davis2016", real_data / "davis2016", sequences=["blackswan"])[0]
    frames = [frame for _, frame in islice(FrameSource(sequence.frames, 240), 9)]

    def small(index):
        return cv2.resize(sequence.labels(index), frames[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)

    video = segmenter.start(frames[0], small(0))
    scores = [jaccard(video.step(frame).numpy(), small(i)) for i, frame in enumerate(frames[1:], 1)]
    assert np.mean(scores) > 0.7


def test_enlarged_masks_follow_the_probabilities_and_keep_what_is_given(random_segmenter):
    frames, labels = moving_disk(3, objects=2)
    video = random_segmenter.start(frames[0], labels[0])
    video.step(frames[1])
    assert np.array_equal(video.enlarged((96, 128)), video.labels.numpy())
    slope = torch.linspace(0, 1, 128).expand(96, 128)  # object 2 right of the middle, to half a pixel
    video.probabilities = torch.stack([torch.zeros_like(slope), 1 - slope, slope])
    large = video.enlarged((288, 384))
    assert large.shape == (288, 384) and large.dtype == np.uint8
    assert (large[:, :192] == 1).all() and (large[:, 192:] == 2).all()
    given = np.zeros((288, 384), np.uint8)
    given[:5] = 7
    assert (video.enlarged((288, 384), given)[:5] == 7).all()
