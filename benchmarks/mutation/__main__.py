"""How many faults would the tests notice? Changes one thing at a time in a copy of the checkout and runs the tests on it.

    python -m benchmarks.mutation                                   # all targets, every mutant: a night
    python -m benchmarks.mutation --modules loss files --sample 40  # 40 of each module, the same ones every time
    python -m benchmarks.mutation --modules loss --survivors        # after new tests: try again what had survived

Stop it when you like (Ctrl-C): the same command goes on from where it was. Results go to mutation.json (--out), a table and
the survivors' diffs to mutation.md beside it. Linux and macOS; docs/tests.md has the scores.
"""

import argparse
import ast
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before NumPy and PyTorch are imported: a trial has one thread, and several trials run side by side.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["MPLBACKEND"] = "Agg"

from . import report, targets, trials  # noqa: E402
from .mutants import Mutant, diff, mutants, sample  # noqa: E402


class Module:
    """A module under test: its source, its tests, its mutants; and what its tests do where nothing is changed."""

    def __init__(self, root: Path, name: str):
        self.name, self.tests = name, targets.tests(root, name)
        self.source = (root / trials.PACKAGE / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        self.every = mutants(name, self.source)
        read = [*self.tests, *sorted((root / "tests").glob("*.py"))]
        self.digests = _digest(self.source.encode()), _digest(b"".join(path.read_bytes() for path in read))
        self.functions = [(n.lineno - len(n.decorator_list), n.end_lineno) for n in ast.walk(ast.parse(self.source))
                          if isinstance(n, ast.FunctionDef)]
        self.seen: dict[str, list] = {}

    def killers(self, line: int) -> list[str]:
        """The tests in the order to run on a change in a line: those that enter its function first, of these the quickest."""
        around = [(last - first, first, last) for first, last in self.functions if first <= line <= last]
        _, first, last = min(around, default=(0, 0, sys.maxsize))

        def order(test: str) -> tuple[bool, float]:
            seconds, entered = self.seen[test]
            return not any(first <= start <= last for start in entered), seconds

        return sorted(self.seen, key=order)

    def trial(self, mutant: Mutant) -> trials.Trial:
        """The trial of a mutant; it may take four times as long as the tests alone, and ten seconds more."""
        seconds = int(10 + 4 * sum(seconds for seconds, _ in self.seen.values()))
        return trials.Trial(self.name, self.tests, mutant.code(self.source), self.killers(mutant.line), seconds, mutant)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _key(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}:{mutant.column}:{mutant.operator}:{mutant.occurrence}"


def measure(found: list[Module], chosen: dict[str, list[Mutant]], results: report.Results, root: Path, jobs: int) -> None:
    """Run what has no result yet: the tests of each module as it is, then its mutants."""
    left = {m.name: [c for c in chosen[m.name] if not results.of(_key(c), *m.digests)] for m in found}
    by_name = {m.name: m for m in found if left[m.name]}
    if not by_name:
        return
    trials.preload(root)
    with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as scratch:
        whole = [trials.Trial(m.name, m.tests) for m in by_name.values()]
        for trial, ended, saw, seconds in trials.run(whole, root, Path(scratch), jobs):
            if ended != "passed":
                raise SystemExit(f"the tests of {trial.module} fail without any change: {saw['failed'] or ended}")
            by_name[trial.module].seen = saw["tests"]
            count = len(left[trial.module])
            print(f"{trial.module:<24} {len(saw['tests'])} tests pass, {seconds:.0f} s; mutants: {count}", flush=True)

        def all_left() -> Iterator[trials.Trial]:
            for module in by_name.values():
                yield from map(module.trial, left[module.name])

        for trial, ended, saw, seconds in trials.run(all_left(), root, Path(scratch), jobs):
            mutant, module = trial.label, by_name[trial.module]
            outcome = {"passed": "survived", "failed": "killed", "timeout": "timeout"}[ended]
            results.put(_key(mutant), {
                "module": mutant.module, "line": mutant.line, "operator": mutant.operator, "outcome": outcome,
                "by": saw["failed"], "seconds": round(seconds, 1), "diff": diff(mutant, module.source),
                "source": module.digests[0], "tests": module.digests[1]})
            print(f"{outcome:<9}{seconds:5.1f} s  {mutant.module}:{mutant.line} {mutant.operator}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", nargs="+", metavar="NAME", help="modules or wings: loss, files (default: targets)")
    parser.add_argument("--sample", type=int, metavar="N", help="mutants per module (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--survivors", action="store_true", help="do not repeat what changed tests had killed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trials at a time, of one thread each")
    parser.add_argument("--out", type=Path, default=Path("mutation.json"))
    parser.add_argument("--least", type=float, metavar="SHARE", help="fail below this, not below targets")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2], help="the checkout")
    args = parser.parse_args(argv)
    if not hasattr(os, "fork"):
        raise SystemExit("mutation runs need Linux or macOS: on Windows, run this in WSL")
    root = args.root.resolve()
    found = [Module(root, name) for name in targets.modules(root / trials.PACKAGE, args.modules)]
    chosen = {m.name: sample(m.every, m.source, args.sample, args.seed) for m in found}
    results = report.Results(args.out, args.survivors)
    interrupted = False
    try:
        measure(found, chosen, results, root, args.jobs)
    except KeyboardInterrupt:
        interrupted = True
    known = {m.name: [r for c in chosen[m.name] if (r := results.of(_key(c), *m.digests))] for m in found}
    page = report.markdown(known, {m.name: len(m.every) for m in found})
    args.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page.split("\n## Survivors")[0])
    if args.least is not None:
        return int(interrupted or report.share([r for rows in known.values() for r in rows]) < args.least)
    return int(interrupted or any(report.share(rows) < (targets.of(targets.LEAST, name, 0)) for name, rows in known.items()))


if __name__ == "__main__":
    sys.exit(main())
