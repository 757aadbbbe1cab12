"""python -m vosedu grade: a teacher's table of what passes."""

import argparse
import csv
import io
from pathlib import Path

from ..errors import InputError
from ..files.whole import refuse_other, write_bytes
from ..teaching.grading import Grade, grade, read_notebook


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("notebooks", type=Path, nargs="+", metavar="NOTEBOOK", help="students' notebooks; their code runs here")
    parser.add_argument("--seconds", type=float, default=60.0, help="that one exercise may take (default 60)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to a file too")


def run(args: argparse.Namespace) -> int:
    """Check the exercises of notebooks and print what passes. The students' own code runs on this machine: use one that may."""
    if not args.seconds > 0:
        raise InputError(f"--seconds is {args.seconds:g}: give a number above 0")
    for path in args.notebooks:  # before anything is run
        read_notebook(path)
    if args.csv:
        refuse_other("--csv", args.csv, lambda file: file.read_bytes().startswith(HEAD.encode()))
    table = []
    for path in args.notebooks:
        found = grade(path, args.seconds)
        print(f"{path}: {sum(g.right for g in found)} of {len(found)} right", flush=True)
        for g in found:
            print(f"  {g.exercise:<28}{g.text}", flush=True)
        table += [(path, g) for g in found]
    if args.csv:
        write_bytes(args.csv, _table(table).encode())
    return 0


HEAD = "notebook,exercise,right,what the check says"


def _table(rows: list[tuple[Path, Grade]]) -> str:
    """Grades as CSV."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(HEAD.split(","))
    out.writerows((path, g.exercise, int(g.right), g.text) for path, g in rows)
    return text.getvalue()
