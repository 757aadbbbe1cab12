"""Algorithm 1: several objects, late ones, absence and return, seeds, bounded state."""

from dataclasses import replace
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
import torch
from helpers import FINDS, ROOM, Means, assert_found, assert_remembered, moving_shapes
from torch.utils._python_dispatch import TorchDispatchMode

from vosedu import BEST, PAPER, InputError, Segmenter
from vosedu.augmentation import first_frame_samples
from vosedu.evaluation.metrics import jaccard
from vosedu.files import datasets
from vosedu.files.frames import FrameSource
from vosedu.files.images import read_image, to_size
from vosedu.loss import WeightedSamples, normal_form, pixel_weights
from vosedu.solver import gauss_newton
from vosedu.target_model import FirstFrameProblem, conditioning, initial_weights


def run(segmenter, frames, labels, seed=0):
    video = segmenter.start(frames[0], labels[0], seed)
    return video, [video.step(f).numpy() for f in frames[1:]]


def test_follows_a_shape_that_moves_and_turns(segmenter):
    """The default settings, at a size they are for."""
    frames, labels = moving_shapes(10, size=(192, 256), step=8)
    video, found = run(segmenter, frames, labels)
    assert np.mean([jaccard(a, b) for a, b in zip(found, labels[1:], strict=True)]) > 0.75
    assert video.scores.shape == (1, 12, 16) and video.probabilities.shape == (2, 192, 256)
    assert torch.allclose(video.probabilities.sum(0), torch.ones(192, 256), atol=1e-5)


def test_same_seed_same_masks_other_seed_other_scores(quick_segmenter):
    """Masks that show the object, equal for equal seeds."""
    frames, labels = moving_shapes(4, ROOM)
    a, b, c = (run(quick_segmenter, frames, labels, seed) for seed in (1, 1, 2))
    assert_found(a[1], labels[1:])
    assert all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    assert torch.equal(a[0].scores, b[0].scores) and not torch.equal(a[0].scores, c[0].scores)


def test_ids_are_permanent_whatever_their_order(quick_segmenter):
    """Each id stays with its shape, also where the first shape has the highest."""
    frames, labels = moving_shapes(3, ROOM, objects=3)
    renamed = np.array([0, 200, 7, 31], np.uint8)[labels]
    video, found = run(quick_segmenter, frames, renamed)
    assert video.ids == [7, 31, 200]
    assert set(np.unique(found[-1])) == {0, 7, 31, 200}
    assert_found(found, renamed[1:])


def test_an_object_does_not_depend_on_who_else_is_there(quick_segmenter):
    """Learned beside another or alone, an object has the same D and the same scores in the next frame."""
    frames, labels = moving_shapes(3, ROOM, objects=2)
    together, found = run(quick_segmenter, frames, labels)
    alone, _ = run(quick_segmenter, frames, np.where(labels == 2, 2, 0).astype(np.uint8))
    assert together.ids == [1, 2] and alone.ids == [2]
    assert_found(found, labels[1:])
    assert torch.allclose(together.targets.model.taps[1], alone.targets.model.taps[0], rtol=1e-3, atol=1e-5)
    assert torch.allclose(together.scores[1], alone.scores[0], atol=1e-3) and alone.scores.max() > 0.5


def test_late_object_overrules_and_keeps_the_others(quick_segmenter):
    """It is found, and remembered, from the frame after the one it was given in; so is the one before it."""
    frames, labels = moving_shapes(6, ROOM, objects=2, absent={2: range(2)})
    video = quick_segmenter.start(frames[0], labels[0])
    assert_found([video.step(frames[1]).numpy()], labels[1:2])
    late = np.where(labels[2] == 2, 2, 0).astype(np.uint8)
    answer = video.step(frames[2], late).numpy()
    assert video.ids == [1, 2] and (answer[late == 2] == 2).all()
    remembered = video.targets.memory.gamma[:, video.targets.memory.first :].amax(dim=1)
    assert remembered[0] > 0 == remembered[1], "not yet a sample of the late one"
    assert_found([answer, *(video.step(frame).numpy() for frame in frames[3:])], labels[2:])
    assert video.targets.memory.gamma.shape[0] == 2
    assert_remembered(video)


