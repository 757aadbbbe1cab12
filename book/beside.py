"""What belongs to the site and is made by other commands: the engine in a page, the book on paper, the poster."""

import shutil
from pathlib import Path

from vosedu.errors import InputError

ENGINE = Path(__file__).resolve().parents[1] / "web" / "dist"
"""Where `make web` puts the page of docs/web.md."""
PLACE = '<p id="also-here"></p>'
"""In the first page: where it is said what there is."""


def lay_beside(pages: Path, out: Path, engine: Path = ENGINE) -> list[str]:
    """Copy into the site what has been made: the engine's page, book.pdf, poster.pdf; the first page links to it.

    Args:
        pages: the site.
        out: folder with the PDF and the poster.
        engine: folder of the engine's page.

    Returns:
        Addresses of what is there now, as the first page has them.

    Raises:
        InputError: the first page has no place for the links.
    """
    found = {}
    if (engine / "index.html").is_file():
        shutil.copytree(engine, pages / "engine", dirs_exist_ok=True)
        found["engine/index.html"] = "the engine in your browser: paint an object, and watch D being learned"
    for name, text in (("book.pdf", "all of it on paper (PDF)"), ("poster.pdf", "a poster of the method (PDF)")):
        if (out / name).is_file():
            shutil.copy(out / name, pages / name)
            found[name] = text
    index = pages / "index.html"
    text = index.read_text(encoding="utf-8")
    if PLACE not in text:
        raise InputError(f"{index} has no place for links ({PLACE}): build the site anew")
    if found:
        links = "; ".join(f'<a href="{address}">{words}</a>' for address, words in found.items())
        index.write_text(text.replace(PLACE, f"<p>Also here: {links}.</p>"), encoding="utf-8")
    return list(found)
