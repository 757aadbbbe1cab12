"""`python -m book.colab FOLDER WHEEL`: the notebooks as Colab opens them, each with a first cell that installs the package.

They carry no outputs: whoever opens one there has a kernel.
"""

import sys
from pathlib import Path

import nbformat

from .execute import NOTEBOOKS

FIRST = """# Colab only: the package with its weights and scenes, and leave to show its widgets.
%pip install --quiet {wheel}
from google.colab import output

output.enable_custom_widget_manager()"""


def for_colab(path: Path, wheel: str) -> nbformat.NotebookNode:
    """A notebook without outputs, with a first cell that installs the wheel at an address."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST.format(wheel=wheel)))
    notebook.metadata.pop("widgets", None)
    return notebook


def main(arguments: list[str] | None = None) -> int:
    """Write the notebooks into a folder; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 2:
        print("usage: python -m book.colab FOLDER WHEEL (the wheel's address)", file=sys.stderr)
        return 2
    folder = Path(given[0])
    folder.mkdir(parents=True, exist_ok=True)
    for path in NOTEBOOKS:
        nbformat.write(for_colab(path, given[1]), folder / path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
