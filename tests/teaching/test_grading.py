"""A teacher's table: right, wrong, missing, broken and endless answers."""

import json
import time

import pytest

from vosedu.commands import main
from vosedu.errors import InputError
from vosedu.teaching import grading

HEAD = "from vosedu.teaching import evaluation as exercises\nimport numpy as np"
JACCARD = "def jaccard(a, b):\n    return (a & b).sum() / max(1, (a | b).sum()) if (a | b).any() else 1.0"


def notebook(path, *sources):
    """A notebook of code cells; a source that begins with # is a Markdown cell."""
    cells = [{"cell_type": "markdown" if text.startswith("#") else "code", "source": text} for text in sources]
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return path


def test_every_kind_of_answer(tmp_path):
    path = notebook(
        tmp_path / "08.ipynb",
        HEAD,
        "### Exercise 08.1 (easy, 5 minutes)",
        f"{JACCARD}\nexercises.jaccard.check(jaccard);\nprint('drawn')\nraise SystemExit",
        "### Exercise 08.2 (medium, 15 minutes)",
        "def summary(j):\n    return np.mean(j), 0, 0\nassert exercises.summary.check(summary)",
    )
    first, second = grading.grade(path)
    assert first == ("08.1 jaccard", True, "right.")
    assert second.exercise == "08.2 summary" and not second.right and second.text.startswith("not yet. ")


@pytest.mark.parametrize(("cell", "says"), [
    ("def jaccard(a, b):\n    raise NotImplementedError\nexercises.jaccard.check(jaccard)", "still to be written"),
    ("def jaccard(a, b):\nreturn 1\nexercises.jaccard.check(jaccard)", "its cell is no Python: line 2"),
    ("%matplotlib inline\ndef jaccard(a, b):\n    return helper(a)\nexercises.jaccard.check(jaccard)", "name 'helper'"),
    ("exercises.jaccard.check(jaccard)", "the function is missing"),
    ("import nothing_of_this_name\ndef jaccard(a, b): pass\nexercises.jaccard.check(jaccard)", "ModuleNotFoundError"),
    ("@undefined\ndef jaccard(a, b): pass\nexercises.jaccard.check(jaccard)", "its cell stops with NameError"),
])
def test_what_is_said_of_a_broken_cell(tmp_path, cell, says):
    """In one process, which is quicker: `grade` adds the process and its limit."""
    path = notebook(tmp_path / "n.ipynb", HEAD, cell)
    messages = list(grading.judge_all(grading.read_notebook(path), 0))
    assert messages[0] == {"begins": "jaccard"} and not messages[1]["right"] and says in messages[1]["text"]


def test_the_last_definition_counts_and_a_missing_import_is_said(tmp_path):
    stub = "def jaccard(a, b):\n    raise NotImplementedError\nexercises.jaccard.check(jaccard)"
    cells = grading.read_notebook(notebook(tmp_path / "n.ipynb", HEAD, stub, f"{JACCARD}\n# exercises.jaccard.check(jaccard)\n"
                                                                            "exercises.jaccard.check(jaccard)"))
    assert list(grading.judge_all(cells, 0))[1] == {"right": True, "text": "right."}
    assert list(grading.judge_all(cells[1:], 0))[1]["text"] == "the line that imports `exercises` is missing"


def test_an_endless_answer_is_stopped_and_the_next_is_judged(tmp_path):
    path = notebook(tmp_path / "n.ipynb", HEAD, "def summary(j):\n    while True: pass\nexercises.summary.check(summary)",
                    f"{JACCARD}\nexercises.jaccard.check(jaccard)")
    began = time.monotonic()
    endless, after = grading.grade(path, seconds=1.5)
    assert endless == ("summary", False, "it takes longer than 1.5 s, or ends the process") and after.right
    assert time.monotonic() - began < 100


def test_an_answer_that_ends_the_process_is_said(tmp_path):
    path = notebook(tmp_path / "n.ipynb", f"import os\n{HEAD}",
                    "def jaccard(a, b):\n    os._exit(0)\nexercises.jaccard.check(jaccard)")
    assert grading.grade(path) == [("jaccard", False, "it takes longer than 60 s, or ends the process")]


def test_what_is_no_notebook_or_has_no_exercise(tmp_path):
    (tmp_path / "a.ipynb").write_text("no JSON")
    (tmp_path / "b.ipynb").write_text("[1]")
    for name in ("a.ipynb", "b.ipynb"):
        with pytest.raises(InputError, match="is no Jupyter notebook"):
            grading.grade(tmp_path / name)
    with pytest.raises(InputError, match="has no exercise"):
        grading.grade(notebook(tmp_path / "c.ipynb", "x = 1"))


def test_the_command(tmp_path, capsys):
    path = notebook(tmp_path / "n.ipynb", "### Exercise 08.1 (easy)", f"{HEAD}\n{JACCARD}\nexercises.jaccard.check(jaccard)")
    assert main(["grade", str(path), str(path), "--csv", str(tmp_path / "t.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0] == f"{path}: 1 of 1 right" and lines[1].split() == ["08.1", "jaccard", "right."]
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == [f"{path},08.1 jaccard,1,right."] * 2
    (tmp_path / "mine.csv").write_text("a,b\n")
    (tmp_path / "dead.csv").symlink_to("nowhere.csv")
    for words, message in ((["--csv", str(tmp_path / "mine.csv")], "is not of this command"),
                           (["--csv", str(tmp_path / "dead.csv")], "dead.csv is there already"),
                           (["--seconds", "0"], "above 0"),
                           ([str(tmp_path / "none.ipynb")], "none.ipynb")):
        assert main(["grade", str(path), *words]) == 2
        out, err = capsys.readouterr()
        assert not out and message in err and err.count("\n") == 1
    assert (tmp_path / "mine.csv").read_text() == "a,b\n"
