"""Slides for a class of ninety minutes: the figures and widgets of the notebooks, with the speaker's notes of `slides.md`."""

import html
import re
import shutil
from base64 import b64decode
from importlib.metadata import distribution
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from vosedu.errors import InputError
from vosedu.teaching.states import SCRIPT

from .pages import is_widget, nth_widget

SOURCE = Path(__file__).with_name("slides.md")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Video object segmentation, learned online: slides</title>
<link rel="stylesheet" href="reveal/reveal.css"><link rel="stylesheet" href="slides.css">
<script>window.MathJax = {{svg: {{fontCache: "global"}}, options: {{enableMenu: false}}}};</script>
<script defer src="../_static/mathjax/tex-svg.js"></script></head>
<body><div class="reveal"><main class="slides">
{slides}
</main></div>
<script src="reveal/reveal.js"></script><script src="reveal/notes/notes.js"></script><script src="{script}"></script>
<script>Reveal.initialize({{hash: true, slideNumber: "c/t", width: 1280, height: 760, margin: 0.03, transition: "none",
  keyboardCondition: (event) => !["INPUT", "SELECT"].includes(document.activeElement.tagName),
  plugins: [RevealNotes]}});</script>
</body></html>
"""


def reveal() -> Path:
    """The folder of reveal.js, as the package sphinx-revealjs has it."""
    return Path(distribution("sphinx-revealjs").locate_file("sphinx_revealjs/_static/revealjs"))


def figure(notebook: NotebookNode, number: int) -> tuple[list[str], str]:
    """The pictures of a figure (base64 PNG), and their text: the outputs of the last cell with pictures above its caption.

    Raises:
        InputError: the notebook has no such figure.
    """
    pictures, alt = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith(f"*Figure {number}. "):
            return pictures, alt
        found = [o.data["image/png"] for o in cell.get("outputs", ()) if "image/png" in o.get("data", {}) and not is_widget(o)]
        if found:
            pictures, alt = found, cell.metadata.get("alt", "")
    raise InputError(f"the slides show Figure {number} of a notebook that has none: correct book/slides.md")


def _math(content: str, options: dict) -> str:
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{left}{html.escape(content)}{right}"


class Deck:
    """The slides as HTML.

    Args:
        notebooks: number such as "03" -> the notebook.
        folder: of the slides; figures go into its folder `pictures`, widgets' states to those of the book's pages, beside it.
    """

    def __init__(self, notebooks: dict[str, NotebookNode], folder: Path):
        self.notebooks, self.folder, self.count = notebooks, folder, 0
        self.markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=_math)

    def slide(self, text: str) -> str:
        """One slide: Markdown, with `@figure NOTEBOOK NUMBER` and `@widget NOTEBOOK NUMBER`, and notes after `Note:`."""
        body, _, notes = text.partition("\nNote:\n")
        parts = []
        for part in re.split(r"^(@\w+ \d\d \d+)$", body, flags=re.M):
            order = re.fullmatch(r"@(figure|widget) (\d\d) (\d+)", part)
            parts.append(getattr(self, f"_{order[1]}")(order[2], int(order[3])) if order else self.markdown.render(part))
        return f'<section>{"".join(parts)}<aside class="notes">{self.markdown.render(notes)}</aside></section>'

    def _notebook(self, number: str) -> NotebookNode:
        if number not in self.notebooks:
            raise InputError(f"the slides show something of notebook {number}, and there is none: correct book/slides.md")
        return self.notebooks[number]

    def _figure(self, number: str, which: int) -> str:
        pictures, alt = figure(self._notebook(number), which)
        out = []
        for content in pictures:
            self.count += 1
            name = f"pictures/figure{self.count}.png"
            (self.folder / name).write_bytes(b64decode(content))
            out.append(f'<img src="{name}" alt="{html.escape(alt)}">')
        return f'<figure class="shown">{"".join(out)}</figure>'

    def _widget(self, number: str, which: int) -> str:
        return nth_widget(self._notebook(number), which, self.folder.parent / "_static" / "states", "../_static/states")


def build_slides(site: Path, notebooks: dict[str, Path]) -> Path:
    """Write the slides into `site`/slides; returns the page.

    Args:
        site: the built book, whose MathJax and script they use.
        notebooks: number such as "03" -> the notebook whose outputs are taken.

    Raises:
        InputError: `slides.md` names a figure or a widget that is not there.
    """
    folder = site / "slides"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    deck = Deck({number: nbformat.read(path, 4) for number, path in notebooks.items()}, folder)
    slides = [deck.slide(text.strip()) for text in SOURCE.read_text(encoding="utf-8").split("\n---\n")]
    page = PAGE.format(slides="\n".join(slides), script=f"../_static/{SCRIPT.name}")
    (folder / "index.html").write_text(page, encoding="utf-8")
    shutil.copy(SOURCE.with_name("slides.css"), folder)
    (folder / "reveal" / "notes").mkdir(parents=True, exist_ok=True)
    for name in ("reveal.js", "reveal.css"):
        shutil.copy(reveal() / "dist" / name, folder / "reveal")
    for name in ("notes.js", "speaker-view.html"):
        shutil.copy(reveal() / "plugin" / "notes" / name, folder / "reveal" / "notes")
    shutil.copy(reveal() / "LICENSE", folder / "reveal")
    return folder / "index.html"
