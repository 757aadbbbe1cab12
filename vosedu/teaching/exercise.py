"""Exercises: a check that knows the usual wrong answers, and two hints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from .kept import from_a_notebook, keep


class Wrong(Exception):
    """An answer is wrong; the message says in which way."""


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook.

    Attributes:
        name: what is to be written.
        test: raises `Wrong` unless the function given is right.
        hints: the second says more than the first.
    """

    name: str
    test: Callable[[Callable], None]
    hints: tuple[str, str]

    def judge(self, answer: Callable) -> tuple[bool, str]:
        """Whether an answer is right, and what is to be said of it.

        The answer gets copies, so it may change its arguments.
        """
        try:
            self.test(lambda *inputs: answer(*map(_copy, inputs)))
        except NotImplementedError:
            return False, f"still to be written. exercises.{self.name}.hint(1) helps."
        except Wrong as error:
            return False, f"not yet. {error}"
        except Exception as error:  # whatever a half-finished function does, the student sees one line
            return False, f"it stops with {type(error).__name__}: {error}"
        return True, "right."

    def check(self, answer: Callable) -> bool:
        """Try the answer; prints what is wrong with it, if anything, and returns whether it is right.

        A right answer of a running notebook is kept for the student's own engine (`kept`, notebook 10).
        """
        right, text = self.judge(answer)
        if right and from_a_notebook(answer):
            try:
                text += f" Kept in {keep(self.name, answer).as_posix()} for notebook 10."
            except (OSError, InputError) as error:
                text += f" It could not be kept for notebook 10: {error}"
        print(f"{self.name}: {text}")
        return right

    def hint(self, number: int = 1) -> None:
        """Print hint 1 or 2; of another number, that there are these two."""
        print(self.hints[number - 1] if number in (1, 2) else f"{self.name} has two hints: hint(1) and hint(2).")


def need(found: object, expected: object, wrong: Mapping[str, object], otherwise: str, tolerance: float = 1e-4) -> None:
    """Raise `Wrong` unless an answer is as expected, up to a relative and absolute tolerance.

    Args:
        found: the answer: a tensor, an array, a number, or a list or tuple of numbers.
        expected: the right one, of any of these kinds.
        wrong: message -> the answer that it belongs to. The first that fits is raised.
        otherwise: the message where none of them fits.
    """
    right, answer = as_array(expected), as_array(found)
    if answer is None or answer.shape != right.shape:
        wanted = f"a tensor of shape {right.shape}" if right.shape else "a number"
        given = type(found).__name__ if answer is None or not answer.shape else f"one of shape {answer.shape}"
        raise Wrong(f"Expected {wanted}, and got {given}.")
    if np.isnan(answer).any():
        raise Wrong(f"There is NaN in it: is something divided by zero? {otherwise}")
    if np.allclose(answer, right, tolerance, tolerance):
        return
    for message, example in wrong.items():
        if np.allclose(answer, as_array(example), tolerance, tolerance):
            raise Wrong(message)
    raise Wrong(otherwise)


def as_array(value: object) -> np.ndarray | None:
    """A tensor, an array, a number, or a list or tuple of numbers as float64; None for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError):  # a list of unequal parts, a tensor inside a list that is no number
        return None


def _copy(value: object) -> object:
    """A copy of a tensor or an array, also inside tuples and lists; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if type(value) in (tuple, list):
        return type(value)(map(_copy, value))
    return value.copy() if isinstance(value, np.ndarray) else value
