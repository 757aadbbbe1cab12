"""`python -m book.strip NOTEBOOK ...`: take out what only a running kernel can show, so that the stored picture is shown.

A view of a widget is a reference into a kernel that has ended: JupyterLab would wait for it in place of the picture beside it.
"""

import sys
from pathlib import Path

import nbformat

from .execute import VIEW


def main(names: list[str] | None = None) -> int:
    """Take the views and the state of widgets out of notebooks, in place; returns the exit status."""
    for path in map(Path, sys.argv[1:] if names is None else names):
        notebook = nbformat.read(path, 4)
        notebook.metadata.pop("widgets", None)
        for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
            output.get("data", {}).pop(VIEW, None)
        nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
