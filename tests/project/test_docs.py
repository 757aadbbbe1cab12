"""Claims that a machine can check: the equation map, and one list of packages for pip and conda."""

import ast
import importlib
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [row.strip("| \n").split("|") for row in (ROOT / "docs" / "equations.md").read_text(encoding="utf-8").splitlines()
        if row.startswith("|") and "`" in row]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0].strip()}: {row[1].strip()}" for row in ROWS])
def test_equation_map(row):
    function, test, notebook = (cell.strip().strip("`") for cell in row[2:])
    module, *names = [function]
    while names == [] or not (ROOT / (module.replace(".", "/") + ".py")).is_file():
        module, name = module.rsplit(".", 1)
        names = [name, *names]
    found = importlib.import_module(module)
    for name in names:
        found = getattr(found, name)
    assert found.__doc__
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert notebook == "-" or names[-1] in (ROOT / notebook).read_text(encoding="utf-8")


def test_equation_map_has_every_equation():
    text = " ".join(row[0] for row in ROWS)
    assert all(f"eq. {n}" in text for n in range(1, 6)) and "Algorithm 1" in text


def test_conda_takes_its_packages_from_pyproject():
    """environment.yml names Python and pip alone and installs this project, so there is no second list to drift."""
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()]
    listed = lines[lines.index("dependencies:") + 1 :]
    assert listed == ["- python=3.11", "- pip", "- pip:", "- --editable .[dev]"]
    minor = int(re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1])
    assert minor <= 11


def test_links_in_the_readme_exist():
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_glossary_explains_the_words_of_the_notebooks():
    text = (ROOT / "docs" / "book" / "glossary.md").read_text(encoding="utf-8")
    terms = [line for line, after in pairwise(text.splitlines()) if after.startswith(": ")]
    assert len(terms) > 40 and len(terms) == len(set(terms))
    for word in ("Score map", "unit RMS", "BEST", "WHOLE", "Balance meter", "boundary F", "Jaccard", "Jacobian", "Drift",
                 "Cell", "Logit", "Window", "Memory", "TSE", "Residual"):
        assert sum(word in term for term in terms) == 1, word


GREEK = re.compile(r"\\(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|"
                   r"phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|ell)")


def letters(text, whole=()):
    """The letters of a text's formulas, as they are printed: bold, calligraphic, with a hat. `whole`: those that are one letter
    with their index."""
    found = set()
    for formula in re.findall(r"\$\$.+?\$\$|\$(?:(?!\n\n)[^$])+\$", re.sub(r"`[^`\n]*`", "", text.replace("\\\\", "\\")), re.S):
        formula = re.sub(r"\\(text|mathrm|begin|end)\{[^}]*\}|\\mathsf\{? ?T", " ", formula)
        for one in whole:
            formula, before = formula.replace(one, " "), formula
            found |= {one} if formula != before else set()
        for hat, font, letter in re.findall(r"(?:(\\hat)[{ ]*)?(?:(\\math(?:bf|cal))[{ ]*)?(\\[A-Za-z]+|[A-Za-z])", formula):
            if not letter.startswith("\\") or GREEK.fullmatch(letter):
                found.add(f"{hat}{font}{letter}")
    return found


def listed_letters():
    """Letter -> the notebooks in which the glossary says that it is used, and the text above that table."""
    words, table = (ROOT / "docs" / "book" / "glossary.md").read_text(encoding="utf-8").split("## The letters")
    rows = re.findall(r"^\| \$([^$]+)\$ \| .{3,} \| (?:the paper's.*|ours) \| (all|[\d, ]+) \|$", table, re.M)
    assert len(rows) == table.count("\n| $") == len(dict(rows)), "a letter has two rows, or a row lacks a column"
    return {re.sub(r"[{} ]", "", letter): where for letter, where in rows}, words


def test_every_letter_has_one_meaning_and_the_glossary_says_which():
    """A letter that comes to another notebook must be looked up in the glossary first: there is the one meaning that it has."""
    listed, words = listed_letters()
    whole = [letter for letter in listed if "_" in letter]
    used = {}
    for path in [*(ROOT / "notebooks").glob("[0-9]*.ipynb"), *(ROOT / "notebooks" / "solutions").glob("*.ipynb")]:
        texts = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        for letter in letters("\n\n".join(texts), whole):
            used.setdefault(letter, set()).add(path.stem[:2])
    for letter, stems in used.items():
        assert letter in listed, f"{letter} in notebooks {sorted(stems)} is not among the letters of the glossary"
    for letter, where in listed.items():
        stems = ", ".join(sorted(used.get(letter, ())))
        assert stems == where or (where == "all" and stems), f"{letter}: the glossary says {where}, it is in {stems}"
    pages = (ROOT / "docs" / "book" / "instructor.md", ROOT / "book" / "slides.md", ROOT / "notebooks" / "README.md")
    for text in (words, *(page.read_text(encoding="utf-8") for page in pages)):
        assert letters(text, whole) <= set(listed)


def test_letters_are_told_apart_as_they_are_printed():
    text = (r"$\mathbf x_k$, $\mathcal{J\&F}$ and `$q$`; b "
            r"$$\hat{\mathbf y} = \tfrac12 \hat\kappa\, t_s \text{abc} \mathsf T$$ $\Phi$")
    assert letters(text, ["t_s"]) == {
        r"\mathbfx", "k", r"\mathcalJ", "F", r"\hat\mathbfy", r"\hat\kappa", "t_s", r"\Phi"}
    assert letters('ax.set(xlabel="$\\\\kappa$", title=f"{b}")') == {r"\kappa"}


def test_the_instructors_guide_has_all_parts_for_every_notebook():
    text = (ROOT / "docs" / "book" / "instructor.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (\d\d) · .*$", text, flags=re.M)
    assert parts[1::2] == [path.stem[:2] for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    for number, part in zip(parts[1::2], parts[2::2], strict=True):
        asked = ("**Assignment.**",) if number == "09" else ("**Discuss.**", "**Exam.**", "**Skip**")
        assert all(word in part for word in ("**Aim.**", "What they get wrong", *asked)), number
        assert part.count("<details><summary>Answer") == part.count("**Discuss.**") + part.count("**Exam.**"), number
        for exercise in re.findall(r"^- (\d\d)\.\d", part, re.M):
            assert exercise == number


def test_the_tests_that_the_page_on_tests_names_exist():
    text = (ROOT / "docs" / "tests.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_0-9/]+\.py)::(test_\w+)`", text)
    assert len(named) > 50
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file} has no {name}"
