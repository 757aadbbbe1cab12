"""Real JupyterLab in headless Chromium: `make test-browser`. Skipped where Playwright or Chromium is not there.

With VOSEDU_SCREENSHOTS set to a folder, pictures of the widgets are left there.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest

from vosedu.teaching.states import Axis, States, webp

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
TOKEN = "vosedu-test"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser page, and JupyterLab on loopback at `page.lab`, serving copies of the notebooks in `page.root`.

    What scripts of the page throw is collected in `page.thrown`.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    root = tmp_path_factory.mktemp("lab")
    for path in NOTEBOOKS.glob("*.ipynb"):  # without outputs, so that what is seen is what was run
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell.update({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})
        (root / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
               f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}", "--LabApp.news_url=None"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={TOKEN}", timeout=1)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab ended"
                time.sleep(0.5)
        with sync_api.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1300, "height": 1500})
            page.lab, page.root, page.thrown = f"http://127.0.0.1:{port}/lab", root, []
            page.on("pageerror", lambda error: page.thrown.append(str(error)))
            yield page
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


def run_all(page, name):
    """Open a notebook in a fresh workspace, run all its cells, wait for the kernel to rest; no cell may end in an error."""
    page.thrown.clear()
    count = sum(c["cell_type"] == "code" for c in json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"])
    page.goto(f"{page.lab}/workspaces/{name.split('_')[0]}/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    page.get_by_text("| Idle").first.wait_for(timeout=60_000)  # the kernel has answered: before, a click is lost
    page.wait_for_timeout(2000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    end = time.monotonic() + 400
    while time.monotonic() < end:
        time.sleep(2)
        page.locator(".jp-WindowedPanel-outer").first.evaluate("e => e.scrollTop = e.scrollHeight")
        prompts = page.locator(".jp-NotebookPanel .jp-InputPrompt").all_inner_texts()
        if f"[{count}]:" in prompts and page.get_by_text("| Idle").count():
            break
        if page.locator("[data-mime-type='application/vnd.jupyter.error']").count():
            break  # no cell after it is run; what it says is in the file
    else:
        pytest.fail(f"{name} did not come to its end; prompts: {prompts}")
    ran = saved(page, name)
    assert [o["ename"] + ": " + o["evalue"] for c in ran for o in c["outputs"] if o["output_type"] == "error"] == []
    assert [c["execution_count"] for c in ran] == list(range(1, count + 1))


def saved(page, name):
    """The code cells as JupyterLab saves them: its page holds only those near the window."""
    path = page.root / name
    before = path.stat().st_mtime_ns
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=re.compile(r"^Save Notebook(?! As)")).click()
    end = time.monotonic() + 30
    while path.stat().st_mtime_ns == before and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(0.5)
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def changes(page, box, act):
    """Do something, and wait until the picture in the box is another one."""
    before = box.locator("img").first.get_attribute("src")
    act()
    page.wait_for_function(
        "([box, old]) => box.querySelector('img').src !== old", arg=[box.element_handle(), before], timeout=30_000
    )


def keep(page, locator, name):
    """A picture of an element, where pictures are asked for."""
    if folder := os.environ.get("VOSEDU_SCREENSHOTS"):
        locator.screenshot(path=str(Path(folder) / f"{name}.png"))


def boxes(page):
    """Every output that has a widget, scrolled to, with the index of its cell; from top to bottom."""
    panel, seen, ends = page.locator(".jp-WindowedPanel-outer").first, set(), 0
    panel.evaluate("e => e.scrollTop = 0")
    for _ in range(80):
        page.wait_for_timeout(200)
        for cell in page.locator(".jp-Cell:has(.jp-OutputArea-output .jupyter-widgets)").all():
            index = cell.get_attribute("data-windowed-list-index")
            if index not in seen:
                seen.add(index)
                cell.scroll_into_view_if_needed()
                page.wait_for_timeout(800)
                yield int(index), page.locator(f".jp-Cell[data-windowed-list-index='{index}'] .jp-OutputArea-output").last
        ends = ends + 1 if panel.evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 2") else 0
        if ends == 4:  # it grows as cells are drawn
            return
        panel.evaluate("e => e.scrollTop += 500")


def unnamed(box):
    """The controls in a box for which a screen reader has no words."""
    roles = "slider|button|checkbox|combobox|spinbutton|textbox|radio|img"
    return re.findall(rf'^ *- (?:{roles})(?! "[^"]).*', box.aria_snapshot(), re.M)


def operate(page, box):
    """Move a box's last slider by mouse and by key (those above it may wait for a button), or click another control; the
    picture must change each time."""
    handles = box.locator(".noUi-handle")
    if handles.count():
        handle = handles.last
        changes(page, box, lambda: drag(page, handle))
        changes(page, box, lambda: (handle.focus(), page.keyboard.press("ArrowLeft")))
    else:
        other = box.locator(".widget-toggle-button, .widget-toggle-buttons button:not(.mod-active), input[type=checkbox]").first
        changes(page, box, lambda: other.click())


def drag(page, handle):
    """A slider by the mouse, by 40 pixels towards the middle of its track."""
    handle.scroll_into_view_if_needed()
    at, track = handle.bounding_box(), handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]").bounding_box()
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + (40 if x < track["x"] + track["width"] / 2 else -40), y, steps=8)
    page.mouse.up()


def probe(page, box):
    """A click in the first of two frames sets both sliders to where it was."""
    image = box.locator("img.vosedu-image")
    size = image.bounding_box()
    natural = image.evaluate("async e => (await e.decode(), [e.naturalWidth, e.naturalHeight])")  # 0 until it is loaded
    changes(page, box, lambda: image.click(position={"x": size["width"] / 4, "y": size["height"] / 2}))
    found = [int(text) for text in box.locator(".widget-readout").all_inner_texts()]
    assert abs(found[0] - natural[0] / 4) <= 2 and abs(found[1] - natural[1] / 2) <= 2


def stroke(page, box):
    """What is painted by the mouse reaches Python, which sends the picture back."""
    canvas = box.locator("canvas")
    image = box.locator("div:has(> canvas) > img").first
    before, at = image.get_attribute("src"), canvas.bounding_box()
    page.mouse.move(at["x"] + 20, at["y"] + 20)
    page.mouse.down()
    page.mouse.move(at["x"] + 90, at["y"] + 60, steps=6)
    page.mouse.up()
    page.wait_for_function("([img, old]) => img.src !== old", arg=[image.element_handle(), before])


def expected(name):
    """The indices of the cells that show a widget, as committed."""
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    return [k for k, cell in enumerate(cells) if any("vosedu_widget" in o.get("metadata", {}) for o in cell.get("outputs", []))]


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb") if expected(path.name)))
def test_every_widget_is_operated_and_every_control_has_a_name(page, name):
    run_all(page, name)
    found = []
    for index, box in boxes(page):
        found.append(index)
        assert unnamed(box) == [], f"cell {index}"
        if box.locator("canvas").count():
            stroke(page, box)
        elif box.locator("img.vosedu-image").count():
            operate(page, box)
        if name.startswith("01"):
            probe(page, box)
        keep(page, box, f"{name.split('.')[0]}-{index}")
    assert set(expected(name)) <= set(found)
    assert page.thrown == []


@pytest.mark.parametrize("trusted", [False, True])
def test_a_notebook_that_was_not_run_shows_its_widgets(page, trusted):
    """The output that the book's notebooks have: a picture with its text; where the notebook is trusted, it can be moved."""
    pictures = tuple(webp(np.full((40, 60, 3), level, np.uint8), 80) for level in (10, 120, 240))
    states = States("A grey picture", (Axis("level", "slider", ("dark", "grey", "light"), 1),), pictures, (0, 1, 2), ("",) * 3)
    output = nbformat.v4.new_output("display_data", {"text/html": states.page(), "text/plain": "A grey picture."})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("toy.widget", outputs=[output])])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = page.root / f"states-{trusted}.ipynb"
    nbformat.write(notebook, path)
    if trusted:
        subprocess.run([sys.executable, "-m", "jupyter", "trust", str(path)], check=True, capture_output=True)
    page.thrown.clear()
    page.goto(f"{page.lab}/workspaces/states{trusted}/tree/{path.name}?token={TOKEN}&reset")
    image = page.locator(".jp-OutputArea-output img")
    image.wait_for(timeout=60_000)
    assert image.get_attribute("alt").startswith("A grey picture") and image.evaluate("e => e.naturalWidth") == 60
    slider = page.locator(".jp-OutputArea-output input[type=range]")
    assert slider.count() == trusted
    if trusted:
        box = slider.bounding_box()
        page.mouse.click(box["x"] + 0.98 * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_function("document.querySelector('.jp-OutputArea-output img').alt.includes('level light')")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("document.querySelector('.jp-OutputArea-output img').alt.includes('level grey')", timeout=10_000)
    assert page.thrown == []
