"""The Base net of Table 1: shapes, training, several and late objects, fine-tuning."""


import numpy as np
import pytest
import torch
from helpers import moving_shapes
from tiny_training import TINY, Disks

from vosedu import weights
from vosedu.errors import InputError
from vosedu.evaluation import metrics
from vosedu.files.clip import load_clip
from vosedu.segmenter import Segmenter
from vosedu.training import baselines, checkpoints
from vosedu.training.offline import train
from vosedu.training.samples import Recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A Base net after forty steps on disks, in a file, and its curve."""
    out = tmp_path_factory.mktemp("base")
    recipe = Recipe(steps=40, batch=2, height=64)
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu")
    disks = Disks(recipe.size)
    run = baselines.BaseTraining(segmenter, [(disks, 1)], recipe, out)
    rows = []
    net = train(run, disks, every=20, on_checkpoint=lambda run: rows.append(run.validate(disks, 1)))
    checkpoints.save_weights(out / "base.safetensors", "compact", {"base": net})
    return segmenter, out / "base.safetensors", rows


def test_training_lowers_the_loss(trained):
    _, _, rows = trained
    assert rows[1][0] < 0.8 * rows[0][0]
    assert all(np.isnan(row[2]) for row in rows)  # there is no D whose J could be told


def test_two_objects_one_of_them_late(trained):
    segmenter, path, _ = trained
    net = baselines.load_base_net(path, segmenter.backbone.channels)
    frames, labels = moving_shapes(frames=4, objects=2)
    first = np.where(labels[0] == 1, 1, 0)
    video = baselines.BaseSegmenter(segmenter, net).start(frames[0], first)
    assert video.ids == [1]
    new = np.where(labels[1] == 2, 2, 0)
    found = video.step(frames[1], new)
    assert video.ids == [1, 2] and found.shape == frames.shape[1:3]
    assert (found.numpy()[new == 2] == 2).all()
    assert set(np.unique(video.step(frames[2]))) <= {0, 1, 2}


def test_fine_tuning_fits_the_first_frame(trained, monkeypatch):
    """F-T lowers the loss on the frame it is given, and leaves the net that others use as it is."""
    segmenter, path, _ = trained
    monkeypatch.setattr(baselines, "FINE_TUNE_STEPS", 10)
    net = baselines.load_base_net(path, segmenter.backbone.channels)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    frames, labels = moving_shapes(frames=2)
    scores = []
    for tuned in (False, True):
        video = baselines.BaseSegmenter(segmenter, net, fine_tune=tuned).start(frames[0], labels[0])
        scores.append(metrics.jaccard(video.step(frames[0]).numpy(), labels[0]))
    assert scores[1] > scores[0]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_fine_tuning_pairs_each_sample_with_its_label_and_the_first_frame(trained, monkeypatch):
    """Every step: four samples, each with its own label, the frame's map and mask as reference; all used equally often."""
    segmenter, path, _ = trained
    net = baselines.load_base_net(path, segmenter.backbone.channels)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (5, 64, 96, 3), dtype=np.uint8)
    labels = np.zeros((5, 64, 96), np.uint8)
    for k in range(5):
        labels[k, : 8 + 9 * k, 20:50] = 1
    asked = []

    def samples(frame, mask, count, seed):
        asked.append((count, seed))
        assert np.array_equal(frame, images[0]) and np.array_equal(mask, labels[0])
        return images, labels

    inputs, targets = [], []
    forward, entropy = baselines.BaseNet.forward, torch.nn.functional.binary_cross_entropy_with_logits
    monkeypatch.setattr(baselines, "first_frame_samples", samples)
    monkeypatch.setattr(baselines, "FINE_TUNE_STEPS", 5)
    monkeypatch.setattr(baselines.BaseNet, "forward", lambda net, *args: (inputs.append(args), forward(net, *args))[1])
    monkeypatch.setattr(baselines.F, "binary_cross_entropy_with_logits", lambda x, y: (targets.append(y), entropy(x, y))[1])
    video = baselines.BaseSegmenter(segmenter, net, fine_tune=True).start(images[0], labels[0] * 7, seed=3)
    assert asked == [(segmenter.config.samples, (3, 7))] and len(inputs) == len(targets) == 5
    known = [segmenter.features(image[None]) for image in images]
    used = []
    for (features, reference, masks, size), target in zip(inputs, targets, strict=True):
        assert size == (64, 96) and reference.shape[0] == masks.shape[0] == target.shape[0] == 4
        for b in range(4):
            k = int(np.argmin([(features[3][b] - maps[3][0]).abs().max().item() for maps in known]))
            for found, maps in zip(features, known[k], strict=True):
                torch.testing.assert_close(found[b], maps[0], atol=1e-3, rtol=1e-3)
            assert np.array_equal(target[b].numpy(), labels[k]) and np.array_equal(masks[b].numpy(), labels[0])
            torch.testing.assert_close(reference[b], known[0][3][0], atol=1e-3, rtol=1e-3)
            used.append(k)
    assert sorted(used) == sorted([*range(5)] * 4)
    moved = [(p - q).abs().max().item() for p, q in zip(video._targets[0][0].parameters(), net.parameters(), strict=True)]
    assert 2e-4 < max(moved) < 6e-4, "five steps of Adam of 1e-4 each"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_its_r_works_in_the_precision_of_the_others(trained, monkeypatch, precision):
    """While it is fine-tuned, and in every frame: rows of a table are compared in one precision. Parameters stay float32."""
    _, path, _ = trained
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu", precision=precision)
    net = baselines.load_base_net(path, segmenter.backbone.channels)
    monkeypatch.setattr(baselines, "FINE_TUNE_STEPS", 2)
    lower, forward = [], baselines.Refinement.forward
    monkeypatch.setattr(baselines.Refinement, "forward",
                        lambda *args: (lower.append(torch.is_autocast_enabled("cpu")), forward(*args))[1])
    frames, labels = moving_shapes(frames=2)
    video = baselines.BaseSegmenter(segmenter, net, fine_tune=True).start(frames[0], labels[0])
    video.step(frames[1])
    assert lower == 3 * [precision == "bfloat16"], "twice for its first frame, and once"
    assert all(x.dtype == torch.float32 for x in (*video._targets[0][0].parameters(), video.probabilities))


def test_the_bundled_net_finds_a_target(segmenter):
    clip = load_clip("tumble", short_side=240, frames=10)
    net = baselines.load_base_net(weights.BUNDLED_BASE, segmenter.backbone.channels)
    video = baselines.BaseSegmenter(segmenter, net).start(clip.frames[0], clip.masks[0])
    assert metrics.jaccard(video.step(clip.frames[9]).numpy(), clip.masks[9]) > 0.8


def test_another_file_is_refused(tmp_path):
    checkpoints.save_weights(tmp_path / "r.safetensors", "compact", {"refinement": torch.nn.Linear(2, 2)})
    with pytest.raises(InputError, match="base net lacks"):
        baselines.load_base_net(tmp_path / "r.safetensors", (64, 64, 128, 256, 256))
