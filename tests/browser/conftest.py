"""A real headless browser; without one these tests fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
# What the browser itself says of an answer that a story is about.
EXPECTED = ("Failed to load resource",)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    from playwright.sync_api import sync_playwright  # only the session `browser` has it

    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    assert path, f"no browser: none of {', '.join(NAMES)} is on the PATH; Debian: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab in which nothing goes wrong unseen."""
    said: list[str] = []
    tab = chromium.new_page()
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    tab.close()
    assert [text for text in said if not text.startswith(EXPECTED)] == []
