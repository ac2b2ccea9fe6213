"""What surrounds a database is named by revisions: on a copy of our own it is there, and what was granted with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploylib.backups import scratch_server
from deploylib.migrations import rehearsal, server_roles
from deploylib.models import Secret
from deploylib.models.database import Copy
from deploylib.models.findings import Examined
from deploylib.postgres.connection import alter_url, connect, count_sessions
from deploylib.settings import MigrationSettings
from deploylib.system import process
from tests.migrations.world import World
from tests.support.servers import programs_of

TABLES = """
create table notes (id integer primary key, text text); insert into notes values (1, 'x');
create table secrets (id integer primary key, text text); create sequence ticket;
"""


@pytest.fixture
def name(world: World) -> str:
    """Of the database, and the end of its roles' names."""
    return world.url.reveal().rpartition("/")[2]


@pytest.fixture
def original(world: World, name: str) -> Secret:
    """A database of a role that is no superuser; code serves as another one, and has rights."""
    world.query(f"""
        create role owner_{name} login password 'x'; create role code_{name} nologin; create role team_{name} nologin;
        grant team_{name} to owner_{name}; alter database {name} owner to owner_{name}; create schema shop authorization owner_{name};
        alter database {name} set search_path = shop; grant usage, create on schema shop to team_{name}
    """)  # fmt: skip
    world.url = alter_url(world.url, user=f"owner_{name}", password="x")
    world.query(TABLES)
    code = f"code_{name}"
    world.query(f"grant usage on schema shop to {code}; grant select, insert on notes to {code}")
    world.query(f"grant select on secrets to {code}; revoke select on secrets from {code}")
    world.query(f"grant usage on sequence ticket to {code}")
    return world.url


@contextmanager
def copied(original: Secret) -> Iterator[tuple[Copy, tuple[str, ...]]]:
    """The same tables on a server of our own, with nobody's rights, as a restored dump has them; and what surrounds them."""
    around = server_roles.read_surroundings(original)
    with scratch_server.server(programs_of(around.version // 10000), runner=process.SYSTEM) as server:
        with connect(server) as connection:
            connection.execute("create role copied login password 'y'")
            connection.execute("create database copied owner copied")
        bare = Copy(alter_url(server, user="copied", password="y", dbname="copied"), server, own=True)
        with connect(bare) as connection:
            connection.execute(f"create schema shop; set search_path = shop; {TABLES}")
        yield server_roles.bring(bare, around)


def judged(world: World, original: Secret) -> tuple[Examined, tuple[str, ...]]:
    """What a rehearsal there means, and what the copy was not given."""
    pending = world.status()
    with copied(original) as (copy, lacking):
        report = rehearsal.rehearse(world.tool, copy, pending, live=original)
    return rehearsal.judge(report, pending.pending, MigrationSettings()), lacking


def test_what_a_revision_names_is_there_and_not_blamed_on_it(world: World, original: Secret, name: str) -> None:
    """An owner, default privileges, a policy, settings of roles and of the database, an extension."""
    world.write(
        f"op.execute('alter table notes owner to team_{name}')",
        f"op.execute('alter default privileges in schema shop grant select on tables to code_{name}')",
        f"op.execute('create policy p on notes to code_{name} using (true)')",
        f"op.execute('alter role owner_{name} set work_mem = 4096')",
        f"op.execute('alter database {name} set work_mem = 4096')",
        "op.execute('create extension if not exists plpgsql')",
        f"op.execute('alter table secrets enable row level security')\nop.execute('grant select on secrets to code_{name}')",
        more="tolerates = '0000'",
    )

    found, lacking = judged(world, original)

    assert (found.blocking, lacking) == ((), ())
    assert found.counted["migration"] == 7
    assert found.gaps == ()


def test_rights_come_to_the_copy_so_that_it_is_seen_who_loses_them(world: World, original: Secret, name: str) -> None:
    """A dump is restored without them; who has none loses none."""
    code = f"code_{name}"
    world.write(
        f"op.execute('revoke insert on notes from {code}')",
        f"op.execute('revoke usage on schema shop from {code}')",
        f"op.execute('revoke all on sequence ticket from {code}')",
        f"op.execute('revoke select on secrets from {code}')",
    )

    found, lacking = judged(world, original)

    assert [one.where for one in found.blocking] == [
        f"0001: takes away INSERT of shop.notes by {code}",
        f"0002: takes away USAGE of schema shop by {code}",
        f"0003: takes away nextval of shop.ticket by {code}",
    ]
    assert lacking == ()


def test_the_sessions_of_clients_are_counted(world: World) -> None:
    """But for the one that counts; and how many there may be."""
    before, most = count_sessions(world.url)
    with connect(world.url), connect(world.url):
        assert count_sessions(world.url) == (before + 2, most)
    assert most > before
