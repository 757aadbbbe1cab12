"""A browser without a window, for what is printed: the PDF and the pictures of slides."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vosedu.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium_page() -> Iterator["Page"]:
    """A page of the Chromium of this machine.

    Raises:
        InputError: Playwright or Chromium is not there.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise InputError('printing needs Playwright: pip install -e ".[browser]"') from None
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        raise InputError(f"printing needs Chromium, and there is none of {', '.join(NAMES)}: on Debian, apt install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1000, "height": 1400})
        browser.close()
