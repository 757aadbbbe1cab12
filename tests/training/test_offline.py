"""Offline training: it learns, resumes exactly, and gives in two processes what it gives in one."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_training import TINY, training
from torch import nn

from vosedu.errors import InputError
from vosedu.features import TARGET_DEPTH
from vosedu.target_model import OnlineTargets
from vosedu.training.conv5 import CONV5_RATE, Conv5Training
from vosedu.training.curves import COLUMNS, read_table
from vosedu.training.kinds import KINDS
from vosedu.training.offline import SMOOTH, Pretrained, Training, mask_loss, soft_jaccard, train
from vosedu.training.samples import Source
from vosedu.training.shots import VOID
from vosedu.weights import load_pretrained, part


def test_training_lowers_the_loss_and_writes_its_curves(tmp_path):
    run, held_out = training(tmp_path, steps=30)
    refinement = train(run, held_out, every=10)
    rows = np.array(read_table(tmp_path / "training.csv"), float)
    assert rows.shape == (3, len(COLUMNS)) and rows[:, 0].tolist() == [10, 20, 30]
    assert rows[-1, 1] < 0.6 * rows[0, 1] and rows[-1, 2] < rows[0, 2]
    assert cv2.imread(str(tmp_path / "training.png")).shape == (352, 990, 3)
    assert not refinement.training and not any(p.requires_grad for p in refinement.parameters())
    assert len(list((tmp_path / "targets").glob("*.pt"))) == 6


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_r_reads_what_it_reads_in_a_video(tmp_path, share):
    """D's scores, and the share of remembered cells that the settings have; learned once, then from the file."""
    run, disks = training(tmp_path)
    run.segmenter = run.models.segmenter = run.segmenter.changed(config=replace(TINY, nearest=share))
    shot = disks.draw(1, np.random.default_rng(5))
    video = run.segmenter.start(*disks.reference(1))
    expected = video.targets.scores(run.segmenter.features(shot.frame[None])[TARGET_DEPTH][0])
    assert isinstance(video.targets, OnlineTargets) == (share == 0)
    for _ in range(2):
        _, scores = run.logits(run.network, [(disks, 1)], torch.from_numpy(shot.frame[None, None]))
        torch.testing.assert_close(scores, expected)
    (file,) = (tmp_path / "targets").glob("*.pt")
    run.models.segmenter = run.segmenter.changed(config=replace(TINY, nearest=0.3 - share))
    _, other = run.logits(run.network, [(disks, 1)], torch.from_numpy(shot.frame[None, None]))
    assert (other - expected).abs().max() > 0.01 and file.exists(), "other settings have a file of their own"


def test_a_resumed_run_is_the_same_run(tmp_path):
    whole, held_out = training(tmp_path / "whole")
    expected = train(whole, held_out, every=2).state_dict()
    half, _ = training(tmp_path / "cut")
    for step, batch in zip(range(2), half.batches(0), strict=False):
        half.train_step(batch)
        assert half.step == step + 1
    half.save()
    resumed, _ = training(tmp_path / "cut")
    assert resumed.step == 2
    for key, value in train(resumed, held_out, every=2).state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_soft_jaccard_of_a_mask_is_j_and_void_is_not_counted():
    masks, truth = torch.zeros(2, 40, 40), torch.zeros(2, 40, 40)
    masks[0, :20, :30], truth[0, 10:30, :30] = 1, 1
    masks[1, :, :] = 1
    known = torch.ones_like(truth)
    found = soft_jaccard(masks, truth, known)
    assert found[0].item() == pytest.approx((300 + SMOOTH) / (900 + SMOOTH)) and found[1] < 0.05
    known[0, :10] = 0  # what the mask has too much
    assert soft_jaccard(masks, truth, known)[0].item() == pytest.approx((300 + SMOOTH) / (600 + SMOOTH))


def by_hand(logits, masks, overlap):
    """Cross-entropy over pixels that are known, divided by the number of all, and soft J, in NumPy."""
    logits, masks = logits.double().numpy(), masks.numpy()
    p, known = 1 / (1 + np.exp(-logits)), masks != VOID
    entropy = -np.where(masks == 1, np.log(p), np.log(1 - p))
    lost = []
    for n in range(len(masks)):
        both = p[n][masks[n] == 1].sum()
        either = p[n][known[n]].sum() + (masks[n] == 1).sum() - both
        lost.append(1 - (both + SMOOTH) / (either + SMOOTH))
    return entropy[known].sum() / masks.size + overlap * np.mean(lost)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_the_loss_of_a_mask_with_void_pixels(overlap):
    g = torch.Generator().manual_seed(0)
    logits = (2 * torch.randn(3, 8, 12, generator=g)).requires_grad_()
    masks = (torch.rand(3, 8, 12, generator=g) < 0.3).to(torch.uint8)
    masks[:, :3], masks[0, 5] = VOID, VOID
    loss = mask_loss(logits, masks, overlap)
    assert loss.item() == pytest.approx(by_hand(logits.detach(), masks, overlap), rel=1e-5)
    loss.backward()
    assert (logits.grad[masks == VOID] == 0).all() and (logits.grad[masks != VOID] != 0).all()
    if not overlap:
        p = logits.detach().sigmoid()
        torch.testing.assert_close(logits.grad, (masks != VOID) * (p - (masks == 1).float()) / masks.numel())


