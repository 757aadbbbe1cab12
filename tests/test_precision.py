"""The precision of F and R: what is asked for, and what is found once and kept."""

import json
from types import SimpleNamespace

import pytest
import torch

from vosedu import Segmenter
from vosedu.beyond import precision
from vosedu.beyond.precision import pick_precision
from vosedu.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """The file of findings, in a folder that is not there yet."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "vosedu-precision.json"


@pytest.mark.parametrize(("gain", "found"), [(0.3, "float32"), (1.19, "float32"), (1.2, "bfloat16"), (1.9, "bfloat16")])
def test_auto_is_the_faster_one_and_is_found_once(notes, monkeypatch, gain, found):
    asked = []
    monkeypatch.setattr(precision, "gain", lambda device: asked.append(device) or gain)
    assert [pick_precision("auto", CPU) for _ in range(3)] == [found] * 3 and asked == [CPU]
    (key, noted), = json.loads(notes.read_text()).items()
    assert noted == found and precision.processor(CPU) in key and torch.__version__ in key


@pytest.mark.parametrize("text", ["", "[]", "{", '{"another processor, PyTorch 1": "float32"}'])
def test_notes_that_say_nothing_of_this_machine_are_made_anew(notes, monkeypatch, text):
    notes.parent.mkdir()
    notes.write_text(text)
    monkeypatch.setattr(precision, "gain", lambda device: 2.0)
    assert pick_precision("auto", CPU) == "bfloat16"
    assert len(json.loads(notes.read_text())) == 1 + ("another" in text)


def test_where_nothing_can_be_written_it_is_found_every_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "file" / "hub"))
    asked = []
    monkeypatch.setattr(precision, "gain", lambda device: asked.append(device) or 2.0)
    assert [pick_precision("auto", CPU) for _ in range(2)] == ["bfloat16"] * 2 and len(asked) == 2


def test_what_is_asked_for_is_not_measured(notes, monkeypatch):
    monkeypatch.setattr(precision, "gain", None)
    assert pick_precision("bfloat16", CPU) == "bfloat16" and pick_precision("float32", CPU) == "float32"
    mps = SimpleNamespace(type="mps")
    assert pick_precision("auto", mps) == pick_precision("float32", mps) == "float32" and not notes.exists()
    with pytest.raises(InputError, match="bfloat16 is for CUDA and the CPU, and this is mps: use --precision float32"):
        pick_precision("bfloat16", mps)
    with pytest.raises(InputError, match="unknown precision 'half': choose auto, float32, bfloat16"):
        Segmenter.from_pretrained(weights=["missing.pt"], precision="half")


def test_the_measured_gain_is_of_one_thread_and_leaves_their_number():
    before = torch.get_num_threads()
    found = precision.gain(CPU)
    assert torch.get_num_threads() == before and 0.01 < found < 20


def test_a_clock_by_which_bfloat16_takes_half_the_time(monkeypatch):
    """The two kinds take turns; of each the quickest counts."""
    times, now = iter([*[0, 4, 0, 2] * 9, 0, 3, 0, 1.5]), []
    assert precision._gain(CPU, lambda: now.append(next(times)) or now[-1]) == 2.0 and len(now) == 40


def test_the_segmenter_says_what_it_took(notes, monkeypatch):
    monkeypatch.setattr(precision, "gain", lambda device: 2.0)
    found = Segmenter.from_pretrained(device="cpu", precision="auto")
    assert found.precision == "bfloat16" and Segmenter.from_pretrained(device="cpu").precision == "float32"
    assert {m.weight.dtype for m in found.backbone.modules() if isinstance(m, torch.nn.Conv2d)} == {torch.bfloat16}
