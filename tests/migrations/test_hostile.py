"""Revisions that take the limits away, and copies that lack what the database has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from deploylib.migrations import rehearsal, server_roles
from deploylib.models import Secret
from deploylib.models.database import Copy
from deploylib.models.findings import Examined
from deploylib.postgres.connection import alter_url, connect, facts
from deploylib.settings import MigrationSettings
from deploylib.system import process
from tests.migrations.world import ENV, World
from tests.support.fakes import write

STRONG = "alter table people add column x integer"
LIMIT = 0.4
HOSTILE = {
    "set": f"op.execute('set lock_timeout = 0')\nop.execute('{STRONG}')",
    "set local": f"op.execute('set local lock_timeout = 0')\nop.execute('{STRONG}')",
    "set_config": f"op.execute(\"select set_config('lock_timeout', '0', true)\")\nop.execute('{STRONG}')",
    "reset": f"op.execute('reset all')\nop.execute('set statement_timeout = 0')\nop.execute('set lock_timeout to default')\n"
    f"op.execute('set lock_timeout = \"1h\"')\nop.execute('{STRONG}')",
    "one string": f"op.execute('set lock_timeout = 0; {STRONG}')",
    "do": f"op.execute('do $$ begin set local lock_timeout = 0; {STRONG}; end $$')",
    "cursor": f"op.get_bind().connection.cursor().execute('set lock_timeout = 0; {STRONG}')",
}


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in {"set", "do"} else pytest.mark.load) for way in HOSTILE]
)
def test_a_reader_waits_no_longer_than_the_limit_whatever_a_revision_switches_off(world: World, way: str) -> None:
    """The limit is set again before each statement, and a wait within one is ended from outside."""
    world.settings["lock_timeout"] = f"{int(LIMIT * 1000)}ms"
    world.write(HOSTILE[way])
    url = world.url.reveal()
    over, took = threading.Event(), [0.0]

    def read() -> None:
        with psycopg.connect(url, autocommit=True) as reader:
            while not over.wait(0.01):
                began = time.monotonic()
                reader.execute("select 1 from people limit 1")
                took.append(time.monotonic() - began)

    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(url) as holder,
        psycopg.connect(url, autocommit=True) as looking,
    ):
        reading = pool.submit(read)
        deadline = time.monotonic() + 20
        while len(took) < 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        quiet = max(took)
        holder.execute("select 1 from people limit 1")
        migrating = pool.submit(world.upgrade, "0001", 60)
        tries, before = 0, 0
        deadline = time.monotonic() + 20
        while (
            tries < 2 and not migrating.done() and time.monotonic() < deadline
        ):  # it has wanted its lock twice, and not got it
            waits = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'"
            now = looking.execute(waits).fetchone()[0]  # type: ignore[index]
            tries, before = tries + (before and not now), now
            time.sleep(0.01)
        holder.rollback()
        [applied] = migrating.result(60)
        over.set()
        reading.result()

    print(f"\n{way}: longest without {quiet:.3f} s, with {max(took):.3f} s, {applied.tries} tries")
    assert applied.tries > 1
    assert max(took) <= LIMIT + quiet + 0.15
    assert applied.lifted if way in {"set", "set local", "set_config", "reset"} else True


def test_limits_in_the_url_are_set_again(world: World) -> None:
    """A URL's options go before those of the environment; a shorter limit of the revision's own stays."""
    world.write("assert op.get_bind().exec_driver_sql('show lock_timeout').scalar() == '1s'\n"
                "op.execute(\"set lock_timeout = '200ms'\")\n"
                "assert op.get_bind().exec_driver_sql('show lock_timeout').scalar() == '200ms'")  # fmt: skip
    world.url = Secret(f"{world.url.reveal()}?options=-c%20lock_timeout%3D0")

    [applied] = world.upgrade("0001")

    assert applied.lifted == ("the session begins without them",)


def judged(world: World, copy: str, live: Secret | None = None) -> Examined:
    """What a rehearsal on this copy means."""
    pending = world.status()
    report = rehearsal.rehearse(world.tool, Secret(copy), pending, live=live)
    return rehearsal.judge(report, pending.pending, MigrationSettings())


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ("op.execute('delete from small')\nop.execute('insert into small select n from generate_series(1, 5) n')", []),
        pytest.param(
            "op.execute('truncate small')\nop.execute('insert into small select n from generate_series(1, 5) n')",
            [],
            marks=pytest.mark.load,
        ),
        (
            "op.execute('delete from small where id <= 150')\nop.execute('delete from small where id > 150')",
            ["emptied"],
        ),
        pytest.param("op.execute('truncate small')", ["emptied"], marks=pytest.mark.load),
        ("op.execute('set lock_timeout = 0')\nop.execute('select 1')", ["limit-lifted"]),
    ],
)
def test_emptied_is_judged_at_the_end_of_the_revision(
    world: World, fresh: Callable[[], str], body: str, rules: list[str]
) -> None:
    """What is filled again is not empty, and what goes little by little is."""
    world.write(body)

    assert [one.rule for one in judged(world, fresh()).findings] == rules


BRANCH = """from alembic import op
revision = "{id}"
down_revision = {below!r}
{more}

def upgrade():
    op.execute("create table {id} (id int primary key)")
