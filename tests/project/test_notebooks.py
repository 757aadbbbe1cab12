"""The suite's own rules: exercises come as stubs, solutions are beside them, and every notebook reads without a kernel."""

import ast
import importlib
import json
import pkgutil
import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from vosedu.teaching import sources
from vosedu.teaching.states import MARK

VIEW = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path, kind):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


@every_notebook
def test_size_words_and_code(path):
    assert path.stat().st_size < 1_500_000
    assert sum(len("".join(c["source"]).split()) for c in cells(path, "markdown")) <= 2500
    assert sum(len([line for line in c["source"] if line.strip()]) for c in cells(path, "code")) <= 150


@every_notebook
def test_committed_with_outputs_and_without_widget_state(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"] and notebook["metadata"]["kernelspec"]["name"] == "python3"
    numbers = [c["execution_count"] for c in cells(path, "code")]
    assert numbers == list(range(1, len(numbers) + 1)), "run from a clean kernel, from top to bottom"
    assert sum("image/png" in shown(cell) for cell in cells(path, "code")) >= 3


def widgets(cell):
    """The outputs of a code cell that show a widget."""
    return [o for o in cell.get("outputs", ()) if MARK in o.get("metadata", {}) or VIEW in o.get("data", {})]


def shown(cell):
    """Kinds of output of a code cell, those of widgets left out."""
    return {kind for output in cell.get("outputs", ()) if output not in widgets(cell) for kind in output.get("data", {})}


@every_notebook
def test_a_stored_widget_is_a_picture_and_a_sentence(path):
    """A repository page shows the picture; JupyterLab without a kernel too, for there is no view of a widget beside it."""
    for output in (output for cell in cells(path, "code") for output in widgets(cell)):
        assert VIEW not in output["data"] and "image/png" in output["data"]
        words = "".join(output["data"]["text/plain"])
        assert len(words) > 40 and "VBox(" not in words and output["metadata"]["image/png"]["alt"] == words


@every_notebook
def test_cells_are_short(path):
    """At most 15 lines besides imports and blank ones; Algorithm 1 alone, which is shown as a whole, has more."""
    for cell in cells(path, "code"):
        lines = [line for line in cell["source"] if line.strip() and not line.startswith(("import ", "from "))]
        assert len(lines) <= (25 if "def algorithm1" in "".join(lines) else 15), "".join(lines[:3])
        assert max(map(len, cell["source"])) <= 130


@every_notebook
def test_begins_and_ends_as_all_do(path):
    first, second, *_, last = json.loads(path.read_text(encoding="utf-8"))["cells"]
    head, end = "".join(first["source"]), "".join(last["source"])
    assert re.match(rf"# {path.stem[:2]} · ", head) and "**The question.**" in head and "After this notebook you can" in head
    assert 3 <= len(re.findall(r"^\d\. ", head, re.M)) <= 5, "three to five objectives"
    assert re.search(r"\*\*Before you start:\*\*.*\*\*Time:\*\* \d+ minutes to read, .* to do; .*(two CPU cores|CPU)", head)
    assert "**Paper:** Robinson et al. 2019, " in head and "**Back:**" in head
    assert ("**Next:**" in head) == (path != NOTEBOOKS[-1])
    assert "".join(second["source"]) == "from vosedu.teaching.widget import setup\n\ndevice = setup(seed=0)"
    assert re.search(r"^\| idea \| .* \| function \|$", end, re.M)
    assert all(part in end for part in ("**Quiz.** (1)", "(3)", "**Pitfalls.**", "**References.**", "arXiv:1904.08630"))


@every_notebook
def test_every_figure_has_a_caption_and_alternative_text(path):
    """A caption is the first text after a figure. The other is the cell's metadata `alt`: `nbconvert --template classic`
    puts it into the page; JupyterLab and the default template have no place for it."""
    sequence = json.loads(path.read_text(encoding="utf-8"))["cells"]
    numbers = []
    for place, cell in enumerate(sequence):
        if "image/png" not in shown(cell):
            continue
        assert len(cell["metadata"].get("alt", "")) >= 20, f"cell {place}"
        text = next("".join(c["source"]) for c in sequence[place:] if c["cell_type"] == "markdown")
        caption = re.match(r"\*(Figure (\d+)\. .{30,})", text, re.S)
        assert caption, f"no caption after cell {place}: {text[:50]}"
        numbers.append(int(caption[2]))
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1)) and numbers == sorted(numbers)


@every_notebook
def test_every_widget_is_predicted_and_stands_under_a_figure(path):
    """Before each widget, since the widget before it: a figure for readers without a kernel, and a question to think about."""
    figure = question = False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        question |= cell["cell_type"] == "markdown" and "> **Predict.**" in source
        if widgets(cell) and "TrainingView(" not in source:
            assert figure and question, source
            figure = question = False
        figure |= "image/png" in shown(cell)


