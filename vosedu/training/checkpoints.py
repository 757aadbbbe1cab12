"""Checkpoints of trainings: written whole, and one line where one is damaged."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import InputError


def serialise(content: dict) -> bytes:
    """The bytes that `torch.save` would write. Writing them is another step, so that a full disk is an OSError, not
    PyTorch's own error."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@contextmanager
def reading_checkpoint(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged checkpoint of a training raises into one line.

    Raises:
        InputError: in place of any other error; `torch.load` has no error type of its own.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): delete it to begin again") from None
