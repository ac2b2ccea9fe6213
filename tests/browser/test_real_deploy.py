"""The guest book in a real browser, while real deploys change what is live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.load, pytest.mark.timeout(400)]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """The sample, deployed."""
    with Product(tmp_path / "product") as product:
        product.ok("deploy")
        yield product


def told(page: Page) -> str:
    """What the footer shows."""
    return " ".join(page.locator("footer deploy-status").evaluate("it => it.shadowRoot.textContent").split())


def test_an_open_tab_learns_from_a_real_deploy_that_it_is_old(product: Product, page: Page) -> None:
    """Its footer tells version, time and state of what is live; after a deploy it says so, and waits for the person."""
    first = product.head
    page.goto(product.url("frontend", "/"))
    page.wait_for_selector("deploy-status[state=pass]")
    assert f"Version {first[:7]}" in told(page)
    assert "deployed" in told(page)
    assert "The service works." in told(page)

    second = product.change_frontend("Another one")
    product.ok("deploy")
    # Whoever comes back within half a minute of the last look is shown nothing new.
    page.evaluate("setInterval(() => dispatchEvent(new Event('focus')), 1000)")
    page.get_by_text("Another version is live than this page shows.").wait_for(timeout=45_000)

    assert f"Version {first[:7]}" in told(page)
    page.get_by_role("button", name="Reload").click()
    page.wait_for_selector("deploy-status[state=pass]")
    assert f"Version {second[:7]}" in told(page)
    assert "Another version" not in told(page)
