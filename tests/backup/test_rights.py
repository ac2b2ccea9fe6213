"""A restore brings back who may do what, and how the database is set; what it cannot bring back is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
import pytest

from deploylib.backups import repository
from deploylib.models import Backup
from deploylib.postgres import connection, grants
from deploylib.store.folder import Folder
from tests.support.servers import Base, Servers


@dataclass
class Shop:
    """A database with grants of each kind, their backup, and everything taken since."""

    base: Base
    store: Folder
    made: Backup
    roles: tuple[str, str]

    def rights(self, base: Base | None = None) -> set[str]:
        """Each right as a statement."""
        with psycopg.connect((base or self.base).url.reveal(), autocommit=True) as connection:
            connection.execute("set search_path = ''")
            return {one.statement for one in grants.read_grants(connection)}

    def settings(self, base: Base | None = None) -> list[str]:
        """Of the database, and of roles in it."""
        query = """select coalesce(array_agg(setrole::regrole || ' ' || c order by 1), '{}') from pg_db_role_setting,
            unnest(setconfig) c where setdatabase = (select oid from pg_database where datname = current_database())"""
        found = (base or self.base).one(query.replace("order by 1", "order by setrole = 0, c"))
        return [str(one) for one in found]


@pytest.fixture
def shop(servers: Servers, store: Folder) -> Shop:
    """A grant on an object of each kind, a right taken from everybody, default privileges, and settings."""
    base = servers.fresh(16)
    name = base.one("select current_user")
    reader, writer = f'"a reader of {name}"', f'"{name}\'s writer"'
    base.as_root().run(f"create role {reader} nologin", f"create role {writer} nologin")
    base.run(
        "create table orders (id serial primary key, card text)",
        "create view seen as select id from orders",
        "create function cost(int, text) returns int language sql as 'select 1'",
        "create procedure pay() language sql as 'select 1'",
        "create type mood as enum ('glad')",
        "create schema inner_room; create table inner_room.things (id int)",
        f"grant select on orders, seen to {reader}",
        f"grant insert, update (card) on orders to {writer} with grant option",
        f"grant usage on sequence orders_id_seq to {writer}",
        "revoke execute on function cost(int, text) from public",
        f"grant execute on function cost to {reader}",
        f"grant execute on procedure pay to {reader}",
        "revoke usage on type mood from public",
        f"grant usage on schema inner_room to {reader}",
        f"grant create on schema public to {writer}",
        f"alter default privileges grant select on tables to {reader}",
        f"alter default privileges in schema public grant usage on sequences to {writer}",
        "alter default privileges revoke execute on routines from public",
        f'revoke temporary on database "{name}" from public',
        f"""alter database "{name}" set timezone = 'Europe/Paris'""",
        f"""alter database "{name}" set search_path = 'inner_room', 'public'""",
        f"""alter role "{name}" in database "{name}" set lock_timeout = '7s'""",
    )
    base.as_root().run(
        f"""alter role {reader} in database "{name}" set work_mem = '7MB'""",
        f"""alter database "{name}" set "app.key" = 'it''s \\ "secret"
more'""",
    )
    made = base.back_up(store)
    return Shop(base, store, made, (reader, writer))


def forgotten(shop: Shop) -> None:
    """Nobody has any right any more but one who has too much."""
    name = shop.base.one("select current_user")
    reader, writer = shop.roles
    shop.base.run(
        "revoke all on orders, seen, inner_room.things from public",
        f"grant delete on orders to {reader}",
        f"revoke all on orders from {writer}",
        f"alter default privileges revoke select on tables from {reader}",  # noqa: S608 - our own names
        f"alter default privileges grant delete on tables to {writer}",
        f'alter database "{name}" reset all',
    )


def test_a_restore_in_place_brings_rights_and_settings_back(shop: Shop) -> None:
    """All of them, and no more; nothing is told as left out but what only a superuser may set."""
    had, was = shop.rights(), shop.settings()
    assert any("card" in one for one in had)
    assert [one.split("=")[0].split(" ")[-1] for one in was].count("app.key") == 1
    forgotten(shop)
    assert had != shop.rights()

    done = shop.base.restore(shop.made, shop.store, "emptied")

    assert had == shop.rights()
    assert was == shop.settings()
    assert done.compared
    assert done.notes == ()


def test_a_restore_beside_brings_rights_and_settings_along(shop: Shop) -> None:
    """The new database is set as the old one was; another role's setting is left out, by name and without its value."""
    had, was = shop.rights(), shop.settings()

    done = shop.base.restore(shop.made, shop.store, "beside")

    new = replace(shop.base, url=connection.alter_url(shop.base.url, dbname=done.database))
    assert had == shop.rights(new)
    assert [one for one in was if "work_mem" not in one and "app.key" not in one] == shop.settings(new)
    assert len(done.notes) == 2
    assert all(any(name in note for note in done.notes) for name in ("work_mem", "app.key"))
    assert not any("7MB" in note or "secret" in note for note in done.notes)
    shop.base.as_root().run(f"drop database {done.database}")


def test_a_right_of_a_role_that_is_not_there_is_told(shop: Shop) -> None:
    """Everything else is restored."""
    reader, writer = shop.roles
    shop.base.as_root().run(f"drop owned by {writer}", f"drop role {writer}")

    done = shop.base.restore(shop.made, shop.store, "emptied")

    told = [note for note in done.notes if f"there is no role {writer} here" in note]
    assert any("INSERT on table public.orders" in note for note in told)
    assert any("alter default privileges" in note for note in told)
    assert any(f"SELECT on table public.orders to {reader}" in one for one in shop.rights())
    assert not any("left out: " in note and f"to {reader} " in note for note in done.notes)


def test_a_backup_that_says_nothing_of_rights_is_restored_and_that_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an older version."""
    old = repository.read_manifest(shop.made, store=shop.store)
    old = type(old)(
        **{
            **{name: getattr(old, name) for name in old.__struct_fields__},
            "contents": type(old.contents)(
                **{
                    name: getattr(old.contents, name)
                    for name in old.contents.__struct_fields__
                    if name not in {"grants", "configured"}
                }
            ),
        }
    )
    monkeypatch.setattr(repository, "read_manifest", lambda *_, **__: old)

    done = shop.base.restore(shop.made, shop.store, "emptied")

    assert any("grants and default privileges were not restored" in note for note in done.notes)
