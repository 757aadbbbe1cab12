"""Right answers of a notebook become files that run by themselves."""

import math
import sys
import types

import numpy as np
import pytest
import torch

from vosedu.errors import InputError
from vosedu.teaching import kept
from vosedu.teaching.exercise import Exercise, need

CELL = """
import math
import numpy as np
import torch
import torch.nn.functional as nnf
from math import floor as down
from os.path import join as upper
FACTOR = 3
table = np.zeros(4)

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n > 0 and even(n - 1)

def answer(x, decorate=None):
    def inner(y):
        return down(y) + math.ceil(0.2)
    "x".upper()
    return FACTOR * inner(x) + int(even(4)) + nnf.relu(torch.tensor(-1.0)).item()

def broken(x):
    return table[x]
"""


@pytest.fixture()
def notebook(tmp_path, monkeypatch):
    """The names of a cell, as a running notebook has them."""
    file = tmp_path / "cell.py"
    file.write_text(CELL, encoding="utf-8")
    module = types.ModuleType("__main__")
    exec(compile(CELL, str(file), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.chdir(tmp_path)
    return module


def test_an_answer_takes_with_it_what_it_uses(notebook, tmp_path):
    path = kept.keep("thrice", notebook.answer, tmp_path / "mine")
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "mine" / "thrice.py" and text.count("def even") == text.count("def odd") == 1
    assert "join" not in text, "the method of a text has the name of something else"
    assert kept.load("thrice", tmp_path / "mine")(2.7) == notebook.answer(2.7) == 3 * (2 + math.ceil(0.2)) + 1
    kept.keep("thrice", notebook.odd, tmp_path / "mine")
    assert kept.load("thrice", tmp_path / "mine")(3) is True, "the last right answer counts"
    assert kept.load("other", tmp_path / "mine") is None and kept.load("thrice", tmp_path / "nowhere") is None


def test_a_file_that_does_not_run_is_named(tmp_path):
    (tmp_path / "thrice.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"thrice\.py stops with ModuleNotFoundError: .*delete it"):
        kept.load("thrice", tmp_path)
    (tmp_path / "thrice.py").write_text("twice = 2\n")
    with pytest.raises(InputError, match=r"thrice\.py stops with AttributeError"):
        kept.load("thrice", tmp_path)


def test_only_right_answers_of_a_notebook_are_kept(notebook, tmp_path, capsys):
    exercise = Exercise("odd", lambda answer: need(answer(3), 1, {}, "Three is odd."), ("a", "b"))
    assert exercise.check(notebook.odd) and not exercise.check(notebook.even)
    assert capsys.readouterr().out.splitlines() == ["odd: right. Kept in my_engine/odd.py for notebook 10.",
                                                    "odd: not yet. Three is odd."]
    assert kept.load("odd", tmp_path / "my_engine")(5) and len(list(tmp_path.glob("my_engine/*"))) == 1
    (tmp_path / "my_engine" / "odd.py").unlink()
    here = lambda n: n % 2  # noqa: E731, not of the notebook
    assert exercise.check(here) and not list(tmp_path.glob("my_engine/*"))


def test_where_it_cannot_be_kept_the_answer_is_right_all_the_same(notebook, tmp_path, capsys):
    (tmp_path / "my_engine").write_text("a file in the way")
    assert Exercise("odd", lambda answer: need(answer(3), 1, {}, "Three is odd."), ("a", "b")).check(notebook.odd)
    assert "odd: right. It could not be kept" in capsys.readouterr().out


def test_what_cannot_be_taken_along_is_found_out_when_it_is_used(notebook, tmp_path):
    """An array of the notebook is not in the file: the function says so when it runs, and says which."""
    kept.keep("broken", notebook.broken, tmp_path)
    with pytest.raises(NameError, match="table"):
        kept.load("broken", tmp_path)(1)
    assert np.array_equal(notebook.table, np.zeros(4)) and torch.is_tensor(torch.zeros(1))
