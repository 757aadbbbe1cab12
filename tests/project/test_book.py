"""The book: what is put together for Sphinx, the pages that come out, and, in a browser, that they live without a kernel.

The tests take the notebooks' stored outputs, which takes seconds; with VOSEDU_BOOK set to a built site (`make test-book`) they
look at that one, where every widget must move.
"""

import json
import os
import re
import shutil
from base64 import b64decode, b64encode
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import cv2
import nbformat
import numpy as np
import pytest
from PIL import Image

from vosedu.errors import InputError
from vosedu.teaching.states import MARK, SCRIPT, Axis, States

pytest.importorskip("sphinx", reason='pip install -e ".[book]"')

from pypdf import PdfWriter
from pypdf.annotations import Link

from book import chromium, colab, execute, pages, pdf, poster, slides, strip
from book.__main__ import main
from book.beside import lay_beside
from book.execute import NOTEBOOKS, ROOT, all_executed, executed, key
from book.site import build_site, mended

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
AXE = ROOT / "book" / "node_modules" / "axe-core" / "axe.min.js"
REPOSITORY = "someone/something"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built pages."""
    if folder := os.environ.get("VOSEDU_BOOK"):
        return Path(folder).resolve()
    return build_site(tmp_path_factory.mktemp("book"), {}, REPOSITORY)


@pytest.mark.parametrize("text, wanted", [
    ("by eq. (4), and", 'by <a href="../docs/equations.html#eq-4">eq. (4)</a>, and'),
    ("eq. 3", '<a href="../docs/equations.html#eq-3">eq. 3</a>'),
    ("eqs. 1 to 4", '<a href="../docs/equations.html#eq-1">eqs. 1</a> to 4'),
    ("`eq. (4)` $eq. (4)$ [eq. (4)](x) seq. (4) eq. 7", "`eq. (4)` $eq. (4)$ [eq. (4)](x) seq. (4) eq. 7"),
    ("# From eq. (2)\nand eq. (2)", '# From eq. (2)\nand <a href="../docs/equations.html#eq-2">eq. (2)</a>'),
    ("```\neq. (1)\n```", "```\neq. (1)\n```"),
])
def test_equations_lead_to_the_map(text, wanted):
    assert pages.equation_links(text, "../") == wanted


def test_the_map_has_a_place_for_each_equation():
    text = pages.equation_anchors((ROOT / "docs" / "equations.md").read_text(encoding="utf-8"))
    for number in range(1, 6):
        line, = (line for line in text.splitlines() if f'<span id="eq-{number}"></span>' in line)
        assert re.match(rf"\| <span[^>]*></span>[^|]*eq\. {number}\b", line)


def test_a_solution_is_the_function_without_its_check():
    found = pages.solution("pixel_weights", ROOT / "notebooks" / "solutions" / "02_weighted_l2_loss.ipynb")
    assert found.startswith("def my_pixel_weights(") and "assert" not in found and found.endswith("return squared.sqrt()")
    assert pages.solution("nothing", ROOT / "notebooks" / "solutions" / "02_weighted_l2_loss.ipynb") is None
    assert pages.solution("pixel_weights", ROOT / "none.ipynb") is None


def test_states_lie_beside_the_page(tmp_path):
    pictures = (b"first picture", b"second picture")
    page = States("A picture", (Axis("x", "slider", ("0", "1"), 1),), pictures, (0, 1), ("a", "b")).page()
    found = pages.apart(page, tmp_path / "states", "../_static/states")
    assert "base64" not in found and "<script>" not in found and SCRIPT.read_text(encoding="utf-8") not in found
    record = json.loads(re.search(r'<script type="application/json">(.*?)</script>', found)[1])
    assert [(tmp_path / "states" / Path(url).name).read_bytes() for url in record["pictures"]] == list(pictures)
    assert f'src="{record["pictures"][1]}"' in found and all(url.startswith("../_static/states/") for url in record["pictures"])


def cell_with(output, **metadata):
    """A notebook of a heading and a cell with one output."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 05 · Title\n\ntext"),
                                               nbformat.v4.new_code_cell("x", outputs=[output], metadata=metadata)])
    return notebook