def test_objects_that_are_known_are_corrected_and_not_learned_again(quick_segmenter):
    """A later mask that shows them too: they are where it says and nowhere else, and that is what is remembered of the frame; D
    and ids are as without it, and only the new object is learned."""
    frames, labels = moving_shapes(4, ROOM, objects=2, absent={2: range(2)})
    videos = [quick_segmenter.start(frames[0], labels[0]) for _ in range(2)]
    late, known = np.where(labels[2] == 2, 2, 0), np.roll(labels[2] == 1, 9, 1)  # not where it is
    given = np.maximum(late, known)
    for video, labels_given in zip(videos, (given, late), strict=True):
        video.step(frames[1])
        video.step(frames[2], labels_given)
        assert video.ids == [1, 2]
    shown, without = (video.labels.numpy() for video in videos)
    assert np.array_equal(shown == 1, given == 1) and not np.array_equal(without == 1, given == 1)
    assert np.array_equal(shown == 2, given == 2) and (given == 2).sum() > 100
    remembered = [video.targets.state() for video in videos]
    assert any(not torch.equal(part, remembered[1][name]) for name, part in remembered[0].items())
    assert torch.equal(videos[0].targets.model.taps, videos[1].targets.model.taps)


@pytest.mark.parametrize("gone", [{"covered": range(4, 7)}, {"absent": {2: range(4, 7)}}], ids=str)
def test_an_object_that_was_gone_is_found_again(quick_segmenter, gone):
    """Behind a wall, or out of the picture alone; what is not seen is not learned from, and its id is the same later."""
    frames, labels = moving_shapes(10, ROOM, objects=2, **gone)
    segmenter = Segmenter(quick_segmenter.backbone, config=replace(FINDS, update_every=1), device="cpu")
    video, found = segmenter.start(frames[0], labels[0]), []
    for index, frame in enumerate(frames[1:], 1):
        before, targets = (video.targets.memory.gamma[1], video.targets.model.taps[1]), video.targets
        found.append(video.step(frame).numpy())
        seen = (found[-1] == 2).sum() >= FINDS.min_pixels
        assert seen == bool(labels[index].max() == 2)
        after = targets.memory.gamma[1], targets.model.taps[1]
        assert all(torch.equal(new, old) != seen for new, old in zip(after, before, strict=True))
    assert_found(found, labels[1:])


