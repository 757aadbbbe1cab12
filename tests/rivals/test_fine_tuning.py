"""OnAVOS' examples by hand, and which net learns from them. First-frame fine-tuning is in tests/training/test_baselines.py."""

import numpy as np
import pytest
import torch
from helpers import moving_shapes
from tiny_training import TINY

from vosedu.rivals import fine_tuning
from vosedu.rivals.bench import held
from vosedu.rivals.fine_tuning import AdaptiveSegmenter, examples
from vosedu.segmenter import Segmenter
from vosedu.training import baselines
from vosedu.training.shots import VOID


def test_sure_pixels_far_pixels_and_the_others(monkeypatch):
    """Rows of eight pixels, ten of them: the last mask is the first two; farther than 3 pixels counts as background."""
    monkeypatch.setattr(fine_tuning, "FAR", 0.3)
    mask = np.zeros((10, 8), np.uint8)
    mask[:, :2] = 1
    p = np.tile(np.float32([0.99, 0.5, 0.98, 0.2, 0.9, 0.1, 0.1, 0.975]), (10, 1))
    row = [1, VOID, 1, VOID, VOID, 0, 0, 1]
    assert examples(p, mask).tolist() == [row] * 10


@pytest.fixture
def video(monkeypatch):
    monkeypatch.setattr(baselines, "FINE_TUNE_STEPS", 2)
    torch.manual_seed(0)
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu")
    net = baselines.BaseNet(segmenter.backbone.channels).eval().requires_grad_(False)
    frames, labels = moving_shapes(frames=3, objects=2)
    return AdaptiveSegmenter(segmenter, net, fine_tune=True).start(frames[0], labels[0]), frames, labels


def parameters(video, n):
    return torch.cat([p.flatten() for p in video._targets[n][0].parameters()]).clone()


def test_only_the_object_that_is_surely_seen_learns(video):
    video, frames, labels = video
    maps = tuple(x.clone() for x in video.base.segmenter.features(frames[1][None]))
    before, shared = [parameters(video, n) for n in (0, 1)], [p.clone() for p in video.base.net.parameters()]
    assert not torch.equal(before[0], before[1]), "each has a net of its own"
    video.adapt(0, maps, examples(np.where(labels[1] == 1, 1.0, 0.0), (labels[0] == 1).astype(np.uint8)))
    video.adapt(1, maps, examples(np.zeros(labels[1].shape), (labels[0] == 2).astype(np.uint8)))
    assert not torch.equal(before[0], parameters(video, 0)) and torch.equal(before[1], parameters(video, 1))
    assert all(torch.equal(a, b) for a, b in zip(shared, video.base.net.parameters(), strict=True))
    assert not any(p.requires_grad for p in video._targets[0][0].parameters())


def test_it_learns_every_t_s_th_frame(video, monkeypatch):
    video, frames, _ = video
    object.__setattr__(video.base.segmenter.config, "update_every", 2)
    adapted = []
    monkeypatch.setattr(video, "adapt", lambda n, maps, labels: adapted.append((video.frame_index, n, labels.shape)))
    for frame in frames[1:]:
        video.step(frame)
    assert adapted == [(2, 0, frames[0].shape[:2]), (2, 1, frames[0].shape[:2])]


def test_what_it_keeps_are_encodings_nets_and_first_frames(video):
    """Two objects; a first frame is five maps and a mask. Where the net is shared, the encodings alone."""
    video, frames, labels = video
    kept = video.kept()
    cells = tuple(-(-n // 16) for n in video.working_size)
    nets = 2 * len(video.base.net.state_dict())
    assert [tuple(t.shape) for t in kept[:2]] == [(1, 96, *cells)] * 2 and len(kept) == 2 + nets + 2 * (5 + 1)
    assert kept[-1].shape == video.working_size and held(video) == sum(t.numel() * t.element_size() for t in kept)
    shared = baselines.BaseSegmenter(video.base.segmenter, video.base.net).start(frames[0], labels[0])
    assert held(shared) == 2 * 4 * 96 * cells[0] * cells[1]


def test_a_shared_net_is_not_adapted(video):
    video, frames, labels = video
    video._targets[0] = video.base.net, video._targets[0][1]
    maps = tuple(x.clone() for x in video.base.segmenter.features(frames[1][None]))
    with pytest.raises(ValueError, match="ask for fine_tune"):
        video.adapt(0, maps, (labels[1] == 1).astype(np.uint8))
