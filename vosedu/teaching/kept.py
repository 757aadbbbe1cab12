"""Right answers are kept: each in a file of its own, in a folder that grows into the student's own engine (notebook 10)."""

import dis
import inspect
import sys
import textwrap
import types
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ..errors import InputError
from ..files.whole import make_folder, write_bytes

FOLDER = Path("my_engine")
"""Where notebooks keep right answers, below the folder that the kernel runs in."""


def keep(name: str, answer: Callable, folder: Path = FOLDER) -> Path:
    """Write a function of the notebook to FOLDER/NAME.py, with the imports, numbers and helpers of the notebook that it uses.

    Args:
        name: of the exercise.
        answer: the function. What was kept under this name before is replaced.

    Returns:
        The file.

    Raises:
        OSError: its text is not to be had.
        InputError: the folder cannot be written.
    """
    parts: dict[str, str] = {}
    _gather(answer, parts, set())
    if answer.__name__ != name:
        parts[name] = f"{name} = {answer.__name__}"
    head = f'"""{name}: kept by exercises.{name}.check, which replaces this file when it is right again."""'
    path = make_folder(folder) / f"{name}.py"
    write_bytes(path, "\n\n".join([head, *parts.values(), ""]).encode())
    return path


def load(name: str, folder: Path) -> Callable | None:
    """The function that is kept under a name, or None.

    Raises:
        InputError: there is a file, and it cannot be run or lacks the function.
    """
    path = Path(folder) / f"{name}.py"
    if not path.exists():
        return None
    spec = spec_from_file_location(f"my_engine_{name}", path)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return getattr(module, name)
    except Exception as error:  # whatever a student's file does
        raise InputError(f"{path} stops with {type(error).__name__}: {error}; mend it, or delete it and check the exercise "
                         "again") from None


def from_a_notebook(answer: Callable) -> bool:
    """Whether a function was written in a running notebook: only such answers are kept."""
    return "ipykernel" in sys.modules and getattr(answer, "__module__", "") == "__main__"


def _gather(function: Callable, parts: dict[str, str], seen: set[str]) -> None:
    """The text of a function into `parts`, by name, after the text of everything that it uses."""
    seen.add(function.__name__)
    for name in _names(function.__code__):
        if name in seen or name not in function.__globals__:
            continue
        seen.add(name)
        value = function.__globals__[name]
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            _gather(value, parts, seen)
        elif isinstance(value, types.ModuleType):
            parts[name] = f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else "")
        elif isinstance(value, (int, float, str)):
            parts[name] = f"{name} = {value!r}"
        elif getattr(value, "__module__", None) and hasattr(value, "__name__"):
            parts[name] = f"from {value.__module__} import {value.__name__} as {name}"
    parts[function.__name__] = textwrap.dedent(inspect.getsource(function)).rstrip()


def _names(code: types.CodeType) -> list[str]:
    """The global names that a function reads, those of functions inside it too; attributes are none."""
    own = [step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return [*own, *(name for part in code.co_consts if isinstance(part, types.CodeType) for name in _names(part))]