def test_a_vanished_object_is_not_learned_from(quick_segmenter):
    """An empty answer leaves M and D alone, though earlier answers were remembered."""
    frames, labels = moving_shapes(3, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    video.step(frames[1])
    assert_remembered(video)
    targets = video.targets
    before, taps = targets.memory.gamma.clone(), targets.model.taps.clone()
    with torch.inference_mode():
        targets.scores(quick_segmenter.features(frames[2][None])[3][0])
        targets.remember(torch.zeros(1, *ROOM))
        targets.update()
    assert torch.equal(targets.memory.gamma, before) and torch.equal(targets.model.taps, taps)


def test_update_happens_every_eighth_frame(quick_segmenter):
    """w2 has other values after frames 8 and 16, and after no other."""
    frames, labels = moving_shapes(17, ROOM)
    video, changed, found = quick_segmenter.start(frames[0], labels[0]), [], []
    for index, frame in enumerate(frames[1:], 1):
        taps = video.targets.model.taps.clone()
        found.append(video.step(frame).numpy())
        if not torch.equal(video.targets.model.taps, taps):
            changed.append(index)
    assert changed == [8, 16] and video.targets.memory.filled == video.targets.memory.first + 16
    assert_found(found, labels[1:])


def test_no_update_setting_leaves_the_model_alone(quick_segmenter):
    """Nothing is remembered and nothing learned, and D of the first frame still finds the object."""
    segmenter = Segmenter(quick_segmenter.backbone, config=replace(FINDS, cg_update=0), device="cpu")
    frames, labels = moving_shapes(10, ROOM)
    video = segmenter.start(frames[0], labels[0])
    taps = video.targets.model.taps
    assert_found([video.step(frame).numpy() for frame in frames[1:]], labels[1:])
    assert video.targets.model.taps is taps and video.targets.memory.filled == video.targets.memory.first


def maps_of(size, batch=1):
    """Five maps for frames of `size`, of which the readout of D alone looks at none."""
    return [torch.zeros(batch, 1, size[0] // s, size[1] // s) for s in (4, 4, 8, 16, 32)]


def test_d_alone_is_read_out_by_scale_and_offset(quick_segmenter):
    """Ten times the enlarged score minus five, so that one half is the threshold; or what the weights say (Section 4.1)."""
    scores = torch.tensor([[[0.0, 1.0, 0.5]], [[0.25, 0.25, -1.0]]])
    found = quick_segmenter.logits(maps_of((64, 96)), scores, (2, 6))
    up = torch.tensor([[0, 0.25, 0.75, 0.875, 0.625, 0.5], [0.25, 0.25, 0.25, -0.0625, -0.6875, -1]])
    assert torch.allclose(found, (10 * up - 5)[:, None].expand(2, 2, 6))
    learned = Segmenter(quick_segmenter.backbone, readout=(3.0, -1.2), config=FINDS, device="cpu")
    assert torch.allclose(learned.logits(maps_of((64, 96)), scores, (2, 6)), (3 * up - 1.2)[:, None].expand(2, 2, 6))


def test_r_is_given_the_maps_the_scores_and_the_size(quick_segmenter):
    """A network in R's place, which keeps what it is given, and whose answer is used as it is."""
    given = []

    class Network(torch.nn.Module):
        def forward(self, features, scores, size):
            given.append((features, scores, size))
            return scores[:, :1, :1].expand(-1, *size) * 2

    segmenter = quick_segmenter.changed(refinement=Network())
    frames, labels = moving_shapes(2, ROOM, objects=2)
    video = segmenter.start(frames[0], labels[0])
    video.step(frames[1])
    maps, scores, size = given[0]
    assert size == ROOM and torch.equal(scores, video.scores)
    assert all(torch.equal(a, b) for a, b in zip(maps, segmenter.features(frames[1:2]), strict=True))
    p = (2 * video.scores[:, 0, 0]).sigmoid()
    odds = torch.cat([((1 - p).prod() / (1 - (1 - p).prod()))[None], p / (1 - p)])
    assert torch.allclose(video.probabilities[:, 5, 7], odds / odds.sum(), atol=1e-4)


def test_the_aggregation_of_the_settings_is_used(quick_segmenter):
    """The same scores, the other rule: probabilities as `min` has them, by NumPy, from the same logits."""
    frames, labels = moving_shapes(2, ROOM, objects=2)
    video = quick_segmenter.changed(config=replace(FINDS, aggregation="min")).start(frames[0], labels[0])
    video.step(frames[1])
    p = 1 / (1 + np.exp(-quick_segmenter.logits(maps_of(ROOM), video.scores, ROOM).double().numpy()))
    p = np.clip(np.concatenate([(1 - p).min(0, keepdims=True), p]), 1e-5, 1 - 1e-5)
    odds = np.exp(p / (1 - p) - (p / (1 - p)).max(0))
    np.testing.assert_allclose(video.probabilities.numpy(), odds / odds.sum(0), atol=1e-3)


def test_the_first_frames_samples_are_those_of_the_augmentation(quick_segmenter):
    """Its images and labels, and conv4_x of each, whatever the batches in which F sees them."""
    frames, labels = moving_shapes(1, ROOM)
    segmenter = quick_segmenter.changed(config=replace(FINDS, samples=3))
    found = segmenter.first_frame(frames[0], labels[0], seed=(4, 1))
    images, masks = first_frame_samples(frames[0], labels[0], 3, (4, 1))
    assert np.array_equal(found.images, images) and np.array_equal(found.labels.numpy(), masks)
    assert found.size == (8, 11) and found.features.shape == (1, 3, 256, 88)
    for k in range(3):
        assert torch.allclose(found.features[0, k].view(256, 8, 11), segmenter.features(images[k][None])[3][0], atol=1e-3)


def test_each_object_has_a_seed_of_its_own_that_follows_from_the_videos(quick_segmenter, monkeypatch):
    """D's start and the augmentation: by seed and id, so that neither order nor company matters."""
    learned, sampled = [], []

    class Asked(Means):
        def learn(self, samples, seed):
            learned.append(seed)
            super().learn(samples, seed)

    segmenter = quick_segmenter.changed(targets=Asked)
    plain = segmenter.first_frame
    monkeypatch.setattr(segmenter, "first_frame", lambda *args: sampled.append(args[3]) or plain(*args))
    frames, labels = moving_shapes(2, ROOM, objects=2)
    video = segmenter.start(frames[0], np.where(labels[0] == 1, 9, 0), 5)
    video.step(frames[1], np.where(labels[1] == 2, 4, 0))
    assert learned == [5 * 256 + 9, 5 * 256 + 4] and sampled == [(5, 9), (5, 4)]


def test_what_is_remembered_of_a_frame_is_its_answer_with_what_is_given(quick_segmenter):
    """Per object in the order of `ids`; where a new one is given, the others are not, also at a smaller working size."""
    kept = []

    class Kept(Means):
        def remember(self, masks):
            kept.append(masks.clone())

    segmenter = Segmenter(quick_segmenter.backbone, readout=(30.0, -15.0), config=FINDS, device="cpu", targets=Kept)
    frames, labels = moving_shapes(3, ROOM, objects=2)
    video = segmenter.start(frames[0], np.array([0, 200, 7], np.uint8)[labels[0]])
    first = video.step(frames[1]).numpy()
    over = np.zeros(ROOM, np.uint8)
    over[20:50, 30:90] = 31
    second = video.step(frames[2], over).numpy()
    assert video.ids == [7, 200, 31] and [len(masks) for masks in kept] == [2, 3]
    for masks, answer in zip(kept, (first, second), strict=True):
        for n, mask in enumerate(masks.numpy()):
            assert np.array_equal(mask, answer == video.ids[n]) and mask.any()
    assert (second[over > 0] == 31).all() and (kept[0][1].numpy()[over > 0] > 0).any(), "the box does cover a part of the first"
    small = segmenter.changed(short_side=64).start(frames[0], labels[0])
    small.step(frames[1], over)
    assert kept[-1].shape == (3, 64, 96) and np.array_equal(kept[-1][2].numpy(), to_size(over, (64, 96)) > 0)
    assert not (kept[-1][:2].sum(0) * kept[-1][2]).any()


def test_seconds_are_kept_by_stage(quick_segmenter):
    frames, labels = moving_shapes(3, ROOM)
    video = quick_segmenter.changed(config=replace(FINDS, update_every=2)).start(frames[0], labels[0])
    assert set(video.stopwatch.seconds()) == {"augmentation", "first-frame features", "first-frame optimisation"}
    video.step(frames[1])
    assert set(video.stopwatch.seconds()) >= {"features", "target model", "readout", "aggregation", "memory"}
    assert "update" not in video.stopwatch.seconds()
    video.step(frames[2])
    assert all(s > 0 for s in video.stopwatch.seconds().values()) and "update" in video.stopwatch.seconds()


@pytest.mark.parametrize(
    "frame,labels,words",
    [
        (np.zeros((96, 128, 3), np.float32), np.ones((96, 128), np.uint8), "uint8"),
        (np.zeros((96, 128, 3), np.uint8), np.ones((90, 128), np.uint8), "size"),
        (np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8), "no object"),
        (np.zeros((96, 128, 3), np.uint8), np.full((96, 128), 300), "255"),
    ],
)
def test_bad_first_frames_are_refused(quick_segmenter, frame, labels, words):
    with pytest.raises(InputError, match=words):
        quick_segmenter.start(frame, labels)


def test_a_frame_of_another_size_is_refused(quick_segmenter):
    frames, labels = moving_shapes(1, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    with pytest.raises(InputError, match=r"give uint8 RGB of shape \(128, 176, 3\)"):
        video.step(frames[0][:-1])


def test_one_and_two_threads_agree(segmenter):
    frames, labels = moving_shapes(9, size=(192, 256), step=8)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(np.stack(run(segmenter, frames, labels)[1]))
    finally:
        torch.set_num_threads(before)
    assert_found(results[0], labels[1:], 0.6)
    assert (results[0] == results[1]).mean() >= 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu(segmenter):
    frames, labels = moving_shapes(9, size=(192, 256), step=8)
    on_gpu = Segmenter.from_pretrained("compact", device="cuda").start(frames[0], labels[0])
    on_cpu = segmenter.start(frames[0], labels[0])
    found = [(on_gpu.step(f).cpu().numpy(), on_cpu.step(f).numpy()) for f in frames[1:]]
    assert_found([mine for mine, _ in found], labels[1:], 0.6)
    assert np.mean([mine == its for mine, its in found]) > 0.995


def test_bfloat16_is_for_the_networks_alone(segmenter):
    """Parameters cast once give what PyTorch's autocast gives; D and M stay in float32; masks agree with float32."""
    frames, labels = moving_shapes(9, size=(192, 256), step=8)
    low = Segmenter.from_pretrained("compact", device="cpu", precision="bfloat16")
    images = torch.from_numpy(frames[:1])
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        maps = segmenter.backbone(images.permute(0, 3, 1, 2).float() / 255)
        logits = segmenter.refinement(maps, torch.ones(2, 12, 16), (192, 256))
    for mine, its in zip(low.features(frames[:1]), maps, strict=True):
        assert mine.dtype == torch.float32 and its.dtype == torch.bfloat16 and torch.equal(mine, its.float())
    torch.testing.assert_close(low.logits(maps, torch.ones(2, 12, 16), (192, 256)), logits.float(), atol=2e-3, rtol=1e-3)
    video, found = run(low, frames, labels)
    model, memory = video.targets.model, video.targets.memory
    assert {t.dtype for t in (model.taps, memory.projected, *memory.normal)} == {torch.float32}
    assert_found(found, labels[1:], 0.6)
    assert (np.stack(found) == np.stack(run(segmenter, frames, labels)[1])).mean() >= 0.995


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
    frames, labels = moving_shapes(2, objects=2)
    config = replace(preset, samples=3, gn_steps=1, update_every=1, min_pixels=0)
    segmenter = Segmenter.from_pretrained(config=config, device="cpu")
    video = segmenter.start(frames[0], labels[0])
    maps = segmenter.features(frames[1][None])
    monkeypatch.setattr(segmenter, "features", lambda _images: maps)  # the frame's own upload comes when nothing is queued
    taps = video.targets.model.taps.clone()
    with Waits() as waits:
        video.step(frames[1])
    assert waits.found == set() and not torch.equal(video.targets.model.taps, taps)
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
    frames = [frame for _, frame in islice(FrameSource(sequence.frames), 9)]
    video = segmenter.changed(short_side=240).start(frames[0], sequence.labels(0))
    scores = [jaccard(video.step(frame).numpy(), sequence.labels(i)) for i, frame in enumerate(frames[1:], 1)]
    assert np.mean(scores) > 0.7


def test_the_answer_has_the_size_of_the_video_whatever_size_is_worked_on(quick_segmenter):
    """Frames twice as large, worked on at the small size: the score maps and probabilities of the small video, and labels
    from those probabilities, enlarged, with what is given in its place."""
    frames, labels = moving_shapes(4, ROOM, objects=2, absent={2: range(2)})
    large = [np.kron(x, np.ones((2, 2, 1), np.uint8)) for x in frames]  # averaging two by two gives the small frame back
    masks = [np.kron(x, np.ones((2, 2), np.uint8)) for x in labels]
    small = quick_segmenter.start(frames[0], labels[0])
    video = quick_segmenter.changed(short_side=ROOM[0]).start(large[0], masks[0])
    assert video.size == (256, 352) and video.working_size == ROOM and small.working_size == ROOM
    for t in (1, 2, 3):
        given = [np.where(x[t] == 2, 2, 0) if t == 2 else None for x in (labels, masks)]
        mine, its = video.step(large[t], given[1]).numpy(), small.step(frames[t], given[0]).numpy()
        assert torch.equal(video.probabilities, small.probabilities) and torch.equal(video.scores, small.scores)
        assert mine.shape == (256, 352) and (mine[::2, ::2] != its).mean() < 0.02
        assert t != 2 or (mine[masks[2] == 2] == 2).all()
    assert_found([mine], [masks[3]], 0.6)


def test_a_segmenter_is_not_changed_but_changed_gives_another(segmenter):
    """Parts that are given are other ones in the new segmenter, and all of the old one's stay."""
    before = dict(vars(segmenter))
    config = replace(BEST, channels=7)
    other = segmenter.changed(config=config, refinement=None, short_side=99)
    assert (other.config, other.refinement, other.short_side) == (config, None, 99) and other.backbone is segmenter.backbone
    assert vars(segmenter) == before
    with pytest.raises(TypeError, match="backbone"):
        segmenter.changed(backbone=None)


def test_a_video_keeps_the_config_it_was_started_with(quick_segmenter):
    """Neither the config of another segmenter nor a later one reaches it."""
    frames, labels = moving_shapes(3, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    other = quick_segmenter.changed(config=replace(FINDS, cg_update=0))
    assert video.config is FINDS and other.start(frames[0], labels[0]).config.cg_update == 0
    video.step(frames[1])
    assert_remembered(video)


@pytest.mark.parametrize("changes", [
    {}, {"cg_update": 0}, {"first_share": 0.0, "capacity": 9}, {"conditioning": "whiten", "shrinkage": 1.0},
])
def test_a_restored_video_steps_to_the_same_bits(quick_segmenter, changes):
    """Objects that enter late, before and after the cut, and a memory that runs over, included."""
    frames, labels = moving_shapes(14, ROOM, objects=3, absent={2: range(4), 3: range(9)})
    labels[labels == 3] = 7
    small = {"samples": 5, "gn_steps": 2, "channels": 16, "update_every": 2, "capacity": 10}
    segmenter = Segmenter(quick_segmenter.backbone, config=replace(FINDS, **{**small, **changes}), device="cpu")
    given = {t: np.where(labels[t] == i, i, 0) for t, i in ((0, 1), (4, 2), (9, 7))}
    video = segmenter.start(frames[0], given[0], seed=3)
    for cut in range(1, 14):
        restored = segmenter.restore(video.state())
        whole = video.step(frames[cut], given.get(cut))
        assert torch.equal(restored.step(frames[cut], given.get(cut)), whole), cut
        assert torch.equal(restored.probabilities, video.probabilities) and restored.ids == video.ids
        assert_found([whole.numpy()], labels[cut : cut + 1])
        after, expected = restored.state(), video.state()
        assert after.keys() == expected.keys() and all(torch.equal(after[k], expected[k]) for k in after)
    if segmenter.config.cg_update > 0:
        assert_remembered(video)


def test_a_state_is_a_copy(quick_segmenter):
    """Later steps, which are remembered, do not change a state that was taken."""
    frames, labels = moving_shapes(3, ROOM)
    video = quick_segmenter.start(frames[0], labels[0])
    before = video.state()
    kept = {name: part.clone() for name, part in before.items()}
    video.step(frames[1])
    assert_remembered(video)
    assert all(torch.equal(before[name], kept[name]) for name in kept)


def test_another_target_model_is_one_class(quick_segmenter):
    """CONTRIBUTING's recipe: nothing else is needed for a video to be followed, taken up again, and updated."""
    frames, labels = moving_shapes(10, ROOM, objects=2, absent={2: range(3)})
    segmenter = Segmenter(quick_segmenter.backbone, readout=(30.0, -15.0), config=FINDS, device="cpu", targets=Means)
    video, found = segmenter.start(frames[0], labels[0]), []
    for t, frame in enumerate(frames[1:], 1):
        restored = segmenter.restore(video.state())
        given = np.where(labels[t] == 2, 2, 0) if t == 3 else None
        found.append(video.step(frame, given).numpy())
        assert torch.equal(restored.step(frame, given), video.labels)
    assert_found(found, labels[1:])
    assert video.targets.remembered == [(1, *ROOM)] * 2 + [(2, *ROOM)] * 7 and video.targets.updates == 1
