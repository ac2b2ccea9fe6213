"""A restore of more tables than one transaction may lock: piece by piece, and the database is marked for as long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace

import msgspec
import pytest

from deploylib.backups import archive, empty_database, fill_database, repository, restore_mark
from deploylib.backups.restore_mark import Mark
from deploylib.errors import BackupFailed, Held
from deploylib.models.database import Into, RestoreResult
from deploylib.postgres import connection
from deploylib.store.folder import Folder
from deploylib.system import Clock, process
from tests.support.restores import Book, Dying, changed
from tests.support.servers import Base, Servers

TIGHT = {"max_locks_per_transaction": "20", "max_connections": "12", "max_worker_processes": "0"}
BEGUN = Mark(environment="test", saved="before", author="Ann")
MANY = """do $$ begin for n in 1..{0} loop
  execute format('create table %I.many_%s (id int primary key, text text, guest int references guests)', '{1}', n);
  if n % 10 = 0 then commit; end if; end loop; end $$"""


@pytest.fixture(scope="module")
def tight() -> Iterator[Servers]:
    """Servers with room for 240 locks, for all sessions together."""
    with ExitStack() as stack:
        yield Servers(stack, TIGHT)


@pytest.fixture
def book(tight: Servers, store: Folder) -> Book:
    """More than fits, with everything that a small schema may have, and what belongs to others."""
    base = tight.fresh(16)
    base.run("create table guests (id int primary key, name text not null)")
    base.run(MANY.format(18, "public"), "drop table guests cascade")
    book = changed(base, store)
    holds = fill_database.estimate_locks(repository.read_manifest(book.made, store=store))
    assert empty_database.count_locks(base.url) + holds > connection.lock_room(base.url)[1]
    return book


NEW = [(1, "Ann"), (2, "Bob")]
OTHERS_GONE = ("drop event trigger watching", "drop function watch()", "drop schema theirs cascade")


def marked(book: Book) -> Mark | None:
    """The mark, read as anybody may."""
    return restore_mark.find_mark(book.base.url)


def restored(book: Book, runner: process.Runner = process.SYSTEM, into: Into = "emptied") -> RestoreResult:
    """Put the backup into the environment's own database."""
    begun = msgspec.structs.replace(BEGUN, id=f"{Clock().now():%Y%m%dT%H%M%S.%f}")
    return book.restore(runner, into, begun)


@pytest.mark.parametrize("tables", [70, pytest.param(210, marks=pytest.mark.load)])
def test_more_tables_than_one_transaction_may_lock_are_restored(tight: Servers, store: Folder, tables: int) -> None:
    """Each refers to one; a single transaction cannot even drop them."""
    base = tight.fresh(16)
    base.run("create table guests (id int primary key)", "insert into guests values (1)", MANY.format(tables, "public"))
    base.run("insert into many_7 values (1, 'seven', 1)")
    made = base.back_up(store, proof="decoded")
    base.run("update many_7 set text = 'eight'")
    with pytest.raises(BackupFailed, match="out of shared memory"):
        at_once(base, store, made.id)
    assert base.one("select text from many_7") == "eight"

    done = base.restore(made, store, into="unproven")

    assert done.compared
    assert base.one("select text from many_7") == "seven"
    assert restore_mark.find_mark(base.url) is None


def at_once(base: Base, store: Folder, name: str) -> None:
    """What a restore in one transaction does first."""
    found = repository.find(store, "test", name)
    pieces = (piece for piece in [b"begin;\n", empty_database.AT_ONCE.encode(), b"rollback;\n"])
    archive.run_script(base.url, pieces, found, base.edges(store))


def test_what_belongs_to_others_stays(book: Book) -> None:
    """Piece by piece as well; the proof beside is made so, too, and no mark is left anywhere."""
    root = book.base.as_root()
    root.run("create extension vector schema public", "comment on extension vector is 'of somebody else'")

    restored(book)

    assert book.content()[0] == NEW
    assert root.one("select id from theirs.kept") == 7
    assert root.one("select count(*) from pg_event_trigger where evtname = 'watching'") == 1
    assert root.one("select obj_description(oid) from pg_extension where extname = 'vector'") == "of somebody else"
    assert root.one("select count(*) from pg_class where relname = 'newer'") == 0
    assert root.one("select sum(id) from parted") == 3
    assert root.one("select count(*) from pg_database where datname ~ '^(proof|restored)'") == 0
    assert marked(book) is None


def test_beside_goes_piece_by_piece_too(book: Book) -> None:
    """And the new database is not marked when it is done."""
    done = book.restore(into="beside")

    new = replace(book.base, url=connection.alter_url(book.base.url, dbname=done.database))
    assert done.compared
    assert new.one("select string_agg(name, ',' order by id) from guests") == "Ann,Bob"
    assert restore_mark.find_mark(new.url) is None
    book.base.as_root().run(f"drop database {done.database}")


