"""The mutants of a module: where each operator can act, without the places where a change means nothing to a user."""

import ast
import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from .operators import OPERATORS, WITHOUT_EFFECT

SAYS = ("print", "warn", "InputError", "file_error")
"""Calls whose arguments are messages, beside those that are raised."""
UNSEEN = ("cache", "lru_cache", "runtime_checkable", "overload", "dataclass")
"""Decorators that change speed or checks of types only, or whose arguments do."""


@dataclass(frozen=True)
class Mutant:
    """One change: the occurrence of an operator in a module."""

    module: str
    """Below the package, with dots: `files.images`."""
    operator: str
    occurrence: int
    line: int
    column: int
    which: int
    """Number of the change among those that the operator can make at this place."""
    text: str
    """The line that is changed, stripped."""

    def rank(self, seed: int) -> str:
        """Where it stands in the order of a seed. Editing other lines does not move it, so that a sample stays the same."""
        return hashlib.sha256(repr((seed, self.module, self.operator, self.text, self.column, self.which)).encode()).hexdigest()

    def code(self, source: str) -> str:
        """The changed module."""
        return mutate_code(source, OPERATORS[self.operator], self.occurrence)


def mutants(module: str, source: str) -> list[Mutant]:
    """All mutants of a module's source, in the order of its lines."""
    skipped, lines, found = list(_skipped(source)), source.splitlines(), []
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in OPERATORS.items():
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, place in enumerate(places):
            start, which = place[0], places[:occurrence].count(place)
            path = re.match(r"/ f?[\"']", lines[start[0] - 1][start[1] :])  # of files: `*` would crash, and prove nothing
            if not path and not any(first <= start < last for first, last in skipped):
                found.append(Mutant(module, name, occurrence, *start, which, lines[start[0] - 1].strip()))
    return sorted(found, key=lambda m: (m.line, m.column))


def sound(mutant: Mutant, source: str) -> bool:
    """Whether the changed module is Python, and another program."""
    try:
        return ast.dump(ast.parse(mutant.code(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def sample(every: list[Mutant], source: str, count: int | None, seed: int) -> list[Mutant]:
    """The first `count` sound mutants in the order of the seed, or all; the same ones wherever their lines are the same."""
    chosen = []
    for mutant in sorted(every, key=lambda m: m.rank(seed)):
        if len(chosen) == count:
            break
        if sound(mutant, source):
            chosen.append(mutant)
    return chosen


def diff(mutant: Mutant, source: str) -> list[str]:
    """The lines that differ, with - and +."""
    lines = difflib.unified_diff(source.splitlines(), mutant.code(source).splitlines(), n=0, lineterm="")
    return [line for line in lines if line.rstrip() not in ("+", "-") and not line.startswith(("---", "+++", "@@"))]


def _skipped(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last (line, column) of annotations, messages, and arguments and decorators of no consequence."""
    lines = source.splitlines()

    def span(node: ast.AST) -> tuple[tuple[int, int], tuple[int, int]]:
        """`ast` counts bytes, the operators count characters."""
        ends = ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        first, last = ((line, len(lines[line - 1].encode()[:column].decode())) for line, column in ends)
        return first, last

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield span(node.exc)
        if isinstance(node, ast.Call) and _name(node.func) in SAYS:
            yield span(node)
        if isinstance(node, ast.keyword) and node.arg in WITHOUT_EFFECT:
            yield span(node)
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.AST):
                yield span(part)
        for decorator in getattr(node, "decorator_list", []):
            if _name(decorator.func if isinstance(decorator, ast.Call) else decorator) in UNSEEN:
                (line, column), last = span(decorator)
                yield (line, column - 1), last  # with its @


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