@every_notebook
def test_a_box_says_what_was_measured_and_links_lead_somewhere(path):
    text = "\n".join("".join(c["source"]) for c in cells(path, "markdown"))
    assert "What the paper claims, what we measure here." in text or path.stem.startswith("09")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (path.parent / target).exists(), target


@every_notebook
def test_the_list_gives_the_same_minutes(path):
    listed = (path.parent / "README.md").read_text(encoding="utf-8")
    read, do = re.search(rf"\({path.name}\).*\| (\d+) \+ (\d+|open) \|$", listed, re.M).groups()
    head = "".join(cells(path, "markdown")[0]["source"])
    assert f"{read} minutes to read, {do if do != 'open' else 'as long as you like'} to do" in head


def test_exercises_rise_in_difficulty_and_have_hints_and_solutions():
    """Two or more in each of 01 to 08, in 10 and 11, numbered in order, not all equally hard, with hints and solutions."""
    for path in (*NOTEBOOKS[1:9], *NOTEBOOKS[10:]):
        text = "\n".join("".join(c["source"]) for c in cells(path, "markdown"))
        found = re.findall(r"^### Exercise (\d\d)\.(\d) \((easy|medium|hard), \d+ minutes\)$", text, re.M)
        stubs = [c for c in cells(path, "code") if "exercise" in c["metadata"].get("tags", [])]
        assert len(stubs) >= 2 and [(path.stem[:2], str(k + 1)) for k in range(len(stubs))] == [f[:2] for f in found]
        assert len({f[2] for f in found}) > 1 and f"](solutions/{path.name})" in text
        assert all(".hint(1)" in "".join(c["source"]) for c in stubs)


@every_notebook
def test_stubs_fail_their_checks(path, capsys):
    """Each cell tagged `exercise` is a stub: its check says so, and prints no traceback."""
    stubs = [c for c in cells(path, "code") if "exercise" in c["metadata"].get("tags", [])]
    scope = {}
    for cell in stubs:
        source = "".join(cell["source"])
        assert "raise NotImplementedError" in source and ".check(" in source
        capsys.readouterr()
        exec(source, scope)
        assert "still to be written" in capsys.readouterr().out
    assert len(solution_functions(path)) == len(stubs), "one solution per stub"


@every_notebook
def test_stubs_and_solutions_have_one_source(path):
    """`vosedu.teaching.solutions`: `python -m vosedu.teaching.sources notebooks` writes the notebooks of solutions again."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    mine = {solution.name: solution for solution in sources.ALL if solution.number.startswith(path.stem[:2])}
    stubs = sources.exercise_cells(notebook)
    assert [sources.check_of(stub)[1] for stub in stubs] == list(mine)
    for cell, solution in zip(stubs, mine.values(), strict=True):
        assert f"{sources.stub(solution)}\n\n\nexercises." in cell
    solutions = path.parent / "solutions" / path.name
    assert solutions.exists() == bool(mine)
    if mine:
        assert solutions.read_text(encoding="utf-8") == sources.written(sources.solution_notebook(notebook, path.stem))


def solution_functions(path):
    """Name -> source of the solutions to a notebook's exercises, in order; none where it has no exercises."""
    solutions = path.parent / "solutions" / path.name
    if not solutions.exists():
        return {}
    sources = ["".join(c["source"]) for c in cells(solutions, "code")]
    assert all("assert exercises." in source for source in sources), "each solution is checked where it stands"
    found = [node for source in sources for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.unparse(node) for node in found}


@every_notebook
def test_no_hint_is_the_answer(path):
    """No hint has a run of 20 characters of the solution's code in it, spaces left out."""
    solutions = solution_functions(path)
    for stub in sources.exercise_cells(json.loads(path.read_text(encoding="utf-8"))):
        name, function = sources.check_of(stub)
        module = sources.module_of(json.loads(path.read_text(encoding="utf-8")))
        code = re.sub(r"\s", "", solutions[function].split('"""')[-1])
        for hint in getattr(importlib.import_module(f"vosedu.teaching.{module}"), name).hints:
            hint = re.sub(r"\s", "", hint)
            shown = SequenceMatcher(None, hint, code, autojunk=False).find_longest_match()
            assert shown.size < 20, f"{name}: {hint[shown.a : shown.a + shown.size]}"


@every_notebook
def test_each_quiz_question_has_a_folded_answer(path):
    end = "".join(cells(path, "markdown")[-1]["source"])
    folded = r"\*\*Quiz\.\*\*(.*)\n\n<details><summary>Answers</summary>\n\n(.*?)\n\n</details>"
    questions, answers = re.search(folded, end, re.S).groups()
    numbers = list(dict.fromkeys(re.findall(r"\((\d)\) ", questions)))  # a question may name an equation
    assert len(numbers) >= 3 and numbers == re.findall(r"^(\d)\. .{8,}", answers, re.M)


