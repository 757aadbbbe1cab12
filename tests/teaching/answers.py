"""A table of right and wrong answers for an exercise, and what every exercise must make of them and of their variants."""

import functools
from typing import NamedTuple

import numpy as np
import torch

from vosedu.teaching.exercise import Exercise


class Answers(NamedTuple):
    """For one exercise."""

    right: list
    """Answers that pass; none of them is what the check itself calls."""
    wrong: list
    """(answer, words of the message that it must get)."""


def exercises_of(module):
    """Names of a notebook's exercises."""
    return {name for name, found in vars(module).items() if isinstance(found, Exercise)}


def each(change, value):
    """The change made to a value, or to every entry of a tuple or list."""
    return type(value)(change(part) for part in value) if isinstance(value, (tuple, list)) else change(value)


def changed(answer, change):
    """An answer whose result is changed afterwards."""
    return lambda *inputs: each(change, answer(*inputs))


def spoil(inputs):
    """Fill tensors and arrays with a number, in place; returns whether there were any."""
    tensors = [value for value in inputs if isinstance(value, torch.Tensor)]
    arrays = [value for value in inputs if isinstance(value, np.ndarray)]
    with torch.no_grad():
        for value in tensors:
            value.fill_(3)
    for value in arrays:
        value.fill(3)
    return bool(tensors or arrays)


def careless(answer):
    """A right answer that changes its arguments when it has computed."""

    def afterwards(*inputs):
        found = each(lambda part: part.clone() if isinstance(part, torch.Tensor) else part, answer(*inputs))
        spoil(inputs)
        return found

    return afterwards


def cheating(answer):
    """A wrong one: what is right for arguments that it has changed before. It gives up where it cannot change any."""

    def before(*inputs):
        if not spoil(inputs):
            raise ZeroDivisionError
        return answer(*inputs)

    return before


def numpy_of(part):
    return part.detach().numpy() if isinstance(part, torch.Tensor) else np.asarray(part)


def double_of(part):
    return torch.as_tensor(part).double()


VARIANTS = {"a NumPy array": numpy_of, "float64": double_of, "float32": lambda part: torch.as_tensor(part).float()}
FAULTS = {
    "NaN": lambda part: part * float("nan"),
    "zero": lambda part: part * 0,
    "one": lambda part: part * 0 + 1,
    "two per cent too much": lambda part: part * 1.02,
    "None": lambda part: None,
    "twice": lambda part: torch.stack([torch.as_tensor(part)] * 2),
}


def spied(module, monkeypatch):
    """Lets `need` of a module note the messages that it is given, and returns the set it notes them in."""
    seen, need = set(), module.need

    @functools.wraps(need)
    def noting(found, expected, wrong, otherwise, **options):
        seen.update(wrong)
        need(found, expected, wrong, otherwise, **options)

    monkeypatch.setattr(module, "need", noting)
    return seen


def judge(module, name, answers, capsys, monkeypatch):
    """Try a table: right answers and their variants pass; wrong ones, faulty variants and stubs fail, with their message."""
    exercise, known, said = getattr(module, name), spied(module, monkeypatch), ""

    def message(answer):
        capsys.readouterr()
        with np.errstate(all="ignore"):
            passed = exercise.check(answer)
        lines = capsys.readouterr().out
        assert lines.count("\n") == 1 and lines.startswith(f"{name}: ")
        assert passed == (lines == f"{name}: right.\n")
        return lines

    random = torch.get_rng_state()
    for answer in answers.right:
        assert message(answer) == f"{name}: right.\n"
        assert message(careless(answer)) == f"{name}: right.\n", "it may change its arguments"
        assert message(cheating(answer)) != f"{name}: right.\n", "and is not judged by what it has made of them"
        for kind, change in VARIANTS.items():
            assert message(changed(answer, change)) == f"{name}: right.\n", kind
        for kind, change in FAULTS.items():
            assert message(changed(answer, change)) != f"{name}: right.\n", kind
    assert torch.equal(random, torch.get_rng_state()), "a check has random numbers of its own"
    for answer, words in answers.wrong:
        found = message(answer)
        assert words in found and found.startswith(f"{name}: not yet. "), found
        said += found

    def stub(*inputs):
        raise NotImplementedError

    assert "still to be written" in message(stub)
    assert "ZeroDivisionError" in message(lambda *inputs: 1 / 0)
    unheard = [text for text in known if text not in said]
    assert not unheard, "a wrong answer that the check knows, and the table does not"
    exercise.hint(1)
    exercise.hint(2)
    assert capsys.readouterr().out.splitlines() == list(exercise.hints) and len(set(exercise.hints)) == 2
    exercise.hint(3)
    assert "two hints" in capsys.readouterr().out
