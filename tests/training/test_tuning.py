"""Feature tuning: the ridge filter is the least-squares one, tuning lowers the loss, frozen parts stay."""

import numpy as np
import pytest
import torch
from tiny_training import TINY, Disks

from vosedu.augmentation import first_frame_samples
from vosedu.features import build_backbone
from vosedu.segmenter import Segmenter
from vosedu.training import tuning
from vosedu.training.offline import train
from vosedu.training.samples import Recipe
from vosedu.training.shots import VOID
from vosedu.weights import load_pretrained


def test_ridge_scores_equal_the_primal_solution():
    g = torch.Generator().manual_seed(0)
    x, other = (torch.randn(2, 3, 4, 5, generator=g, dtype=torch.float64) for _ in range(2))
    y, v = (torch.rand(2, 4, 5, generator=g, dtype=torch.float64) for _ in range(2))
    scale = x.square().mean().rsqrt()
    a, b = (torch.nn.functional.unfold(scale * m, 3, padding=1).mT for m in (x, other))
    a, w = a.flatten(0, 1), v.flatten()[:, None]
    filter_ = torch.linalg.solve(a.T @ (w * a) + 3 * torch.eye(27), a.T @ (w * y.reshape(-1, 1)))
    torch.testing.assert_close(tuning.ridge_scores(x, y, v, other, 3.0), (b @ filter_).view(2, 4, 5))


def blocks(masks, size):
    """Mean over equal blocks, in NumPy: (K, H, W) -> (K, h, w)."""
    k, height, width = masks.shape
    return masks.reshape(k, size[0], height // size[0], size[1], width // size[1]).mean((2, 4))


def enlarge(values, axis, factor=4):
    """Bilinear, pixel centres at halves, along one axis, in NumPy."""
    count = values.shape[axis]
    at = np.clip((np.arange(factor * count) + 0.5) / factor - 0.5, 0, count - 1)
    low = np.minimum(at.astype(int), count - 2)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return values.take(low, axis) * (1 - share) + values.take(low + 1, axis) * share


def test_the_loss_of_a_filter_by_hand():
    """Void pixels have no part in it; of the others the target has a quarter of the weight at least."""
    g = torch.Generator().manual_seed(0)
    maps = torch.randn(4, 5, 3, 4, generator=g, dtype=torch.float64)
    labels = torch.zeros(4, 48, 64, dtype=torch.float64)
    labels[:, 10:22, 20:41] = 1
    labels[3, 10:30, 20:60] = 1
    labels[2:, :16, 32:48] = VOID
    found = tuning.filter_loss(maps, labels).item()
    y = labels.numpy()
    share = y[:2].mean((1, 2), keepdims=True)
    v2 = np.where(y[:2] == 1, np.maximum(share, 0.1) / share, (1 - np.maximum(share, 0.1)) / (1 - share))
    scores = tuning.ridge_scores(maps[:2], *(torch.from_numpy(blocks(x, (3, 4))) for x in (y[:2], v2)), maps[2:]).numpy()
    logits = 10 * enlarge(enlarge(scores, 1), 2) - 5
    truth, known = blocks((y[2:] == 1) * 1.0, (12, 16)), blocks((y[2:] != VOID) * 1.0, (12, 16))
    share = (truth > 0.5).mean((1, 2), keepdims=True)
    assert share[0, 0, 0] < 0.25, "one of them is small"
    wanted = np.maximum(share, 0.25)
    weights = known * np.where(truth > 0.5, wanted / share, (1 - wanted) / (1 - share))
    entropy = np.logaddexp(0, logits) - truth * logits
    assert found == pytest.approx((weights * entropy).mean(), rel=1e-6)


def test_a_batch_has_each_sequence_learned_on_its_own_reference(tmp_path):
    recipe = Recipe(steps=4, batch=2, height=64, seed=5)
    segmenter, disks = Segmenter.from_pretrained(config=TINY, device="cpu"), Disks(recipe.size)
    start = tuning.Tunable(load_pretrained("compact")[0]).state_dict()
    run = tuning.FeatureTuning(segmenter, [(disks, 1)], recipe, tmp_path, start)
    run.step = 3
    sources, indices, frames, masks = next(iter(run.batches(0)))
    with torch.no_grad():
        found, expected = run.losses((sources, indices, frames, masks)).item(), []
        for n, i in enumerate(indices.tolist()):
            images, labels = first_frame_samples(*disks.reference(i), 2, (5, 3, n))
            pixels = torch.from_numpy(np.concatenate([images, frames[n].numpy()])).permute(0, 3, 1, 2).float() / 255
            known = torch.from_numpy(np.concatenate([labels, masks[n].numpy()])).float()
            expected.append(tuning.filter_loss(run.network.backbone(pixels)[3], known).item())
    assert found == pytest.approx(np.mean(expected), rel=1e-4)


def test_tuning_lowers_the_loss_and_leaves_the_frozen_part(tmp_path):
    recipe = Recipe(steps=16, batch=2, height=64, rate=1e-3)
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu")
    disks = Disks(recipe.size)
    before = tuning.Tunable(load_pretrained("compact")[0]).state_dict()
    run = tuning.FeatureTuning(segmenter, [(disks, 1)], recipe, tmp_path, before)
    probe = next(iter(run.batches(0)))
    start = run.losses(probe).item()
    first = run.validate(disks, 1)
    tuned = train(run, disks, every=8).state_dict()
    assert run.losses(probe).item() < 0.9 * start
    assert 0 <= first[1] <= 1 and np.isfinite(first[0])
    changed = {name for name, value in tuned.items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(("backbone.body.layer2", "backbone.body.layer3")) for name in changed)
    assert not any("running" in name for name in changed)


def test_batch_statistics_stay():
    network = tuning.Tunable(build_backbone("compact"))
    assert not any(module.training for module in network.train().modules())
