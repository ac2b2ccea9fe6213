"""How revisions are applied: one by one, by one runner, and what an earlier one has left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from deploylib.errors import MigrationFailed, SettingsError
from deploylib.migrations import rehearsal, upgrade
from deploylib.models import Secret
from deploylib.postgres import connection
from deploylib.system import Clock
from tests.migrations.world import ENV, World
from tests.support.documents import examples
from tests.support.edges import has_ended

INDEX = "with op.get_context().autocommit_block():\n    op.create_index('i', 'people', ['age'], postgresql_concurrently=True{more})"
VALID = "select indisvalid from pg_index where indexrelid = to_regclass('i')"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("op.add_column('people', sa.Column('x', sa.Text()))", id="column", marks=pytest.mark.load),
        pytest.param(INDEX.format(more=""), id="concurrent index"),
    ],
)
def test_of_ten_runners_one_migrates_and_nine_find_nothing_to_do(world: World, body: str) -> None:
    """Under the lock that a release takes; those who wait hold nothing that a concurrent index would wait for."""
    world.write(body)

    def run(_number: int) -> int:
        with connection.lock_database(world.url, clock=Clock(), within=90):
            return len(world.upgrade("0001"))

    with ThreadPoolExecutor(10) as pool:
        done = sorted(pool.map(run, range(10)))

    assert done == [0] * 9 + [1]
    assert world.query("select version_num from alembic_version") == [("0001",)]
    assert world.query(VALID) == ([(True,)] if "index" in body else [])


@pytest.mark.parametrize("more", ["", ", if_not_exists=True"], ids=["plain", "if not exists"])
def test_an_invalid_index_is_removed_before_it_is_built_anew(world: World, more: str) -> None:
    """Of that name; `if not exists` would have left it for good."""
    with psycopg.connect(world.url.reveal()) as writer:
        writer.execute("update people set note = 'x' where id = 1")
        with psycopg.connect(world.url.reveal(), autocommit=True) as builder:
            builder.execute("set lock_timeout = 100")
            for name in ("i", "other"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    builder.execute(f"create index concurrently {name} on people (age)")
    assert world.query(VALID) == [(False,)]
    world.write(INDEX.format(more=more))

    [applied] = world.upgrade("0001")

    assert applied.dropped == ("public.i",)
    assert world.query(VALID) == [(True,)]
    assert world.query("select count(*) from pg_index where not indisvalid") == [(1,)], "of another name: not ours"


def test_each_revision_is_a_transaction_whatever_env_py_says(world: World) -> None:
    """The second fails and leaves nothing of itself; the first stays."""
    bodies = ("op.execute('create table one ()')", "op.execute('create table two ()')\nop.execute('select 1 / 0')")
    world.write(*bodies, env=ENV.replace(", transaction_per_migration=True", ""))

    with pytest.raises(MigrationFailed, match="migration 0002 failed; the schema is at 0001"):
        world.upgrade("0002")

    assert world.query("select to_regclass('one')::text, to_regclass('two')::text") == [("one", None)]


@pytest.mark.parametrize("env", [ENV, ENV.replace(", transaction_per_migration=True", "")], ids=["each", "together"])
def test_a_block_without_a_transaction_in_the_midst_of_others(world: World, env: str) -> None:
    """What comes before it, in it and after it is done, and the revisions around it are, too."""
    middle = f"op.execute('create table before ()')\n{INDEX.format(more='')}\nop.execute('create table after ()')"
    world.write("op.execute('create table one ()')", middle, "op.execute('create table three ()')", env=env)

    assert [one.id for one in world.upgrade("0003")] == ["0001", "0002", "0003"]

    made = "select count(*) from pg_class where relname in ('one', 'before', 'after', 'three')"
    assert (world.query(made), world.query(VALID)) == ([(4,)], [(True,)])


def test_a_revision_that_is_half_applied_says_what_is_done(world: World) -> None:
    """It is not tried again, as what came before the block would fail the second time."""
    world.settings["lock_timeout"] = "200ms"
    world.write(
        f"op.execute('create table before ()')\n{INDEX.format(more='')}\nop.add_column('orders', sa.Column('x', sa.Text()))"
    )
    with psycopg.connect(world.url.reveal()) as other:
        other.execute("lock table orders in access share mode")
        with pytest.raises(MigrationFailed, match="0001 failed half way; the schema is at nothing") as raised:
            world.upgrade("0001", within=20)

    assert [line for line in raised.value.details if line.startswith("done: ")] == [
        "done: create table before ()",
        "done: CREATE INDEX CONCURRENTLY i ON people (age)",
    ]


def test_a_block_that_can_be_done_twice_is_tried_again(world: World) -> None:
    """The index is there already, and the lock behind it comes free."""
    world.settings["lock_timeout"] = "200ms"
    world.write(f"{INDEX.format(more=', if_not_exists=True')}\nop.add_column('orders', sa.Column('x', sa.Text()))")
    with psycopg.connect(world.url.reveal()) as other, ThreadPoolExecutor(1) as pool:
        other.execute("lock table orders in access share mode")
        running = pool.submit(world.upgrade, "0001")
        for _ in range(100):
            waiting = (
                "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike 'alter table orders%'"
            )
            if world.query(waiting):
                break
        other.rollback()
        [applied] = running.result()

    assert world.query(VALID) == [(True,)]
    assert applied.id == "0001"


ASYNC = """
import asyncio, os
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")

