"""What is not known stops what goes forward and never what goes back, and is told as what it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.shop import FIRST, Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A product whose migrations another tool applies, released once."""
    made = Shop(tmp_path_factory.mktemp("unknown") / "product")
    try:
        made.migrate("001_products.sql", FIRST)
        made.ok("deploy")
        yield made
    finally:
        made.clean()


def test_back_over_a_release_after_another_tools_migration(shop: Shop) -> None:
    """The schema is what the history last applied, and the release that is live is never the one that is advised."""
    colour = shop.migrate("006_colour.sql", "alter table products add column colour text;\n")
    shop.ok("deploy")
    shop.commit("Code only", {"api/note.txt": "1"})
    shop.ok("deploy")

    planned = shop.ok("rollback", "--dry-run")

    assert f"{colour[:7]}" in planned.said
    assert "not known" not in planned.said
    assert "nothing to go back to" not in shop.ok("status").out
    shop.ok("rollback")
    assert shop.served()["api"] == colour
