"""What Postgres really does with an operation: read from its own catalogs, with nothing of what is being tested."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from threading import Event
from time import sleep
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql

from tests.migrations.operation import Operation
from tests.migrations.serving import numbers, set_back, statements, suffers, tried

SMALL = 10_000
FILES = "select oid, relfilenode from pg_class where relkind in ('r', 'm', 'i') and relnamespace <> 11"
OWNERS = "select indexrelid, indrelid from pg_index"
SIZES = """
select c.oid, case when c.relkind = 'p' then (select sum(l.reltuples) from pg_inherits i join pg_class l on l.oid = i.inhrelid
where i.inhparent = c.oid) else greatest(c.reltuples, 0) end::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm', 'p') and n.nspname !~ '^(pg|inf)'
"""
# Nobody writes into a materialized view.
LOCKS = """
select relation from pg_locks l join pg_class c on c.oid = l.relation where l.pid = {pid} and (mode = 'AccessExclusiveLock'
or (mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock') and c.relkind <> 'm'))
"""
WAITS = "select count(*) from pg_locks where pid = {pid} and not granted"
USED = "select relid, seq_scan, n_tup_upd + n_tup_del from pg_stat_xact_user_tables"
NAMES = """
select table_schema || table_name || column_name from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
union all select enumtypid::text || enumlabel from pg_enum
union all select oid || 'visible' from pg_class where not relrowsecurity and relkind = 'r'
"""


def observed(url: str, operation: Operation) -> set[str]:
    """Which hazards the operation has; nothing of it stays, unless it cannot run in a transaction.

    ``fails``, ``contract`` (code cannot name something any more, or a statement of serving code fails or gives less), ``destroys`` (a table is empty that was not),
    ``work`` (a table that is not small is read or written whole under a lock that others notice), ``bulk``.
    """
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    alone = any("autocommit_block" in body for body in operation.bodies)
    found: set[str] = set()
    with engine.connect() as first, engine.connect() as second:
        connection = first.execution_options(isolation_level="AUTOCOMMIT") if alone else first
        serving = second if alone else first
        does = statements(serving)
        before, were = tried(serving, does), numbers(serving)
        serving.rollback()
        for body in operation.bodies:
            found |= _body(connection, body, alone=alone)
            if "fails" not in found and suffers(before, tried(serving, does)):
                found.add("contract")
            if alone:
                serving.rollback()
            if found or len(operation.bodies) == 1:
                break
            connection.commit()
        connection.rollback()
        set_back(serving, were)
        serving.commit()
    engine.dispose()
    return found


@contextmanager
def seen_from_outside(engine: sa.Engine, pid: int) -> Iterator[set[int]]:
    """The tables on which a session wants locks that others notice, seen once a writer holds it up."""
    locked: set[int] = set()

    def look() -> None:
        with engine.connect() as writer, engine.connect() as other:
            writer.exec_driver_sql("lock table people, orders in row exclusive mode")
            ready.set()
            while not over.is_set() and not other.exec_driver_sql(WAITS.format(pid=pid)).scalar():
                sleep(0.02)
            locked.update(oid for (oid,) in other.exec_driver_sql(LOCKS.format(pid=pid)).fetchall())

    ready, over = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        ready.wait()
        try:
            yield locked
        finally:
            over.set()
        looking.result()


def _body(connection: sa.Connection, body: str, *, alone: bool) -> set[str]:
    def rows(query: str) -> list[Any]:
        return list(connection.exec_driver_sql(query).fetchall())

    context = MigrationContext.configure(connection)
    context.autocommit_block = nullcontext  # type: ignore[method-assign,assignment]
    sizes, files, owners, names = dict(rows(SIZES)), dict(rows(FILES)), dict(rows(OWNERS)), set(rows(NAMES))
    used = {relation: (scans, changes) for relation, scans, changes in rows(USED)}
    [(pid,)] = rows("select pg_backend_pid()")
    try:
        with seen_from_outside(connection.engine, pid) if alone else nullcontext(set[int]()) as locked:
            exec(body, {"op": Operations(context), "sa": sa, "postgresql": postgresql})  # noqa: S102 - our own
    except sa.exc.DBAPIError:
        return {"fails"}
    found = set()
    after = dict(rows(FILES))
    new = {oid for oid, file in files.items() if after.get(oid, file) != file}
    locked = {oid for oid in locked | {oid for (oid,) in rows(LOCKS.format(pid=pid))} if sizes.get(oid)}
    delta = {one: (s - used.get(one, (0, 0))[0], c - used.get(one, (0, 0))[1]) for one, s, c in rows(USED)}
    worked = {owners.get(oid, oid) for oid in new} | {one for one, (scans, _changes) in delta.items() if scans > 0}
    if names - set(rows(NAMES)):
        found.add("contract")
    empty = {oid for oid in new if sizes.get(oid) and not rows(f"select pg_relation_size({oid})")[0][0]}
    names_of = dict(rows("select oid, oid::regclass::text from pg_class where relkind = 'r'"))
    changed = [one for one, (_scans, changes) in delta.items() if changes and sizes.get(one)]
    if empty or any(not rows(f"select 1 from {names_of[one]} limit 1") for one in changed):  # noqa: S608
        found.add("destroys")
    if locked and any(sizes.get(one, 0) > SMALL for one in worked - empty):
        found.add("work")
    if any(changes > SMALL for _scans, changes in delta.values()):
        found.add("bulk")
    return found
