"""What can be said of other systems without having them: no shell, no POSIX-only module, nothing that listens."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vosedu.device import pick_device
from vosedu.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "vosedu").glob("*.py"))
ABSENT = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty"}
"""Modules that Windows lacks."""
OUTWARD = {"http.server", "socket", "socketserver", "asyncio", "subprocess", "multiprocessing.managers"}
"""Modules by which something would be started, or would listen."""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.name)
def test_the_package_starts_nothing_and_listens_to_nothing(path):
    assert not set(imports(path)) & (ABSENT | OUTWARD)
    text = path.read_text(encoding="utf-8")
    assert "os.system" not in text and "shell=True" not in text and "fork(" not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.name)
def test_text_files_are_read_as_utf8_everywhere(path):
    """Windows would take its own code page, and newlines in CSV files would double."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = {k.arg for k in call.keywords}
        if name in ("read_text", "write_text"):
            assert "encoding" in given, f"{path.name}:{call.lineno}"
        if name == "open" and isinstance(call.func, ast.Name):
            mode = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) else "r"
            binary = (len(call.args) > 1 and not isinstance(call.args[1], ast.Constant)) or "b" in mode
            assert binary or "encoding" in given, f"{path.name}:{call.lineno}"


def test_jupyter_keeps_its_token_and_loopback():
    lab = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "jupyter lab" in line]
    assert len(lab) == 1 and not re.search(r"--ip|token|password|allow", lab[0], re.I)


def test_the_workflow_runs_the_makefiles_commands():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"ubuntu-latest, macos-latest", workflow) and "run: make test" in workflow
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", makefile, re.M)[1]
    for line in recipe.splitlines():
        assert f".venv/Scripts/{line.strip().removeprefix('$(BIN)/')}" in workflow, line
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_commands_need_no_shell_of_their_own():
    """Programs and arguments only, which PowerShell takes as well as bash."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for line in block.splitlines():
            words = line.split("#")[0].split()
            assert not words or words[0] in ("make", "python", "torchrun"), line
            assert not re.search(r"[|;&`$<>]|\\$", line.split("#")[0]), line


@pytest.mark.parametrize(("cuda", "mps", "asked", "found"), [
    (2, False, "auto", "cuda"), (2, True, "auto", "cuda"), (0, True, "auto", "mps"), (0, False, "auto", "cpu"),
    (2, False, "cuda:1", "cuda:1"), (2, True, "mps", "mps"), (2, True, "cpu", "cpu"),
    (2, False, "cuda:2", "there are 2"), (0, True, "cuda", "--device cpu"), (2, False, "mps", "--device cpu"),
    (0, False, "cuda:x", "--device cpu"), (2, False, "cuda:x", "cuda:0"), (2, False, "xpu", "unknown device"),
])
def test_devices_by_fakes(monkeypatch, cuda, mps, asked, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if found in ("cuda", "mps", "cpu", "cuda:1"):
        assert str(pick_device(asked)) == found
    else:
        with pytest.raises(InputError, match=re.escape(found)):
            pick_device(asked)


def test_oldest_versions_come_from_pyproject():
    said = subprocess.run([sys.executable, "-c", "import versions; print(*versions.oldest())"], cwd=ROOT / ".ci",
                          capture_output=True, text=True, check=True).stdout.split()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("torch", "torchvision", "numpy"):
        least = re.search(rf'"{name}>=([\d.]+)"', text)[1]
        assert f"{name}=={least}.*" in said
