"""Weights files: round trip, torchvision's names, published refinement checkpoints, and everything that is refused."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vosedu import weights
from vosedu.errors import InputError
from vosedu.features import build_backbone
from vosedu.refinement import Refinement
from vosedu.training import checkpoints


def test_round_trip(tmp_path):
    torch.manual_seed(0)
    backbone = build_backbone("compact")
    refinement = Refinement(backbone.channels).eval()
    parts = {"backbone": backbone.body, "refinement": refinement}
    checkpoints.save_weights(tmp_path / "w.safetensors", "compact", parts, (8.0, -3.5))
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
    save_file(state, folder / "teacher.safetensors", {"backbone": "resnet18"})
    save_file({**state, "backbone.fc.weight": torch.zeros(2, 3)}, folder / "surplus.safetensors")
    save_file({**state, "backbone.conv1.weight": state["backbone.conv1.weight"][:, :2].clone()}, folder / "shape.safetensors")
    for name, value in (("nan", float("nan")), ("infinite", float("inf")), ("minus", float("-inf"))):
        changed = {k: v.clone() for k, v in state.items()}
        changed["backbone.conv1.weight"][0, 0, 0, 0] = value
        save_file(changed, folder / f"{name}.safetensors")
    torch.save({"model": [1, 2]}, folder / "list.pth")
    torch.save({}, folder / "empty.pth")
    return folder


UNUSABLE = {
    "absent.pth": "no weights file", "text.pth": "not a weights file|holds more than tensors",
    "text.safetensors": "not a readable weights file", "trap.pth": "refused|not a weights file",
    "part.safetensors": "the backbone compact lacks 4 of its parameters, layer4", "other.safetensors": "neither",
    "nan.safetensors": r"backbone\.conv1\.weight holds NaN or infinity",
    "infinite.safetensors": r"backbone\.conv1\.weight holds NaN or infinity",
    "minus.safetensors": r"backbone\.conv1\.weight holds NaN or infinity",
    "teacher.safetensors": "was made for the backbone resnet18, not compact: give --backbone resnet18",
    "surplus.safetensors": r"the backbone compact has no parameter fc\.weight", "shape.safetensors": "size mismatch for conv1",
    "list.pth": "flat dictionary", "empty.pth": "flat dictionary",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_files_are_one_clear_line(tmp_path, name):
    from pathlib import Path

    Path("/tmp/vosedu-trap").unlink(missing_ok=True)
    with pytest.raises(InputError, match=UNUSABLE[name]) as caught:
        weights.load_pretrained("compact", [bad_files(tmp_path) / name])
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert not Path("/tmp/vosedu-trap").exists()


def test_the_files_that_are_refused_would_be_accepted_without_their_fault(tmp_path):
    """Each is refused for its one fault alone: the same parameters, finite, complete and no more, are taken."""
    state = {f"backbone.{k}": v for k, v in build_backbone("compact").body.state_dict().items()}
    save_file(state, tmp_path / "good.safetensors")
    backbone, _, _ = weights.load_pretrained("compact", [tmp_path / "good.safetensors"])
    found = backbone.body.state_dict()
    assert all(torch.equal(found[k.removeprefix("backbone.")], v) for k, v in state.items())


def test_states_are_read_as_float32_and_only_finite_numbers_are_taken(tmp_path):
    state = {"a": torch.tensor([1.5, -2.0], dtype=torch.float16), "n": torch.tensor(3)}
    save_file(state, tmp_path / "s.safetensors", {"backbone": "x"})
    found, notes = weights.read_state(tmp_path / "s.safetensors")
    assert found["a"].dtype == torch.float32 and found["a"].tolist() == [1.5, -2.0] and notes == {"backbone": "x"}
    assert found["n"].dtype == torch.int64 and found["n"] == 3
    torch.save({"model": state}, tmp_path / "s.pt")
    assert weights.read_state(tmp_path / "s.pt")[0]["a"].tolist() == [1.5, -2.0]
    for value in ("nan", "inf", "-inf"):
        save_file({"a": torch.ones(2), "b": torch.tensor([0.0, float(value)])}, tmp_path / "b.safetensors")
        with pytest.raises(InputError, match="b holds NaN or infinity"):
            weights.read_state(tmp_path / "b.safetensors")


def test_fill_takes_all_parameters_and_no_others(tmp_path):
    def layer():
        return nn.Linear(3, 2)

    module, state = layer(), {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([7.0, 8.0])}
    weights.fill(module, state, "the layer", tmp_path / "w.pt")
    assert all(torch.equal(module.state_dict()[k], v) for k, v in state.items())
    for changed, words in (({"weight": state["weight"]}, "lacks 1 of its parameters, bias the first"),
                           ({**state, "more": torch.zeros(1)}, "has no parameter more"),
                           ({**state, "bias": torch.zeros(3)}, "size mismatch for bias")):
        with pytest.raises(InputError, match=rf"w\.pt: the layer.*{words}.*another network"):
            weights.fill(layer(), changed, "the layer", tmp_path / "w.pt")


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


def test_a_bundled_file_is_asked_for_by_name_unless_one_of_that_name_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = weights.weights_file("compact-free")
    assert found == weights.NAMED["compact-free"] and found.is_file()
    _, refinement, _ = weights.load_pretrained("compact", [found])
    ours = weights.load_pretrained("compact")[1]
    assert any(not torch.equal(a, b) for a, b in zip(refinement.parameters(), ours.parameters(), strict=True))
    (tmp_path / "compact-free").write_bytes(b"mine")
    assert weights.weights_file("compact-free") == Path("compact-free")
    with pytest.raises(InputError, match="or give a name: compact-free"):
        weights.read_state(weights.weights_file("compact-fre"))


def test_bundled_file_is_small_and_names_its_recipe():
    assert weights.BUNDLED.stat().st_size < 12e6
    _, metadata = weights.read_state(weights.BUNDLED)
    assert metadata["backbone"] == "compact" and metadata["recipe"]
    assert weights.BUNDLED_BASE.stat().st_size < 4e6
    _, metadata = weights.read_state(weights.BUNDLED_BASE)
    assert metadata["backbone"] == "compact" and metadata["recipe"]
    state, metadata = weights.read_state(weights.BUNDLED_DV17)
    assert metadata["backbone"] == "compact" and "DAVIS" in metadata["recipe"]
    assert all(name.startswith("refinement.") for name in state) and weights.BUNDLED_DV17.stat().st_size < 2.5e6
