"""The command line as a whole: its commands, their help, and one clear line for everything unusable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import write_clip

import vosedu
from vosedu import commands
from vosedu.commands import COMMANDS, build_parser, main, settings
from vosedu.config import Config


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert done.value.code == 0 and f"vosedu {name}" in said and "--help" in said and len(said) > 60


def test_the_list_of_commands_is_shown_and_an_unknown_one_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said and text in said for name, text in COMMANDS.items())
    with pytest.raises(SystemExit) as done:
        main(["segmnt"])
    assert done.value.code == 2 and "invalid choice: 'segmnt'" in capsys.readouterr().err


def test_only_the_chosen_command_is_imported():
    """So that each starts quickly: asked for `settings`, Python has no other command, and none of what they need."""
    code = ("import sys; from vosedu.commands import main; main(['settings']); "
            "print([n for n in sys.modules if n.startswith('vosedu.commands.') or n == 'vosedu.training'], file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "['vosedu.commands.settings']" and "target_share" in done.stdout


def test_settings_lists_every_number_with_the_presets(capsys):
    assert main(["settings"]) == 0
    lines = {line.split()[0]: line.split()[1:5] for line in capsys.readouterr().out.splitlines()}
    assert lines["setting"] == ["paper", "fast", "whole", "best"] and lines["channels"] == ["96", "32", "96", "96"]
    assert lines["filter_decay"] == ["0.01", "0.01", "1000.0", "1000.0"] and lines.keys() >= set(Config.__dataclass_fields__)


def test_the_flags_of_another_command_are_unknown(capsys):
    with pytest.raises(SystemExit):
        build_parser("settings").parse_args(["settings", "--masks", "x"])
    assert "--masks" in capsys.readouterr().err


BAD = {
    "no such file": (["segment", "absent.mp4", "--masks", "first.png"], "no such file"),
    "no mask": (["segment", "clip", "--masks", "absent.png"], "no mask"),
    "preset": (["segment", "clip", "--masks", "first.png", "--preset", "fastest"], "unknown preset"),
    "backbone": (["segment", "clip", "--masks", "first.png", "--backbone", "vgg"], "unknown backbone"),
    "no weights": (["segment", "clip", "--masks", "first.png", "--backbone", "mobilenet_v2"], "--weights"),
    "cuda": (["segment", "clip", "--masks", "first.png", "--device", "cuda"], "--device cpu"),
    "setting": (["segment", "clip", "--masks", "first.png", "--target-share", "3"], "target_share is 3.0"),
    "height": (["segment", "clip", "--masks", "first.png", "--short-side", "3"], "--short-side"),
    "capacity": (["segment", "clip", "--masks", "first.png", "--capacity", "10"], "must exceed"),
    "out is a file": (["segment", "clip", "--masks", "first.png", "--out", "first.png"], "cannot write"),
    "data set": (["evaluate", "davis2018"], "unknown data set"),
    "root": (["evaluate", "davis2016", "--root", "absent"], "check --root"),
    "sequence": (["evaluate", "scenes", "--sequences", "lookalike"], "did you mean"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, kind):
    write_clip(tmp_path, 5)
    monkeypatch.chdir(tmp_path)
    if kind == "cuda":
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = sorted(p.name for p in tmp_path.iterdir())
    words, expected = BAD[kind]
    assert main([*words, "--quiet"]) == 2
    err = capsys.readouterr().err
    assert expected in err and err.startswith("vosedu: ") and err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(("error", "status", "words"), [
    (PermissionError(13, "Permission denied", "/data/x.png"), 2, "/data/x.png"),
    (OSError(28, "No space left on device", "m/00003.png"), 2, "m/00003.png"),
    (KeyboardInterrupt(), 130, "the same command goes on from there"),
])
def test_what_the_system_or_the_user_stops_is_one_line_too(monkeypatch, capsys, error, status, words):
    def run(args):
        raise error

    monkeypatch.setattr(settings, "run", run)
    assert main(["settings"]) == status
    err = capsys.readouterr().err
    assert words in err and err.startswith("vosedu: ") and err.count("\n") == 1


def test_a_fault_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setattr(settings, "run", lambda args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["settings"])


def test_the_status_is_the_commands(monkeypatch):
    monkeypatch.setattr(settings, "run", lambda args: 7)
    monkeypatch.setattr(commands.sys, "argv", ["vosedu", "settings"])
    assert main() == 7


def test_output_in_another_code_page_ends_in_no_traceback(tmp_path):
    """As on Windows, where redirected output has letters of Western Europe alone."""
    done = subprocess.run([sys.executable, "-m", "vosedu", "segment", "кадры", "--masks", "m.png"], capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": "cp1252"}, timeout=300)
    assert done.returncode == 2 and done.stderr.startswith(b"vosedu: no such file or folder: \\u043a"), done.stderr
    assert b"Traceback" not in done.stderr


def test_the_version_is_said_once():
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{vosedu.__version__}"' in text
