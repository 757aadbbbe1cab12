"""python -m vosedu export: what ONNX Runtime computes is what PyTorch computes, and what cannot be exported is one line."""

import builtins
import json
from dataclasses import asdict

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from vosedu import WHOLE, Segmenter
from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.web import export

pytestmark = pytest.mark.skipif(not hasattr(torch.export.Dim, "DYNAMIC"), reason="exporting needs PyTorch 2.6")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The bundled networks, exported."""
    out = tmp_path_factory.mktemp("export") / "new"
    assert main(["export", "--out", str(out)]) == 0
    return out


def test_both_networks_give_the_engine_s_maps_and_logits_at_another_size(folder):
    segmenter = Segmenter.from_pretrained("compact", device="cpu")
    frame = np.random.default_rng(1).integers(0, 256, (83, 110, 3), dtype=np.uint8)
    maps = segmenter.features(frame[None])
    scores = torch.randn(3, *maps[3].shape[-2:], generator=torch.Generator().manual_seed(1))
    f, r = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in "FR")
    image = np.ascontiguousarray(frame.transpose(2, 0, 1)[None], np.float32) / 255
    found = f.run(["x1", "x2", "x3", "x4", "x5"], {"images": image})
    for got, want in zip(found, maps, strict=True):
        assert got.shape == tuple(want.shape) and np.abs(got - want.numpy()).max() < 1e-2 * want.abs().max()
    given = {"images": image, "scores": scores.numpy(), **dict(zip(("x2", "x3", "x4", "x5"), found[1:], strict=True))}
    (logits,) = r.run(["logits"], given)
    want = segmenter.logits(maps, scores, (83, 110)).numpy()
    assert logits.shape == (3, 83, 110) and np.abs(logits - want).max() < 1e-2 * np.abs(want).max()
    assert np.abs(logits[0] - logits[1]).max() > 0.1, "objects have scores of their own"


def test_several_images_at_once(folder):
    f = onnxruntime.InferenceSession(folder / "F.onnx")
    images = np.random.default_rng(2).random((2, 3, 64, 80), np.float32)
    both, (alone,) = f.run(["x4"], {"images": images})[0], f.run(["x4"], {"images": images[1:]})
    assert np.abs(both[1] - alone[0]).max() < 1e-4


def test_the_files_are_small_and_say_what_they_are(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["F.onnx", "R.onnx", "networks.json"]
    assert sum(p.stat().st_size for p in folder.iterdir()) < 11e6, "a page has to load them"
    facts = json.loads((folder / "networks.json").read_text())
    assert facts["presets"]["whole"] == asdict(WHOLE) and facts["settings"]["target_share"]["high"] == 0.999
    assert facts["channels"] == [64, 64, 128, 256, 256] and facts["refinement"] and facts["precision"] == "float16"


def refused(words, capsys):
    """The one line that a command ends with."""
    assert main(["export", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vosedu: ") and said.count("\n") == 1
    return said


@pytest.mark.parametrize(("words", "expected"), [
    (["--precision", "int8"], "unknown precision 'int8'"),
    (["--backbone", "vgg"], "unknown backbone"),
    (["--backbone", "mobilenet_v2"], "--weights"),
    (["--weights", "absent.safetensors"], "no weights file"),
])
def test_what_cannot_be_exported_is_one_line_and_nothing_is_written(tmp_path, capsys, words, expected):
    assert expected in refused([*words, "--out", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_the_remedy(tmp_path, capsys, monkeypatch):
    plain = builtins.__import__

    def without(name, *rest):
        if name == "onnxscript":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(["--out", str(tmp_path / "out")], capsys)
    assert "onnxscript is not installed" in said and "vosedu[web]" in said


def test_an_old_pytorch_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(torch.export.Dim, "DYNAMIC")
    assert "exporting needs 2.6" in refused(["--out", str(tmp_path / "out")], capsys)


class Doubled(nn.Module):
    """One layer."""

    def forward(self, images):
        """Twice the input."""
        return 2 * images


def test_a_file_that_computes_something_else_is_refused():
    content = export.traced("F", Doubled(), (torch.rand(1, 3, 8, 9),), ("images",), ("x1",))
    image = torch.rand(1, 3, 20, 30)
    assert export.compared("F", content, [({"images": image}, {"x1": 2 * image})], 1e-3) < 1e-6
    with pytest.raises(InputError, match="differs from PyTorch"):
        export.compared("F", content, [({"images": image}, {"x1": 2.1 * image})], 1e-2)
    with pytest.raises(InputError, match="PyTorch \\(1, 3, 19, 30\\)"):
        export.compared("F", content, [({"images": image}, {"x1": image[:, :, 1:]})], 1e-2)
    with pytest.raises(InputError, match="does not run"):
        export.compared("F", b"no model", [], 1e-2)


class Unready(nn.Module):
    """A network that PyTorch cannot export."""

    def forward(self, images):
        """Depends on numbers."""
        return images if images.sum().item() > 0 else -images


def test_a_network_that_cannot_be_traced_is_named():
    with pytest.raises(InputError, match="R cannot be exported"):
        export.traced("R", Unready(), (torch.rand(1, 3, 8, 9),), ("images",), ("x1",))