def test_what_its_owner_may_not_see_is_compared_before_it_is_hidden(book: Book) -> None:
    """FORCE ROW LEVEL SECURITY is set last of all, so that the comparison is a whole one."""
    root = book.base.as_root()
    book.base.run(
        "create table secrets (id int primary key, owner text)",
        "insert into secrets values (1, 'ann'), (2, 'bob')",
        "alter table secrets enable row level security",
        "create policy own on secrets using (owner = 'ann')",
        "alter table secrets force row level security",
        "drop table if exists newer",
    )
    root.run(*OTHERS_GONE)
    book.made = root.back_up(book.store, run="again")
    root.run("delete from secrets where id = 2")

    done = restored(book, into="unproven")

    assert done.compared
    assert root.one("select count(*) from secrets") == 2
    assert book.base.one("select count(*) from secrets") == 1
    assert book.base.one("select relforcerowsecurity from pg_class where relname = 'secrets'")


class Killed(Dying):
    """Dies at each statement that empties, too."""

    def _counts(self, line: bytes) -> bool:
        return super()._counts(line) or line.startswith((b"drop ", b"alter table if exists", b"select pg_catalog.lo_"))


@pytest.mark.parametrize("after", [1, 30, pytest.param(0, marks=pytest.mark.load, id="every entry")])
def test_killed_anywhere_it_is_marked_and_is_ended_by_starting_over(book: Book, after: int) -> None:
    """Old, new, or marked, never neither; a kill while it is started over changes nothing of that."""
    number = after or 1
    while True:
        dying = Killed(number)
        with suppress(BackupFailed):
            restored(book, runner=dying, into="unproven")
            break
        assert dying.seen == number
        found = marked(book)
        assert found is not None
        assert (found.backup, found.saved, found.environment) == (book.made.id, "before", "test")
        assert restore_mark.list_open(book.store, "test")
        with pytest.raises(Held, match="marked restoring") as refused:
            book.base.back_up(book.store, run="half")
        assert "inv finish --environment test" in refused.value.remedy
        if after or number % 25 == 0:
            restored(book, into="unproven")
            assert (marked(book), book.content()[0]) == (None, NEW)
            assert restore_mark.list_open(book.store, "test") == ()
        if after:
            return
        number += 1
    assert number > 60
    assert (marked(book), book.content()[0]) == (None, NEW)


def test_a_damaged_dump_is_found_out_before_anything_is_emptied(book: Book) -> None:
    """All of it is read first, also without the proof beside."""
    before = book.content()
    dump = book.store.root / book.made.key
    content = bytearray(dump.read_bytes())
    content[-40] ^= 1
    dump.chmod(0o644)
    dump.write_bytes(content)

    with pytest.raises(BackupFailed):
        restored(book, into="unproven")

    assert (marked(book), book.content()) == (None, before)


def test_what_differs_at_the_end_stays_marked(book: Book) -> None:
    """It is compared before the mark is taken away; the error names the way on, and the way back."""
    path = book.store.root / book.made.key.replace("/dump", "/manifest.json")
    found = repository.read_manifest(book.made, store=book.store)
    tables = tuple(msgspec.structs.replace(one, rows=one.rows + 1) for one in found.contents.tables)
    contents = msgspec.structs.replace(found.contents, tables=tables)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, contents=contents)))
    book.base.as_root().run(*OTHERS_GONE)

    with pytest.raises(BackupFailed, match=r"does not restore what was backed up.*marked restoring") as refused:
        restored(book, into="unproven")

    assert "inv finish --environment test --database back" in refused.value.remedy
    assert marked(book) is not None


@pytest.mark.load
@pytest.mark.timeout(900)
def test_two_thousand_five_hundred_tables(servers: Servers, store: Folder) -> None:
    """Beside and in place, with a function, a view and an index each hundred; the seconds are printed."""
    base = servers.fresh(16)
    base.run("create table guests (id int primary key)", "insert into guests values (1)", MANY.format(2500, "public"))
    base.run("insert into many_7 values (1, 'seven', 1)")
    made = base.back_up(store, proof="decoded")

    began = time.monotonic()
    done = base.restore(made, store, "beside")
    beside, began = time.monotonic() - began, time.monotonic()
    assert done.compared
    base.as_root().run(f"drop database {done.database} with (force)")
    base.run("update many_7 set text = 'eight'")
    into = base.restore(made, store, into="emptied")

    print(f"2,500 tables: beside {beside:.0f} s, in place with its proof {time.monotonic() - began:.0f} s")
    assert into.compared
    assert (base.one("select text from many_7"), restore_mark.find_mark(base.url)) == ("seven", None)