"""


def branches(world: World, *revisions: tuple[str, object, str], env: str = ENV) -> None:
    """These revisions: id, what is below, more lines."""
    files = {
        f"migrations/versions/{name}.py": BRANCH.format(id=name, below=below, more=more)
        for name, below, more in revisions
    }
    write(world.files, {"migrations/env.py": env, **files})


def test_a_merge_empties_no_table(world: World, fresh: Callable[[], str]) -> None:
    """What alembic does to its own table is nobody's concern, in whatever schema it is."""
    env = ENV.replace(
        "transaction_per_migration", "version_table_schema='other', version_table='at', transaction_per_migration"
    )
    branches(world, ("r", None, ""), ("a1", "r", ""), ("b1", "r", ""), ("m", ("a1", "b1"), ""), env=env)
    copy = fresh()
    for url in (world.url.reveal(), copy):
        World(Secret(url), world.files).query(
            "create table other.at (version_num varchar(32) primary key); insert into other.at values ('a1'), ('b1')"
        )

    found = judged(world, copy)

    assert (found.findings, found.counted["migration"]) == ((), 1)
    status = world.status()
    assert (status.current, status.versions) == ("a1,b1", '"other"."at"')
    assert facts(world.url).revision == "a1,b1"
    world.upgrade("m")
    assert facts(world.url, versions=status.versions).revision == "m"


def test_two_branches_that_are_meant_are_brought_to_both_heads(world: World) -> None:
    """With labels of their own, whether one depends on the other or not."""
    branches(
        world,
        ("core1", None, "branch_labels = ('core',)"),
        ("core2", "core1", ""),
        ("plugin1", None, "branch_labels = ('plugin',)\ndepends_on = ('core1',)"),
    )

    status = world.status()
    world.upgrade(status.target)

    assert (status.target, status.pending[0].id) == ("core2,plugin1", "core1")
    assert (world.status().current, world.status().pending) == ("core2,plugin1", ())
    assert facts(world.url).revision == "core2,plugin1"


@pytest.fixture
def original(world: World, server: str) -> Secret:
    """The database with a role of its own, and others beside it."""
    name = world.url.reveal().rpartition("/")[2]
    world.query(f"""
        create role app_{name} login password 'x'; create role readonly_{name} nologin; grant pg_monitor to app_{name};
        grant readonly_{name} to app_{name}; create schema shop_{name} authorization app_{name};
        alter database {name} set search_path = shop_{name}, public; alter role app_{name} set work_mem = '5MB';
        grant create on schema public to app_{name}
    """)  # fmt: skip
    return alter_url(world.url, user=f"app_{name}", password="x")


def test_roles_memberships_and_settings_come_to_a_copy_of_our_own(
    world: World, original: Secret, fresh: Callable[[], str]
) -> None:
    """Under the names of the original; no role of a server that is not ours is made."""
    from deploylib.backups import scratch_server
    from tests.support.servers import programs_of

    name = world.url.reveal().rpartition("/")[2]
    around = server_roles.read_surroundings(original)
    client = programs_of(around.version // 10000)
    with scratch_server.server(client, runner=process.SYSTEM) as server:
        with connect(server) as connection:
            connection.execute("create role copied login password 'y'")
            connection.execute("create database copied owner copied")
        bare = Copy(alter_url(server, user="copied", password="y", dbname="copied"), server, own=True)
        unlike, told = server_roles.bring(Copy(bare, server, own=False), around)
        with connect(server) as connection:
            made = connection.execute("select rolname from pg_roles where rolname !~ '^pg_' order by 1").fetchall()
        copy, lacking = server_roles.bring(bare, around)
        with connect(copy) as connection:
            seen = connection.execute(
                "select current_user::text, current_database()::text, current_setting('search_path'), current_setting('work_mem'),"
                " pg_has_role(%s, 'member'), pg_has_role('pg_monitor', 'member'),"
                " (select rolcanlogin from pg_roles where rolname = %s)",
                [f"readonly_{name}"] * 2,
            ).fetchone()

    assert lacking == ()
    assert seen == (f"app_{name}", name, f"shop_{name}, public", "5MB", True, True, False)
    assert (unlike.reveal(), len(told), made) == (bare.reveal(), 1, [("copied",), ("postgres",)])


def test_what_the_copy_lacks_is_passed_over_and_told(world: World, fresh: Callable[[], str]) -> None:
    """The rest is rehearsed, and nothing says that all of it was; what the database lacks too is refused."""
    world.write(
        "op.execute('create table invoices (id int)')\nop.execute('create extension nowhere')\nop.execute('select 1')",
        "op.execute('grant select on people to nobody_has_it')",
    )

    taken_for_granted = judged(world, fresh())
    known = judged(world, fresh(), live=world.url)

    assert taken_for_granted.blocking == ()
    assert taken_for_granted.counted["migration"] == 0
    assert [gap.reason for gap in taken_for_granted.gaps] == [
        "0001: create extension nowhere, because the copy has no extension nowhere",
        "0002: grant select on people to nobody_has_it, because the copy has no role nobody_has_it",
    ]
    assert [one.rule for one in known.blocking] == ["rehearsal-failed"] * 2


def test_a_statement_that_may_fail_is_passed_over_and_the_rest_is_rehearsed(
    world: World, fresh: Callable[[], str]
) -> None:
    """As its file says in a comment; what follows is judged as ever."""
    world.write(
        "# deploylib: allow rehearsal-failed: only the real one has such rows\n"
        "op.execute('select 1 / 0')\nop.execute('truncate small')"
    )

    found = judged(world, fresh())

    assert [one.rule for one in found.blocking] == ["emptied"]
    assert "only the real one has such rows" in found.accepted[0]
    assert found.counted["migration"] == 0
