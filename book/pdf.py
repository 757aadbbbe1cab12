"""The book on paper: its pages, printed by Chromium one after the other, with a table of contents to jump by."""

import io
import re
from collections.abc import Mapping
from pathlib import Path

from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject

from .chromium import chromium_page

WIDTH = 688
"""CSS pixels of a line on A4 between margins of 14 mm: what is wider there is wider on paper."""
FOOTER = ('<div style="width: 100%; font-size: 8px; font-family: sans-serif; color: #444; text-align: center;">'
          '<span class="title"></span> · <span class="pageNumber"></span></div>')


def order(site: Path) -> list[Path]:
    """The pages in the order of the book's contents: the home page, then as its links of the table of contents go."""
    home = (site / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<li class="toctree-l1"><a class="reference internal" href="([^"#]+)"', home)
    return [site / "index.html", *(site / link for link in dict.fromkeys(links))]


def lead_within(writer: PdfWriter, starts: Mapping[str, int]) -> None:
    """Have the links between pages lead to their sheets, and take away those to other files of the site.

    As Chromium prints them, they lead to files of the machine that printed.

    Args:
        starts: address of a page -> its first sheet, counted from 0.
    """
    for sheet in writer.pages:
        kept = ArrayObject()
        for one in sheet.get("/Annots", ()):
            link = one.get_object()
            address = link["/A"].get("/URI", "") if "/A" in link else ""
            if address.startswith("file:"):
                start = starts.get(address.partition("#")[0])
                if start is None:
                    continue
                target = writer.pages[start]
                del link["/A"]
                link[NameObject("/Dest")] = ArrayObject([target.indirect_reference, NameObject("/XYZ"), FloatObject(0),
                                                         FloatObject(target.mediabox.top), NullObject()])
            kept.append(one)
        sheet[NameObject("/Annots")] = kept


def print_book(site: Path, out: Path) -> int:
    """Write a PDF of all pages of a built site; returns the number of sheets.

    Folded text is open in it, a figure that can be moved is shown as it starts, and links between pages lead to sheets.

    Raises:
        InputError: Playwright or Chromium is not there.
    """
    writer, starts = PdfWriter(), {}
    with chromium_page() as page:
        page.set_viewport_size({"width": WIDTH, "height": 1000})
        page.emulate_media(media="print", color_scheme="light")
        for path in order(site):
            page.goto(path.as_uri())
            page.wait_for_load_state("networkidle")
            page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")
            page.evaluate("""async () => {
                document.querySelectorAll("details").forEach((part) => { part.open = true; });
                document.querySelectorAll("img").forEach((img) => { img.loading = "eager"; });
                document.querySelectorAll(".table-wrapper > table").forEach((table) => {
                    table.style.zoom = Math.min(1, table.parentElement.clientWidth / table.scrollWidth);
                    if (table.offsetHeight < 600) table.style.breakInside = "avoid";
                });
                await Promise.all([...document.images].map((img) => img.decode().catch(() => 0)));
            }""")
            sheets = page.pdf(format="A4", print_background=True, display_header_footer=True, header_template="<span></span>",
                              footer_template=FOOTER, margin={"top": "14mm", "bottom": "16mm", "left": "14mm", "right": "14mm"})
            starts[path.as_uri()] = first = len(writer.pages)
            for sheet in PdfReader(io.BytesIO(sheets)).pages:
                writer.add_page(sheet)
            writer.add_outline_item(page.title().split(" - ")[0], first)
    lead_within(writer, starts)
    writer.add_metadata({"/Title": "Video object segmentation, learned online", "/Author": "the vosedu authors"})
    writer.compress_identical_objects()
    with out.open("wb") as file:
        writer.write(file)
    return len(writer.pages)
