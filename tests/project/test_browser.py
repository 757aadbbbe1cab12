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


def show(page, selector):
    """Scroll until the element is drawn (JupyterLab draws only what is near the window); returns it."""
    panel = page.locator(".jp-WindowedPanel-outer").first
    panel.evaluate("e => e.scrollTop = 0")
    for _ in range(60):
        found = page.locator(selector)
        if found.count() and found.first.is_visible():
            found.first.scroll_into_view_if_needed()
            page.wait_for_timeout(800)
            return found.first
        panel.evaluate("e => e.scrollTop += 500")
        page.wait_for_timeout(150)
    pytest.fail(f"nothing like {selector} in the notebook")


def keep(page, locator, name):
    """A picture of an element, where pictures are asked for."""
    if folder := os.environ.get("VOSEDU_SCREENSHOTS"):
        locator.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.mark.parametrize("name", ["00_tour.ipynb", "03_gauss_newton_cg.ipynb"])
def test_a_dragged_slider_changes_the_picture(page, name):
    run_all(page, name)
    show(page, ".jp-OutputArea-output img.vosedu-image")
    box = page.locator(".jp-OutputArea-output:has(img.vosedu-image)").first
    handle = box.locator(".noUi-handle").first

    def drag():
        handle.scroll_into_view_if_needed()
        at = handle.bounding_box()
        x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y, steps=8)
        page.mouse.up()

    reading = box.locator(".widget-readout").first
    before = reading.inner_text()
    changes(page, box, drag)
    assert reading.inner_text() != before
    changes(page, box, lambda: (handle.focus(), page.keyboard.press("ArrowLeft")))
    keep(page, box, name.split(".")[0])
    assert page.thrown == []


def test_a_click_moves_the_probe(page):
    run_all(page, "01_features.ipynb")
    image = show(page, ".jp-OutputArea-output img.vosedu-image")
    box = page.locator(".jp-OutputArea-output:has(img.vosedu-image)").first
    size = image.bounding_box()
    natural = image.evaluate("async e => (await e.decode(), [e.naturalWidth, e.naturalHeight])")  # 0 until it is loaded
    changes(page, box, lambda: image.click(position={"x": size["width"] / 4, "y": size["height"] / 2}))
    found = [int(text) for text in box.locator(".widget-readout").all_inner_texts()]
    assert abs(found[0] - natural[0] / 4) <= 2 and abs(found[1] - natural[1] / 2) <= 2
    keep(page, box, "01_features")
    assert page.thrown == []


def test_a_stroke_reaches_python(page):
    run_all(page, "09_your_own_video.ipynb")
    canvas = show(page, ".jp-OutputArea-output canvas")
    image = page.locator(".jp-OutputArea-output div:has(> canvas) > img").first
    before = image.get_attribute("src")
    keep(page, page.locator(".jp-OutputArea-output:has(canvas)").first, "09_your_own_video")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=6)
    page.mouse.up()
    page.wait_for_function("([img, old]) => img.src !== old", arg=[image.element_handle(), before])
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