@pytest.mark.parametrize("data, wanted", [
    ({"text/html": '<figure class="vosedu-states"><img src="data:image/webp;base64,AAAA"></figure>'}, "_static/states/"),
    ({"image/png": "AAAA", "text/plain": 'A "picture".'}, 'alt="A &quot;picture&quot;." src="data:image/png;base64,AAAA"'),
    ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox(children=())"}, "the figure above shows the same"),
], ids=["states", "stored", "view"])
def test_what_stands_for_a_widget(tmp_path, data, wanted):
    path = tmp_path / "05_refinement.ipynb"
    nbformat.write(cell_with(nbformat.v4.new_output("display_data", data, metadata={MARK: "Toy"})), path)
    page = pages.notebook_page(path, path, tmp_path, "<p>links</p>")
    output, = page.cells[1].outputs
    assert list(output.data) == ["text/html"] and wanted in output.data["text/html"] and "VBox" not in output.data["text/html"]
    assert page.cells[0].source == "# 05 · Title\n\n<p>links</p>\n\ntext"


def test_other_outputs_stay_and_have_their_text(tmp_path):
    path = tmp_path / "05_refinement.ipynb"
    nbformat.write(cell_with(nbformat.v4.new_output("display_data", {"image/png": "AAAA"}), alt="what is seen"), path)
    cell = pages.notebook_page(path, path, tmp_path, "").cells[1]
    assert cell.metadata["mystnb"] == {"image": {"alt": "what is seen"}} and cell.outputs[0].data == {"image/png": "AAAA"}


def test_links_that_open_a_notebook():
    path = NOTEBOOKS[3]
    assert re.findall(r'href="([^"]*)"', pages.launch_links(path, None)) == [path.name]
    _, colab, binder = re.findall(r'href="([^"]*)"', pages.launch_links(path, REPOSITORY))
    assert colab == f"https://colab.research.google.com/github/{REPOSITORY}/blob/colab/{path.name}"
    assert binder == f"https://mybinder.org/v2/gh/{REPOSITORY}/HEAD?labpath=notebooks%2F{path.name}"


def test_a_notebook_is_run_once_and_carries_its_states(tmp_path):
    path = tmp_path / "05_toy.ipynb"
    sources = ["import ipywidgets\nimport numpy as np\nfrom vosedu.teaching.widget import Widget",
               "class Toy(Widget):\n    def __init__(self):\n        self.a = ipywidgets.IntSlider(max=2, description='a')\n"
               "        super().__init__([self.a], 9, 'a grey picture')\n\n"
               "    def picture(self):\n        return np.full((8, 8, 3), 90 * self.a.value, np.uint8)",
               "toy = Toy()\ntoy.widget", "toy.a.value = 1"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbformat.write(notebook, path)
    out = executed(path, tmp_path / "out")
    found = nbformat.read(out, 4)
    assert [cell.source for cell in found.cells] == sources
    output, = found.cells[2].outputs
    assert output.data["text/html"].count("data:image/webp") == 4 and "widget-view" not in " ".join(output.data)
    assert '"start":0' in output.data["text/html"], "as it was when displayed"
    stamp = out.stat().st_mtime_ns
    assert executed(path, tmp_path / "out").stat().st_mtime_ns == stamp, "nothing has changed"
    before, notebook.cells[3].source = key(path), "toy.a.value = 2"
    nbformat.write(notebook, path)
    assert key(path) != before and executed(path, tmp_path / "out").stat().st_mtime_ns != stamp


def test_a_notebook_is_run_again_when_what_it_reads_has_changed(tmp_path, monkeypatch):
    names = ("vosedu/solver.py", "vosedu/teaching/scrub.js", "data/weights/a.safetensors", "data/scenes/JPEGImages/a/0.jpg",
             "docs/davis.md", "docs/training.csv")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    found = [key(NOTEBOOKS[7])]
    for name in names:
        (tmp_path / name).write_text("after")
        found.append(key(NOTEBOOKS[7]))
    assert len({*found}) == len(found)


def test_notebooks_that_run_at_once_keep_their_own_outputs(tmp_path):
    paths = [tmp_path / f"0{k}_toy.ipynb" for k in range(2)]
    for k, path in enumerate(paths):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"print({k})")]), path)
    found = all_executed(paths, tmp_path / "out")
    assert list(found) == [path.name for path in paths]
    for k, path in enumerate(paths):
        assert nbformat.read(found[path.name], 4).cells[0].outputs[0].text == f"{k}\n"


