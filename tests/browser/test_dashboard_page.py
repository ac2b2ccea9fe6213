"""The page that says what is live, in a real browser: both schemes, two widths, the keyboard, and once it is old."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploylib.dashboard import page as pages
from tests.support.shown_site import shown_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.load

PHONE, SCREEN = 360, 1280
PICTURES = os.environ.get("PICTURES", "")  # a folder for those of the documents


def opened(page: Page, folder: Path, *, ago: timedelta = timedelta(0), width: int = SCREEN) -> None:
    """Show a page that was made a while ago, from a folder as a web server would."""
    pages.write_page(shown_site(datetime.now(UTC) - ago), str(folder), lambda text: text)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((folder / "index.html").as_uri())


@pytest.mark.parametrize("width", [PHONE, SCREEN])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("public", [False, True])
def test_nobody_is_kept_out(page: Page, tmp_path: Path, scheme: str, width: int, *, public: bool) -> None:
    """No violation for axe with everything opened, and nothing is wider than the window."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    pages.write_page(shown_site(datetime.now(UTC), public=public), str(tmp_path), lambda text: text)
    page.goto((tmp_path / "index.html").as_uri())
    if PICTURES and not public and (width == PHONE) is (scheme == "dark"):
        page.screenshot(path=f"{PICTURES}/dashboard-{'light' if width == SCREEN else 'phone'}.png")
    if PICTURES and not public and (scheme, width) == ("light", SCREEN):
        page.locator("#production figure").screenshot(path=f"{PICTURES}/dashboard-runs.png")
    for details in page.query_selector_all("details"):
        details.evaluate("each => { each.open = true; }")

    # The policy of the page forbids a script that is not its own, and axe is one: it comes by the protocol of the browser.
    found = Axe().run(page)

    assert found.violations_count == 0, json.dumps(found.response["violations"], indent=1)[:4000]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_that_is_old_says_so_and_turns_grey(page: Page, tmp_path: Path) -> None:
    """After twice the time between two makings of it, and not before."""
    opened(page, tmp_path, ago=timedelta(minutes=119))
    assert page.inner_text("#old") == ""
    assert "grayscale" not in page.evaluate("getComputedStyle(document.querySelector('main')).filter")

    opened(page, tmp_path, ago=timedelta(hours=50))

    assert page.inner_text("#old") == "This page is old: it was made 2 days ago. What it says may be so no more."
    assert page.get_attribute("#old", "role") == "status"
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main')).filter")


def test_a_page_that_is_left_open_grows_old(page: Page, tmp_path: Path) -> None:
    """Without being loaded again."""
    page.clock.install()
    opened(page, tmp_path)
    assert page.inner_text("#old") == ""

    page.clock.fast_forward("02:30:00")

    assert page.inner_text("#old").startswith("This page is old: it was made 2 hours ago.")


def test_every_figure_opens_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    """To the runs that it counts and those that it leaves out; each thing that takes a key shows where one is."""
    opened(page, tmp_path)
    card = page.locator("#production ul.cards > li", has_text="Change failure rate")
    summary = card.locator("summary")

    summary.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") in {"solid", "auto"}
    page.keyboard.press("Enter")

    assert card.locator("h4").all_inner_texts() == ["Counted", "Left out"]
    assert card.locator("li").count() > 30
    for region in page.query_selector_all(".scroll"):
        assert region.get_attribute("tabindex") == "0"
        assert region.get_attribute("aria-label")


def test_the_state_is_told_in_words_and_signs(page: Page, tmp_path: Path) -> None:
    """Never by colour alone; the picture has a name, and the table says the same."""
    opened(page, tmp_path)

    states = page.locator(".state")
    assert {text.split()[-1] for text in states.all_inner_texts()} >= {"pass", "warn", "unreachable", "unknown"}
    sign = "each => getComputedStyle(each, '::before').content"
    assert page.locator("#production .state.unreachable").first.evaluate(sign) == '"✗ "'
    assert page.locator("#production svg[role=img]").first.get_attribute("aria-label")
    assert page.locator("#production tbody tr").count() == page.locator("#production figure g").count() == 50


def test_without_a_script_it_says_when_it_was_made(page: Page, tmp_path: Path) -> None:
    """What stands there needs none."""
    browser = page.context.browser
    assert browser is not None
    opened(page, tmp_path)
    plain = browser.new_context(java_script_enabled=False)
    tab = plain.new_page()
    tab.goto((tmp_path / "index.html").as_uri())

    assert "UTC" in tab.inner_text("header p")
    assert tab.locator("#production .cards").count() == 2
    plain.close()
