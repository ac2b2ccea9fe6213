"""A migration on a database that is in use: nobody is held up for longer than the limit, and who holds it up is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from deploylib.errors import MigrationFailed
from tests.migrations.world import World

LIMIT = 0.4
ADD = "op.add_column('people', sa.Column('x', sa.Text()))"
SECRET = "select id from people where name = 'nobody-may-read-this' or id = 4711"


class Crowd:
    """Thirty-two who read and write all the time, and notice how long each of it takes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.over = threading.Event()
        self.took: list[tuple[float, float]] = []
        self.ready = threading.Barrier(33)

    def one(self, number: int) -> None:
        """Every fourth writes."""
        text = (
            "update people set note = 'x' where id = %s" if number % 4 == 0 else "select name from people where id = %s"
        )
        with psycopg.connect(self.url, autocommit=True, application_name="crowd") as connection:
            self.ready.wait(30)
            while not self.over.wait(0.05):
                began = time.monotonic()
                connection.execute(text, (number + 1,))
                self.took.append((began, time.monotonic() - began))

    def longest(self, since: float, until: float) -> float:
        """Of what was begun between the two."""
        return max(took for began, took in self.took if since <= began < until)


@contextmanager
def crowd(url: str) -> Iterator[Crowd]:
    """Let them work for as long as the block lasts."""
    busy = Crowd(url)
    with ThreadPoolExecutor(32) as pool:
        work = [pool.submit(busy.one, number) for number in range(32)]
        try:
            busy.ready.wait(30)
            yield busy
        finally:
            busy.over.set()
        for one in work:
            one.result()


@contextmanager
def holding(url: str, seconds: float, text: str = SECRET) -> Iterator[int]:
    """A transaction of somebody that has read the table, and stays open until one waits for it and a while longer.

    Gives its process.
    """
    over = threading.Event()
    with psycopg.connect(url, application_name="monthly report") as connection:
        connection.execute(text)
        waiter = threading.Thread(target=_end_later, args=(url, connection, seconds, over))
        waiter.start()
        try:
            yield connection.info.backend_pid
        finally:
            over.set()
            waiter.join()


def _end_later(
    url: str, connection: psycopg.Connection[tuple[object, ...]], seconds: float, over: threading.Event
) -> None:
    """Give the lock up so many seconds after somebody has begun to wait for one; at the end of the block at the latest."""
    waiting = "select exists (select from pg_locks where not granted and locktype <> 'advisory')"
    with psycopg.connect(url, autocommit=True) as looking:
        while not over.wait(0.05) and not (looking.execute(waiting).fetchone() or (False,))[0]:
            pass
    over.wait(seconds)
    connection.rollback()


def test_nobody_waits_longer_than_the_limit_while_the_migration_waits_for_its_lock(world: World) -> None:
    """It tries again until the lock is free; each try holds the others up for the limit and no longer."""
    world.settings["lock_timeout"] = f"{int(LIMIT * 1000)}ms"
    world.write(ADD)
    url = world.url.reveal()
    with crowd(url) as busy:
        start = time.monotonic()
        time.sleep(3)
        with holding(url, 3) as pid:
            began = time.monotonic()
            [applied] = world.upgrade("0001")
            ended = time.monotonic()
        time.sleep(2)
        quiet = max(busy.longest(start, began - 0.1), busy.longest(ended, time.monotonic()))
        stalled = busy.longest(began - 0.1, ended)

    print(f"\nlongest without a migration {quiet:.3f} s, with one that waits {stalled:.3f} s ({applied.tries} tries)")
    assert stalled <= LIMIT + quiet + 0.05  # the server's own timer, and ours
    assert applied.tries > 1
    [blocker] = [one for one in applied.waited_for if "monthly report" in one]
    assert blocker.startswith(f"pid {pid} (monthly report), idle in transaction for ")
    assert blocker.endswith("select id from people where name = …")


def test_a_migration_that_never_gets_its_lock_gives_up_and_says_who_had_it(world: World) -> None:
    """Nothing of it is left, and no value of the other session's query is shown."""
    world.settings["lock_timeout"] = "200ms"
    world.write(ADD)
    with holding(world.url.reveal(), 30) as pid, pytest.raises(MigrationFailed, match=f"held by pid {pid} ") as raised:
        world.upgrade("0001", within=2)

    said = raised.value.diagnostics()
    assert "did not get its lock" in said
    assert [word for word in ("nobody-may-read-this", "4711") if word in said] == []
    assert world.query("select column_name from information_schema.columns where column_name = 'x'") == []
    assert world.query("select count(*) from pg_stat_activity where application_name = 'deploylib'") == [(0,)]


@pytest.mark.parametrize("patient", ["concurrent index", pytest.param("validate", marks=pytest.mark.load)])
def test_what_blocks_nobody_may_wait_for_long(world: World, patient: str) -> None:
    """One try is enough, though it waits for longer than the limit; and the limit holds again afterwards."""
    world.settings |= {"lock_timeout": "200ms", "statement_timeout": "500ms"}
    url = world.url.reveal()
    if patient == "validate":
        world.query("alter table people add constraint k check (age >= 0) not valid")
        text = "alter table people validate constraint k"
        held = "lock table people in share update exclusive mode"
        world.write(
            f"op.execute('{text}')\nassert op.get_bind().exec_driver_sql('show lock_timeout').scalar() == '200ms'"
        )
    else:
        held = "update people set note = 'x' where id = 1"
        world.write("with op.get_context().autocommit_block():\n    op.create_index('i', 'people', ['age'], postgresql_concurrently=True)\n"
                    "    assert op.get_bind().exec_driver_sql('show statement_timeout').scalar() == '500ms'")  # fmt: skip
    with holding(url, 5, held):
        [applied] = world.upgrade("0001")

    assert (applied.tries, applied.seconds > 0.6) == (1, True)  # longer than both limits


def test_validation_does_not_wait_for_long_while_its_transaction_holds_up_others(world: World) -> None:
    """A column was added before it, so the short limit stays."""
    world.settings |= {"lock_timeout": "200ms"}
    world.query("alter table orders add constraint k check (amount >= 0) not valid")
    world.write(ADD + "\nop.execute('alter table orders validate constraint k')")
    held = "lock table orders in share update exclusive mode"
    with holding(world.url.reveal(), 30, held), pytest.raises(MigrationFailed, match="did not get its lock"):
        world.upgrade("0001", within=1)
