"""Do the captions hold with other random numbers? Notebooks run with every seed shifted; each cell that fails is named.

    python -m benchmarks.seeds [NOTEBOOK ...] [--seeds 1 2] [--workers 1]     # all where none is named; 10 minutes a seed

The notebooks' assertions are the claims of their captions, and their seeds are fixed. Here every seed is moved (augmentation's,
D's start, NumPy's and PyTorch's generators), so that a caption that holds by chance is found. Exit status 1 where one is.
"""

import argparse
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SHIFTED = """
import numpy, torch, vosedu.target_model

def shifted(shift):
    generator, seed_of = numpy.random.default_rng, torch.manual_seed
    problem = vosedu.target_model.first_frame_problem
    numbers = (int, tuple, list, numpy.integer)
    numpy.random.default_rng = lambda seed=None: generator(
        [shift, *numpy.atleast_1d(seed)] if isinstance(seed, numbers) else seed)
    vosedu.target_model.first_frame_problem = lambda x, normal, gamma, config, seed=0: problem(
        x, normal, gamma, config, seed + shift)
    torch.manual_seed = lambda seed: seed_of(seed + shift)

shifted({shift})
del shifted
"""


def failures(path: Path, shift: int) -> list[str]:
    """Cells that fail with all seeds moved by `shift`: their last line and what was raised."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SHIFTED.replace("{shift}", str(shift))))
    where = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=900, allow_errors=True, resources=where).execute()
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                # the traceback marks the line of the cell that failed
                lines = re.findall(r"-+> *\d+ (.*)", re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback)))
                found.append(f"{(lines or [cell.source.splitlines()[-1]])[0].strip()}: {output.ename} {output.evalue}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all where left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="by how much seeds are moved (default 1 2)")
    parser.add_argument("--workers", type=int, default=1, help="notebooks at once (default 1)")
    args = parser.parse_args()
    os.environ.pop("VOSEDU_DATA", None)  # the captions are about the bundled scenes
    jobs = [(path, seed) for path in args.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")) for seed in args.seeds]
    bad = 0
    with ThreadPoolExecutor(args.workers) as pool:
        for (path, seed), found in zip(jobs, pool.map(lambda job: failures(*job), jobs), strict=True):
            print(f"{path.stem}, seed {seed}: {'holds' if not found else f'{len(found)} cells fail'}", flush=True)
            for line in found:
                print(f"    {line[:200]}", flush=True)
            bad += len(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
