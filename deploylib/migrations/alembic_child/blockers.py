"""Watch who stands in the way of a migration.

The sessions that hold the lock it waits for, named while it waits.

A wait for a lock that holds up others ends here where the session's own ``lock_timeout`` does not end it: a statement can
switch that off within itself (``DO``, a function with ``SET``, several statements in one).

A part of `deploylib.migrations.alembic_child.__main__`, which loads it by its path: it imports nothing of deploylib either.
"""

import contextlib
import os
import re
import threading
import time
from typing import Any

BLOCKERS = """
select b, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, 'prepared transaction'),
       extract(epoch from now() - coalesce(a.xact_start, a.backend_start))::bigint, coalesce(a.query, '')
from unnest(pg_blocking_pids({pid})) b left join pg_stat_activity a on a.pid = b order by a.xact_start limit 3
"""
# Waits in milliseconds that hold others up: for a lock that they would notice, or with such a lock in hand.
WAITS = """
select w.pid, (1000 * extract(epoch from clock_timestamp() - w.waitstart))::bigint
from pg_catalog.pg_locks w left join pg_catalog.pg_class c on c.oid = w.relation and w.locktype = 'relation'
where w.pid in ({pids}) and not w.granted and w.waitstart is not null and (
    (w.locktype = 'relation' and w.mode in ({strong}) and (c.relkind <> 'm' or w.mode = 'AccessExclusiveLock'))
    or exists (
        select from pg_catalog.pg_locks h join pg_catalog.pg_class k on k.oid = h.relation
        where h.pid = w.pid and h.granted and h.locktype = 'relation' and h.mode in ({strong}) and k.relkind in ('r', 'p', 'v', 'S')))
"""
STRONG = "'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'"
# The start of the server, to the microsecond, and the name of the database: no two are the same.
IDENTITY = "select extract(epoch from pg_postmaster_start_time())::text, current_database()::text"


class Watch:
    """Asks from a second session who blocks a waiting statement.

    Args:
        must_see: do nothing where no second session can be had: a rehearsal must be sure that it is in the copy.
    """

    def __init__(self, lock_timeout: float, *, must_see: bool = False) -> None:
        self.must_see = must_see
        self.blind = False
        self.limit = int(lock_timeout * 1000)
        self.after = 0.4 * lock_timeout
        self.every = min(0.25, max(0.02, 0.15 * lock_timeout))
        self.waiting: tuple[int, float] | None = None
        self.pids: set[int] = set()
        self.canceled = False
        self.found: list[str] = []
        self.closed = threading.Event()
        self.engine: Any = None
        self.thread: threading.Thread | None = None

    def opened(self, conn: Any) -> None:
        """Note that a session of ``env.py`` is about to be used.

        The first one tells where to look.

        Raises:
            RuntimeError: it is in another database than the one that is meant.
        """
        if self.engine is not None or self.blind:
            return
        engine = aside(conn)
        if engine is None:
            self.blind = True
            if self.must_see:
                raise RuntimeError(f"no driver but {conn.dialect.driver} is installed: who knows which database it is")
            return
        cursor = conn.connection.cursor()
        cursor.execute(IDENTITY)
        here = tuple(cursor.fetchone())
        cursor.close()
        try:
            with engine.connect() as connection:
                meant = tuple(connection.exec_driver_sql(IDENTITY).fetchone())
        except Exception:
            self.blind = True  # no session is left for us; the migration has its own
            if self.must_see:
                raise
            return
        if here != meant:
            raise RuntimeError("env.py opens another database than the one in DATABASE_URL: nothing was changed")
        self.engine = engine
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def fresh(self) -> None:
        """Begin another try."""
        self.found, self.canceled = [], False

    def began(self, pid: int) -> None:
        """Note that a statement of this session starts."""
        self.pids.add(pid)
        self.waiting = (pid, time.monotonic())

    def ended(self) -> None:
        """Note that it has ended, well or badly."""
        self.waiting = None

    def run(self) -> None:
        """Look every now and then; tell only what can be seen."""
        with contextlib.suppress(Exception), self.engine.connect() as connection:
            pause = self.every
            while not self.closed.wait(pause):
                pause = self.cancel(connection)
                waiting = self.waiting
                if waiting and time.monotonic() - waiting[1] >= self.after:
                    blockers = connection.exec_driver_sql(BLOCKERS.format(pid=waiting[0])).fetchall()
                    self.found = [describe_session(*row) for row in blockers] or self.found

    def cancel(self, connection: Any) -> float:
        """End a wait that has lasted for longer than the limit.

        Gives the seconds until the next look.
        """
        pids = ", ".join(str(pid) for pid in tuple(self.pids))
        waits = connection.exec_driver_sql(WAITS.format(pids=pids or "null", strong=STRONG)).fetchall()
        for pid, waited in waits:
            if waited > self.limit:
                self.canceled = True
                connection.exec_driver_sql(f"select pg_catalog.pg_cancel_backend({int(pid)})")
        left = min((self.limit - waited for _pid, waited in waits), default=self.limit) / 1000
        return min(self.every, max(0.01, left + 0.01))

    def close(self) -> None:
        """End the second session."""
        self.closed.set()
        if self.thread is not None:
            self.thread.join(5)
            self.engine.dispose()


def describe_session(pid: int, name: str, state: str, age: int, query: str) -> str:
    """Describe a session in words.

    Nothing after the first quote of its query, and no number, as those may be data.
    """
    words = re.sub(r"--[^\n]*|/\*.*?(?:\*/|$)|\b\d+\b", " ? ", re.split(r"['$]", query)[0], flags=re.DOTALL)
    words = " ".join(words.split()[:10])[:80]
    return f"pid {pid} ({name}), {state} for {age} s" + (f": {words} …" if words else "")


def aside(conn: Any) -> Any:
    """Open another way into the database that is meant.

    None: there is none. ``env.py`` may use a driver that needs an event loop.
    """
    from sqlalchemy import create_engine, make_url, pool

    url = make_url(re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", os.environ["DATABASE_URL"]))
    drivers = [] if conn.dialect.is_async else [conn.engine.url.drivername]
    for name in [*drivers, "postgresql+psycopg", "postgresql+psycopg2", "postgresql+pg8000"]:
        with contextlib.suppress(ImportError):
            return create_engine(
                url.set(drivername=name),
                poolclass=pool.NullPool,
                isolation_level="AUTOCOMMIT",
                execution_options={"deploylib": True},
            )
    return None
