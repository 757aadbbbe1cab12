"""The page in headless Chromium: `make test-web`. Skipped where Playwright, Chromium or the built page is not there.

It is served by Python's plain file server, below a path of its own. With VOSEDU_SCREENSHOTS set to a folder, pictures are
left there; with VOSEDU_DATA, a DAVIS sequence is segmented as a video file.
"""

import functools
import http.server
import io
import os
import shutil
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vosedu import BEST, Segmenter, load_clip
from vosedu.evaluation.metrics import jaccard
from vosedu.files.films import OverlayWriter
from vosedu.files.images import DAVIS_PALETTE

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "web" / "dist"
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
                "--use-vulkan=swiftshader"]
LONG = 900_000
"""Milliseconds that learning or a whole scene may take: the machine may be busy."""
pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's file server without its log."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page is served: a folder deep in a plain file server, on loopback."""
    if not (DIST / "index.html").is_file():
        pytest.skip("the page is not built: make web")
    root = tmp_path_factory.mktemp("server")
    (root / "some" / "where").mkdir(parents=True)
    (root / "some" / "where" / "page").symlink_to(DIST)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/some/where/page/"
    server.shutdown()


@pytest.fixture(scope="module")
def browsers():
    """Makes browsers with flags."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as play:
        made = []

        def launch(*flags):
            made.append(play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *(flags or ["--disable-gpu"])]))
            return made[-1]

        yield launch
        for browser in made:
            browser.close()


def opened(browser, address, query="", **options):
    """The page, ready; what it asked for and what its scripts threw is in `asked` and `thrown`."""
    page = browser.new_context(viewport={"width": 1300, "height": 950}, **options).new_page()
    page.asked, page.thrown = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.thrown.append(str(error)))
    page.goto(address + query)
    page.wait_for_selector("body[data-path]", timeout=LONG)
    return page


@pytest.fixture(scope="module")
def page(browsers, address):
    """One page for the tests that take each other's leavings."""
    return opened(browsers(), address, "?path=wasm")


def keep(page, name, **options):
    """A picture of the page, where pictures are asked for."""
    if folder := os.environ.get("VOSEDU_SCREENSHOTS"):
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=str(Path(folder) / f"{name}.png"), **options)


def status(page):
    """The one line."""
    return page.locator("#status").inner_text()


def idle(page):
    """Wait until nothing is under way; the line that is left."""
    page.wait_for_function("!document.body.dataset.busy", timeout=LONG)
    return status(page)


def choose(page, scene, rows=240, refine=True):
    """A scene, and how it is worked on."""
    page.click(f"[data-scene={scene}]")
    assert "frames" in idle(page)
    page.evaluate("document.querySelector('details').open = true")
    page.select_option("#rows", str(rows))
    page.set_checked("#refine", refine)
    idle(page)


def slide(page, setting, value):
    """Move a slider."""
    page.locator(f"#{setting}").evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')) }", value)


def learn(page):
    """Press Learn; what it says at the end."""
    page.click("#learn")
    said = idle(page)
    assert said.startswith("Learned"), said
    return said


def run(page):
    """Press Run, and wait for the end."""
    page.click("#run")
    said = idle(page)
    assert said.startswith("Segmented to the end"), said


def masks(page):
    """The masks of the zip that `Save masks` gives: name -> ids (H, W), and the file's modes."""
    with page.expect_download(timeout=LONG) as download:
        page.click("#save-masks")
    idle(page)
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as file:
        images = {name: Image.open(io.BytesIO(file.read(name))) for name in file.namelist()}
    assert {image.mode for image in images.values()} == {"P"}
    assert all(image.getpalette()[:60] == DAVIS_PALETTE[:20].ravel().tolist() for image in images.values())
    return {name: np.asarray(image) for name, image in images.items()}


def mean_j(found, truth):
    """Mean J over objects, of all frames but the first and the last."""
    ids = [i for i in np.unique(truth[0]) if i]
    return float(np.mean([[jaccard(a == i, b == i) for a, b in zip(found[1:-1], truth[1:-1], strict=True)] for i in ids]))


def frame_box(page):
    """Where the frame is in the window, after scrolling there."""
    page.evaluate("window.scrollTo(0, 0)")
    return page.locator("#frame").bounding_box()


def pixels(page, canvas):
    """What is drawn on a canvas, as a data address."""
    return page.locator(canvas).evaluate("e => e.toDataURL()")


def test_the_page_says_what_it_runs_on_and_asks_nobody_else(page, address):
    machine = page.locator("#machine").inner_text()
    assert "WebAssembly with SIMD" in machine and page.evaluate("crossOriginIsolated")
    assert page.asked and all(url.startswith((address, "blob:", "data:")) for url in page.asked)
    assert page.thrown == []


def test_bad_input_is_one_line(page, tmp_path):
    choose(page, "tumble", 120, False)
    page.click("#clear")
    page.click("#learn")
    assert idle(page) == "nothing is marked: paint an object first"
    for name, content, words in (("no.mp4", b"no video", "is not a video"), ("empty.mp4", b"", "is empty")):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_function("document.getElementById('status').classList.contains('error')")
        assert words in idle(page) and name in status(page)
    assert page.thrown == []


