"""The mutation run, on a package of two functions whose mutants can be listed by hand."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("mutation runs fork", allow_module_level=True)

ROOT = Path(__file__).parents[2]

SOURCE = '''"""1 + 1."""


def positive(number: 1 + 1) -> bool:
    if number == "text":
        raise ValueError(f"{1 + 1}")
    return number > 0


def gone(steps):
    while steps:
        steps -= 1
    return steps


def place(folder):
    return folder / "name"
'''

TESTS = '''import time

from vosedu.tiny import gone, positive


def test_positive():
    time.sleep(0.3)
    assert positive(5) and not positive(-5)


def test_gone():
    time.sleep(0.3)
    assert gone(3) == 0
'''



@pytest.fixture
def tiny(tmp_path):
    """A checkout of a package with one module."""
    root = tmp_path / "checkout"
    for name, text in {"vosedu/__init__.py": "", "vosedu/tiny.py": SOURCE, "tests/test_tiny.py": TESTS,
                       "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\n'}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    return root


def command(root, *more):
    return [sys.executable, "-m", "benchmarks.mutation", "--root", str(root), "--out", str(root.parent / "out.json"),
            "--modules", "tiny", "--jobs", "1", "--patience", "1", *more]


def run(root, *more):
    return subprocess.run(command(root, *more), cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300)


def found(root):
    """(line, operator, second line of the diff) -> outcome."""
    trials = json.loads((root.parent / "out.json").read_text(encoding="utf-8"))["trials"].values()
    return {(t["line"], t["operator"].removeprefix("Replace"), t["diff"][1].strip("+ ")): t["outcome"] for t in trials}


def files(root):
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git" not in p.parts}


BY_HAND = {
    (5, "AddNot", 'if not number == "text":'): "killed",
    (5, "ComparisonOperator_Eq_NotEq", 'if number != "text":'): "killed",
    (7, "ComparisonOperator_Gt_GtE", "return number >= 0"): "survived",
    (7, "ComparisonOperator_Gt_Lt", "return number < 0"): "killed",
    (7, "NumberReplacer", "return number > 1"): "survived",
    (7, "NumberReplacer", "return number > -1"): "survived",
    (11, "AddNot", "while not steps:"): "killed",
    (12, "DeleteStatement", "pass"): "timeout",
    (12, "NumberReplacer", "steps -= 2"): "timeout",  # 3, 1, -1, …
    (12, "NumberReplacer", "steps -= 0"): "timeout",
}
"""No mutant of the docstring, the annotation, the message or the path."""


def test_what_tests_notice_is_told_from_what_they_do_not(tiny):
    before = files(tiny)
    done = run(tiny)
    assert found(tiny) == BY_HAND, done.stdout + done.stderr
    assert done.returncode == 0 and "| `tiny` | 10 | 10 | 10 | 7 | 3 | 3 | 70% |  |" in done.stdout
    page = (tiny.parent / "out.md").read_text(encoding="utf-8")
    assert page.count("```diff") == 3
    assert "`tiny.py:7` ReplaceComparisonOperator_Gt_GtE\n```diff\n-    return number > 0\n+    return number >= 0\n" in page
    assert files(tiny) == before
    assert run(tiny, "--least", "0.71").returncode == 1
    with open(tiny / "tests" / "test_tiny.py", "a", encoding="utf-8") as tests:
        tests.write("\n\ndef test_borders():\n    assert positive(1) and not positive(0)\n")
    done = run(tiny, "--survivors", "--least", "1")
    assert done.returncode == 0 and set(found(tiny).values()) == {"killed", "timeout"}
    assert done.stdout.count(" s  tiny:") == 3, "what was killed is not tried again"


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to end"])
def test_a_run_that_is_cut_off_leaves_the_checkout_alone_and_goes_on(tiny, by):
    before, out = files(tiny), tiny.parent / "out.json"
    for _ in range(6):  # a run so small can come to its end before it is asked to: then once more
        out.unlink(missing_ok=True)
        process = subprocess.Popen(command(tiny), cwd=ROOT, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while not out.is_file() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(by)
        if process.wait(30) != 0:
            break
    if by == signal.SIGTERM:
        assert process.wait(30) == 1 and "%" not in (tiny.parent / "out.md").read_text(encoding="utf-8")  # no score by halves
    process.wait(30)
    first = found(tiny)
    assert 0 < len(first) < len(BY_HAND) and first.items() <= BY_HAND.items()
    assert files(tiny) == before
    done = run(tiny)
    assert found(tiny) == BY_HAND and done.stdout.count(" s  tiny:") == len(BY_HAND) - len(first)
    assert files(tiny) == before


def test_a_sample_is_the_same_every_time_and_stays_where_other_lines_change():
    from benchmarks.mutation.mutants import mutants, sample

    def lines(source, **more):
        return [(m.text, m.operator, m.which) for m in sample(mutants("tiny", source), source, 4, **more)]

    chosen = lines(SOURCE, seed=0)
    assert len(set(chosen)) == 4 and chosen == lines(SOURCE, seed=0)
    assert chosen == lines(f"# a comment\n\n{SOURCE}", seed=0)
    assert any(lines(SOURCE, seed=k) != chosen for k in (1, 2, 3))


def test_tests_that_fail_without_a_change_are_no_measure(tiny):
    (tiny / "tests" / "test_tiny.py").write_text("def test_wrong():\n    assert False\n", encoding="utf-8")
    done = run(tiny)
    assert done.returncode == 1 and "tests/test_tiny.py fails without any change: tests/test_tiny.py::test_wrong" in done.stderr


def test_every_target_has_tests():
    from benchmarks.mutation import targets

    for module in targets.modules(ROOT / "vosedu"):
        assert targets.tests(ROOT, module)
    with pytest.raises(SystemExit, match="no module lost"):
        targets.modules(ROOT / "vosedu", ["lost"])


OURS = {
    "DeleteStatement": ("a.b = c(d)\n", ["pass\n"]),
    "ExchangeArguments": ("f(a, b, c=1); max(a, b)\n", ["f(b, a, c=1); max(a, b)\n"]),
    "DropKeyword": ("f(a, b=1, device=2)\n", ["f(a, device=2)\n"]),
    "ExchangeName": ("x = y.amin() + max(z)\n", ["x = y.amax() + max(z)\n", "x = y.amin() + min(z)\n"]),
}


@pytest.mark.parametrize("name", OURS)
def test_our_own_operators(name):
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    from benchmarks.mutation.operators import OPERATORS

    source, changed = OURS[name]
    count = sum(len(list(OPERATORS[name].mutation_positions(node))) for node in ast_nodes(get_ast(source)))
    assert [mutate_code(source, OPERATORS[name], k) for k in range(count)] == changed


def test_what_is_imported_for_all_trials_is_not_the_package():
    """A trial would then test the package as it is, and every mutant survives."""
    code = ("import sys, pathlib; from benchmarks.mutation import trials; trials.preload(pathlib.Path.cwd()); "
            "print([n for n in sys.modules if n.split('.')[0] in ('vosedu', 'book')], 'torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] True"
