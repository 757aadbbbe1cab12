"""Distillation: the loss falls, and a run that was cut off goes on as if it had not been."""

import numpy as np
import pytest
import torch
from helpers import save_frames

from vosedu.commands import main
from vosedu.features import build_backbone
from vosedu.training.curves import add_row
from vosedu.training.distillation import Distillation, random_crop
from vosedu.weights import load_pretrained


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    return save_frames(tmp_path / "images", rng.integers(0, 255, (3, 100, 120, 3), dtype=np.uint8))


def test_loss_falls_on_a_fixed_batch():
    torch.manual_seed(0)
    run = Distillation(build_backbone("mobilenet_v2"), steps=60)
    batch = torch.rand(4, 3, 64, 64)
    losses = [run.train_step(batch).sum().item() for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_resuming_equals_running_through():
    torch.manual_seed(0)
    teacher, batches = build_backbone("mobilenet_v2"), torch.rand(4, 2, 3, 64, 64)
    through = Distillation(teacher, steps=4)
    for batch in batches:
        through.train_step(batch)
    first = Distillation(teacher, steps=4)
    for batch in batches[:2]:
        first.train_step(batch)
    second = Distillation(teacher, steps=4, seed=9)
    second.load(first.state())
    for batch in batches[2:]:
        second.train_step(batch)
    for a, b in zip(through.student.state_dict().values(), second.student.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-5)


def test_crops_depend_on_their_seed_alone():
    image = np.random.default_rng(1).integers(0, 255, (200, 150, 3), dtype=np.uint8)
    a, b, c = (random_crop(image, 64, np.random.default_rng(s)) for s in (1, 1, 2))
    assert a.shape == (64, 64, 3) and 0 <= a.min() <= a.max() <= 1
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_command_writes_weights_that_load(tmp_path, images, capsys):
    torch.save(build_backbone("mobilenet_v2").body.state_dict(), tmp_path / "teacher.pt")
    command = ["distill", "--teacher", str(tmp_path / "teacher.pt"), "--images", str(images), "--out", str(tmp_path / "out")]
    assert main([*command, "--steps", "2"]) == 0
    backbone, _, _ = load_pretrained("compact", [tmp_path / "out" / "compact.safetensors"])
    assert all(torch.isfinite(x).all() for x in backbone(torch.rand(1, 3, 64, 64)))
    assert len((tmp_path / "out" / "distillation.csv").read_text().splitlines()) == 2
    assert main([*command, "--steps", "3"]) == 2  # a checkpoint of another length
    assert "2 steps" in capsys.readouterr().err
    whole = (tmp_path / "out" / "distillation.pt").read_bytes()
    (tmp_path / "out" / "distillation.pt").write_bytes(whole[: len(whole) // 2])
    assert main([*command, "--steps", "2"]) == 2
    assert "delete it to begin again" in capsys.readouterr().err


def test_rows_of_a_run_that_was_cut_off_give_way(tmp_path):
    for step, loss in ((100, 3.0), (200, 2.0), (300, 1.0), (200, 2.5)):
        add_row(tmp_path / "t.csv", ("step", "loss"), [step, loss])
    assert (tmp_path / "t.csv").read_text().split() == ["step,loss", "100,3", "200,2.5"]
