"""One source for a notebook's stubs and for its solutions: the functions of `solutions`.

`python -m vosedu.teaching.sources FOLDER` writes the notebooks of solutions beside the notebooks in a folder.
"""

import ast
import inspect
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from ..files.whole import make_folder, write_bytes
from . import solutions

IMPORTS = {"np.": "import numpy as np", "torch.": "import torch", "F.": "import torch.nn.functional as F"}
"""What solutions use, and the line that imports it."""


class Solution(NamedTuple):
    """One function of `solutions`."""

    number: str
    """Such as "03.1"."""
    title: str
    why: str
    """Why it is so, Markdown."""
    name: str
    """Of the function."""
    code: str


def read(text: str) -> list[Solution]:
    """The solutions of a module's text: each function with the comment above it, in order."""
    found, lines = [], text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            code = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            above = node.lineno - 2
            while not lines[above].startswith("# Exercise"):
                above -= 1
            number, title = re.match(r"# Exercise (\d\d\.\d): (.*)", lines[above]).groups()
            why = " ".join(line.removeprefix("# ") for line in lines[above + 1 : node.lineno - 1] if line)
            found.append(Solution(number, title, why, node.name, code))
    return found


ALL = read(inspect.getsource(solutions))
"""All solutions, in the order of the exercises."""


def stub(solution: Solution) -> str:
    """What the student finds in its place: the head and the docstring, and NotImplementedError."""
    head = solution.code.splitlines()[: ast.parse(solution.code).body[0].body[0].end_lineno]
    return "\n".join([*head, "    raise NotImplementedError"])


def exercise_cells(notebook: dict) -> list[str]:
    """The sources of a notebook's cells with the tag `exercise`."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if "exercise" in cell["metadata"].get("tags", ())]


def check_of(source: str) -> tuple[str, str]:
    """The names of the exercise and of the function that a cell's line `exercises.NAME.check(FUNCTION)` has."""
    return re.search(r"^exercises\.(\w+)\.check\((\w+)\)", source, re.M).groups()


def module_of(notebook: dict) -> str:
    """The module of `vosedu.teaching` that has a notebook's exercises."""
    return re.search(r"from vosedu\.teaching import (\w+) as exercises", "\n".join(exercise_cells(notebook))).group(1)


def solution_notebook(notebook: dict, stem: str) -> dict:
    """The notebook of solutions to a notebook's exercises."""
    checks = {function: exercise for exercise, function in map(check_of, exercise_cells(notebook))}
    mine = [solution for solution in ALL if solution.number[:2] == stem[:2]]
    title = "".join(notebook["cells"][0]["source"]).splitlines()[0].removeprefix("# ").split(":")[0]
    cells = []
    for n, solution in enumerate(mine):
        head = "" if n else f"# Solutions to [{title}](../{stem}.ipynb)\n\n"
        front = "" if n else _front(mine, module_of(notebook))
        cells += [
            _cell("markdown", f"{head}## Exercise {solution.number}: {solution.title}\n\n{solution.why}", len(cells)),
            _cell("code", f"{front}{solution.code}\n\n\nassert exercises.{checks[solution.name]}.check({solution.name})",
                  len(cells) + 1),
        ]
    return {"cells": cells, "metadata": {"kernelspec": notebook["metadata"]["kernelspec"]}, "nbformat": 4, "nbformat_minor": 5}


def _front(some: list[Solution], module: str) -> str:
    """The imports that some solutions need, and the exercises."""
    code = "\n".join(solution.code for solution in some)
    lines = [line for use, line in IMPORTS.items() if re.search(rf"\b{re.escape(use)}", code)]
    own = f"from vosedu.teaching import {module} as exercises\n\n\n"
    return "\n".join([*lines, "", own]) if lines else own


def _cell(kind: str, source: str, number: int) -> dict:
    cell = {"cell_type": kind, "id": f"s{number:02}", "metadata": {}, "source": source.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def written(notebook: dict) -> str:
    """A notebook as it stands in a file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write FOLDER/solutions/NAME.ipynb for every notebook of a folder that has exercises."""
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if exercise_cells(notebook):
            text = written(solution_notebook(notebook, path.stem))
            write_bytes(make_folder(folder / "solutions") / path.name, text.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
