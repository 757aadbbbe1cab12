"""What passes in a student's notebook: every exercise is checked in a process of its own, with a limit of time.

`python -m vosedu.teaching.grading NOTEBOOK SKIP` is that process; it writes a line of JSON when it begins an exercise and one
when it is done.
"""

import ast
import contextlib
import io
import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, file_error
from .exercise import Exercise

STARTING = 120.0
"""Seconds that a process may take to start, beside the limit of an exercise."""


class Grade(NamedTuple):
    """What became of one exercise."""

    exercise: str
    """Its name, with its number in front where the notebook has one."""
    right: bool
    text: str
    """What the check says."""


def read_notebook(path: Path) -> list[tuple[str, str]]:
    """The cells of a notebook: kind and source.

    Raises:
        InputError: the file cannot be read, or is no notebook.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        return [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]
    except OSError as error:
        raise file_error(error) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no Jupyter notebook: give files that end in .ipynb") from None


def grade(path: Path, seconds: float = 60.0) -> list[Grade]:
    """Check every exercise of a notebook, in order. The notebook's own code runs on this machine.

    Args:
        path: of the notebook.
        seconds: that one exercise may take.

    Raises:
        InputError: the file cannot be read, or has no exercise in it.
    """
    names = list(numbered(read_notebook(path)).values())
    if not names:
        raise InputError(f"{path} has no exercise in it: a cell with exercises.NAME.check(FUNCTION)")
    grades: list[Grade] = []
    while len(grades) < len(names):
        for message in _messages(path, len(grades), seconds):
            grades.append(Grade(names[len(grades)], message["right"], message["text"]))
        if len(grades) < len(names):  # the process was stopped, or died
            grades.append(Grade(names[len(grades)], False, f"it takes longer than {seconds:g} s, or ends the process"))
    return grades


def numbered(cells: list[tuple[str, str]]) -> dict[str, str]:
    """The exercises of a notebook: name -> the same with the number of the heading above it."""
    found, number = {}, ""
    for kind, source in cells:
        if kind == "markdown":
            heading = re.findall(r"^### Exercise (\d\d\.\d)", source, re.M)
            number = heading[-1] if heading else number
        else:
            for name, _ in checks(source):
                found[name] = f"{number} {name}".strip()
    return found


def checks(source: str) -> list[tuple[str, str]]:
    """(exercise, function) of every `exercises.NAME.check(FUNCTION)` in a cell, commented ones left out."""
    return re.findall(r"^\s*(?:assert )?exercises\.(\w+)\.check\(\s*(\w+)\s*\)", source, re.M)


def _messages(path: Path, skip: int, seconds: float) -> Iterator[dict]:
    """What a process says that checks a notebook's exercises from number `skip` on; it is stopped where one takes too long."""
    command = [sys.executable, "-m", "vosedu.teaching.grading", str(path), str(skip)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: queue.Queue = queue.Queue()

    def listen() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=listen, daemon=True).start()
    limit = STARTING
    try:
        while line := lines.get(timeout=limit):
            message = json.loads(line)
            limit = seconds
            if "right" in message:
                yield message
    except queue.Empty:
        pass
    finally:
        process.kill()
        process.wait()


def judge_all(cells: list[tuple[str, str]], skip: int) -> Iterator[dict]:
    """Define what the cells define, and judge their exercises from number `skip` on: a message before and after each.

    Only imports, functions, classes and plain numbers and texts are run, so no figure is drawn and no video segmented.
    """
    scope, done, order = {"__name__": "__main__"}, {}, list(numbered(cells))
    broken: dict[str, str] = {}
    for kind, source in cells:
        if kind != "code":
            continue
        trouble = define(source, scope)
        for name, function in checks(source):
            done[name], broken[name] = (scope.get("exercises"), scope.get(function)), trouble
    for name in order[skip:]:
        yield {"begins": name}
        module, function = done[name]
        exercise = getattr(module, name, None)
        if not isinstance(exercise, Exercise):
            right, text = False, "the line that imports `exercises` is missing"
        elif function is None:
            right, text = False, broken[name] or "the function is missing"
        else:
            right, text = exercise.judge(function)
        yield {"right": right, "text": text}


def define(source: str, scope: dict) -> str:
    """Run a cell's imports, definitions and constants; returns what went wrong, or ""."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        tree = ast.parse(plain)
    except SyntaxError as error:
        return f"its cell is no Python: line {error.lineno}, {error.msg}"
    for node in tree.body:
        constant = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        if constant or isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            try:
                exec(compile(ast.Module([node], []), "a cell", "exec"), scope)
            except Exception as error:  # whatever a student's cell does
                return f"its cell stops with {type(error).__name__}: {error}"
    return ""


def main(path: str, skip: str) -> None:
    """Write a line of JSON for every message of `judge_all`; what the notebook prints is left out."""
    out = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):
        for message in judge_all(read_notebook(Path(path)), int(skip)):
            print(json.dumps(message), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
