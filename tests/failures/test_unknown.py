"""What is not known stops what goes forward and never what goes back, and is told as what it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.shop import FIRST, Shop

pytestmark = pytest.mark.load  # each rule has a test by itself, too


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A product whose migrations another tool applies, released once."""
    with Shop(tmp_path_factory.mktemp("unknown") / "product") as product:
        product.migrate("001_products.sql", FIRST)
        product.ok("deploy")
        yield product


def test_back_over_a_release_after_another_tools_migration(shop: Shop) -> None:
    """The schema is what the history last applied, and the release that is live is never the one that is advised."""
    colour = shop.migrate("006_colour.sql", "alter table products add column colour text;\n")
    assert "rehearsed on the restored copy: 1 migration" in shop.ok("deploy").said
    shop.commit("Code only", {"api/note.txt": "1"})
    shop.ok("deploy")

    planned = shop.ok("rollback", "--dry-run")

    assert f"{colour[:7]}" in planned.said
    assert "not known" not in planned.said
    assert "nothing to go back to" not in shop.ok("status").out
    shop.ok("rollback")
    assert shop.served()["api"] == colour


def test_migrations_of_a_command_of_the_service_are_not_none(shop: Shop) -> None:
    """It is named with the setting that takes it over; a backup comes before a release that changes one of its files."""
    head = shop.head
    settings = shop.read("pyproject.toml").partition("[tool.deploylib.migrations]")[0]
    shop.replace("render.yaml", "    startCommand:", "    preDeployCommand: node migrate.js\n    startCommand:")
    shop.commit("By the platform", {"pyproject.toml": settings, "api/note.txt": "2"})

    named = shop.ok("deploy", "--dry-run").said
    shop.migrate("007_size.sql", "alter table products add column size text;\n")
    planned = shop.ok("deploy", "--dry-run").said

    assert "'node migrate.js', the preDeployCommand of api: not run from here; to take it over: [migrations]" in named
    assert "migrate   skipped: not ours to run: 'node migrate.js'" in named
    assert "no migration, and the last one is" in named
    assert "api/migrations/007_size.sql differs from what serves" in planned
    shop.git("reset", "--quiet", "--hard", head)


def test_a_platform_that_is_stopped_is_not_an_empty_one(shop: Shop) -> None:
    """``inv status`` says that it does not know, and ends with the exit code of what is not reached."""
    shop.ok("local.down")

    found = shop.inv("status")

    assert found.code == 40, found.said
    assert "rollback     unknown" in found.out
    assert "nothing to go back to" not in found.said
