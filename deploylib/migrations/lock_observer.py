"""Watch what a program does to a copy of the database.

For migrations of another tool, whose statements cannot be heard one by one as alembic's can. Every few milliseconds it
is asked which locks the other sessions hold (``pg_locks`` with ``pg_stat_activity``); afterwards, which tables are in
another file (``pg_class.relfilenode``), have changed rows (``pg_stat_user_tables``) or are gone. A lock that was held
for less than `EVERY` may stay unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deploylib.errors import MigrationFailed
from deploylib.migrations.alembic_child.picture import find_lost, picture
from deploylib.migrations.alembic_child.recorder import MODES, RELATIONS, empty
from deploylib.migrations.observations import HeldLock, Rehearsed, Step
from deploylib.models import Secret
from deploylib.postgres import connect
from deploylib.system import Clock, Deadline, threads

__all__ = ["EVERY", "expect_sessions", "watch"]

EVERY = 0.02
NOTICED = MODES[MODES.index("ShareLock") :]
OTHERS = "a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()"
HELD = f"""
select a.pid, a.xact_start::text, l.relation::bigint, l.mode, extract(epoch from clock_timestamp())::float8
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where {OTHERS} and l.locktype = 'relation' and l.granted and l.mode = any (%s)
"""  # noqa: S608 - fixed text
CHANGED = (
    "select relid::bigint, n_tup_upd + n_tup_del, n_tup_del from pg_stat_user_tables where n_tup_upd + n_tup_del > 0"
)
COLLECTED = 150000  # the first version whose sessions tell what they did by themselves, and not through a collector
ENDED_WITHIN = 2.0  # seconds


@contextmanager
def expect_sessions(copy: Secret) -> Iterator[Callable[[], bool]]:
    """Count sessions that others open in that database within the block.

    From ``pg_stat_database``, Postgres 14 and later.
    """
    with connect(copy) as connection:
        before = _sessions(connection)
        yield lambda: _sessions(connection) > before


def watch(copy: Secret, work: Callable[[], object], *, name: str, text: str) -> Rehearsed:
    """Watch a copy while *work* is done.

    Args:
        copy: the address of the copy; nobody else is in it.
        work: starts the program, and waits for its end.
        name: of what it does.
        text: the program's words, which stand for all its statements.

    Raises:
        MigrationFailed: the program was never in the copy.
        Unreachable: the copy is gone.
    """
    with connect(copy, statements="0") as connection:
        connection.execute("analyze")  # a copy that was just restored says of no table how large it is
        before = _relations(connection)

        def ask(query: str) -> list[Any]:
            return list(connection.execute(query).fetchall())

        serving, used, sessions = picture(ask), _changed(connection), _sessions(connection)
        began = Clock().monotonic()
        with _watch_locks(copy) as longest:
            work()
        took = Clock().monotonic() - began
        if _sessions(connection) <= sessions + 1:  # the one that looked on
            raise MigrationFailed(
                f"{text} did not open the copy that it was given: it may have migrated another database",
                remedy="look at once which one; it must take the address from DATABASE_URL, and from nowhere else",
            )
        after = _relations(connection)
        changed = {oid: now for oid, now in _changed(connection).items() if oid in before and now != used.get(oid)}
        gone = tuple(find_lost(serving, picture(ask), ask))
        rewritten = {one for one, row in before.items() if one in after and row[2] in "rm" and after[one][3] != row[3]}
        losing = rewritten | {one for one, (_rows, deleted) in changed.items() if deleted > used.get(one, (0, 0))[1]}
        emptied = {one for one in losing if empty(ask, one)}

    def counted(number: int, which: int) -> int:
        return changed[number][which] - used.get(number, (0, 0))[which]

    held = [(before[one], mode, seconds) for (one, mode), seconds in longest.items() if one in before]
    tables = {one: row for one, row in before.items() if one in rewritten | emptied | changed.keys()}
    step = Step(
        text=text,
        seconds=took,
        transaction=False,
        rewritten=tuple(sorted(before[one][1] for one in rewritten)),
        emptied=tuple(sorted(before[one][1] for one in emptied)),
        changed={before[one][1]: counted(one, 0) for one in changed},
        rows={row[1]: row[6] for row in tables.values()},
    )
    locks = [
        HeldLock(table=row[1], mode=mode, rows=row[6], seconds=seconds)
        for row, mode, seconds in held
        if row[2] in "rpm" and (row[2] != "m" or mode == MODES[-1])  # nobody writes into a materialized view
    ]
    return Rehearsed(id=name, statements=(step,), heard=False, held=tuple(locks), gone=gone)


@contextmanager
def _watch_locks(copy: Secret) -> Iterator[dict[tuple[int, str], float]]:
    """Watch locks as long as the block takes.

    Filled afterwards: the longest time for which each was held.
    """
    stop = threading.Event()
    longest: dict[tuple[int, str], float] = {}
    first: dict[tuple[Any, ...], float] = {}
    failed: list[BaseException] = []

    def look() -> None:
        try:
            with connect(copy) as connection:
                while not stop.wait(EVERY):
                    for pid, since, relation, mode, now in connection.execute(HELD, [list(NOTICED)]).fetchall():
                        began = first.setdefault((pid, since, relation, mode), now)
                        longest[relation, mode] = max(longest.get((relation, mode), 0.0), now - began + EVERY)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=look, name="witness", daemon=True)
    threads.begin(thread)
    try:
        yield longest
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def _relations(connection: Any) -> dict[int, tuple[Any, ...]]:
    return {row[0]: row for row in connection.execute(RELATIONS).fetchall()}


def _changed(connection: Any) -> dict[int, tuple[int, int]]:
    return {relation: (rows, deleted) for relation, rows, deleted in connection.execute(CHANGED).fetchall()}


def _sessions(connection: Any) -> int:
    """Count the sessions that the database has had, our own included."""
    _settled(connection)
    if connection.info.server_version >= COLLECTED:
        connection.execute("select pg_stat_force_next_flush()")  # or our own would be counted later
    query = "select sessions from pg_stat_database where datname = current_database()"
    return int(connection.execute(query).fetchone()[0])


def _settled(connection: Any) -> None:
    """Wait until the program's sessions have ended and told."""
    deadline = Deadline.after(ENDED_WITHIN)
    others = f"select count(*) from pg_stat_activity a where {OTHERS}"  # noqa: S608 - fixed text
    while connection.execute(others).fetchone()[0] and not deadline.has_passed():
        Clock().sleep(EVERY)
    Clock().sleep(0.1 if connection.info.server_version >= COLLECTED else 1.0)