def test_views_of_widgets_are_not_stored(tmp_path):
    view, png = "application/vnd.jupyter.widget-view+json", {"image/png": "AAAA", "text/plain": "A picture."}
    notebook = cell_with(nbformat.v4.new_output("display_data", {view: {"model_id": "a"}, **png}))
    notebook.metadata["widgets"] = {"state": {}}
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert strip.main([str(tmp_path / "a.ipynb")]) == 0
    found = nbformat.read(tmp_path / "a.ipynb", 4)
    assert found.cells[1].outputs[0].data == png and "widgets" not in found.metadata
    before = (tmp_path / "a.ipynb").read_bytes()
    assert strip.main([str(tmp_path / "a.ipynb")]) == 0 and (tmp_path / "a.ipynb").read_bytes() == before


def slides_of(tmp_path, text, notebook):
    (tmp_path / "pictures").mkdir()
    return slides.Deck({"05": notebook}, tmp_path).slide(text)


def test_a_slide_has_a_figure_a_widget_a_formula_and_notes(tmp_path):
    first = nbformat.v4.new_output("display_data", {"image/png": "AAAA"})
    second = nbformat.v4.new_output("display_data", {"image/png": "BBBB"})
    shown = nbformat.v4.new_output("display_data", {"image/png": "CCCC", "text/plain": "A widget."}, metadata={MARK: "Toy"})
    notebook = cell_with(first, alt="the first figure")
    notebook.cells += [
        nbformat.v4.new_markdown_cell("*Figure 1. One.*"), nbformat.v4.new_code_cell("y", outputs=[shown]),
        nbformat.v4.new_code_cell("z", outputs=[second], metadata={"alt": "the second figure"}),
        nbformat.v4.new_markdown_cell("text"), nbformat.v4.new_markdown_cell("*Figure 2. With *stress*.*"),
    ]
    page = slides_of(tmp_path, "## Head\n\n@figure 05 2\n\n@widget 05 1\n\n$a < b$\n\nNote:\n0:05. Say **this**.", notebook)
    assert page.startswith("<section><h2>Head</h2>") and '<aside class="notes"><p>0:05. Say <strong>this</strong>.</p>' in page
    assert 'alt="the second figure"' in page and (tmp_path / "pictures" / "figure1.png").read_bytes() == b64decode("BBBB")
    assert 'alt="A widget."' in page and r"\(a &lt; b\)" in page


@pytest.mark.parametrize("order", ["@figure 05 3", "@widget 05 1", "@figure 07 1"])
def test_a_slide_of_something_that_is_not_there_is_one_line(tmp_path, order):
    notebook = cell_with(nbformat.v4.new_output("display_data", {"image/png": "AAAA"}))
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        slides_of(tmp_path, order, notebook)


def test_the_slides_are_a_class_of_ninety_minutes():
    times, texts = [], slides.SOURCE.read_text(encoding="utf-8").split("\n---\n")
    for text in texts:
        body, _, notes = text.partition("\nNote:\n")
        hours, minutes = map(int, re.match(r"(\d):(\d\d)\. ", notes).groups())
        times.append(60 * hours + minutes)
        assert len(body.split()) < 80
    assert times == sorted(times) and times[0] == 0 and 85 <= times[-1] < 90 and len(times) >= 20
    notes = slides.SOURCE.read_text(encoding="utf-8")
    assert notes.count("They get wrong") >= 5 and notes.count("Answer") >= 4


