"""A restore by an ordinary role: beside, or in place as one transaction; what belongs to others stays where it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from deploylib.backups.restore_test import NotBeside
from deploylib.errors import BackupFailed
from deploylib.postgres import connection
from deploylib.store.folder import Folder
from tests.support.restores import Book, Dying, changed
from tests.support.servers import Servers


@pytest.fixture
def book(servers: Servers, store: Folder) -> Book:
    """An event trigger, a publication and a table of others are in it; Bob has gone since the backup."""
    return changed(servers.fresh(16), store)


def test_beside_is_a_new_database_by_the_same_role(book: Book) -> None:
    """Compared; what is in use is not touched; the address to set is told without its password."""
    before = book.content()

    done = book.restore(into="beside")

    assert book.content() == before
    assert done.compared
    new = replace(book.base, url=connection.alter_url(book.base.url, dbname=done.database))
    assert done.address == connection.alter_url(new.url, password="MARK").reveal().replace("MARK", "•••")
    assert new.one("select string_agg(name, ',' order by id) from guests") == "Ann,Bob"
    assert new.one("select pg_get_userbyid(datdba) = current_user from pg_database where datname = current_database()")
    assert any("EVENT TRIGGER" in note for note in done.notes)
    book.base.as_root().run(f"drop database {done.database}")


def test_in_place_leaves_what_belongs_to_others_where_it_is(book: Book) -> None:
    """The content of then is there; event trigger, publication and another role's table are as they were."""
    done = book.restore()

    rows, visits, _ = book.content()
    assert ([(1, "Ann"), (2, "Bob")], (3,)) == (rows, visits)
    root = book.base.as_root()
    assert root.one("select count(*) from pg_class where relname = 'newer'") == 0
    assert root.one("select count(*) from pg_event_trigger where evtname = 'watching'") == 1
    assert root.one("select count(*) from pg_publication where pubname = 'everything'") == 1
    assert root.one("select id from theirs.kept") == 7
    assert root.one("select count(*) from pg_database where datname ~ '^(proof|restored)'") == 0
    assert any("EVENT TRIGGER" in note for note in done.notes)


def test_an_extension_of_another_role_stays(book: Book) -> None:
    """It cannot be made beside by a role without the right, which is said; in place it is there, with its comment."""
    root = book.base.as_root()
    root.run(
        "create extension vector schema public",
        "comment on extension vector is 'of somebody else'",
        "alter table guests add column place vector(3)",
        "update guests set place = '[1,2,3]'",
    )
    book.made = root.back_up(book.store, run="again")
    root.run("update guests set place = null")

    with pytest.raises(NotBeside, match="may not create the extension vector") as refused:
        book.restore()
    assert "--unproven" in refused.value.remedy
    assert root.one("select count(place) from guests") == 0

    book.restore(into="unproven")
    assert root.one("select min(place::text) from guests") == "[1,2,3]"
    assert root.one("select obj_description(oid) from pg_extension where extname = 'vector'") == "of somebody else"


def test_who_may_make_no_database_says_so_with_a_second_flag(book: Book) -> None:
    """Nothing was emptied; with the flag it goes, in one transaction all the same."""
    before = book.content()
    user = book.base.one("select current_user")
    book.base.as_root().run(f"alter role {user} nocreatedb")

    with pytest.raises(NotBeside, match="no database can be made beside") as refused:
        book.restore()
    assert "--unproven" in refused.value.remedy
    assert book.content() == before

    book.restore(into="unproven")
    assert book.content()[0] == [(1, "Ann"), (2, "Bob")]


@pytest.mark.parametrize("after", [1, 17, pytest.param(0, marks=pytest.mark.load, id="every entry")])
def test_killed_at_an_entry_it_holds_the_old_content(book: Book, after: int) -> None:
    """Never neither: the transaction that empties it fills it again, or has never been."""
    before, number = book.content(), after or 1
    while True:
        dying = Dying(number)
        with suppress(BackupFailed):
            book.restore(dying, into="unproven")
            break
        assert book.content() == before
        assert dying.seen == number
        if after:
            return
        number += 1
    assert number > 12
    assert book.content()[0] == [(1, "Ann"), (2, "Bob")]


@pytest.mark.parametrize("major", [16, 18])
def test_large_objects_end_no_transaction(servers: Servers, store: Folder, major: int) -> None:
    """pg_restore writes them in one of its own, under a heading that differs from major to major."""
    book = changed(servers.fresh(major), store)
    before, dying = book.content(), Dying(1, b"CONSTRAINT")

    with pytest.raises(BackupFailed, match="killed"):
        book.restore(dying, into="unproven")

    assert dying.seen == 1
    assert book.content() == before


def test_rows_that_their_owner_may_not_see_come_back(servers: Servers, store: Folder) -> None:
    """FORCE ROW LEVEL SECURITY is set again only when the rows are in; of a dump by a role that sees all rows."""
    base = servers.fresh(16)
    base.run(
        "create table secrets (id int primary key, owner text)",
        "insert into secrets values (1, 'ann'), (2, 'bob')",
        "alter table secrets enable row level security",
        "create policy own on secrets using (owner = 'ann')",
        "alter table secrets force row level security",
    )
    made = base.as_root().back_up(store)
    base.as_root().run("delete from secrets where id = 2")

    done = base.restore(made, store, "beside")
    new = replace(base, url=connection.alter_url(base.url, dbname=done.database))
    assert (new.one("select count(*) from secrets"), new.as_root().one("select count(*) from secrets")) == (1, 2)
    assert new.one("select relforcerowsecurity from pg_class where relname = 'secrets'")
    base.as_root().run(f"drop database {done.database}")

    into = base.restore(made, store, "emptied")
    assert base.as_root().one("select count(*) from secrets") == 2
    assert base.one("select relforcerowsecurity from pg_class where relname = 'secrets'")
    assert "compared beside only" in into.notes[-1]
    assert not into.compared