def test_a_painted_object_is_learned_and_found(page):
    choose(page, "tumble", 120, False)
    truth = load_clip("tumble", frames=12)
    rows, columns = np.nonzero(truth.masks[0] == 1)
    box = frame_box(page)
    scale = box["width"] / truth.size[1]
    page.click("[data-tool=ellipse]")
    page.mouse.move(box["x"] + columns.min() * scale, box["y"] + rows.min() * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + columns.max() * scale, box["y"] + rows.max() * scale, steps=4)
    page.mouse.up()
    page.click("[data-tool=brush]")  # a stroke far away, and back
    before = pixels(page, "#frame")
    page.mouse.move(box["x"] + 15, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 20, steps=3)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert pixels(page, "#frame") != before
    page.keyboard.press("Control+z")
    page.wait_for_timeout(200)
    assert pixels(page, "#frame") == before
    slide(page, "samples", 6)
    learn(page)
    page.click("#run")
    page.wait_for_function("Number(document.getElementById('at').value) >= 8", timeout=LONG)
    page.click("#stop")
    assert idle(page).startswith("Paused")
    found = list(masks(page).values())
    assert 9 <= len(found) < 40
    scores = [jaccard(a == 1, b == 1) for a, b in zip(found[1:9], truth.masks[1:9], strict=True)]
    assert np.mean(scores) > 0.6, scores


def test_sliders_learn_again_and_a_correction_is_learned_from(page):
    before = pixels(page, "#scores")
    slide(page, "target_share", -0.2)
    page.wait_for_timeout(300)
    assert idle(page).startswith("Learned") and page.locator("#at").input_value() == "0"
    assert pixels(page, "#scores") != before
    page.click("#run")
    page.wait_for_function("Number(document.getElementById('at').value) >= 3", timeout=LONG)
    page.click("#stop")
    idle(page)
    at = int(page.locator("#at").input_value())
    page.click("#truth")
    idle(page)
    page.click("#correct")
    assert f"corrected frame {at}" in idle(page)
    found = masks(page)
    assert len(found) == at + 1 and jaccard(list(found.values())[at] == 1, load_clip("tumble").masks[at] == 1) == 1
    run(page)
    assert page.thrown == []


