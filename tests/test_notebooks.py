"""The suite's own rules: exercises come as stubs, solutions are beside them, and every notebook reads without a kernel."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("[0-9]*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path, kind):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


@every_notebook
def test_size_words_and_code(path):
    assert path.stat().st_size < 1_500_000
    assert sum(len("".join(c["source"]).split()) for c in cells(path, "markdown")) <= 2500
    assert sum(len([line for line in c["source"] if line.strip()]) for c in cells(path, "code")) <= 150


@every_notebook
def test_committed_with_outputs_and_without_widget_state(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"] and notebook["metadata"]["kernelspec"]["name"] == "python3"
    numbers = [c["execution_count"] for c in cells(path, "code")]
    assert numbers == list(range(1, len(numbers) + 1)), "run from a clean kernel, from top to bottom"
    pictures = [o for c in cells(path, "code") for o in c["outputs"] if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3


@every_notebook
def test_stubs_fail_their_checks(path, capsys):
    """Each cell tagged `exercise` is a stub: its check says so, and prints no traceback."""
    stubs = [c for c in cells(path, "code") if "exercise" in c["metadata"].get("tags", [])]
    scope = {}
    for cell in stubs:
        source = "".join(cell["source"])
        assert "raise NotImplementedError" in source and ".check(" in source
        capsys.readouterr()
        exec(source, scope)
        assert "still to be written" in capsys.readouterr().out
    solutions = path.parent / "solutions" / path.name
    assert bool(stubs) == solutions.is_file()
    if stubs:
        solved = "\n".join("".join(c["source"]) for c in cells(solutions, "code"))
        assert solved.count("assert exercises.") == len(stubs)
