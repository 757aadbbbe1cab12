"""Exercises: a check that knows the usual wrong answers, and two hints."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


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

    def check(self, answer: Callable) -> bool:
        """Try the answer; prints what is wrong with it, if anything, and returns whether it is right."""
        try:
            self.test(answer)
        except NotImplementedError:
            print(f"{self.name}: still to be written. {self.name}.hint(1) helps.")
        except Wrong as error:
            print(f"{self.name}: not yet. {error}")
        except Exception as error:  # whatever a half-finished function does, the student sees one line
            print(f"{self.name}: it stops with {type(error).__name__}: {error}")
        else:
            print(f"{self.name}: right.")
            return True
        return False

    def hint(self, number: int = 1) -> None:
        """Print hint 1 or 2."""
        print(self.hints[number - 1])


def _equal(found: object, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    found = torch.as_tensor(found)
    return found.shape == expected.shape and torch.allclose(found.to(expected.dtype), expected, rtol=tolerance, atol=tolerance)


def _need(found: object, expected: torch.Tensor, wrong: dict[str, torch.Tensor], otherwise: str) -> None:
    """Raise `Wrong` with the message whose wrong answer was found, or with `otherwise`; arrays are as good as tensors."""
    found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise Wrong(f"Expected a tensor of shape {tuple(expected.shape)}, and got {shape}.")
    if _equal(found, expected):
        return
    for message, answer in wrong.items():
        if _equal(found, answer):
            raise Wrong(message)
    raise Wrong(otherwise)
