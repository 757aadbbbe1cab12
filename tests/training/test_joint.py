"""Features and R trained together: both learn, from scores that reach the features, and what is frozen stays."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_training import TINY, Disks

from vosedu.features import build_backbone
from vosedu.segmenter import Segmenter
from vosedu.training import tuning
from vosedu.training.offline import SMOOTH, Pretrained, train
from vosedu.training.samples import Recipe
from vosedu.weights import load_pretrained


def begun(out, **numbers):
    """A training of disks from the bundled weights."""
    recipe = Recipe(height=64, **numbers)
    disks, pretrained = Disks(recipe.size), Pretrained(*load_pretrained("compact"))
    start = tuning.JointTraining.start(pretrained, fine_tune=True)
    segmenter = Segmenter.from_pretrained(config=TINY, device="cpu")
    run = tuning.JointTraining(segmenter, [(disks, 1)], recipe, out, start)
    run.network.eval()
    return run, disks, start


def test_the_loss_is_that_of_masks_and_of_scores(tmp_path):
    run, _, _ = begun(tmp_path, steps=1, batch=2, overlap=0.25)
    batch = next(iter(run.batches(0)))
    images, labels = run.with_references(batch)
    assert images.shape[:3] == (2, tuning.REFERENCES + run.recipe.frames, 3)
    with torch.no_grad():
        found, masks, alone = run.losses(batch).item(), [], []
        for pixels, known in zip(images, labels, strict=True):
            maps = run.network.backbone(pixels)
            alone.append(tuning.filter_loss(maps[3], known).item())
            scores = tuning.filter_scores(maps[3], known)
            logits = run.network.refinement([x[2:] for x in maps], scores, (64, 112))
            truth = known[2:]
            p = logits.sigmoid()
            soft = ((p * truth).sum((1, 2)) + SMOOTH) / ((p + truth - p * truth).sum((1, 2)) + SMOOTH)
            masks.append((F.binary_cross_entropy_with_logits(logits, truth) + 0.25 * (1 - soft).mean()).item())
    assert found == pytest.approx(np.mean(masks) + tuning.SCORES * np.mean(alone), rel=1e-3)


def test_both_learn_and_the_first_layers_stay(tmp_path):
    run, disks, start = begun(tmp_path, steps=12, batch=2, rate=1e-3, frozen_norms=True)
    probe = next(iter(run.batches(0)))
    before = run.losses(probe).item()
    first = run.validate(disks, 1)
    after = train(run, disks, every=6).state_dict()
    assert run.losses(probe).item() < 0.95 * before
    assert all(np.isfinite(first)) and all(0 <= j <= 1 for j in first[1:])
    changed = {name for name, value in after.items() if not torch.equal(value, start[name])}
    assert not any(name.startswith(tuning.FROZEN) or name.startswith("backbone.body.layer1") for name in changed)
    assert not any("running" in name for name in changed), "batch normalisation keeps its statistics"
    for part in ("backbone.body.layer2", "backbone.body.layer3", "backbone.body.layer4", "refinement."):
        assert any(name.startswith(part) for name in changed), part


def test_the_masks_loss_reaches_the_features_through_the_scores(tmp_path, monkeypatch):
    """With maps that R cannot see through, the gradient of the masks alone still comes to conv4_x by way of the filter."""
    run, _, _ = begun(tmp_path, steps=1, batch=2)
    monkeypatch.setattr(tuning, "SCORES", 0.0)
    refine = run.network.refinement.forward
    monkeypatch.setattr(run.network.refinement, "forward", lambda maps, scores, size:
                        refine([x.detach() for x in maps], scores, size))
    run.losses(next(iter(run.batches(0)))).backward()
    gradients = {name: parameter.grad for name, parameter in run.network.backbone.body.named_parameters()}
    assert gradients["layer3.0.conv1.weight"].abs().sum() > 0 and gradients["layer4.0.conv1.weight"] is None
    assert gradients["layer1.0.conv1.weight"] is None


def test_only_r_is_in_training_mode():
    network = tuning.Joint(build_backbone("compact")).train()
    assert network.refinement.training and not any(m.training for m in network.backbone.modules())
