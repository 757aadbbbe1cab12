"""The house: who may import whom, how many floors it has, how long its rooms are, and the way of one frame through it."""

import ast
import subprocess
import sys
import threading
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from helpers import moving_shapes, save_frames

from vosedu.commands import main
from vosedu.files.images import write_mask

PACKAGE = Path(__file__).resolve().parents[2] / "vosedu"
MODULES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in sorted(PACKAGE.rglob("*.py"))}
WINGS = ("files", "evaluation", "training", "rivals", "teaching", "commands")
CHAPTERS = ("config", "features", "loss", "target_model", "solver", "augmentation", "refinement", "memory", "aggregation",
            "segmenter")
MAY = {
    "errors": set(),
    "files": {"errors"},
    "engine": {"errors", "files"},
    "evaluation": {"errors", "files", "engine"},
    "training": {"errors", "files", "engine", "evaluation"},
    "rivals": {"errors", "files", "engine", "evaluation", "training"},
    "teaching": {"errors", "files", "engine", "evaluation", "training", "rivals"},
    "commands": {"errors", "files", "engine", "evaluation", "training", "rivals", "teaching"},
}
"""Who may import whom."""
FIGURES = {"refinement_diagram", "draw", "draw_curves"}
"""Functions that draw a figure may be long."""


def wing(module):
    first = module.split(".")[0]
    return first if first in (*WINGS, "errors") else "engine"


@cache
def imports(module):
    """The modules of the package that a module imports, anywhere in its text."""
    found, package = set(), module.split(".")[:-1]
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "vosedu"):
            base = package[: len(package) - node.level + 1] if node.level else []
            named = (node.module or "").split(".") if node.level else node.module.split(".")[1:]
            base = [part for part in (*base, *named) if part]
            for alias in node.names:
                whole, own = ".".join([*base, alias.name]), ".".join(base)
                found.add(whole if whole in MODULES else own if own in MODULES else ".".join([own, "__init__"]).lstrip("."))
    return found - {module}


def test_every_import_is_of_a_floor_below():
    for module in MODULES:
        mine = wing(module)
        for other in imports(module):
            if module not in ("__init__", "__main__"):
                assert wing(other) == mine or wing(other) in MAY[mine], f"{module} imports {other}"


def test_floors_are_few_and_there_is_no_circle():
    @cache
    def floor(module, above=()):
        assert module not in above, f"a circle: {' -> '.join((*above, module))}"
        return 1 + max((floor(other, (*above, module)) for other in imports(module)), default=0)

    floors = {module: floor(module) for module in MODULES if module != "__main__"}
    assert max(floors.values()) <= 9, sorted(floors.items(), key=lambda item: -item[1])[:5]
    assert floors["solver"] == floors["errors"] == 1, "the solver knows no other room"


def test_every_folder_of_modules_is_a_package_that_is_installed():
    """setuptools finds packages by their __init__.py; a list by hand would miss a new one."""
    assert {p.parent for p in MODULES.values()} == {p.parent for p in PACKAGE.rglob("__init__.py")}
    text = (PACKAGE.parent / "setup.py").read_text(encoding="utf-8")
    assert 'find_packages(include=["vosedu*"])' in text
    assert "packages = [" not in (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")


def test_the_engine_does_not_know_what_it_is_tested_with():
    assert not [m for m in MODULES if wing(m) == "engine" and "literal" in imports(m)]


def test_the_engine_imports_neither_jupyter_nor_figures_nor_commands():
    code = ("import sys; from vosedu import Segmenter, load_clip, track; names = set(sys.modules); "
            "print([n for n in ('IPython', 'ipywidgets', 'anywidget', 'matplotlib', 'jupyterlab', 'psutil') if n in names],"
            "[n for n in names if n.split('.')[:1] == ['vosedu'] and n.split('.')[1:2] != [] and "
            "n.split('.')[1] in ('commands', 'teaching', 'training', 'evaluation')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def lines(modules):
    return sum(len(MODULES[m].read_text(encoding="utf-8").splitlines()) for m in modules)


def test_the_chapters_are_an_afternoon():
    assert lines(CHAPTERS) < 1700, lines(CHAPTERS)
    assert lines(m for m in MODULES if "." not in m) < 2400


def setter(node):
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list)


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short_and_say_what_they_do(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or module == "__main__"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60 or node.name in FIGURES, f"{node.name} is long"
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for node in (child for scope in scopes for child in scope.body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not setter(node):
            assert ast.get_docstring(node), f"{node.name} does not say what it does"
            annotated = isinstance(node, ast.ClassDef) or node.returns is not None
            assert annotated or module == "teaching.solutions", f"{node.name} does not say what it returns"


@pytest.mark.parametrize("module", MODULES)
def test_texts_refer_to_nothing_that_the_reader_lacks(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert "DESIGN" not in text and "# ---" not in text


def test_a_segmenter_is_not_changed_after_it_is_made():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in getattr(node, "targets", []):
                owner = getattr(target, "value", None)
                name = getattr(owner, "id", getattr(owner, "attr", ""))
                wrong = isinstance(target, ast.Attribute) and name in ("segmenter", "engine")
                assert not wrong, f"{module}: {ast.unparse(node)}"


def crossings(folder, count, tmp_path):
    """Calls from one module of the package to another while `segment` takes `count` frames to their masks, in all threads.

    A call is what `sys.setprofile` reports as one: functions, and every resumption of a generator.
    """
    found, root = Counter(), str(PACKAGE)

    def profile(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(root):
            back = frame.f_back
            while back is not None and not back.f_code.co_filename.startswith(root):
                back = back.f_back
            if back is not None and back.f_code.co_filename != frame.f_code.co_filename:
                found[(back.f_code.co_filename, frame.f_code.co_filename, frame.f_code.co_name)] += 1

    clip = save_frames(tmp_path / f"clip{count}", folder[:count])
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        out, first = str(tmp_path / f"out{count}"), str(tmp_path / "first.png")
        assert main(["segment", str(clip), "--masks", first, "--out", out, "--quiet",
                     "--samples", "2", "--gn-steps", "1", "--short-side", "64", "--device", "cpu"]) == 0
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def test_the_way_of_a_frame_is_short(tmp_path):
    """A run over four frames makes so many more calls between modules than one over three: the way of one frame, with the
    default settings: a window that follows the target, R about it there, which makes one of them, and cells that are looked up
    beside D, which make two."""
    frames, labels = moving_shapes(4)
    write_mask(tmp_path / "first.png", labels[0])
    _, shorter, longer = (crossings(frames, n, tmp_path) for n in (2, 3, 4))  # the first run imports
    longer.subtract(shorter)
    calls = {(Path(a).stem, Path(b).stem, name): n for (a, b, name), n in longer.items() if n}
    assert 10 < sum(calls.values()) <= 28, calls
