"""Data that is lost comes back: into another database, or into the environment's own, and is what was backed up."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.edges import environment
from tests.integration.product import Product


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product with two guests and a backup of them."""
    made = Product(tmp_path_factory.mktemp("lost") / "product")
    try:
        made.ok("deploy")
        made.sign("Ann")
        made.sign("Bob")
        made.ok("backup")
        yield made
    finally:
        made.clean()


def guests(product: Product, url: str = "") -> list[str]:
    """Who is in the book."""
    return [str(name) for (name,) in product.query("select name from entries order by id", url)]


def test_a_backup_is_listed_and_proven(product: Product) -> None:
    """It was restored and compared when it was made; the drill does so again, and says when."""
    listed = product.ok("backup.list")
    assert "schema 0002  restored" in listed.out
    proven = product.ok("backup.prove", "--json").json
    assert proven["proof"] == "restored"
    assert proven["proven_at"]
    missing = product.inv("backup.prove", "--backup", "nope")
    assert missing.code == 2, missing.said
    assert "there is no backup nope of local; there are: " in missing.said


def test_into_the_database_itself(product: Product) -> None:
    """Typed twice over, after a fresh backup of what is there; the guests of then are there again."""
    before = product.ok("backup.list", "--json").json
    product.query("delete from entries where name = 'Ann'")
    for words in (("--into", "database"), ("--into", "database", "--confirm", "staging")):
        refused = product.inv("backup.restore", *words)
        assert refused.code == 2, refused.said
        assert "--confirm local" in refused.said
    full = product.inv("backup.restore", "--into", "database", "--confirm", "local", "--backup", before[0]["id"])
    assert full.code == 2, full.said
    assert "the database is not empty" in full.said
    assert guests(product) == ["Bob"]

    chosen = ("--backup", before[0]["id"], "--into", "database", "--confirm", "local", "--force")
    done = product.ok("backup.restore", *chosen)

    assert guests(product) == ["Ann", "Bob"]
    assert "tables restored and compared" in done.out
    assert len(product.ok("backup.list", "--json").json) > len(before), "what was there is backed up"
    assert product.ok("verify").code == 0
    product.sign("Cid")
    assert guests(product) == ["Ann", "Bob", "Cid"]


def test_beside_is_the_default(product: Product) -> None:
    """Nothing that is in use is touched; the new database is named with its address, and its password is not."""
    before = guests(product)
    done = product.ok("backup.restore")

    assert guests(product) == before
    assert "restored and compared" in done.out
    url = product.database_url()
    name = done.out.partition("in the new database ")[2].partition(";")[0]
    assert name.startswith("restored_")
    assert f"/{name}" in done.out.partition("to use it: ")[2]
    assert url.partition("://")[2].partition("@")[0].partition(":")[2] not in done.said
    assert "Bob" in guests(product, url.rsplit("/", 1)[0] + f"/{name}")
    product.query(f"drop database {name}")


def test_into_another_database(product: Product) -> None:
    """Its URL is in a variable: an argument is seen by everybody."""
    url = product.database_url()
    open_ = product.inv("backup.restore", "--into", url)
    assert open_.code == 2, open_.said
    assert "a URL in an argument is seen by everybody" in open_.said
    other = url.rsplit("/", 1)[0] + "/other"
    try:
        product.query("create database other")
    except psycopg.errors.InsufficientPrivilege:
        pytest.skip("the database's role may not make another one")
    done = product.inv("backup.restore", "--into", "ELSEWHERE", ELSEWHERE=other)
    assert done.code == 0, done.said
    assert "Bob" in guests(product, other)
    assert other not in done.said + str(environment())
