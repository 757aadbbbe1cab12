"""How many faults would the tests notice? Changes one thing at a time in a copy of the checkout and runs the tests on it.

    python -m benchmarks.mutation                                   # all targets, every mutant: a night
    python -m benchmarks.mutation --modules loss files --sample 40  # 40 of each module, the same ones every time
    python -m benchmarks.mutation --modules loss --survivors        # after new tests: try again what had survived

Stop it when you like (Ctrl-C): the same command goes on from where it was. Results go to out/mutation.json (--out), a table
and the survivors' diffs to mutation.md beside it. Linux and macOS; docs/tests.md has the scores.
"""

import argparse
import ast
import hashlib
import os
import signal
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
        self.name, self.tests, self.file = name, targets.tests(root, name), name.replace(".", os.sep) + ".py"
        self.source = (root / trials.PACKAGE / self.file).read_text(encoding="utf-8")
        self.every = mutants(name, self.source)
        read = [*self.tests, *sorted((root / "tests").glob("*.py"))]
        self.digests = _digest(self.source.encode()), _digest(b"".join(path.read_bytes() for path in read))
        self.functions = [(n.lineno - len(n.decorator_list), n.end_lineno) for n in ast.walk(ast.parse(self.source))
                          if isinstance(n, ast.FunctionDef)]
        self.seen: dict[str, tuple[float, list[int]]] = {}

    def saw(self, tests: dict[str, list]) -> None:
        """Note the seconds of tests, and the first lines of the functions of this module that they enter."""
        for test, (seconds, entered) in tests.items():
            self.seen[test] = seconds, [line for file, line in entered if file == self.file]

    def killers(self, line: int) -> list[str]:
        """The tests in the order to run on a change in a line: those that enter its function first, of these the quickest."""
        around = [(last - first, first, last) for first, last in self.functions if first <= line <= last]
        _, first, last = min(around, default=(0, 0, sys.maxsize))

        def order(test: str) -> tuple[bool, float]:
            seconds, entered = self.seen[test]
            return not any(first <= start <= last for start in entered), seconds

        return sorted(self.seen, key=order)

    def trial(self, mutant: Mutant, patience: int) -> trials.Trial:
        """The trial of a mutant; it may take four times as long as the tests alone, and `patience` seconds more."""
        seconds = int(patience + 4 * sum(seconds for seconds, _ in self.seen.values()))
        return trials.Trial(self.tests, self.name, mutant.code(self.source), self.killers(mutant.line), seconds, mutant)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _key(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}:{mutant.column}:{mutant.operator}:{mutant.occurrence}"


def measure(found: list[Module], chosen: dict[str, list[Mutant]], results: report.Results, root: Path, jobs: int,
            patience: int) -> None:
    """Run what has no result yet: each test file on the package as it is, then the mutants."""
    left = {m.name: [c for c in chosen[m.name] if not results.of(_key(c), *m.digests)] for m in found}
    by_name = {m.name: m for m in found if left[m.name]}
    if not by_name:
        return
    trials.preload(root)
    with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as scratch:
        whole = dict.fromkeys(path for module in by_name.values() for path in module.tests)
        for trial, ended, saw, seconds in trials.run([trials.Trial([path]) for path in whole], root, Path(scratch), jobs):
            name = trial.tests[0].relative_to(root).as_posix()
            if ended != "passed":
                raise SystemExit(f"{name} fails without any change: {saw['failed'] or ended}")
            for module in by_name.values():
                if trial.tests[0] in module.tests:
                    module.saw(saw["tests"])
            print(f"{name}: {len(saw['tests'])} tests pass, {seconds:.0f} s", flush=True)

        def all_left() -> Iterator[trials.Trial]:
            for module in by_name.values():
                yield from (module.trial(mutant, patience) for mutant in left[module.name])

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
    parser.add_argument("--patience", type=int, default=10, help="seconds that a trial may take beyond four times the tests'")
    parser.add_argument("--out", type=Path, default=Path("out/mutation.json"))
    parser.add_argument("--least", type=float, metavar="SHARE", help="fail below this, not below targets")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2], help="the checkout")
    args = parser.parse_args(argv)
    if not hasattr(os, "fork"):
        raise SystemExit("mutation runs need Linux or macOS: on Windows, run this in WSL")
    root = args.root.resolve()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    found = [Module(root, name) for name in targets.modules(root / trials.PACKAGE, args.modules)]
    chosen = {m.name: sample(m.every, m.source, args.sample, args.seed) for m in found}
    results = report.Results(args.out, args.survivors)
    interrupted = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measure(found, chosen, results, root, args.jobs, args.patience)
    except KeyboardInterrupt:
        interrupted = True
    known = {m.name: [r for c in chosen[m.name] if (r := results.of(_key(c), *m.digests))] for m in found}
    page = report.markdown(known, {m.name: (len(m.every), len(chosen[m.name])) for m in found})
    args.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page.split("\n## Survivors")[0])
    if interrupted or any(len(known[name]) < len(chosen[name]) for name in known):
        print("not finished: the same command goes on")
        return 1
    if args.least is not None:
        return int(report.share([r for rows in known.values() for r in rows]) < args.least)
    return int(any(report.share(rows) < targets.of(targets.LEAST, name, 0) for name, rows in known.items()))


if __name__ == "__main__":
    sys.exit(main())
