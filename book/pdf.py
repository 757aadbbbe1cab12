"""The book on paper: its pages, printed by Chromium one after the other, with a table of contents to jump by."""

import io
import re
from pathlib import Path

from pypdf import PdfReader, PdfWriter

from .chromium import chromium_page

FOOTER = ('<div style="width: 100%; font-size: 8px; font-family: sans-serif; color: #444; text-align: center;">'
          '<span class="title"></span> · <span class="pageNumber"></span></div>')


def order(site: Path) -> list[Path]:
    """The pages in the order of the book's contents: the home page, then as its links of the table of contents go."""
    home = (site / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<li class="toctree-l1"><a class="reference internal" href="([^"#]+)"', home)
    return [site / "index.html", *(site / link for link in dict.fromkeys(links))]


def print_book(site: Path, out: Path) -> int:
    """Write a PDF of all pages of a built site; returns the number of sheets.

    Folded text is open in it, and a figure that can be moved is shown as it starts.

    Raises:
        InputError: Playwright or Chromium is not there.
    """
    writer = PdfWriter()
    with chromium_page() as page:
        page.emulate_media(media="print", color_scheme="light")
        for path in order(site):
            page.goto(path.as_uri())
            page.wait_for_load_state("networkidle")
            page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")
            page.evaluate("""async () => {
                document.querySelectorAll("details").forEach((part) => { part.open = true; });
                document.querySelectorAll("img").forEach((img) => { img.loading = "eager"; });
                await Promise.all([...document.images].map((img) => img.decode().catch(() => 0)));
            }""")
            sheets = page.pdf(format="A4", print_background=True, display_header_footer=True, header_template="<span></span>",
                              footer_template=FOOTER, margin={"top": "14mm", "bottom": "16mm", "left": "14mm", "right": "14mm"})
            reader, first = PdfReader(io.BytesIO(sheets)), len(writer.pages)
            for sheet in reader.pages:
                writer.add_page(sheet)
            writer.add_outline_item(page.title().split(" - ")[0], first)
    writer.add_metadata({"/Title": "Video object segmentation, learned online", "/Author": "the vosedu authors"})
    writer.compress_identical_objects()
    with out.open("wb") as file:
        writer.write(file)
    return len(writer.pages)