@every_notebook
def test_each_prediction_has_a_folded_answer(path):
    """Right below the question, so that nobody has to search for it; folded, so that nobody reads it by mistake."""
    text = "\n".join("".join(c["source"]) for c in cells(path, "markdown"))
    questions = re.findall(r"^> \*\*Predict\.\*\*.*$", text, re.M)
    answer = r"\n\n<details><summary>Answer</summary>\n\n(.{8,}?)\n\n</details>"
    answered = re.findall(rf"^> \*\*Predict\.\*\*.*{answer}", text, re.M)
    assert len(questions) == len(answered) >= 1


SAME = {"square": "Pow", "append": "cat", "concatenate": "cat"}
"""Calls that do what another call or operator does."""
PLAIN = {"item", "float", "int", "clone", "cpu", "numpy", "tensor", "array", "to", "range", "len", "zip"}
"""Calls that compute nothing."""


def operations(tree):
    """How often each operator and function is used in a syntax tree, whatever the variables are called."""
    found = Counter()
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)):
            found[type(node.op).__name__] += 1
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found.update({SAME.get(name, name)} - PLAIN)
    return found


def pieces(source):
    """The operations of every expression and of every run of neighbouring statements of a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.expr):
            yield operations(node)
        body = getattr(node, "body", None)  # of a lambda or a conditional expression it is an expression
        counts = [operations(statement) for statement in body] if isinstance(body, list) else []
        for first in range(len(counts)):
            total = Counter()
            for count in counts[first:]:
                total += count
                yield total


def likeness(source, solution):
    """From 0 to 1: the share of operations that a cell's likest piece and a solution have in common."""
    wanted = operations(ast.parse(solution))
    return max((sum((found & wanted).values()) / sum((found | wanted).values()) for found in pieces(source)), default=0.0)


def test_no_cell_shows_an_answer():
    """No notebook computes, before or after a stub, what an exercise of any notebook asks for."""
    solutions = {name: text for path in NOTEBOOKS for name, text in solution_functions(path).items()}
    assert len(solutions) == 27
    for path in NOTEBOOKS:
        for place, cell in enumerate(cells(path, "code")):
            for name, solution in solutions.items():
                assert likeness("".join(cell["source"]), solution) <= 0.82, f"{path.name}: code cell {place} shows {name}"


@pytest.mark.parametrize("source, solution", [
    ("share = {n: ((v**2 * y0).sum() / (v**2).sum()).item() for n, v in rules.items()}",
     "def loss_share(v, labels):\n    return (v.square() * labels).sum() / v.square().sum()"),
    ("def jaccard(a, b):\n    return (a & b).sum() / (a | b).sum()",
     "def jaccard(p, y):\n    union = (p | y).sum()\n    return (p & y).sum() / union if union else 1.0"),
    ("x = 1\nfor t in y:\n    u = (t | x).sum()\n    j = (t & x).sum() / u\n    print(j, x * 2)",
     "def jaccard(p, y):\n    union = (p | y).sum()\n    return (p & y).sum() / union if union else 1.0"),
], ids=["inside a statement", "a function", "in a loop"])
def test_an_answer_is_known_again_under_other_names(source, solution):
    assert likeness(source, solution) > 0.82
    assert likeness("for a in b:\n    c = a * 2 + 1\n    print(c / b.sum())", solution) < 0.5


@every_notebook
def test_every_name_in_the_texts_exists(path):
    """Names of the package, and in the summary's last column also names without the module, which the one before has."""
    for cell in cells(path, "markdown"):
        for name in re.findall(r"`(vosedu\.[\w.]+)`", "".join(cell["source"])):
            pkgutil.resolve_name(name)
    table = "".join(cells(path, "markdown")[-1]["source"]).split("| function |\n", 1)[1].split("\n\n")[0]
    module, seen = "", 0
    for name in re.findall(r"`([\w.]+)`", "".join(line.rsplit("|", 2)[1] for line in table.splitlines()[1:])):
        full = name if name.startswith("vosedu.") else f"{module}.{name}"
        module, seen = full.rpartition(".")[0], seen + 1
        pkgutil.resolve_name(full)
    assert seen >= 3


@every_notebook
def test_outputs_name_no_folder_of_the_machine_that_ran_them(path):
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            text = "".join(output.get("text", ())) + "".join(output.get("data", {}).get("text/plain", ()))
            assert not re.search(r"(?<![\w.])(/(home|root|tmp|work|Users|var)/|[A-Z]:\\)", text), text[:200]


@every_notebook
def test_a_notebook_that_uses_a_preset_says_what_it_is(path):
    """The notebooks teach the paper's whole frame: `WHOLE`. BEST, the default, is for section 5 of 06 alone."""
    code = "\n".join("".join(c["source"]) for c in cells(path, "code"))
    text = "\n".join("".join(c["source"]) for c in cells(path, "markdown"))
    assert ("BEST" in code) == path.stem.startswith("06")
    assert "WHOLE" not in code or "a window that follows" in text


@every_notebook
def test_code_runs_from_any_folder(path):
    for cell in cells(path, "code"):
        assert not re.search(r"""["'](\.\.?/|\.\.["'])""", "".join(cell["source"])), "a path from the notebook's own folder"