def test_the_pages_are_printed_in_the_order_of_the_contents(site):
    found = [path.relative_to(site).as_posix() for path in pdf.order(site)]
    assert found[0] == "index.html" and len(found) == len(set(found)) >= 30
    assert found[1 : 1 + len(NOTEBOOKS)] == [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
    assert all((site / name).is_file() for name in found) and "docs/book/instructor.html" in found


def test_links_on_paper_lead_to_sheets():
    writer = PdfWriter()
    for _ in range(3):
        writer.add_blank_page(100, 100)
    for address in ("file:///x/b.html", "file:///x/b.html#place", "file:///x/slides.zip", "https://example.org/b.html"):
        writer.add_annotation(0, Link(rect=(0, 0, 9, 9), url=address))
    pdf.lead_within(writer, {"file:///x/a.html": 0, "file:///x/b.html": 2})
    found = [one.get_object() for one in writer.pages[0]["/Annots"]]
    assert [link["/Dest"][0] == writer.pages[2].indirect_reference for link in found[:2]] == [True, True]
    assert not any("/A" in link for link in found[:2])
    assert [link["/A"]["/URI"] for link in found[2:]] == ["https://example.org/b.html"]


def test_the_poster_has_every_map(tmp_path):
    def flat(level, size=(30, 54)):
        return np.full((*size, 3), level, np.uint8)

    losses, features = [9.0 / (k + 1) for k in range(46)], [flat(50 + k, (8 >> k or 1, 14 >> k or 1)) for k in range(5)]
    found = poster.Maps(flat(20), [flat(k) for k in range(8)], [flat(30, (4, 7))] * 4, losses, flat(40), features,
                        flat(60, (4, 7)), flat(70))
    poster.draw_poster(tmp_path, found)
    assert (tmp_path / "poster.pdf").read_bytes().startswith(b"%PDF")
    picture = cv2.imread(str(tmp_path / "poster.png"))
    assert picture.shape[:2] == (round(60 * 23.4), round(60 * 33.1))
    for level in (20, 30, 40, *range(50, 55), 60, 70):
        assert (picture == level).all(axis=2).sum() > 2000, level


def test_a_notebook_for_colab_installs_first(tmp_path):
    assert colab.main([str(tmp_path), "https://example.org/vosedu.whl"]) == 0
    for path in NOTEBOOKS:
        found, original = nbformat.read(tmp_path / path.name, 4), nbformat.read(path, 4)
        assert "%pip install --quiet https://example.org/vosedu.whl" in found.cells[0].source
        assert [cell.source for cell in found.cells[1:]] == [cell.source for cell in original.cells]
        assert not any(cell.get("outputs") for cell in found.cells)


def test_colab_without_an_address_is_one_line(capsys):
    assert colab.main([]) == 2 and capsys.readouterr().err.count("\n") == 1


def test_printing_without_chromium_is_one_line(monkeypatch):
    pytest.importorskip("playwright")
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"^[^\n]*apt install chromium$"), chromium.chromium_page():
        pass


def test_binder_takes_its_packages_from_pyproject():
    text = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
    assert re.findall(r"^  - (\S+)", text, re.M) == ["conda-forge", "python=3.12", "pip", "pytorch-cpu", "torchvision"]
    post = ROOT / "binder" / "postBuild"
    assert "pip install --no-cache-dir --editable ." in post.read_text(encoding="utf-8")
    assert os.name == "nt" or os.access(post, os.X_OK)


def test_the_workflow_builds_tests_and_publishes():
    text = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    order = ("make web", "make test-book", "python -m book --pdf --poster", "pip wheel", "book.colab", "upload-pages-artifact",
             "deploy-pages")
    steps = [text.index(part) for part in order]
    assert steps == sorted(steps)
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ntest-book: book " in targets and "\nbook-print: " in targets


def test_the_moving_picture_of_the_readme_moves_and_is_light():
    path = ROOT / "docs" / "book.webp"
    assert path.stat().st_size < 3_000_000 and "docs/book.webp" in (ROOT / "README.md").read_text(encoding="utf-8")
    with Image.open(path) as found:
        assert found.n_frames > 40
        shown = []
        for k in (0, 20, 45, found.n_frames - 1):
            found.seek(k)
            shown.append(np.asarray(found.convert("RGB"), int))
    assert all(np.abs(a - b).mean() > 1 for a, b in pairwise(shown))


def test_what_the_theme_leaves_undone():
    assert mended('<th class="head"><p></p></th><h1>x</h1><pre>a</pre>') == (
        '<td class="head"></td><h1>x</h1><pre tabindex="0">a</pre>')
    assert "<h1>Search</h1>" in mended('<article role="main" id="furo-main-content">')


