"""Offline training: it learns, resumes exactly, and gives in two processes what it gives in one."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_training import Disks, training

from vosedu.errors import InputError
from vosedu.training.clips import VOID
from vosedu.training.curves import COLUMNS, read_table
from vosedu.training.offline import SMOOTH, Recipe, Samples, soft_jaccard, train
from vosedu.weights import load_pretrained, part


def test_rate_falls_to_a_tenth_after_two_thirds():
    recipe = Recipe(steps=300)
    assert recipe.rate_at(0) < recipe.rate_at(10) == recipe.rate_at(199) == 1e-3
    assert recipe.rate_at(200) == pytest.approx(1e-4)


def test_an_epoch_visits_every_entry_as_often_as_asked():
    recipe = Recipe(steps=100, batch=4)
    samples = Samples([(Disks(recipe.size), 1), (Disks(recipe.size), 8)], recipe)
    epoch = [samples.entry(n) for n in range(54)]
    assert all(epoch.count((0, i)) == 1 and epoch.count((1, i)) == 8 for i in range(6))
    assert [samples.entry(n) for n in range(54, 108)] != epoch


def test_training_lowers_the_loss_and_writes_its_curves(tmp_path):
    run, held_out = training(tmp_path, steps=30)
    refinement = train(run, held_out, every=10)
    rows = np.array(read_table(tmp_path / "training.csv"), float)
    assert rows.shape == (3, len(COLUMNS)) and rows[:, 0].tolist() == [10, 20, 30]
    assert rows[-1, 1] < 0.6 * rows[0, 1] and rows[-1, 2] < rows[0, 2]
    assert cv2.imread(str(tmp_path / "training.png")).std() > 0
    assert not refinement.training and not any(p.requires_grad for p in refinement.parameters())
    assert len(list((tmp_path / "targets").glob("*.pt"))) == 6


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


def test_void_pixels_and_the_weight_of_the_overlap_in_the_loss(tmp_path):
    run, _ = training(tmp_path / "plain")
    sources, indices, frames, masks = next(iter(run.batches(0)))
    run.network.eval()
    wrong = masks.clone()
    wrong[:, :, :20] = 1 - wrong[:, :, :20]
    right, worse = (run.losses((sources, indices, frames, m)).item() for m in (masks, wrong))
    masks[:, :, :20], wrong[:, :, :20] = VOID, VOID
    assert right != worse and run.losses((sources, indices, frames, masks)) == run.losses((sources, indices, frames, wrong))
    both, _ = training(tmp_path / "both", overlap=0.5)
    both.network.load_state_dict(run.network.state_dict())
    both.network.eval()
    added = both.losses((sources, indices, frames, masks)) - run.losses((sources, indices, frames, masks))
    assert 0 < added.item() < 0.5


def test_conv5_learns_with_r_and_its_statistics_stay(tmp_path):
    body = part(load_pretrained("compact")[0].body.state_dict(), "layer4.")
    run, held_out = training(tmp_path, conv5=True, start={f"conv5.{k}": v for k, v in body.items()})
    probe = next(iter(run.batches(0)))
    whole, _ = training(tmp_path / "frozen")
    whole.network.load_state_dict(run.network.refinement.state_dict())
    assert run.losses(probe).item() == pytest.approx(whole.losses(probe).item(), rel=1e-4), "conv5_x as it came changes nothing"
    trained = train(run, held_out, every=4).conv5.state_dict()
    changed = {name for name, value in trained.items() if not torch.equal(value, body[name])}
    assert "0.conv1.weight" in changed and not any("running" in name for name in changed)
    again, _ = training(tmp_path, conv5=True)
    assert again.step == 4 and torch.equal(again.network.conv5.state_dict()["0.conv1.weight"], trained["0.conv1.weight"])


def test_another_recipe_does_not_resume(tmp_path):
    run, _ = training(tmp_path)
    run.save()
    with pytest.raises(InputError, match="begun with rate"):
        training(tmp_path, rate=0.5)


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
        "from vosedu.training import join_processes, leave_processes\n"
        "joined = join_processes(torch.device('cpu'))\n"
        "out = Path(sys.argv[1])\n"
        "run, _ = training(out, rate=0.02)\n"
        "run.optimiser = torch.optim.SGD(run.network.parameters(), lr=0.02)\n"
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
