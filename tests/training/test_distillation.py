"""Distillation: the loss falls, and a run that was cut off goes on as if it had not been."""

import math

import numpy as np
import pytest
import torch
from helpers import save_frames

from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.features import build_backbone
from vosedu.files.images import read_image
from vosedu.training.distillation import DEPTH_WEIGHTS, Distillation, load_images, random_crop
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


def test_losses_are_the_unexplained_shares_of_variance():
    """In NumPy: every channel of the teacher is brought to mean 0 and variance 1 by all batches so far; then squared errors."""
    torch.manual_seed(1)
    teacher, batches = build_backbone("mobilenet_v2"), torch.rand(2, 3, 3, 64, 96)
    run = Distillation(teacher, steps=10, seed=2)
    run.student.eval()
    means, variances = [[] for _ in range(4)], [[] for _ in range(4)]
    for images in batches:
        with torch.no_grad():
            found = run.losses(images)
            students, teachers = run.student(images), teacher(images)
        for n, depth in enumerate((1, 2, 3, 4)):
            x, t = students[depth].double().numpy(), teachers[depth].double().numpy()
            means[n].append(t.mean((0, 2, 3)))
            variances[n].append(t.var((0, 2, 3), ddof=1))
            centred = (t - np.mean(means[n], 0)[:, None, None]) / np.sqrt(np.mean(variances[n], 0))[:, None, None]
            weight, bias = (p.detach().double().numpy() for p in run.heads[n].parameters())
            guess = np.einsum("oc,bchw->bohw", weight[:, :, 0, 0], x) + bias[:, None, None]
            assert found[n].item() == pytest.approx(((guess - centred) ** 2).mean(), rel=1e-3)


def test_a_step_weighs_the_depths_and_follows_the_schedule():
    torch.manual_seed(0)
    teacher, images = build_backbone("mobilenet_v2"), torch.rand(2, 3, 64, 64)
    run, twin = (Distillation(teacher, steps=60, rate=0.01, seed=4) for _ in range(2))
    twin.student.train()
    sum(share * loss for share, loss in zip(DEPTH_WEIGHTS, twin.losses(images), strict=True)).backward()
    losses = run.train_step(images)
    assert losses.shape == (4,) and not losses.requires_grad
    for mine, its in zip(run.heads.parameters(), twin.heads.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, its.grad)
    assert DEPTH_WEIGHTS[2] == max(DEPTH_WEIGHTS), "D reads stride 16"
    rates = [run.optimiser.param_groups[0]["lr"]]
    for _ in range(3):
        run.train_step(images)
        rates.append(run.optimiser.param_groups[0]["lr"])
    # two steps of warming up, the first of them at half the peak; then a cosine
    assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * i / 60)) for i in (1, 2, 3, 4)])
    assert Distillation(teacher, steps=60, rate=0.01).optimiser.param_groups[0]["lr"] == pytest.approx(0.005)


def test_a_crop_is_from_its_image():
    """Light and shape change, but red stays left of blue unless mirrored, and edges are mirrored in place of black."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, :80], image[:, 80:] = (200, 40, 40), (40, 40, 200)
    sides = []
    for seed in range(40):
        crop = random_crop(image, 64, np.random.default_rng(seed))
        assert crop.dtype == np.float32 and crop.shape == (64, 64, 3)
        redness = (crop[..., 0] - crop[..., 2]).mean(0)
        sides.append(np.sign(redness[:8].mean() - redness[-8:].mean()))
        assert (np.abs(crop[..., 0] - crop[..., 2]) > 0.02).mean() > 0.5
    assert sides.count(1) > 5 and sides.count(-1) > 5


def test_images_are_found_below_folders(tmp_path, images):
    (tmp_path / "images" / "deep").mkdir()
    (tmp_path / "images" / "deep" / "no.txt").write_text("no image")
    (tmp_path / "images" / "deep" / "broken.jpg").write_bytes(b"no image")
    found = load_images([images])
    assert len(found) == 3 and found[0].shape == (100, 120, 3)
    assert np.array_equal(found[1], read_image(images / "00001.png")), "red first"
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no images"):
        load_images([tmp_path / "none"])


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
