"""A database that is not opened from here: the platform exports it, and its pre-deploy command migrates it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product import Product
from tests.support.revisions import REVISION

PRE_DEPLOY = f"{sys.executable} -m alembic -c migrations/alembic.ini upgrade head"
SETTINGS = """
[tool.deploylib.migrations]
path = "sample/backend/migrations"

[tool.deploylib.environments.local]
backups = "export"
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample, released once, with `backups = "export"`."""
    with Product(tmp_path_factory.mktemp("export") / "product") as product:
        command = f"    plan: starter\n    preDeployCommand: {PRE_DEPLOY}\n"
        product.replace("render.yaml", "    plan: starter\n", command)
        product.git("mv", "migrations", "sample/backend/migrations")  # the platform has only what is in its folder
        product.commit("Migrate on the platform", {"pyproject.toml": product.read("pyproject.toml") + SETTINGS})
        product.ok("deploy")
        yield product


def backups(product: Product) -> list[dict[str, Any]]:
    """What the list says, newest first."""
    found: list[dict[str, Any]] = product.ok("backup.list", "--json").json
    return found


@pytest.mark.load
def test_only_a_release_with_a_migration_waits_for_an_export(product: Product) -> None:
    """It is of the time before, restored, and says that it was compared with nothing; the database is never opened."""
    [first] = backups(product)
    assert (first["format"], first["proof"], first["revision"]) == ("directory.tar.gz", "restored", "")
    product.query("insert into entries (name, message) values ('A guest', 'Before')")

    plain = product.change_backend("No migration")
    done = product.ok("deploy")
    assert "no migration, and the last one is" in done.said
    assert (product.served()["backend"], len(backups(product))) == (plain, 1)

    text = REVISION.format(title="x", revision="0003", before="0002", sql="alter table entries add x text", more="")
    product.write("sample/backend/migrations/versions/0003.py", text)
    product.change_backend("With a migration")
    planned = product.ok("deploy", "--dry-run")
    assert "sample/backend/migrations/versions/0003.py differs from what serves" in planned.said
    assert len(backups(product)) == 1

    asked = len([one for one in product.requests() if "connection-info" in one["path"]])
    done = product.ok("deploy")
    assert len([one for one in product.requests() if "connection-info" in one["path"]]) == asked

    newest = backups(product)[0]
    assert (newest["revision"], newest["proof"], product.revision()) == ("0002", "restored", "0003")
    assert "compared with nothing" in newest["notes"][0]
    assert "which is not opened from here" in done.said
    assert "the platform's export" in done.said
    assert "restored export" in product.ok("backup.list").out
    product.change_backend("No migration again, and the page is older than the last one")
    assert "no migration, and the last one is" in product.ok("deploy", "--dry-run").said
    assert "not known whether it goes with the schema" in product.ok("rollback", "--dry-run").said


@pytest.mark.load  # tests/backup/test_bundle.py and tests/localrender/test_exports.py show its parts
def test_an_export_is_proven_and_restored_like_any_backup(product: Product) -> None:
    """By what it held when it was first restored."""
    product.ok("backup")
    newest = backups(product)[0]

    assert product.ok("backup.prove", "--json").json["id"] == newest["id"]
    assert backups(product)[0]["proven_at"]
    manifest = product.folder / ".deploylib" / "backups" / "local" / newest["id"] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows": 1', '"rows": 2', 1))
    refused = product.inv("backup.prove", "--backup", newest["id"])
    assert refused.code == 5, refused.said
    assert "does not restore what was backed up" in refused.said
