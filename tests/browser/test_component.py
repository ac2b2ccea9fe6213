"""``<deploy-status>`` in a real browser: each state, an old tab, and what it never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from deploylib.health import Language
from tests.support.website import Asked, Reply, Website, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.load

OLD, NEW, THIRD = "a" * 40, "b" * 40, "c" * 40
# As strict as a page can be: no style and no script of its own text.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<meta name="release" content="{release}"><script type="module" src="/deploy-status.js"></script></head>
<body><main><h1>Shop</h1></main><footer>
<deploy-status health="/api/health" link="https://github.com/me/shop/commit/{{release}}">Version {short}</deploy-status>
</footer></body></html>"""
SURE = 7_000  # ms: a difference counts once it was seen twice, five seconds apart


@dataclass
class Shop:
    """A page and its health.

    Attributes:
        release: of the page that is served.
        health: its answer.
        loads: how often the page was asked for by a person, and not by the component.
    """

    site: Website
    release: str = OLD
    health: Reply = field(default_factory=lambda: answer("pass"))
    page_status: int = 200
    loads: int = 0

    def reply(self, asked: Asked) -> Reply:
        """Answer a request."""
        match asked.path:
            case "/":
                self.loads += asked.headers.get("sec-fetch-dest") == "document"
                body = PAGE.format(release=self.release, short=self.release[:7]).encode()
                headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
                return Reply(self.page_status, body, headers)
            case "/deploy-status.js":
                return Reply(200, Language.BROWSER.file.read_bytes(), {"Content-Type": "text/javascript"})
            case "/api/health":
                return self.health
        return Reply(404)


def answer(status: str, code: int = 200, **more: Any) -> Reply:
    """A health answer."""
    deployed = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    body = {"status": status, "releaseId": OLD, "deployedAt": deployed, **more}
    return Reply(code, json.dumps(body).encode(), {"Content-Type": "application/health+json"})


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that serves."""
    with serving(lambda _: Reply(404)) as site:
        made = Shop(site)
        site.answer = made.reply
        yield made


def told(page: Page) -> str:
    """What the component shows, as text; its sign is not read aloud."""
    return " ".join(page.locator("deploy-status").evaluate("it => it.shadowRoot.textContent").split())


def come_back(page: Page) -> None:
    """The person comes back to the tab; the last look is long ago."""
    page.evaluate("const it = document.querySelector('deploy-status'); it.look(0)")


@pytest.mark.parametrize(
    ("health", "state", "words"),
    [
        (answer("pass"), "pass", "✓ The service works."),
        (answer("warn"), "warn", "! The service works, with trouble."),
        (answer("fail", 503), "fail", "✗ The service is out of order."),
        (Reply(502, b"<h1>Bad gateway</h1>"), "unreachable", "? The service cannot be reached."),
    ],
    ids=["pass", "warn", "fail", "unreachable"],
)
def test_every_state_has_a_sign_and_words(page: Page, shop: Shop, health: Reply, state: str, words: str) -> None:
    """Told as a status, so that it is read aloud; the sign is not."""
    shop.health = health
    page.goto(shop.site.url)
    page.wait_for_selector(f"deploy-status[state={state}]")

    assert words in told(page)
    status = page.get_by_role("status")
    assert status.inner_text().strip().endswith(words[2:])
    assert "Version aaaaaaa" in told(page)
    snapshot = page.locator("footer").aria_snapshot()
    assert words[2:] in snapshot
    assert words[:2] not in snapshot


def test_the_version_leads_to_its_commit_and_the_time_is_told(page: Page, shop: Shop) -> None:
    """The whole commit and the exact moment are there for who looks."""
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")

    link = page.get_by_role("link", name="aaaaaaa")
    assert link.get_attribute("href") == f"https://github.com/me/shop/commit/{OLD}"
    assert "Version aaaaaaa · deployed 2 hours ago" in told(page)
    assert page.locator("time").get_attribute("datetime")


def test_a_service_of_another_commit_is_told_apart(page: Page, shop: Shop) -> None:
    """A page and its service are deployed each by itself: that is no old page."""
    shop.health = answer("pass", releaseId=NEW)
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")
    page.wait_for_timeout(SURE)

    assert "service bbbbbbb" in told(page)
    assert "Another version" not in told(page)


def test_an_open_tab_learns_that_it_is_old_and_stays(page: Page, shop: Shop) -> None:
    """Once what is served has been another one twice; only the person reloads it."""
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")
    shop.release = NEW
    come_back(page)
    assert "Another version" not in told(page)
    page.get_by_text("Another version is live than this page shows.").wait_for(timeout=SURE)

    assert "Version aaaaaaa" in told(page)
    assert shop.loads == 1
    page.get_by_role("button", name="Reload").click()
    page.wait_for_selector("deploy-status[state=pass]")
    assert "Version bbbbbbb" in told(page)
    assert "Another version" not in told(page)
    assert shop.loads == 2


def test_a_failed_asset_makes_a_tab_look(page: Page, shop: Shop) -> None:
    """A file of its build is gone: nobody has to come back to it for that."""
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")
    shop.release = NEW
    page.wait_for_timeout(5_500)  # a look was just made
    page.evaluate("document.body.append(Object.assign(new Image(), { src: '/assets/gone.png' }))")

    page.get_by_text("Another version is live than this page shows.").wait_for(timeout=SURE)


@pytest.mark.parametrize("served", ["a bad answer", "no commit", "back again"])
def test_what_nobody_knows_is_silence(page: Page, shop: Shop, served: str) -> None:
    """A page that fails, or names nothing, or is the same again a moment later, says nothing about this one."""
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")
    shop.release = {"a bad answer": NEW, "no commit": "unknown", "back again": NEW}[served]
    shop.page_status = 500 if served == "a bad answer" else 200
    come_back(page)
    page.wait_for_timeout(1_000)
    shop.release = OLD if served == "back again" else shop.release
    page.wait_for_timeout(SURE)

    assert "Another version" not in told(page)


def test_an_answer_without_a_meaning_is_silence(page: Page, shop: Shop) -> None:
    """No state is shown; the version is."""
    shop.health = Reply(200, b"<h1>Login</h1>", {"Content-Type": "text/html"})
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state='']", state="attached")

    assert told(page) == "Version aaaaaaa"


def test_a_visitor_who_is_offline_is_not_told_that_the_service_is(page: Page, shop: Shop) -> None:
    """It is the visitor who is gone."""
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=pass]")
    page.context.set_offline(True)
    come_back(page)
    page.wait_for_timeout(500)

    assert "The service works." in told(page)


def test_without_scripts_what_stands_inside_is_shown(chromium: Any, shop: Shop) -> None:
    """The version, as the build wrote it."""
    with chromium.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(shop.site.url)

        assert tab.locator("footer").inner_text() == "Version aaaaaaa"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_keeps_anybody_from_reading_it(page: Page, shop: Shop, scheme: Any, width: int) -> None:
    """No violation for axe, with the message of an old tab shown, at two widths and in both schemes."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    shop.health = answer("warn")
    page.goto(shop.site.url)
    page.wait_for_selector("deploy-status[state=warn]")
    shop.release = NEW
    come_back(page)
    page.get_by_text("Another version is live than this page shows.").wait_for(timeout=SURE)

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
