"""Data that is lost comes back: into another database, or into the environment's own, and is what was backed up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from deploylib.backups import restore_mark
from deploylib.backups.restore_mark import Mark
from deploylib.models import Secret
from deploylib.store.folder import Folder
from tests.support.edges import environment
from tests.support.product import Product


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product with two guests and a backup of them."""
    with Product(tmp_path_factory.mktemp("lost") / "product") as product:
        product.ok("deploy")
        product.sign("Ann")
        product.sign("Bob")
        product.ok("backup")
        yield product


IN_PLACE = ("--into", "database", "--confirm", "local", "--force")


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


@pytest.mark.load  # test_restore_holds.py does it as well, and tests/backup/test_restore.py with what may go wrong
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
    again = f"inv backup.restore --backup {before[0]['id']} --into database --force --confirm local, which removes"
    assert again in full.said, "as it is typed"
    assert guests(product) == ["Bob"]

    chosen = ("--backup", before[0]["id"], "--into", "database", "--confirm", "local", "--force")
    done = product.ok("backup.restore", *chosen)

    assert guests(product) == ["Ann", "Bob"]
    assert "tables restored and compared" in done.out
    assert len(product.ok("backup.list", "--json").json) > len(before), "what was there is backed up"
    assert product.ok("verify").code == 0
    product.sign("Cid")
    assert guests(product) == ["Ann", "Bob", "Cid"]


@pytest.mark.load
def test_a_restore_typed_once_more_never_takes_the_loss_that_it_has_saved(product: Product) -> None:
    """Who is refused has changed nothing; what a restore replaces pushes no backup out, and is restored only by its id."""
    product.ok("backup")
    was, before = guests(product), product.ok("backup.list", "--json").json
    good = next(one["id"] for one in before if not one.get("replaced"))
    product.query("delete from entries")

    for _ in range(3):
        assert product.inv("backup.restore", "--into", "database", "--confirm", "local").code == 2
    assert product.ok("backup.list", "--json").json == before
    for _ in range(2):
        done = product.ok("backup.restore", *IN_PLACE)
        assert f"{good} is in the database" in done.err
        assert guests(product) == was

    listed = product.ok("backup.list", "--json").json
    assert [one["id"] for one in listed if not one.get("replaced")] == [
        one["id"] for one in before if not one.get("replaced")
    ]
    loss = [one["id"] for one in listed if one.get("replaced")][1]
    assert "of what a restore has replaced: restored only by its id" in product.ok("backup.list").out
    product.ok("backup.restore", "--backup", loss, *IN_PLACE)
    assert guests(product) == []
    product.ok("backup.restore", *IN_PLACE)
    assert guests(product) == was


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


def left_half_way(product: Product, backup: str, saved: str) -> None:
    """A restore in place that was killed when it had emptied the database."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    left = Mark(id=name, environment="local", backup=backup, saved=saved, author="Ann")
    restore_mark.record_begin(Folder(product.folder / ".deploylib"), left)
    restore_mark.place_mark(Secret(product.database_url()), left)
    product.query("drop table entries cascade")


@pytest.fixture(scope="module")
def two(product: Product) -> tuple[str, str]:
    """The ids of two backups: with Ann and Bob, and with Eve alone."""
    product.query("delete from entries")
    product.query("insert into entries (name, message) values ('Ann', 'hello'), ('Bob', 'hello')")
    product.ok("backup")
    product.query("delete from entries where name = 'Bob'")
    product.query("update entries set name = 'Eve'")
    product.ok("backup")
    saved, wanted = (one["id"] for one in product.ok("backup.list", "--json").json[:2])
    return wanted, saved


@pytest.fixture
def half_way(product: Product, two: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """A restore of the first of the two was killed; whatever comes of the test, it is ended."""
    left_half_way(product, *two)
    yield two
    if restore_mark.find_mark(Secret(product.database_url())) is not None:
        product.ok("finish")


FEW = (("check",), ("verify",), ("backup.restore", *IN_PLACE))
ALL = (*((name,) for name in ("deploy", "migrate", "backup", "rollback", "changes")), ("deploy", "--dry-run"))


@pytest.mark.parametrize("commands", [FEW, pytest.param(ALL, marks=pytest.mark.load)], ids=["few", "all"])
def test_a_database_that_is_marked_restoring_is_named(
    product: Product, half_way: tuple[str, str], commands: tuple[tuple[str, ...], ...]
) -> None:
    """By every command that is about the database, before anything is touched; the status says so and goes on."""
    for words in commands:
        refused = product.inv(*words)
        assert refused.code == 31, refused.said
        assert f"marked restoring: backup {half_way[0]}" in refused.said
        assert "inv finish" in refused.said
    assert f"restoring    backup {half_way[0]}" in product.ok("status").out


@pytest.mark.parametrize(
    ("how", "there"),
    [
        ("complete", ["Ann", "Bob"]),
        ("damaged", ["Eve"]),
        pytest.param("back", ["Eve"], marks=pytest.mark.load),
        pytest.param("by its id", ["Eve"], marks=pytest.mark.load),
    ],
)
def test_finish_ends_a_restore_that_was_left_half_way(
    product: Product, half_way: tuple[str, str], how: str, there: list[str]
) -> None:
    """It is started over, or what was there before is put back: when asked for, or when the backup cannot be read."""
    dump = product.folder / ".deploylib" / "backups" / "local" / half_way[0] / "dump"
    content = dump.read_bytes()
    if how == "damaged":
        dump.chmod(0o644)
        dump.write_bytes(content[:-20])
    choice = {"back": ("--database", "back"), "by its id": ("--database", half_way[1])}.get(how, ())

    done = product.ok("finish", *choice)
    dump.write_bytes(content)

    assert guests(product) == there
    assert "the database of local is whole again" in done.out
    assert "restoring" not in product.ok("status").out