def test_what_is_made_elsewhere_is_laid_beside_and_linked(tmp_path):
    pages, out, engine = tmp_path / "html", tmp_path, tmp_path / "dist"
    pages.mkdir(), engine.mkdir()
    first = '<h1>Book</h1><p id="also-here"></p><p>end</p>'
    (pages / "index.html").write_text(first)
    assert lay_beside(pages, out, engine) == [] and (pages / "index.html").read_text() == first, "no link that leads nowhere"
    (engine / "index.html").write_text("engine")
    (out / "poster.pdf").write_text("poster")
    assert lay_beside(pages, out, engine) == ["engine/index.html", "poster.pdf"]
    links = Page((pages / "index.html").read_text()).links
    assert links == ["engine/index.html", "poster.pdf"] and all((pages / link).is_file() for link in links)
    with pytest.raises(InputError, match="no place for links"):
        lay_beside(pages, out, engine)


def test_bad_flags_are_one_line(capsys):
    with pytest.raises(SystemExit) as error:
        main(["--nothing"])
    assert error.value.code == 2 and "Traceback" not in capsys.readouterr().err


class Page(HTMLParser):
    """What a page refers to, and the texts of its pictures."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.alts, self.ids = [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        if tag == "img":
            self.alts.append(found.get("alt"))
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag != "a" and (target := found.get("src") or (found.get("href") if tag == "link" else None)):
            self.loaded.append(target)


def read_pages(site):
    """The book's own pages: the engine's, where it lies beside them, have their own tests (tests/web)."""
    paths = sorted(path for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "engine")
    return {path: Page(path.read_text(encoding="utf-8")) for path in paths}


def test_nothing_is_fetched_from_elsewhere_and_every_file_is_there(site):
    found = read_pages(site)
    assert len(found) >= 36
    for path, page in found.items():
        for target in page.loaded:
            assert target.startswith("data:") or not re.match(r"[a-z]+:|//", target), f"{path.name} loads {target}"
            file = path.parent / re.split(r"[?#]", target)[0]
            assert target.startswith(("data:", "#")) or file.is_file(), f"{path.name} loads {target}"
    for style in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.S)
        assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", text), style.name


def test_every_link_leads_somewhere(site):
    found = read_pages(site)
    for path, page in found.items():
        for target in page.links:
            file, _, place = target.partition("#")
            if re.match(r"[a-z]+:", target) or not target or path.name in ("genindex.html", "search.html"):
                continue
            file = (path.parent / file).resolve() if file else path
            assert file.is_file(), f"{path.name}: {target}"
            assert not place or file.suffix != ".html" or place in found[file].ids, f"{path.name}: {target}"


def test_every_picture_has_a_text(site):
    for path, page in read_pages(site).items():
        for alt in page.alts:
            assert alt and len(alt) >= 10 and "No description" not in alt, path.name
        text = path.read_text(encoding="utf-8")
        assert "VBox(" not in text, path.name


def test_exercises_have_folded_help(site):
    for notebook in NOTEBOOKS:
        stubs = sum("exercise" in c.metadata.get("tags", ()) for c in nbformat.read(notebook, 4).cells)
        text = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert [text.count(f"<summary>{word}</summary>") for word in ("Hint 1", "Hint 2", "Solution")] == [stubs] * 3
        assert "<summary>Answers</summary>" in text


def test_pages_lead_on_and_can_be_searched(site):
    text = (site / "notebooks" / "03_gauss_newton_cg.html").read_text(encoding="utf-8")
    assert 'class="next-page" href="04_augmentation.html"' in text
    assert 'class="prev-page" href="02_weighted_l2_loss.html"' in text
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "notebooks/03_gauss_newton_cg" in index and "hesten" in index


def test_pages_are_light(site):
    """A page with all that it can ask for, the states of its widgets among it; what all pages share is not counted."""
    for path in sorted((site / "notebooks").glob("[0-9]*.html")):
        text = path.read_text(encoding="utf-8")
        files = {(path.parent / name) for name in re.findall(r"[\w./]+\.(?:png|webp|jpg|svg)\b", text)}
        weight = len(text.encode()) + sum(file.stat().st_size for file in files if file.is_file())
        assert weight < 6_000_000, f"{path.name}: {weight / 1e6:.1f} MB"


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def open_page(browser, url, **options):
    """A page that may ask for nothing but files below the site; what goes wrong is in `page.wrong`."""
    page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **options})
    page.wrong, root = [], url.split("/html/")[0]

    def judge(route):
        address = route.request.url
        if address.startswith((root, "data:", "blob:")):
            return route.continue_()
        page.wrong.append(f"asked for {address}")
        route.abort()

    page.route("**/*", judge)
    page.on("requestfailed", lambda request: page.wrong.append(f"failed: {request.url}"))
    page.on("response", lambda r: page.wrong.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 0) : 0")
    return page


RAW = r"""() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (/\$|\\\(|\\\[|VBox\(/.test(node.data) && !node.parentElement.closest("pre, code, script, style, mjx-container"))
      found.push(node.data.trim().slice(0, 80));
  }
  return found;
}"""


def all_pages(site):
    return [path for path in sorted(site.rglob("*.html")) if not {"_static", "slides", "engine"} & {*path.parts}]


def faults(page):
    """What axe finds, folded text opened."""
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({preload: false}).then(result => result.violations)")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@pytest.mark.browser
def test_every_page_opens_from_its_folder(browser, site):
    """By file://, everything else blocked: nothing fails, no formula is raw, axe finds nothing, it fits a phone."""
    formulas = 0
    for path in all_pages(site):
        page = open_page(browser, path.as_uri())
        assert page.wrong == [], path.name
        assert page.evaluate(RAW) == [], path.name
        formulas += page.locator("mjx-container").count()
        assert not AXE.is_file() or faults(page) == [], path.name
        page.set_viewport_size({"width": 375, "height": 800})  # a phone
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path.name
        page.close()
    assert formulas > 300, "formulas are set"


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index.html", "notebooks/03_gauss_newton_cg.html", "docs/davis.html"])
def test_dark_pages_have_contrast(browser, site, name):
    if not AXE.is_file():
        pytest.skip("axe-core is not there: npm install in book/")
    page = open_page(browser, (site / name).as_uri(), color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert faults(page) == []
    page.close()


@pytest.mark.browser
def test_the_search_finds_a_word_from_any_address(browser, site, tmp_path):
    """From a folder, and from a web server below a path."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "html").symlink_to(site, target_is_directory=True)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        for root in (site.as_uri(), f"http://127.0.0.1:{server.server_address[1]}/some/html"):
            page = open_page(browser, f"{root}/search.html?q=hestenes")
            page.locator("#search-results li a").first.wait_for(timeout=10_000)
            page.wait_for_timeout(500)
            assert "03 ·" in page.locator("#search-results").inner_text() and page.wrong == []
            page.close()
    finally:
        server.shutdown()


def shown_picture(figure):
    return figure.locator("img").first.get_attribute("src")


def moves(page, figure, act):
    """Do something, and see the picture change, decoded, and its text with it."""
    before, text = shown_picture(figure), figure.locator("img").first.get_attribute("alt")
    act()
    page.wait_for_function("([f, old]) => f.querySelector('img').src !== old", arg=[figure.element_handle(), before])
    figure.locator("img").first.evaluate("e => e.decode()")
    assert shown_picture(figure) != before and figure.locator("img").first.get_attribute("alt") != text


def slide(page, figure, row):
    """Move a slider by mouse and by keys; False where it changes nothing in the setting that is shown."""
    control, box = row.locator("input").first, row.locator("input").first.bounding_box()
    low = int(control.input_value()) < int(control.get_attribute("max")) / 2
    before = shown_picture(figure)
    page.mouse.click(box["x"] + (0.98 if low else 0.02) * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_timeout(200)
    if shown_picture(figure) == before:
        return False
    key = "ArrowLeft" if low else "ArrowRight"
    moves(page, figure, lambda: (control.focus(), [page.keyboard.press(key) for _ in range(3)]))
    assert control.get_attribute("aria-valuetext") == row.locator("output").inner_text()
    return True


def switch(page, figure, row):
    """Press a switch by mouse and by key."""
    control = row.locator("input").first
    moves(page, figure, control.click)
    moves(page, figure, lambda: (control.focus(), page.keyboard.press("Space")))
    return True


def operate(page, figure):
    """Move one control of a figure by mouse and by keys; every control has a name. False where none changes the picture."""
    rows = figure.locator(".vosedu-controls > div")
    for number in range(rows.count()):
        row = rows.nth(number)
        row.scroll_into_view_if_needed()
        assert row.locator("input, select").first.evaluate("e => e.labels.length") > 0
        act = {"vosedu-slider": slide, "vosedu-switch": switch}.get(row.get_attribute("class"))
        if act and act(page, figure, row):
            return True
    return False


@pytest.mark.browser
def test_every_widget_moves(browser, site):
    """Each in its page, by mouse and by keys. A site of stored outputs has none; there only the test below is made."""
    if not os.environ.get("VOSEDU_BOOK"):
        pytest.skip("VOSEDU_BOOK is not set to a site whose notebooks were run")
    names = 0
    for path in sorted((site / "notebooks").glob("[0-9]*.html")):
        page = open_page(browser, path.as_uri())
        figures = page.locator("figure.vosedu-states")
        for number in range(figures.count()):
            assert operate(page, figures.nth(number)), f"{path.name}, widget {number + 1}"
            names += 1
        assert page.wrong == []
        page.close()
    assert names >= 13


@pytest.mark.browser
def test_every_slide_fits_and_its_widgets_move(browser, site):
    page = open_page(browser, (site / "slides" / "index.html").as_uri(), viewport={"width": 1280, "height": 760})
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    assert page.evaluate(RAW) == []
    moved = 0
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({number})")
        page.wait_for_timeout(100)
        bottom = page.evaluate("""Math.max(...[...Reveal.getCurrentSlide().children].filter((part) => !part.matches('aside'))
            .map((part) => part.getBoundingClientRect().bottom))""")
        assert bottom <= 750, f"slide {number + 1} ends at {bottom}"
        figure = page.locator("section.present figure.vosedu-states")
        if figure.count():
            assert operate(page, figure.first), f"slide {number + 1}"
            assert page.evaluate("Reveal.getIndices().h") == number, "arrow keys in a slider do not turn the page"
            moved += 1
    assert page.wrong == [] and (moved >= 4 or not os.environ.get("VOSEDU_BOOK"))
    page.close()


@pytest.mark.browser
def test_each_setting_shows_its_own_picture(browser, tmp_path):
    """Controls of each kind, on pictures that are known: what is shown is that of the setting, however it was set."""
    def svg(number):
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100"><text y="50">{number}</text></svg>'.encode()

    axes = (Axis("x", "slider", ("10", "20", "30"), 1), Axis("y", "slider", ("0", "50"), 0, 50),
            Axis("view", "choice", ("all", "mask"), 0), Axis("scene", "choice", tuple("abcdef"), 2),
            Axis("centred", "switch", ("False", "True"), 1))
    count = 3 * 2 * 2 * 6 * 2
    found = States("A picture", axes, tuple(svg(k) for k in range(count)), tuple(reversed(range(count))),
                   tuple(f"number {k}" for k in range(count)), (0.5, 1.0))
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><meta charset='utf-8'>" + found.page().replace("image/webp", "image/svg+xml"))
    page = open_page(browser, file.as_uri())
    figure = page.locator("figure")
    at = [axis.start for axis in axes]

    def right(moved=True):
        place = 0
        for axis, value in zip(axes, at, strict=True):
            place = place * len(axis.labels) + value
        wanted = f"data:image/svg+xml;base64,{b64encode(svg(count - 1 - place)).decode()}"
        said = ", ".join(f"{axis.name} {axis.labels[value]}" for axis, value in zip(axes, at, strict=True))
        assert shown_picture(figure) == wanted and figure.locator("p").inner_text() == f"number {place}"
        return figure.locator("img").get_attribute("alt") == f"A picture. {said + '. ' if moved else ''}number {place}"

    assert right(moved=False)
    page.get_by_label("x", exact=True).press("ArrowRight")
    at[0] = 2
    assert right()
    page.get_by_label("mask").click()
    at[2] = 1
    assert right()
    page.get_by_label("mask").press("ArrowLeft")
    at[2] = 0
    assert right()
    page.get_by_label("scene").select_option("e")
    at[3] = 4
    assert right()
    page.get_by_label("centred").press("Space")
    at[4] = 0
    assert right()
    page.get_by_role("button", name="play").click()
    page.wait_for_function("document.querySelector('button').textContent === 'play'")
    at[1] = 1
    assert right()
    box = figure.locator("img").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"] * 0.35, box["y"] + 0.1 * box["height"])
    at[:2] = 0, 0
    assert right()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.9 * box["height"])
    assert right() and page.wrong == [], "the other half of the picture cannot be clicked"
