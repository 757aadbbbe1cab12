"""Weights files: round trip, torchvision's names, published refinement checkpoints, and everything that is refused."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from vosedu import weights
from vosedu.errors import InputError
from vosedu.features import build_backbone
from vosedu.refinement import Refinement


def test_round_trip(tmp_path):
    torch.manual_seed(0)
    backbone = build_backbone("compact")
    refinement = Refinement(backbone.channels).eval()
    parts = {"backbone": backbone.body, "refinement": refinement}
    weights.save(tmp_path / "w.safetensors", "compact", parts, (8.0, -3.5))
    found, r, readout = weights.load_pretrained("compact", [tmp_path / "w.safetensors"])
    x = torch.rand(1, 3, 64, 64)
    for a, b in zip(backbone(x), found(x), strict=True):
        assert torch.allclose(a, b, rtol=2e-2, atol=2e-2)  # stored as float16
    assert readout == (8.0, -3.5)
    scores = torch.rand(1, 4, 4)
    assert torch.allclose(refinement(backbone(x), scores, (64, 64)), r(found(x), scores, (64, 64)), atol=5e-2)
    assert len(list(tmp_path.iterdir())) == 1


def test_torchvision_state_dict_with_its_classifier(tmp_path):
    from torchvision.models import resnet18

    net = resnet18()
    torch.save(net.state_dict(), tmp_path / "r.pth")
    backbone, refinement, _ = weights.load_pretrained("resnet18", [tmp_path / "r.pth"])
    assert torch.equal(backbone.body.conv1.weight, net.conv1.weight) and refinement is None


def test_published_refinement_checkpoint(tmp_path):
    """The layout of CHECKPOINTS.md: {"model": {"refiner.TSE.layer5…": …}}."""
    torch.manual_seed(1)
    trained = Refinement((64, 64, 128, 256, 512))
    torch.save({"model": {f"refiner.{k}": v for k, v in trained.state_dict().items()}}, tmp_path / "rn18.pth")
    torch.save(build_backbone("resnet18").body.state_dict(), tmp_path / "b.pth")
    _, found, _ = weights.load_pretrained("resnet18", [tmp_path / "b.pth", tmp_path / "rn18.pth"])
    assert all(torch.equal(a, b) for a, b in zip(found.state_dict().values(), trained.state_dict().values(), strict=True))
    with pytest.raises(InputError, match=r"refinement network for compact.*another network"):
        weights.load_pretrained("compact", [weights.BUNDLED, tmp_path / "rn18.pth"])


class Trap:
    """What a hostile pickle would run."""

    def __reduce__(self):
        return (open, ("/tmp/vosedu-trap", "w"))


def bad_files(folder):
    (folder / "text.pth").write_text("hello")
    (folder / "text.safetensors").write_text("hello, this is no header")
    with open(folder / "trap.pth", "wb") as file:
        pickle.dump({"model": Trap()}, file)
    state = {f"backbone.{k}": v.clone() for k, v in build_backbone("compact").body.state_dict().items()}
    save_file({k: v for k, v in list(state.items())[:-5]}, folder / "part.safetensors")
    save_file({"something": torch.zeros(3)}, folder / "other.safetensors")
    state["backbone.conv1.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, folder / "nan.safetensors")
    save_file(state, folder / "teacher.safetensors", {"backbone": "resnet18"})
    return {"absent.pth": "no weights file", "text.pth": "not a weights file|holds more than tensors",
            "text.safetensors": "not a readable weights file", "trap.pth": "refused|not a weights file",
            "part.safetensors": "lacks", "other.safetensors": "neither", "nan.safetensors": "NaN",
            "teacher.safetensors": "NaN|resnet18"}


@pytest.mark.parametrize("name", ["absent.pth", "text.pth", "text.safetensors", "trap.pth", "part.safetensors",
                                  "other.safetensors", "nan.safetensors", "teacher.safetensors"])
def test_unusable_files_are_one_clear_line(tmp_path, name):
    from pathlib import Path

    Path("/tmp/vosedu-trap").unlink(missing_ok=True)
    with pytest.raises(InputError, match=bad_files(tmp_path)[name]) as caught:
        weights.load_pretrained("compact", [tmp_path / name])
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert not Path("/tmp/vosedu-trap").exists()


def test_no_weights_is_never_silently_random(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--weights"):
        weights.load_pretrained("mobilenet_v2")
    monkeypatch.setattr(weights, "BUNDLED", tmp_path / "gone.safetensors")
    with pytest.raises(InputError, match="bundled weights are missing"):
        weights.load_pretrained("compact")

    def offline(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"resnet18.*could not be fetched.*--weights"):
        weights.load_pretrained("resnet18")


def test_bundled_file_is_small_and_names_its_recipe():
    assert weights.BUNDLED.stat().st_size < 12e6
    _, metadata = weights.read_state(weights.BUNDLED)
    assert metadata["backbone"] == "compact" and metadata["recipe"]
    assert weights.BUNDLED_BASE.stat().st_size < 4e6
    _, metadata = weights.read_state(weights.BUNDLED_BASE)
    assert metadata["backbone"] == "compact" and metadata["recipe"]
