"""Feature tuning: the ridge filter is the least-squares one, tuning lowers the loss, frozen parts stay."""

import numpy as np
import torch
from tiny_training import TINY, Disks

from vosedu.features import build_backbone
from vosedu.segmenter import Segmenter
from vosedu.training import tuning
from vosedu.training.offline import Recipe, train
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