def test_the_loss_of_a_batch_leaves_void_out_and_weighs_the_overlap(tmp_path):
    run, _ = training(tmp_path, overlap=0.25)
    sources, indices, frames, masks = next(iter(run.batches(0)))
    masks[:, :, :20] = VOID
    run.network.eval()
    sequences = [(run.samples.sources[0].clips, int(i)) for i in indices]
    logits = run.logits(run.network, sequences, frames)[0].detach()
    found = run.losses((sources, indices, frames, masks)).item()
    assert found == pytest.approx(by_hand(logits, masks.flatten(0, 1), 0.25), rel=1e-5)
    assert found != pytest.approx(by_hand(logits, masks.flatten(0, 1), 0.5), rel=1e-2)


def test_conv5_learns_with_r_and_its_statistics_stay(tmp_path):
    body = part(load_pretrained("compact")[0].body.state_dict(), "layer4.")
    run, held_out = training(tmp_path, kind=Conv5Training, start={f"conv5.{k}": v for k, v in body.items()})
    probe = next(iter(run.batches(0)))
    whole, _ = training(tmp_path / "frozen")
    whole.network.load_state_dict(run.network.refinement.state_dict())
    assert run.losses(probe).item() == pytest.approx(whole.losses(probe).item(), rel=1e-4), "conv5_x as it came changes nothing"
    trained = train(run, held_out, every=4).conv5.state_dict()
    changed = {name for name, value in trained.items() if not torch.equal(value, body[name])}
    assert "0.conv1.weight" in changed and not any("running" in name for name in changed)
    again, _ = training(tmp_path, kind=Conv5Training)
    assert again.step == 4 and torch.equal(again.network.conv5.state_dict()["0.conv1.weight"], trained["0.conv1.weight"])


def test_conv5_learns_at_its_own_rate(tmp_path):
    """Adam's first step moves every parameter by its learning rate, whatever the gradient."""
    run, _ = training(tmp_path, kind=Conv5Training, steps=3, rate=1e-2)
    before = {name: value.clone() for name, value in run.network.named_parameters()}
    first, *others = run.batches(0)
    run.train_step(first)
    moved = {name: (value - before[name]).abs().max().item() for name, value in run.network.named_parameters()}
    for batch in others:
        run.train_step(batch)
    assert moved["conv5.0.conv1.weight"] == pytest.approx(CONV5_RATE * 1e-2, rel=1e-2)
    assert moved["refinement.TSE.layer3.reduce.0.weight"] == pytest.approx(1e-2, rel=1e-2)
    rates = [(group["lr"], len(group["params"])) for group in run.optimiser.param_groups]
    counts = [sum(name.startswith("conv5.") == own for name in before) for own in (False, True)]
    assert rates == [(pytest.approx(1e-3), counts[0]), (pytest.approx(CONV5_RATE * 1e-3), counts[1])], "a tenth at the end"


def test_another_recipe_does_not_resume(tmp_path):
    run, _ = training(tmp_path)
    run.save()
    with pytest.raises(InputError, match="begun with rate"):
        training(tmp_path, rate=0.5)


def test_other_data_weights_or_networks_do_not_resume(tmp_path):
    run, disks = training(tmp_path)
    run.save()
    for sources in ([(disks, 2)], [(disks, 1), (disks, 1)], [Source(disks, weight=1.0), Source(disks, weight=3.0)]):
        with pytest.raises(InputError, match="other data"):
            type(run)(run.segmenter, sources, run.recipe, tmp_path)
    with pytest.raises(InputError, match="training of R, and this one is of R with conv5_x"):
        training(tmp_path, kind=Conv5Training)
    state = torch.load(tmp_path / "training.pt", weights_only=True)
    for name in ("what", "data"):
        state.pop(name)
    state["recipe"].pop("overlap")
    torch.save(state, tmp_path / "training.pt")
    assert training(tmp_path)[0].step == 0, "a checkpoint from before these were kept"
    with pytest.raises(InputError, match=r"begun with overlap 0\.0, and this run has 0\.5"):
        training(tmp_path, overlap=0.5)
    state["network"].pop(next(iter(state["network"])))
    torch.save(state, tmp_path / "training.pt")
    with pytest.raises(InputError, match="delete it to begin again"):
        training(tmp_path)


