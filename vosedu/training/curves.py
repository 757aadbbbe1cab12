"""The table of a training run, resumable by step, and its picture."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files.whole import atomic

COLUMNS = ("step", "loss", "held-out loss", "held-out J", "held-out J of D alone", "seconds")


def add_row(path: Path, columns: Sequence[str], row: Sequence[float]) -> None:
    """Add a row to a CSV whose first column is the step. Rows from that step on, which a run that was cut off has left, are
    removed."""
    rows = read_table(path, int(row[0]))
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows, [f"{v:.8g}" for v in row]])


def read_table(path: Path, before: int | None = None) -> list[list[str]]:
    """The rows below the head of such a CSV, those from step `before` on left out."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in list(csv.reader(file))[1:] if before is None or int(row[0]) < before]


def draw_curves(table: Path, picture: Path) -> None:
    """The losses and the held-out J of `training.csv` over the steps, as a PNG."""
    from matplotlib.figure import Figure  # only here: training itself needs no matplotlib

    columns = np.array(read_table(table), float).T
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, label in ((1, "training"), (2, "held out")):
        left.plot(columns[0], columns[row], marker=".", label=label)
    for row, label in ((3, "with R"), (4, "D alone")):
        right.plot(columns[0], columns[row], marker=".", label=label)
    left.set(xlabel="step", ylabel="binary cross-entropy", yscale="log")
    right.set(xlabel="step", ylabel="J on held-out clips")
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
