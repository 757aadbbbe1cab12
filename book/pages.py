"""The source of the book: notebooks and documents, put together for Sphinx."""

import ast
import html
import importlib
import json
import re
import shutil
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from vosedu.errors import InputError
from vosedu.teaching.states import MARK

from .execute import NOTEBOOKS, ROOT, VIEW

PICTURE = re.compile(r"data:image/webp;base64,([A-Za-z0-9+/=]+)")
OUTSIDE = re.compile(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|^#.*?$|\[[^\]\n]*\]\([^)\n]*\)|<[^>\n]*>", re.S | re.M)
"""What is left as it is in a text: code, formulas, headings, links and HTML."""
EQUATION = re.compile(r"\b(eqs?\.) (\(?([1-5])\)?)")


def equation_links(text: str, up: str) -> str:
    """A text whose "eq. (4)" leads to that row of the equation map.

    Args:
        up: the way from the page to the book's root, "../" or "".
    """
    def link(match: re.Match) -> str:
        return f'<a href="{up}docs/equations.html#eq-{match[3]}">{match[1]} {match[2]}</a>'

    out, end = [], 0
    for kept in OUTSIDE.finditer(text):
        out += [EQUATION.sub(link, text[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join([*out, EQUATION.sub(link, text[end:])])


def equation_anchors(text: str) -> str:
    """The equation map with a place to jump to in the first row of each equation."""
    for number in range(1, 6):
        text = re.sub(rf"^\| ([^|]*eq\. {number}\b)", rf'| <span id="eq-{number}"></span>\1', text, count=1, flags=re.M)
    return text


def folded(summary: str, body: str) -> str:
    """Text that opens when its summary is pressed."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>\n"


def solution(name: str, solutions: Path) -> str | None:
    """The cell of a notebook of solutions that checks an exercise, without the check; None where there is none."""
    if not solutions.is_file():
        return None
    for cell in nbformat.read(solutions, 4).cells:
        if cell.cell_type == "code" and f"exercises.{name}.check(" in cell.source:
            kept = [node for node in ast.parse(cell.source).body if not isinstance(node, ast.Assert)]
            lines = cell.source.splitlines()
            parts = ["\n".join(lines[min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1 :
                                     node.end_lineno]) for node in kept]
            return "\n\n".join(part for part in parts if "as exercises" not in part)
    return None


def help_for(cell: NotebookNode, path: Path, module: str) -> str:
    """Both hints and the solution of the exercise of a cell, folded.

    Args:
        module: of `vosedu.teaching`, with the notebook's exercises.
    """
    found = re.search(r"exercises\.(\w+)\.check\(", cell.source)
    if not found:
        return ""
    module = importlib.import_module(f"vosedu.teaching.{module}")
    exercise = getattr(module, found[1])
    parts = [folded(f"Hint {number}", _as_code(hint)) for number, hint in enumerate(exercise.hints, 1)]
    if answer := solution(found[1], path.parent / "solutions" / path.name):
        parts.append(folded("Solution", f"```python\n{answer}\n```"))
    return "\n".join(parts)


def _as_code(text: str) -> str:
    return f"```text\n{text}\n```"


def apart(page: str, folder: Path, way: str) -> str:
    """HTML with its pictures as files in a folder and without its script, which the book has once.

    Args:
        way: from the page to the folder, as its pictures name it.
    """
    def file(match: re.Match) -> str:
        content = b64decode(match[1])
        name = f"{sha256(content).hexdigest()[:20]}.webp"
        (folder / name).write_bytes(content)
        return f"{way}/{name}"

    folder.mkdir(parents=True, exist_ok=True)
    page = re.sub(r"<script>.*?</script>(?=</figure>)", "", page, flags=re.S)
    return PICTURE.sub(file, page).replace("<img ", '<img loading="lazy" ', 1)


def widget_output(output: NotebookNode, folder: Path, way: str) -> NotebookNode:
    """What stands for a widget in the book: its states, or the stored picture, or, where neither is stored, a sentence."""
    data = output.data
    if "text/html" in data:
        page = apart(data["text/html"], folder, way)
    elif "image/png" in data:
        alt = html.escape("".join(data.get("text/plain", "A widget.")))
        page = f'<figure class="vosedu-still"><img alt="{alt}" src="data:image/png;base64,{data["image/png"]}"></figure>'
    else:
        page = "<p>A widget stands here in JupyterLab; the figure above shows the same.</p>"
    return nbformat.v4.new_output("display_data", {"text/html": page})


def is_widget(output: NotebookNode) -> bool:
    """Whether an output shows a widget."""
    return MARK in output.get("metadata", {}) or VIEW in output.get("data", {})


def nth_widget(notebook: NotebookNode, number: int, folder: Path, way: str) -> str:
    """HTML of the widget of that number in a notebook, counted from 1; its pictures go into a folder.

    Raises:
        InputError: the notebook has fewer.
    """
    found = [output for cell in notebook.cells for output in cell.get("outputs", ()) if is_widget(output)]
    if len(found) < number:
        raise InputError(f"widget {number} is asked for of a notebook that has {len(found)}")
    return widget_output(found[number - 1], folder, way).data["text/html"]


def notebook_page(path: Path, stored: Path, static: Path, links: str, up: str = "../") -> NotebookNode:
    """A notebook as a page of the book.

    Args:
        path: the notebook; `stored`: the copy whose outputs are taken, itself or one that was executed.
        static: the book's folder of files beside the pages.
        links: HTML below the first heading.
        up: the way from the page to the book's root.
    """
    notebook = nbformat.read(stored, 4)
    cells, code = [], "\n".join(cell.source for cell in notebook.cells)
    module = (re.findall(r"from vosedu\.teaching import (\w+) as exercises", code) or [path.stem[3:]])[0]
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = equation_links(cell.source, up)
            continue
        if alt := cell.metadata.get("alt"):
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
        for place, output in enumerate(cell.outputs):
            if is_widget(output):
                cell.outputs[place] = widget_output(output, static / "states", f"{up}_static/states")
        if "exercise" in cell.metadata.get("tags", ()) and (text := help_for(cell, path, module)):
            cells.append(nbformat.v4.new_markdown_cell(text))
    head, rest = cells[0].source.split("\n", 1)
    cells[0].source = f"{head}\n\n{links}\n{rest}"
    notebook.cells = cells
    notebook.metadata.pop("vosedu_key", None)
    return notebook


def launch_links(path: Path, repository: str | None) -> str:
    """HTML with links to the notebook itself and, where the repository is known, to Colab and Binder."""
    name = path.name
    parts = [f'<a href="{name}" download>Download the notebook</a>']
    if repository:
        parts += [f'<a href="https://colab.research.google.com/github/{repository}/blob/colab/{name}">Open in Colab</a>',
                  f'<a href="https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks%2F{name}">Launch Binder</a>']
    return f'<p class="vosedu-launch">{" · ".join(parts)}</p>'


def _copy_linked(page: Path, source: Path) -> None:
    """Copy the files that a page links to and that are no pages themselves."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text(encoding="utf-8")):
        origin = (ROOT / page.relative_to(source).parent / target).resolve()
        if origin.is_file() and origin.suffix not in (".md", ".ipynb"):
            out = source / origin.relative_to(ROOT)
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, out)


def _asked_for(match: re.Match, executed: dict[str, Path], static: Path) -> str:
    """What stands for `<!-- widget NOTEBOOK NUMBER -->` on the home page: the states; nothing where they are not stored."""
    path = next((path for name, path in executed.items() if name.startswith(match[1])), None)
    return nth_widget(nbformat.read(path, 4), int(match[2]), static / "states", "_static/states") if path else ""


def assemble(source: Path, executed: dict[str, Path], repository: str | None) -> None:
    """Write the source of the book into an empty folder.

    Args:
        executed: name of a notebook -> a copy of it with other outputs; the stored ones are taken where it has none.
        repository: "owner/name" on GitHub, for the links that open a notebook elsewhere; None for no such links.
    """
    documents = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "notebooks/README.md",
                 *(p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md")))]
    for name in documents:
        text = (ROOT / name).read_text(encoding="utf-8")
        up = "../" * name.count("/")
        text = equation_anchors(text) if name == "docs/equations.md" else equation_links(text, up)
        text = text.replace("](solutions)", "](solutions/01_features.ipynb)").replace("](docs/book/index.md)", "](index.md)")
        if name == "docs/book/index.md":  # the first page lies at the root of the book
            text = text.replace("](../../", "](").replace("](instructor.md)", "](docs/book/instructor.md)")
        text = re.sub(r"<!-- widget (\d\d) (\d+) -->", lambda m: _asked_for(m, executed, source / "_static"), text)
        out = source / ("index.md" if name == "docs/book/index.md" else name)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        _copy_linked(out, source)
    for path in NOTEBOOKS:
        page = notebook_page(path, executed.get(path.name, path), source / "_static", launch_links(path, repository))
        (source / "notebooks" / path.name).write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")
    (source / "notebooks" / "solutions").mkdir()
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        page = nbformat.read(path, 4)
        for cell in page.cells:
            cell.source = equation_links(cell.source, "../../") if cell.cell_type == "markdown" else cell.source
        (source / "notebooks" / "solutions" / path.name).write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")