@pytest.mark.parametrize("kind", [Training, Conv5Training])
def test_statistics_of_batches_can_stay_as_they_were(tmp_path, kind):
    """frozen_norms: parameters learn, running means and variances do not."""
    start = kind.start(Pretrained(*load_pretrained("compact")), True)
    for frozen in (True, False):
        run, _ = training(tmp_path / str(frozen), kind=kind, start=start, frozen_norms=frozen)
        run.train_step(next(iter(run.batches(0))))
        after = run.network.state_dict()
        moved = {name for name, value in start.items() if not torch.equal(value, after[name])}
        assert any("bblock" in name for name in moved)
        assert frozen != any("running_mean" in name for name in moved)


def gradient(run, batch):
    """Loss and gradient of one batch, and the types in which the network's convolutions worked."""
    types, hooks = set(), []
    for module in run.network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda _module, _inputs, output: types.add(output.dtype)))
    run.network.train()
    loss = run.losses(batch)
    loss.backward()
    for hook in hooks:
        hook.remove()
    grads = [p.grad for p in run.network.parameters() if p.grad is not None]
    assert loss.dtype == torch.float32 and all(g.dtype == torch.float32 for g in grads)
    return loss.item(), torch.cat([g.flatten() for g in grads]), types


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_goes_the_same_way(tmp_path, kind):
    """Where the segmenter works in bfloat16, the network that is trained does; its loss and gradient are about the same."""
    start = kind.start(Pretrained(*load_pretrained("compact")), False)
    exact, _ = training(tmp_path / "exact", kind=kind, start=start)
    rough, held_out = training(tmp_path / "rough", kind=kind, start=start, precision="bfloat16")
    rough.network.load_state_dict(exact.network.state_dict())
    batch = next(iter(exact.batches(0)))
    (loss, direction, types), (rough_loss, rough_direction, rough_types) = gradient(exact, batch), gradient(rough, batch)
    assert types == {torch.float32} and rough_types == {torch.bfloat16}
    assert rough_loss == pytest.approx(loss, rel=0.05) and rough_loss != loss
    assert torch.isfinite(rough_direction).all()
    assert torch.cosine_similarity(direction, rough_direction, dim=0) > 0.95
    before = [p.clone() for p in rough.network.parameters()]
    assert np.isfinite(rough.train_step(batch)) and np.isfinite(rough.validate(held_out, 1)[:2]).all()
    assert any(not torch.equal(p, q) for p, q in zip(rough.network.parameters(), before, strict=True))
    assert all(p.dtype == torch.float32 for p in rough.network.parameters())


def test_two_processes_give_the_loss_of_one(tmp_path):
    """Same global batch: losses and parameters agree to 1e-5 over three steps (3.3, torchrun).

    By plain gradient descent, which shows the gradients as they are: Adam divides by their size, so it would hide a
    wrong scale, and it turns rounding of a gradient near zero into a whole step.
    """
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "import torch\n"
        "torch.set_num_threads(1)\n"
        "from tiny_training import training\n"
        "from vosedu.training.processes import join_processes, leave_processes\n"
        "joined = join_processes(torch.device('cpu'))\n"
        "out = Path(sys.argv[1])\n"
        "run, _ = training(out, rate=0.02)\n"
        "run.optimiser = torch.optim.SGD([{'params': run.network.parameters(), 'share': 1.0}], lr=0.02)\n"
        "losses = [run.train_step(batch) for _, batch in zip(range(3), run.batches(0))]\n"
        "if run.rank == 0:\n"
        "    torch.save({'losses': losses, 'state': run.network.state_dict()}, out / 'result.pt')\n"
        "if joined:\n"
        "    leave_processes()\n",
        encoding="utf-8",
    )
    found = []
    for name, launcher in (("one", []), ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"])):
        (tmp_path / name).mkdir()
        command = [sys.executable, *launcher, str(script), str(tmp_path / name), str(Path(__file__).parents[1])]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr[-2000:]
        found.append(torch.load(tmp_path / name / "result.pt", weights_only=True))
    one, two = found
    assert one["losses"][0] - one["losses"][2] > 1e-3, "the steps must matter"
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for key, value in one["state"].items():
        assert torch.allclose(value.float(), two["state"][key].float(), rtol=1e-4, atol=1e-5), key


def test_workers_draw_what_this_process_draws(tmp_path):
    run, _ = training(tmp_path)
    here, there = next(iter(run.batches(0))), next(iter(run.batches(1)))
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(here, there, strict=True))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 3)
    with pytest.raises(InputError, match="3 processes"):
        training(tmp_path)
