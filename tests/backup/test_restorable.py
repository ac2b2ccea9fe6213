"""A database that works every day and cannot be restored: found on a copy, before a migration makes it so."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib.backups import restore_test
from deploylib.backups.restore_test import Restorable
from deploylib.models.database import Copy
from deploylib.postgres import sqlstates
from deploylib.store.folder import Folder
from tests.support.servers import Base, Servers

KINDS = ("create table kinds (name text primary key)", "insert into kinds values ('a')")
KNOWN = "create function known(k text) returns boolean language sql stable as 'select exists (select 1 from kinds where name = k)'"
PLAIN = "create function plain(t text) returns text language sql immutable as 'select lower($1)'"
NAMED = "create function named(t text) returns text language sql immutable as 'select plain($1)'"
PARTS = ("create table parts (kind text)", "insert into parts values ('a')")
BAD = {
    "a check that reads another table": (*KINDS, *PARTS, KNOWN, "alter table parts add check (known(kind))"),
    "a check of a domain": (
        *KINDS, KNOWN, "create domain kind as text check (known(value))", "create table parts (kind kind)",
        "insert into parts values ('a')",
    ),
    "an index of a function that names another without its schema": (
        *PARTS, PLAIN, NAMED, "create index on parts (named(kind))",
    ),
    "a generated column of such a function": (
        PLAIN, NAMED, "create table parts (kind text, low text generated always as (named(kind)) stored)",
        "insert into parts values ('a')",
    ),
    "a materialized view of such a function": (
        *PARTS, PLAIN, NAMED, "create materialized view low as select named(kind) from parts",
    ),
    "an exclusion by such a function": (
        *PARTS, PLAIN, NAMED, "alter table parts add exclude using btree (named(kind) with =)",
    ),
    "a check that was true when its rows came": (
        "create table fresh (at timestamptz check (at > clock_timestamp() - interval '150 ms'))",
        "insert into fresh values (now())", "select pg_sleep(0.3)",
    ),
}  # fmt: skip
GOOD = {
    "each name has its schema": (
        *KINDS, *PARTS, KNOWN.replace("from kinds", "from public.kinds").replace("stable", "stable set search_path = public"),
        "alter table parts add check (kind is not null)", "create index on parts (lower(kind))",
    ),
    "a function with a search_path of its own": (
        *PARTS, PLAIN, NAMED.replace("immutable", "immutable set search_path = public"),
        "create index on parts (named(kind))",
    ),
    "a check that is not validated": (*PARTS, "alter table parts add check (kind <> 'a') not valid"),
    "a body that was parsed when it was made": (
        *PARTS, PLAIN, "create function named(t text) returns text language sql immutable return plain(t)",
        "create index on parts (named(kind))",
    ),
}  # fmt: skip


def tried(base: Base, **more: int) -> Restorable:
    """Of a database as it is."""
    whole_below = more.get("whole_below", 10**9)
    edges = base.edges(Folder(Path("/nonexistent")))
    return restore_test.try_again(Copy(base.url, base.server, own=True), edges, whole_below=whole_below)


@pytest.mark.parametrize(
    "kind",
    [
        name if name.startswith(("a check that r", "an index")) else pytest.param(name, marks=pytest.mark.load)
        for name in BAD
    ],
)
def test_what_cannot_be_restored_is_found_and_named(servers: Servers, kind: str) -> None:
    """With the statement that failed, a step for it, and none of the rows."""
    base = servers.fresh(16)
    base.run(*BAD[kind])

    found = tried(base)

    assert found.cause, f"{kind} was restored"
    assert not found.unknown
    assert found.remedy in {sqlstates.NAMES, sqlstates.ALONE}
    assert "pg_restore: error: " in found.cause


@pytest.mark.parametrize(
    "kind", [name if name.startswith("each") else pytest.param(name, marks=pytest.mark.load) for name in GOOD]
)
def test_what_can_be_restored_is_let_through(servers: Servers, kind: str) -> None:
    """Written in the way that the refusal advises, or of no consequence for a restore."""
    base = servers.fresh(16)
    base.run(*GOOD[kind])
    databases = base.one("select count(*) from pg_database")

    found = tried(base)

    assert Restorable(whole=True, size=found.size) == found
    assert databases == base.one("select count(*) from pg_database")


def test_of_a_large_database_only_the_definitions_are_restored(servers: Servers) -> None:
    """That finds less, and is said by whoever asked."""
    base = servers.fresh(16)
    base.run(*BAD["a check that reads another table"])

    found = tried(base, whole_below=1)

    assert Restorable(whole=False, size=found.size) == found


@pytest.mark.load
def test_what_the_scratch_server_may_not_do_is_a_gap(servers: Servers) -> None:
    """A copy that holds what only a mightier role could restore says nothing of the migration."""
    base = servers.fresh(16)
    role = base.one("select current_user")
    base.as_root().run(
        "create function f() returns event_trigger language plpgsql as 'begin end'",
        "create event trigger e on ddl_command_end execute function f()",
        f"grant all on all tables in schema pg_catalog to {role}",
    )

    found = tried(base)

    assert not found.cause
    assert "permission denied" in found.unknown
