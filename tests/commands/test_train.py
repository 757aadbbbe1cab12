"""The command `train`: other commands can use what it writes, a run goes on under its own recipe alone, and what cannot be is
one line."""

from pathlib import Path

import pytest
import torch
from helpers import QUICK

from vosedu.commands import main
from vosedu.files import datasets
from vosedu.training.baselines import load_base_net
from vosedu.weights import load_pretrained


@pytest.fixture
def train(davis, tmp_path, monkeypatch):
    """Trains for two steps on clips in DAVIS layout, into a folder of that name; returns the exit status."""
    monkeypatch.setattr(datasets, "load", _without_scenes(datasets.load))

    def run(name, *flags):
        return main(["train", "--davis", str(davis), "--steps", "2", "--batch", "2", "--height", "64", "--every", "1", *QUICK,
                     "--out", str(tmp_path / name), *map(str, flags)])

    return run


def _without_scenes(load):
    """`datasets.load` with the two tiny sequences in place of the bundled scenes."""
    def loaded(name, root, *args, **kwargs):
        if name == "scenes":
            return loaded.kept
        loaded.kept = load(name, root, *args, **kwargs)
        return loaded.kept
    return loaded


def test_train_then_table1(train, davis, tmp_path, capsys):
    """R and the Base net that were trained are those of Table 1's rows; D-only does not depend on them."""
    assert train("r") == 0 and train("b", "--base-net") == 0
    assert len((tmp_path / "r" / "training.csv").read_text().splitlines()) == 3
    capsys.readouterr()
    rows = {}
    for name, flags in (("t", ["--weights", tmp_path / "r" / "compact.safetensors", "--base",
                               tmp_path / "b" / "compact-base.safetensors"]), ("u", [])):
        assert main(["table1", "davis2017", "--root", str(davis), "--sequences", "one", "--rows", "Base net,D-only,Ours",
                     "--out", str(tmp_path / name), *map(str, flags), *QUICK]) == 0
        rows[name] = {line[:18].strip(): line[18:].split()[:3] for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows["t"]["D-only"] == rows["u"]["D-only"] and rows["t"]["Ours"] != rows["u"]["Ours"]
    assert rows["t"]["Base net"] != rows["u"]["Base net"]


def test_train_goes_on_from_weights(train, davis, tmp_path, capsys):
    """R, the Base net's R and conv5_x begin with what the file holds; of the backbone only conv5_x is another one then."""
    assert train("r") == 0
    weights = tmp_path / "r" / "compact.safetensors"
    tuned = ["--fine-tune", "--weights", weights]
    assert train("f", *tuned) == 0
    assert train("n", "--base-net", *tuned, "--rate", "1e-9") == 0
    ours, base = load_pretrained("compact", [weights])[1], tmp_path / "n" / "compact-base.safetensors"
    for mine, its in zip(ours.parameters(), load_base_net(base, (64, 64, 128, 256, 256)).refinement.parameters(), strict=True):
        torch.testing.assert_close(its, mine, atol=1e-3, rtol=1e-3)
    assert train("c", *tuned, "--with-conv5", "--overlap", "0.25", "--rendered", davis) == 0
    was, now = (load_pretrained("compact", [path])[0].body.state_dict()
                for path in (Path(weights), tmp_path / "c" / "compact.safetensors"))
    assert {key.split(".")[0] for key in was if not torch.equal(was[key], now[key])} == {"layer4"}


def test_train_gives_r_what_it_will_read(train, tmp_path):
    """Remembered cells beside D unless they are switched off; a window, never."""
    assert train("r") == 0 and train("n", "--nearest", "0.3", "--window-share", "0.06") == 0
    found = {name: {file.stem.endswith("-nearest") for file in (tmp_path / name / "targets").glob("*.pt")} for name in "rn"}
    assert found == {"r": {False}, "n": {True}}


def test_train_refuses_another_recipe(train, capsys):
    assert train("r") == 0 and train("r", "--seed", 1) == 2
    assert "begun with seed 0" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "line"), [
    ([], "nothing to train on"),
    (["--stills", "."], "images"),
    (["--steps", "0", "--stills", "."], "--steps is 0"),
    (["--davis", "nowhere"], "nowhere"),
    (["--rendered", "nowhere"], "nowhere"),
    (["--stills", ".", "--with-conv5", "--base-net"], "--with-conv5 is for training R"),
    (["--stills", ".", "--tune-backbone", "--base-net"], "--tune-backbone trains no R"),
    (["--stills", ".", "--overlap", "-1"], "--overlap is -1.0"),
])
def test_train_refuses_in_one_line(tmp_path, monkeypatch, capsys, flags, line):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--out", "o", *flags, *QUICK]) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1 and not (tmp_path / "o").exists()