def run(connection):
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()

if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(main())
"""


def test_an_env_py_with_an_event_loop(world: World) -> None:
    """Its sessions get the same limits, and who stands in their way is named."""
    pytest.importorskip("greenlet")
    world.settings["lock_timeout"] = "300ms"
    world.write("op.execute('create table one ()')", INDEX.format(more=""), "op.drop_table('small')", env=ASYNC)
    assert [one.rendered for one in world.status().pending] == [True] * 3
    with psycopg.connect(world.url.reveal(), application_name="report") as other:
        other.execute("select 1 from small")
        with pytest.raises(MigrationFailed, match=r"0003 did not get its lock .* held by pid \d+ \(report\)"):
            world.upgrade("0003", within=1)

    assert world.query(VALID) == [(True,)]


def test_an_env_py_that_opens_another_database_changes_nothing(world: World, fresh: Callable[[], str]) -> None:
    """Neither in earnest nor in a rehearsal, which would be in earnest then."""
    other = fresh()
    elsewhere = ENV.replace('os.environ["DATABASE_URL"]', repr(other))
    world.write("op.execute('create table one ()')", env=elsewhere)

    with pytest.raises(MigrationFailed, match="0001 failed") as raised:
        world.upgrade("0001")
    report = rehearsal.rehearse(world.tool, world.url, world.status())

    assert "another database than the one in DATABASE_URL" in raised.value.details[0]
    assert "another database than the one in DATABASE_URL" in report.error
    assert World(Secret(other), world.files).query("select to_regclass('one')") == [(None,)]


def test_modules_of_the_library_are_not_those_of_the_application(world: World) -> None:
    """The program lies beside `models.py`, and what `env.py` imports by that name is the commit's."""
    (world.files / "migrations").mkdir(parents=True)
    (world.files / "models.py").write_text("MINE = True\n")
    world.write("pass", env="from models import MINE\nassert MINE\n" + ENV)

    assert [one.id for one in world.upgrade("0001")] == ["0001"]


def test_a_killed_command_takes_its_migration_with_it(world: World, tmp_path: Path) -> None:
    """Nobody goes on with a revision while the next command, which holds the lock by then, does it."""
    noted = tmp_path / "noted"
    world.write(
        f"""
        import os, pathlib, time
        op.add_column('people', sa.Column('x', sa.Text()))
        pathlib.Path({str(noted)!r}).write_text(f"{{os.getpid()}}.")
        time.sleep(60)
        """
    )
    code = """
import os, pathlib, sys
from deploylib.models import Secret
from tests.migrations.world import World
World(Secret(os.environ["URL"]), pathlib.Path(sys.argv[1])).upgrade("0001")
"""
    root = str(Path(__file__).parents[2])
    command = subprocess.Popen(
        [sys.executable, "-c", code, str(world.files)],
        env={**os.environ, "PYTHONPATH": root, "URL": world.url.reveal()},
    )
    until(lambda: noted.exists() and noted.read_text().endswith("."))
    child = psutil.Process(int(noted.read_text().strip(".")))

    command.kill()
    command.wait()

    until(lambda: has_ended(child))
    world.write("op.add_column('people', sa.Column('x', sa.Text()))")
    assert [one.id for one in world.upgrade("0001")] == ["0001"]


def until(good: Callable[[], bool]) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + 60
    while not good():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_folder_is_brought_to_its_newest_revision_in_a_script(world: World) -> None:
    """The example of the documents as it stands, without settings; a second time there is nothing to do."""
    world.write(
        "op.add_column('small', sa.Column('x', sa.Text()))", "op.add_column('small', sa.Column('y', sa.Text()))"
    )
    [script] = examples(Path(__file__).parents[2] / "docs" / "library.md", "Migrations")
    environ = {**os.environ, "DATABASE_URL": world.url.reveal()}

    done = [
        subprocess.run(
            [sys.executable, "-c", script], cwd=world.files, env=environ, capture_output=True, text=True, check=False
        )
        for _ in range(2)
    ]

    assert [(one.returncode, one.stderr) for one in done] == [(0, ""), (0, "")]
    assert [one.stdout.splitlines() for one in done] == [["0001 Revision 0001 1 try", "0002 Revision 0002 1 try"], []]
    assert len(script.strip().splitlines()) <= 10
    assert world.query("select version_num from alembic_version") == [("0002",)]


def test_a_folder_without_migrations_is_told(world: World, tmp_path: Path) -> None:
    """And not taken for one that is up to date."""
    with pytest.raises(SettingsError, match="has no migrations"):
        upgrade(world.url, tmp_path)
