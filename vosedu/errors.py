"""The one exception a user is meant to read, and what becomes one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


class InputError(Exception):
    """Something the caller gave cannot be used.

    The message is one line: what is wrong, where, and the remedy. The command line prints it after ``vosedu:`` and
    exits with status 2; from Python it arrives as this exception.
    """


def file_error(error: OSError) -> InputError:
    """What the system says of a file or folder, as one line with a remedy."""
    where = error.filename or "the output folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(f"cannot write to {where} ({error.strerror}): free some space or choose another --out, then run "
                          "the same command again")
    return InputError(f"{where}: {error.strerror or error}: check the path and its permissions")


@contextmanager
def reading_checkpoint(path: Path) -> Iterator[None]:
    """Turn whatever a damaged checkpoint of a training raises into one line; `torch.load` has no error type of its own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): delete it to begin again") from None


SHORT_SIDES = (1440, 1080, 720, 480, 360, 240, 120)


@contextmanager
def out_of_memory(size: tuple[int, int]) -> Iterator[None]:
    """Turn the device's running out of memory on frames of `size` (h, w) into the setting that asks for less.

    What a frame needs goes with its area, so the message says what part of it the next lower size takes.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        lower = next((n for n in SHORT_SIDES if n < min(size)), None)
        remedy = "use --device cpu"
        if lower:
            remedy = f"use --short-side {lower} ({(lower / min(size)) ** 2:.0%} of that) and another --out, or --device cpu"
        raise InputError(f"the device ran out of memory on frames of {size[1]}x{size[0]}: {remedy}") from None
