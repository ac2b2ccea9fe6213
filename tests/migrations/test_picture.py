"""What serving code relies on in a database, and what of it a change takes away; what each change does is in the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from deploylib.migrations import rehearsal
from deploylib.migrations.alembic_child.picture import find_lost, picture
from deploylib.models import Secret
from deploylib.settings import MigrationSettings
from tests.migrations.operations import FILLED, GRANTED, TWICE
from tests.migrations.world import World


def taken(world: World, before: str, *changes: str) -> list[str]:
    """What these changes take away from what was there before."""
    with psycopg.connect(world.url.reveal(), autocommit=True) as connection:

        def ask(query: str) -> list[Any]:
            return list(connection.execute(query).fetchall())

        connection.execute(before or "select 1")
        connection.execute("analyze")
        then = picture(ask)
        for change in changes:
            connection.execute(change)
        return find_lost(then, picture(ask), ask)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("alter table filled alter state drop default", ["INSERT into public.filled without state"]),
        ("alter table filled alter note drop default", []),
        ("alter table nothing add column x integer not null", ["INSERT into public.nothing without x"]),
        ("drop trigger fills on filled", ["INSERT into public.filled without filled_in"]),
        ("alter table people alter maybe set not null", ["INSERT into public.people without maybe"]),
        ("alter table people alter age set not null", []),
        ("alter table people drop column age, add column age integer generated always as (grp) stored",
         ["values for public.people.age"]),
        ("alter table nothing alter n set not null", []),
    ],
)  # fmt: skip
def test_what_an_insert_may_leave_out(world: World, change: str, expected: list[str]) -> None:
    """A default, a trigger, or nothing where it may be empty; what every row has without a default the code gives."""
    gaps = "update people set maybe = 0 where maybe is null"

    assert taken(world, FILLED, gaps, change) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("drop index people_email_key", ["ON CONFLICT (email) of public.people"]),
        ("drop index filled_code; create unique index on filled (code)", []),
        ("drop index filled_open; create unique index on filled (state, code)", []),
        ("alter table lines drop constraint lines_filled_id_fkey",
         ["DELETE from filled with what public.lines refers to it by filled_id"]),
        ("alter table nothing rename to later; create view nothing as select * from later", []),
        ("alter table nothing rename to later; create view nothing as select * from later limit 5",
         ["DELETE from public.nothing", "INSERT into public.nothing", "UPDATE of public.nothing"]),
    ],
)  # fmt: skip
def test_what_on_conflict_names(world: World, change: str, expected: list[str]) -> None:
    """By its columns, whatever the name of the index; a view that can be written stands for its table."""
    assert taken(world, FILLED, change) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("drop sequence numbers", ["sequence public.numbers"]),
        ("alter sequence numbers restart", ["new numbers of public.numbers"]),
        ("select setval('numbers', 900)", []),
        ("alter sequence filled_id_seq restart", ["new numbers for public.filled.id"]),
        ("insert into filled (id) values (301)", ["new numbers for public.filled.id"]),
        ("insert into filled default values", []),
        ("delete from lines; delete from filled; alter sequence filled_id_seq restart", []),
    ],
)
def test_a_sequence_gives_no_number_twice(world: World, change: str, expected: list[str]) -> None:
    """What is in the table tells it, where it is for a column; else what was given before."""
    assert taken(world, f"{FILLED}; select setval('numbers', 500)", change) == expected


def test_rows_of_a_partition_are_seen_in_its_parent(world: World) -> None:
    """Until it is detached; one without rows is missed by nobody."""
    empty = "create table events_e partition of events for values from (90000) to (99000)"
    change = "alter table events detach partition events_b; alter table events detach partition events_e"

    assert taken(world, empty, change) == ["rows of public.events_b in public.events"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("revoke insert on people from serving", ["INSERT of public.people by serving"]),
        ("grant reading to serving; grant select on people to reading; revoke select on people from serving", []),
        ("revoke execute on function double(integer) from public",
         ["EXECUTE of public.double with 1 arguments by reading", "EXECUTE of public.double with 1 arguments by serving"]),
        ("drop function double(integer)", ["public.double with 1 arguments"]),
        ("alter table small enable row level security", ["rows of public.small, by row security"]),
        ("alter table small alter n type text", ["public.small.n as a number"]),
    ],
)  # fmt: skip
def test_what_a_role_may_do_it_may_still_do(world: World, change: str, expected: list[str]) -> None:
    """However it comes by it: itself, as a member, as everybody."""
    assert taken(world, GRANTED, change) == expected


def test_what_is_pending_is_compared_with_what_serves(world: World, fresh: Callable[[], str]) -> None:
    """Not with the revision below: what the release itself makes no code knows, and what it takes in two steps is taken."""
    world.write(
        "op.create_table('made', sa.Column('id', sa.Integer(), primary_key=True))",
        "op.drop_table('made')",
        "op.add_column('small', sa.Column('x', sa.Integer(), server_default='0', nullable=False))",
        "op.alter_column('small', 'x', server_default=None)",
        "op.add_column('small', sa.Column('y', sa.Integer()))",
    )
    pending = world.status()

    report = rehearsal.rehearse(world.tool, Secret(fresh()), pending)

    gone = [one.gone for one in report.revisions]
    assert gone == [(), (), (), ("INSERT into public.small without x",), ()]
    [finding] = rehearsal.judge(report, pending.pending, MigrationSettings()).blocking
    assert (finding.rule, finding.where) == ("contract-step", "0004: takes away INSERT into public.small without x")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("alter database {database} set search_path = other, public", ["plain names for the next connections: small"]),
        ("alter role serving in database {database} set search_path = other, public",
         ["plain names for the next connections of serving: small"]),
        ("alter database {database} set search_path = public, other", []),
        ("alter database {database} set default_transaction_read_only = yes", ["writes by the next connections"]),
        ("alter role serving in database {database} set session_replication_role = replica",
         ["triggers and foreign keys for the next connections of serving"]),
        ("alter database {database} set row_security = off", ["tables with row security for the next connections"]),
        ("alter role serving in database {database} set role = postgres",
         ["the rights of the next connections of serving, which act as postgres"]),
        ("alter role serving in database {database} set work_mem = '8MB'", []),
    ],
)  # fmt: skip
def test_what_the_next_connections_begin_with(world: World, change: str, expected: list[str]) -> None:
    """The statement itself changes nothing for anybody who is connected: code fails when it connects again."""
    name = world.url.reveal().rpartition("/")[2]
    assert taken(world, TWICE, change.replace("{database}", name)) == expected


def test_whoever_has_a_setting_of_its_own_keeps_it(world: World) -> None:
    """The database's is that of all the others."""
    name = world.url.reveal().rpartition("/")[2]
    before = f"{TWICE}; alter role serving in database {name} set search_path = public"
    change = f"alter database {name} set search_path = other, public"
    assert taken(world, before, change) == ["plain names for the next connections: small"]
    assert taken(world, "", f"alter database {name} reset search_path") == [
        "plain names for the next connections: small"
    ]
