"""A picture that moves, for the README: the score map appears while a slider of the book is moved."""

import io
from pathlib import Path

from PIL import Image

from .chromium import chromium_page

PAGES = (("03_gauss_newton_cg", 1, 140), ("00_tour", 1, 110))
"""Notebook, which of its widgets, milliseconds a step; the last slider is moved from end to end."""


def record(site: Path, out: Path, width: int = 640) -> None:
    """Write an animated WebP of widgets of a built site, each moved from end to end by its keys.

    Raises:
        InputError: Playwright or Chromium is not there.
    """
    frames, times = [], []
    with chromium_page() as page:
        page.set_viewport_size({"width": 860, "height": 900})
        page.emulate_media(color_scheme="light")
        for name, number, wait in PAGES:
            page.goto((site / "notebooks" / f"{name}.html").as_uri())
            page.wait_for_load_state("networkidle")
            figure = page.locator("figure.vosedu-states").nth(number - 1)
            slider = figure.locator("input[type=range]").last
            slider.press("Home")
            for _ in range(int(slider.get_attribute("max")) + 1):
                figure.locator("img").evaluate("e => e.decode()")
                picture = Image.open(io.BytesIO(figure.screenshot())).convert("RGB")
                frames.append(picture.resize((width, round(picture.height * width / picture.width))))
                times.append(wait)
                slider.press("ArrowRight")
            times[-1] = 1500
    height = max(frame.height for frame in frames)
    sheets = []
    for frame in frames:
        sheets.append(Image.new("RGB", (width, height), "white"))
        sheets[-1].paste(frame, (0, (height - frame.height) // 2))
    sheets[0].save(out, save_all=True, append_images=sheets[1:], duration=times, loop=0, quality=55, method=4)
