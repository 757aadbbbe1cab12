"""From the source of the book to its pages, by Sphinx, and the slides beside them."""

import re
import shutil
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from sphinx.cmd.build import build_main

from vosedu.errors import InputError
from vosedu.teaching.states import SCRIPT

from .execute import NOTEBOOKS
from .pages import assemble
from .slides import build_slides

HERE = Path(__file__).parent

MENDED = (
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="The book">'),
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-label="This page">'),
    ("<pre>", '<pre tabindex="0">'),
    ('<th class="head"><p></p></th>', '<td class="head"></td>'),
)
"""What the theme leaves undone for who uses keys or a screen reader: what scrolls can be reached, landmarks have names."""


def mathjax() -> Path:
    """MathJax 3 in one file, its glyphs included, as the package sphinx-mathjax-offline has it."""
    return Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg.js"))


def mended(page: str) -> str:
    """A page as the theme makes it, with `MENDED` put right and a heading where it has none."""
    for old, new in MENDED:
        page = page.replace(old, new)
    page = re.sub(r'<div class="table-wrapper[^"]*"', r'\g<0> tabindex="0"', page)
    return page if "<h1" in page else page.replace('<article role="main" id="furo-main-content">',
                                                   '<article role="main" id="furo-main-content"><h1>Search</h1>')


def build_site(out: Path, executed: dict[str, Path], repository: str | None = None) -> Path:
    """Build the site into `out`/html, in place of what is there.

    Args:
        executed: name of a notebook -> a copy of it with other outputs; the stored ones are taken where it has none.
        repository: "owner/name" on GitHub, for the links that open a notebook elsewhere; None for no such links.

    Raises:
        InputError: Sphinx has something to complain of; it says what on the screen.
    """
    pages = out / "html"
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "html"
        shutil.copytree(HERE / "static", source / "_static")
        shutil.copy(SCRIPT, source / "_static" / "scrub.js")
        (source / "_static" / "mathjax").mkdir()
        shutil.copy(mathjax(), source / "_static" / "mathjax")
        shutil.copy(HERE / "conf.py", source)
        assemble(source, executed, repository)
        failed = build_main(["-b", "html", "-q", "-W", "--keep-going", "-j", "2", str(source), str(made)])
        if failed:
            raise InputError("the book has not been built: see Sphinx's warnings above")
        shutil.rmtree(made / ".doctrees", ignore_errors=True)
        for page in made.rglob("*.html"):
            page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
        notebooks = made / "notebooks"
        for path in sorted((source / "notebooks").glob("[0-9]*.ipynb")):
            shutil.copy(executed.get(path.name, HERE.parent / "notebooks" / path.name), notebooks / path.name)
        build_slides(made, {path.name[:2]: executed.get(path.name, path) for path in NOTEBOOKS})
        shutil.rmtree(pages, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        shutil.move(made, pages)
    return pages