def test_keyboard_alone_paints(page):
    choose(page, "tumble", 120, False)
    page.focus("#frame")
    before = pixels(page, "#frame")
    for key in ("ArrowRight", "Shift+ArrowDown", " ", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert pixels(page, "#frame") != before
    page.keyboard.press("x")
    assert page.locator("[data-tool=eraser]").get_attribute("aria-pressed") == "true"
    page.keyboard.press("b")


@pytest.mark.parametrize(("scene", "least"), [("tumble", 0.8), ("huddle", 0.8), ("lookalikes", 0.5)])
def test_scenes_are_segmented_as_well_as_in_python(page, scene, least):
    clip = load_clip(scene)
    segmenter = Segmenter.from_pretrained("compact", config=BEST, device="cpu", short_side=240)
    video = segmenter.start(clip.frames[0], clip.masks[0])
    python = [clip.masks[0], *(video.step(frame).cpu().numpy() for frame in clip.frames[1:])]
    choose(page, scene)
    slide(page, "samples", 20)
    slide(page, "target_share", -1)
    page.click("#truth")
    idle(page)
    learn(page)
    keep(page, f"learned-{scene}")
    run(page)
    keep(page, f"segmented-{scene}")
    found = list(masks(page).values())
    here, there = mean_j(found, clip.masks), mean_j(python, clip.masks)
    print(f"{scene}: J {here:.4f} in the page, {there:.4f} in Python; {dict(page.evaluate('({...document.body.dataset})'))}")
    assert len(found) == len(clip.frames) and found[5].shape == clip.size
    assert abs(here - there) < 0.02 and there > least


def video_of(folder, frames, fps=12):
    """Frames as a video file that browsers play."""
    path = folder / "clip.mp4"
    with OverlayWriter(path, fps, frames[0].shape[:2]) as film:
        for frame in frames:
            film.add(frame)
    return path


def test_a_video_file_is_segmented_and_its_film_can_be_read(page, tmp_path):
    data = os.environ.get("VOSEDU_DATA")
    davis = Path(data or "absent") / "davis2016"
    if davis.is_dir():
        clip = load_clip("blackswan", frames=8, root=davis, dataset="davis2016")
        painted = (clip.masks[0] > 0).astype(np.uint8)
    else:
        clip = load_clip("tumble", frames=8)
        painted = (clip.masks[0] == 1).astype(np.uint8)
    page.set_input_files("#file", video_of(tmp_path, clip.frames))
    page.wait_for_function("document.getElementById('status').textContent.includes('clip.mp4: 8 frames')", timeout=LONG)
    idle(page)
    page.select_option("#rows", "240")
    page.set_checked("#refine", True)
    rows, columns = np.nonzero(painted)
    box = frame_box(page)
    scale = box["width"] / clip.size[1]
    page.locator("#radius").evaluate("e => { e.value = 6; e.dispatchEvent(new Event('input')) }")
    page.click("[data-tool=brush]")
    for y in range(rows.min() + 4, rows.max() - 3, 8):  # strokes across the object
        edges = np.flatnonzero(np.diff(np.pad(painted[y], 1)))
        for start, end in edges.reshape(-1, 2):
            if end - start > 12:
                page.mouse.move(box["x"] + (start + 6) * scale, box["y"] + y * scale)
                page.mouse.down()
                page.mouse.move(box["x"] + (end - 6) * scale, box["y"] + y * scale, steps=2)
                page.mouse.up()
    slide(page, "samples", 6)
    slide(page, "target_share", -1)
    learn(page)
    run(page)
    found = list(masks(page).values())
    scores = [jaccard(a == 1, b > 0) for a, b in zip(found[1:], clip.masks[1:], strict=True)]
    print("video file: J", np.round(scores, 3))
    assert np.mean(scores) > 0.6, scores
    with page.expect_download(timeout=LONG) as download:
        page.click("#save-film")
    idle(page)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    film = cv2.VideoCapture(str(path))
    read, first = film.read()
    assert read and int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == 8 and first.shape[:2] == clip.size
    y, x = rows[len(rows) // 2], columns[len(rows) // 2]  # tinted red there
    assert first[y, x, 2] - int(clip.frames[0][y, x, 0]) * 0.55 > 30
    assert page.thrown == []


def test_memory_is_flat_over_a_long_video(browsers, address, tmp_path):
    page = opened(browsers(), address, "?path=wasm")
    frame = load_clip("tumble", short_side=120, frames=1)
    frames = [np.roll(frame.frames[0], n % 9, axis=1) for n in range(300)]
    page.set_input_files("#file", video_of(tmp_path, frames, 25))
    page.wait_for_function("document.getElementById('status').textContent.includes('300 frames')", timeout=LONG)
    page.evaluate("document.querySelector('details').open = true")
    page.set_checked("#refine", False)
    page.select_option("#rows", "120")
    page.locator("#frame").evaluate("e => e.focus()")
    for key in (" ", "ArrowRight", " "):
        page.keyboard.press(key)
    slide(page, "samples", 2)
    learn(page)
    page.click("#run")
    used = {}
    for at in (100, 200, 299):
        page.wait_for_function(f"Number(document.getElementById('at').value) >= {at}", timeout=LONG)
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        used[at] = float(page.evaluate("document.body.dataset.megabytes")), heap
    print("megabytes of D's memory and of the page:", used)
    assert used[299][0] == used[100][0]
    assert used[299][1] < used[100][1] + 40
    idle(page)


def test_the_page_works_offline_once_loaded(browsers, address):
    page = opened(browsers(), address, "?path=wasm")
    page.get_by_text("Kept for use offline").wait_for(timeout=LONG)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-path]", timeout=LONG)
    page.click("[data-scene=fast]")
    assert "Faster than the shutter: 40 frames" in idle(page)
    assert page.thrown == []


def test_the_code_is_shown_beside_the_equations(browsers, address):
    page = browsers().new_page(viewport={"width": 1300, "height": 950})
    page.goto(address + "how.html")
    assert page.locator("math").count() >= 5
    assert "export function* conjugate_gradient" in page.locator("body").inner_text()
    keep(page, "how")


def test_a_phone_has_no_line_that_is_too_long(browsers, address):
    page = opened(browsers(), address, "?path=wasm", is_mobile=True, has_touch=True, device_scale_factor=2,
                  screen={"width": 390, "height": 844})
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = frame_box(page)
    before = pixels(page, "#frame")
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    assert pixels(page, "#frame") != before
    keep(page, "phone", full_page=True)


def test_webgpu_computes_the_same_under_a_software_adapter(browsers, address):
    page = opened(browsers(*SOFTWARE_GPU), address)
    if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
        pytest.skip("this Chromium has no software adapter for WebGPU")
    assert page.evaluate("document.body.dataset.path") == "wasm", "a software adapter is not chosen by itself"
    found = {}
    for path in ("webgpu", "wasm"):
        page.goto(f"{address}?path={path}")
        page.wait_for_selector(f"body[data-path={path}]", timeout=LONG)
        choose(page, "tumble", 120)
        page.click("#truth")
        slide(page, "samples", 3)
        learn(page)
        page.click("#run")
        page.wait_for_function("Number(document.getElementById('at').value) >= 3", timeout=LONG)
        page.click("#stop")
        idle(page)
        print(page.locator("#machine").inner_text(), "rate", page.evaluate("document.body.dataset.rate"))
        found[path] = list(masks(page).values())[1:4]
    same = [jaccard(a, b) for a, b in zip(found["webgpu"], found["wasm"], strict=True)]
    print("J of the two paths' masks against each other:", same)
    assert min(same) > 0.97
