"""The command `doctor`: its self-test measures, and what is missing is said and shows in the exit status."""

import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vosedu.commands import doctor, main
from vosedu.errors import InputError


@pytest.fixture
def timed(monkeypatch):
    """The shortcuts as if they had been timed; tests/evaluation/test_frame_speed.py has them."""
    monkeypatch.setattr(doctor.frame_speed, "shortcuts", lambda *_: {
        "bfloat16": {"F": {"median": 1.25, "least": 1.0, "greatest": 2.0}}, "CUDA graphs": {}, "graphs": "off: no CUDA device"})


def test_here_nothing_is_missing(timed, capsys):
    """With the self-test as it is: the bundled networks follow a disk over five frames."""
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok     ") for line in lines)
    score = next(line for line in lines if "self-test: J" in line)
    assert 0.9 < float(score.split("J ")[1].split()[0]) <= 1
    assert "F 1.25 times as fast (1.00 to 2.00)" in "\n".join(lines) and "CUDA graphs off: no CUDA device" in lines[-1]
    assert any("bundled scenes" in line and "huddle" in line for line in lines)


class Engine:
    """Tells the red disk from the green ground by the colour of every pixel, in every `often`-th frame; else finds nothing."""

    def __init__(self, often):
        self.often, self.steps = often, 0

    def start(self, frame, mask):
        assert np.array_equal(frame[..., 0] > frame[..., 1], mask == 1) and mask.sum() > 4000
        return self

    def step(self, frame):
        self.steps += 1
        there = frame[..., 0] > frame[..., 1] if self.steps % self.often == 0 else np.zeros(frame.shape[:2])
        return torch.from_numpy(there.astype(np.uint8))


@pytest.mark.parametrize(("often", "score"), [(1, 1.0), (2, 0.5), (9, 0.0)])
def test_the_self_test_is_the_mean_j_of_four_frames(monkeypatch, often, score):
    engine = Engine(often)
    monkeypatch.setattr(doctor.Segmenter, "from_pretrained", lambda config: engine)
    found, seconds = doctor.self_test()
    assert found == score and engine.steps == 4 and seconds > 0


def broken(what, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "self_test", lambda: (0.95, 1.0))
    if what == "self-test":
        monkeypatch.setattr(doctor, "self_test", lambda: (0.79, 12.5))
    elif what == "weights":
        def refused():
            raise InputError("the bundled weights are missing")

        monkeypatch.setattr(doctor, "BUNDLED", tmp_path / "gone.safetensors")
        monkeypatch.setattr(doctor, "self_test", refused)
    elif what == "scenes":
        monkeypatch.setattr(doctor.datasets, "SCENES", tmp_path)
    elif what == "python":
        monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 9)))
    elif what == "folder":
        monkeypatch.setattr(doctor.os, "access", lambda folder, how: str(folder) != tempfile.gettempdir())


@pytest.mark.parametrize(("what", "said"), [
    ("nothing", []), ("self-test", ["self-test: J 0.79 on a moving disk, 12.5 s: reinstall, and report this line"]),
    ("weights", ["gone.safetensors: restore data/weights from the repository", "self-test: the bundled weights are missing"]),
    ("scenes", ["the bundled scenes are missing"]), ("python", ["install Python 3.10 or newer"]),
    ("folder", [f"write access to {tempfile.gettempdir()}: choose other folders with --out"]),
])
def test_what_is_missing_is_said_and_counts(timed, monkeypatch, tmp_path, capsys, what, said):
    broken(what, monkeypatch, tmp_path)
    assert main(["doctor"]) == (1 if said else 0)
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing")]
    assert len(missing) == len(said) and all(text in line for text, line in zip(said, missing, strict=True))
