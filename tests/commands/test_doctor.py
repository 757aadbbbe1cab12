"""The command `doctor`: its self-test measures, and what is missing is said and shows in the exit status."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vosedu.commands import doctor, main
from vosedu.errors import InputError
from vosedu.evaluation import frame_speed
from vosedu.files import datasets
from vosedu.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def timed(monkeypatch):
    """The shortcuts as if they had been timed; tests/evaluation/test_frame_speed.py has them."""
    monkeypatch.setattr(frame_speed, "shortcuts", lambda *_: {
        "bfloat16": {"F": {"median": 1.25, "least": 1.0, "greatest": 2.0}}, "CUDA graphs": {}, "graphs": "off: no CUDA device"})


def test_here_nothing_is_missing(timed, capsys):
    """With the self-test as it is: the bundled networks follow a disk over five frames."""
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok     ") for line in lines)
    score = next(line for line in lines if "self-test: J" in line)
    assert 0.9 < float(score.split("J ")[1].split()[0]) <= 1
    assert "F 1.25 times as fast (1.00 to 2.00)" in "\n".join(lines) and "CUDA graphs off: no CUDA device" in lines[-1]
    assert any("scenes: " in line and "huddle" in line for line in lines)


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
    monkeypatch.setattr(Segmenter, "from_pretrained", lambda config: engine)
    found, seconds = doctor.self_test()
    assert found == score and engine.steps == 4 and seconds > 0


bundled = doctor.bundled


def broken(what, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "self_test", lambda: (0.95, 1.0))
    if what == "self-test":
        monkeypatch.setattr(doctor, "self_test", lambda: (0.79, 12.5))
    elif what == "weights":
        def refused():
            raise InputError("the bundled weights are missing")

        monkeypatch.setattr(doctor, "bundled", lambda name: tmp_path if name == "data/weights" else bundled(name))
        monkeypatch.setattr(doctor, "self_test", refused)
    elif what == "scenes":
        monkeypatch.setattr(datasets, "SCENES", tmp_path)
    elif what == "python":
        monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 9), executable="python"))
    elif what == "folder":
        monkeypatch.setattr(doctor.os, "access", lambda folder, how: str(folder) != tempfile.gettempdir())


@pytest.mark.parametrize(("what", "said"), [
    ("nothing", []), ("self-test", ["self-test: J 0.79 on a moving disk, 12.5 s: reinstall, and report this line"]),
    ("weights", ["compact.safetensors: install vosedu anew, or restore data/weights",
                 "self-test: the bundled weights are missing"]),
    ("scenes", ["the bundled scenes are missing"]), ("python", ["install Python 3.10 or newer"]),
    ("folder", [f"write access to {tempfile.gettempdir()}: choose other folders with --out"]),
])
def test_what_is_missing_is_said_and_counts(timed, monkeypatch, tmp_path, capsys, what, said):
    broken(what, monkeypatch, tmp_path)
    assert main(["doctor"]) == (1 if said else 0)
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing")]
    assert len(missing) == len(said) and all(text in line for text, line in zip(said, missing, strict=True))


@pytest.mark.parametrize(("module", "words", "status"), [
    ("cv2", "opencv-python (ImportError: libGL.so.1: cannot open): pip install opencv-python-headless", 1),
    ("anywidget", "anywidget, which only the notebooks need (ImportError: libGL.so.1: cannot open): pip install --force", 1),
])
def test_a_package_that_cannot_be_imported_is_said(timed, tmp_path, module, words, status):
    """In a process of its own, for which the package is broken: `doctor` reports it, other commands say so in one line."""
    (tmp_path / f"{module}.py").write_text("raise ImportError('libGL.so.1: cannot open')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = partial(subprocess.run, capture_output=True, text=True, env=environment, timeout=300, encoding="utf-8")
    done = run([sys.executable, "-c", "import vosedu.commands.doctor as d; d.self_test = lambda: (0.9, 1.0); "
                "d.shortcuts = lambda: []; import sys; sys.exit(d.run(None))"])
    assert done.returncode == status and not done.stderr, done.stderr
    missing = [line for line in done.stdout.splitlines() if line.startswith("missing")]
    assert words in missing[0] and (module != "cv2" or "self-test: it needs the packages above" in missing[1])
    if module == "cv2":
        done = run([sys.executable, "-m", "vosedu", "segment", "clip", "--masks", "m.png"])
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert "libGL.so.1" in done.stderr and "python -m vosedu doctor" in done.stderr
