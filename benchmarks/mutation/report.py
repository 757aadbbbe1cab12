"""What a mutation run found: a JSON file that a later run goes on from, and a page of Markdown."""

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import targets


class Results:
    """Trials by mutant, in a JSON file that is written whole after each.

    A result holds as long as the module and its tests are those that it was found with; with `kept`, a mutant that was
    killed stays killed when tests have changed.
    """

    def __init__(self, path: Path, kept: bool = False):
        self.path, self.kept = path, kept
        self.trials: dict[str, dict] = json.loads(path.read_text(encoding="utf-8"))["trials"] if path.is_file() else {}

    def of(self, key: str, source: str, tests: str) -> dict | None:
        """The result of a mutant, where it still holds: `source` and `tests` are digests."""
        found = self.trials.get(key)
        if found is None or found["source"] != source:
            return None
        return found if found["tests"] == tests or (self.kept and found["outcome"] != "survived") else None

    def put(self, key: str, found: dict) -> None:
        """Keep a result, and none of the module as it was before."""
        stale = [k for k, t in self.trials.items() if t["module"] == found["module"] and t["source"] != found["source"]]
        for old in stale:
            del self.trials[old]
        self.trials[key] = found
        content = {"made": made(), "trials": self.trials}
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, self.path)


def made() -> str:
    """Versions and machine, in a line."""
    found = [f"Python {platform.python_version()}"]
    for name in ("cosmic-ray", "pytest", "torch", "numpy", "opencv-python"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"{', '.join(found)}; {sys.platform} {platform.machine()}, {os.cpu_count()} cores"


def share(results: list[dict]) -> float:
    """The share of mutants that were killed, those that do not end included."""
    return sum(r["outcome"] != "survived" for r in results) / max(len(results), 1)


def markdown(results: dict[str, list[dict]], counts: dict[str, tuple[int, int]]) -> str:
    """A table with a row per module, and the diffs of the mutants that survived.

    Args:
        results: by module.
        counts: of its mutants, and of those that were chosen. Where not all of them were tried, there is no score: those
            that had survived are the ones still to be tried.
    """
    heads = ("Module", "Mutants", "Chosen", "Tried", "Killed", "of these by timeout", "Survived", "Score", "Target")
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]

    def row(name: str, modules: list[str], target: str = "") -> str:
        possible, chosen = (sum(counts[m][k] for m in modules) for k in (0, 1))
        outcomes = [r["outcome"] for m in modules for r in results[m]]
        late, alive, tried = outcomes.count("timeout"), outcomes.count("survived"), len(outcomes)
        score = f"{(tried - alive) / tried:.0%}" if 0 < tried == chosen else ""
        return f"| {name} | {possible} | {chosen} | {tried} | {tried - alive} | {late} | {alive} | {score} | {target} |"

    for module in results:
        least = targets.of(targets.LEAST, module, None)
        lines.append(row(f"`{module}`", [module], f"{least:.0%}" if least else ""))
    for wing in dict.fromkeys(module.split(".")[0] for module in results if "." in module):
        lines.append(row(f"`{wing}`, all", [module for module in results if module.startswith(f"{wing}.")]))
    every = [r for found in results.values() for r in found]
    lines += [row("all", list(results)), "", made(), "", "## Survivors", ""]
    for result in sorted((r for r in every if r["outcome"] == "survived"), key=lambda r: (r["module"], r["line"])):
        path = f"{result['module'].replace('.', '/')}.py"
        lines += [f"`{path}:{result['line']}` {result['operator']}", "```diff", *result["diff"], "```", ""]
    return "\n".join(lines) + "\n"
