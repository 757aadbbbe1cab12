"""Notebooks that carry the states of their widgets: run to the end, or as they are stored."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
AT_ONCE = min(2, os.cpu_count() or 1)
"""Notebooks that run at the same time: one alone leaves much of a second core idle."""
VIEW = "application/vnd.jupyter.widget-view+json"
REPORT = "from vosedu.teaching.states import report\n\nreport()"


def key(path: Path) -> str:
    """A digest of what the outputs of a notebook depend on: its cells, the package, weights, scenes, tables that are read."""
    digest = hashlib.sha256()
    for cell in nbformat.read(path, 4).cells:
        digest.update("".join(cell.source).encode())
    parts = [*(ROOT / "vosedu").rglob("*.py"), *(ROOT / "vosedu").rglob("*.js"), *(ROOT / "data" / "weights").iterdir(),
             *(ROOT / "data" / "scenes").rglob("*"), ROOT / "docs" / "davis.md", ROOT / "docs" / "training.csv"]
    for part in sorted(part for part in parts if part.is_file()):
        digest.update(part.read_bytes())
    return digest.hexdigest()


def executed(path: Path, folder: Path) -> Path:
    """A copy of a notebook in a folder, run to its end, with its widgets' states for outputs.

    Nothing is run where the copy is there and neither the notebook nor the package has changed since.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell ended in an error.
    """
    out, wanted = folder / path.name, key(path)
    if out.is_file() and nbformat.read(out, 4).metadata.get("vosedu_key") == wanted:
        return out
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    NotebookClient(notebook, timeout=1200, kernel_name="python3", store_widget_state=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    found = {output.metadata["model_id"]: output.data["text/html"] for output in notebook.cells.pop().outputs}
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if view := output.get("data", {}).pop(VIEW, None):
            output.data["text/html"] = found[view["model_id"]]
    notebook.metadata["vosedu_key"] = wanted
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(notebook, ensure_ascii=False, indent=1), encoding="utf-8")
    return out


def all_executed(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    """`executed` for several notebooks, `AT_ONCE` at a time; prints the seconds that each takes.

    Returns:
        Name of a notebook -> its copy, in the order of `paths`.
    """
    def run(path: Path) -> Path:
        began = time.monotonic()
        copy = executed(path, folder)
        print(f"{path.name}: {time.monotonic() - began:.0f} s", flush=True)
        return copy

    with ThreadPoolExecutor(AT_ONCE) as pool:  # from the last one on: it takes longest, and the first is short
        copies = list(pool.map(run, reversed(paths)))
    return {path.name: copy for path, copy in zip(paths, reversed(copies), strict=True)}
