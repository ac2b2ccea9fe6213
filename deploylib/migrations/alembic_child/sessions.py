"""Limits, and another try, for the sessions that ``env.py`` opens.

Limits that fit the statement, and who stands in the way.

A part of `deploylib.migrations.alembic_child.__main__`, which loads it by its path: it imports nothing of deploylib either.

``lock_timeout`` is short, because whoever waits for a strong lock makes everybody wait who comes later. ``CREATE INDEX
CONCURRENTLY`` and ``VALIDATE`` take locks that readers and writers do not notice, and wait for every older transaction;
a short limit counts that wait, and leaves an invalid index that ``IF NOT EXISTS`` takes for a good one
(https://www.postgresql.org/docs/16/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).

A revision may take the limits away (``SET``, ``set_config``, ``RESET``), so may the database's URL, and some drivers read
none from the environment: they are set again before each statement. What one statement does within itself is seen by
`deploylib.migrations.alembic_child.blockers`.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

PATIENT = re.compile(
    r"(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|REFRESH\s+MATERIALIZED\s+VIEW)\s+CONCURRENTLY\b"
    r"|REINDEX\b.*?\bCONCURRENTLY\b|ALTER\s+TABLE\b[^;]*\bVALIDATE\s+CONSTRAINT\b"
    r"|ALTER\s+TABLE\b[^;]*\bDETACH\s+PARTITION\b[^;]*\bCONCURRENTLY\b",
    re.IGNORECASE | re.DOTALL,
)
NAME = r'(?:"[^"]+"|[\w$]+)'
BUILDS = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<index>{NAME})\s+"
    rf"ON\s+(?:ONLY\s+)?(?P<table>{NAME}(?:\.{NAME})?)",
    re.IGNORECASE,
)
WRITES = re.compile(r"(?!SELECT|SHOW|SET|RESET|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ANALYZE)\w", re.IGNORECASE)
REPEATABLE = re.compile(r"\bIF\s+(?:NOT\s+)?EXISTS\b", re.IGNORECASE)
COMMENT = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
# What waits for no lock; before some of these nothing else may be asked, and after a failure only these.
IDLE = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|DISCARD|SHOW)\b[^;]*;?\s*$", re.IGNORECASE
)
# What alembic writes down, into whatever table.
BOOKKEEPING = re.compile(
    r"CREATE\s+TABLE\s+\S+\s*\(\s*version_num\s|INSERT\s+INTO\s+\S+\s*\(version_num\)|UPDATE\s+\S+\s+SET\s+version_num\s*="
    r"|DELETE\s+FROM\s+(?P<table>\S+)\s+WHERE\s+(?P=table)\.version_num\s*=|DROP\s+TABLE\s+\S*alembic_version\s*;?\s*$",
    re.IGNORECASE,
)
CANCELED = "57014"  # query_canceled: by the watch, by statement_timeout, or by a person
LIMITS = """
select (1000 * extract(epoch from pg_catalog.current_setting('lock_timeout')::interval))::bigint,
    (1000 * extract(epoch from pg_catalog.current_setting('statement_timeout')::interval))::bigint
"""
# The first migration of all makes alembic's own table, for which nobody waits.
STRONG = """
select 1 from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and l.granted and c.relkind <> 'i' and c.oid <> coalesce(to_regclass({versions}), 0)
and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') limit 1
"""
# One that is being built by another session is not valid yet either.
INVALID = """
select format('%I.%I', n.nspname, i.relname) from pg_index x join pg_class i on i.oid = x.indexrelid
join pg_namespace n on n.oid = i.relnamespace join pg_class t on t.oid = x.indrelid
where not x.indisvalid and i.relname = {index} and i.relnamespace = (
    select relnamespace from pg_class where oid = to_regclass({table}))
and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.oid)
"""


class Sessions:
    """Listens to every session of this process while a revision runs.

    Args:
        watch: a `deploylib.migrations.alembic_child.blockers.Watch`, which looks who stands in the way.
        patience: seconds for what blocks nobody.
        limits: seconds for a lock and for a statement, in milliseconds; of all else.
        versions: alembic's own table, as SQL names it.

    Attributes:
        committed: statements of this try that cannot be undone any more, and not be done twice.
        dropped: invalid indexes that were removed before they were built anew.
        lifted: what had taken the limits away before they were set again.
    """

    def __init__(self, watch: Any, patience: float, limits: tuple[int, int], versions: str) -> None:
        self.watch = watch
        self.patience = f"{int(patience * 1000)}ms"
        self.limits = limits
        self.versions = literal(versions)
        self.committed: list[str] = []
        self.open: list[str] = []
        self.dropped: list[str] = []
        self.lifted: list[str] = []

    def fresh(self) -> None:
        """Begin another try."""
        self.committed, self.open = [], []
        self.watch.fresh()

    def before(self, conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any) -> None:
        """Give the statement the limits that suit it."""
        if ours(conn):
            return
        self.watch.opened(conn)
        text = plain(statement)
        if not IDLE.match(text):
            self.enforce_limits(conn)
        if PATIENT.match(text) and not self.strongly(conn):
            before = ask(conn, "select current_setting('lock_timeout'), current_setting('statement_timeout')")
            context.deploylib_limits = before
            limit(conn, self.patience, self.patience)
            if built := BUILDS.match(text):
                self.rebuild(conn, built["index"], built["table"])
        pid = conn.info.get("deploylib_pid") or ask(conn, "select pg_backend_pid()")[0]
        self.watch.began(conn.info.setdefault("deploylib_pid", pid))

    def enforce_limits(self, conn: Any) -> None:
        """Set the limits again where they are longer, or none.

        The revision's own may be shorter.
        """
        now = ask(conn, LIMITS)
        wanted = [min(is_now or most, most) for is_now, most in zip(now, self.limits, strict=True)]
        if wanted == list(now):
            return
        limit(conn, *(f"{one}ms" for one in wanted))
        last = conn.info.get("deploylib_last", "")
        self.lifted.append(" ".join(last.split())[:120] or "the session begins without them")

    def strongly(self, conn: Any) -> bool:
        """Tell whether the transaction holds a lock that others notice.

        Then it must not wait for long.
        """
        return not autocommit(conn) and bool(rows(conn, STRONG.format(versions=self.versions)))

    def after(self, conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any) -> None:
        """Take the limits back, and note what is done for good."""
        if ours(conn):
            return
        self.watch.ended()
        if before := getattr(context, "deploylib_limits", None):
            limit(conn, *before)
        text = plain(statement)
        conn.info["deploylib_last"] = text
        if WRITES.match(text) and not BOOKKEEPING.match(text):
            (self.committed if autocommit(conn) else self.open).append(text)

    def handle_failure(self, context: Any) -> None:
        """Stop the watch.

        A session that keeps its longer limits is never used again.
        """
        connection = context.connection
        if connection is None or ours(connection):
            return
        self.watch.ended()
        before = getattr(context.execution_context, "deploylib_limits", None)
        if before and autocommit(connection):
            with contextlib.suppress(Exception):  # the session may be gone, and its limits with it
                limit(connection, *before)

    def commit(self, conn: Any) -> None:
        """Note that what was open is done."""
        if not ours(conn):
            self.committed += self.open
            self.open = []

    def rollback(self, conn: Any) -> None:
        """Note that what was open never happened."""
        if not ours(conn):
            self.open = []

    def rebuild(self, conn: Any, index: str, table: str) -> None:
        """Remove what an earlier build of this index has left behind."""
        bare = index[1:-1] if index.startswith('"') else index.lower()
        for (left,) in rows(conn, INVALID.format(index=literal(bare), table=literal(table))):
            ask(conn, f"drop index concurrently if exists {left}")
            self.dropped.append(left)

    def explain_error(self, error: Exception) -> tuple[str | None, str]:
        """Explain an error.

        Of a wait that the watch has ended the code that the server has for it.
        """
        state, words = explain_error(error)
        if state == CANCELED and self.watch.canceled:
            return "55P03", f"{words} (it waited for a lock for longer than lock_timeout, which it had switched off)"
        return state, words

    def once_more(self) -> bool:
        """Tell whether the revision can be tried again.

        Nothing of it is done that cannot be done twice.
        """
        return all(REPEATABLE.search(text) for text in self.committed)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear every session for as long as the block lasts."""
        with listening(
            before_cursor_execute=self.before,
            after_cursor_execute=self.after,
            handle_error=self.handle_failure,
            commit=self.commit,
            rollback=self.rollback,
        ):
            try:
                yield
            finally:
                self.watch.close()


@contextlib.contextmanager
def listening(**heard: Any) -> Iterator[None]:
    """Hear these events of every engine."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    for name, function in heard.items():
        event.listen(Engine, name, function)
    try:
        yield
    finally:
        for name, function in heard.items():
            event.remove(Engine, name, function)


def explain_error(error: Exception) -> tuple[str | None, str]:
    """Read the database's code and words, by whatever driver they come."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None), str(cause).strip()


def ours(conn: Any) -> bool:
    """Tell whether it is no session of ``env.py``, or not of Postgres."""
    return conn.dialect.name != "postgresql" or "deploylib" in conn.get_execution_options()


def autocommit(conn: Any) -> bool:
    """Tell whether each statement is its own transaction.

    As in alembic's ``autocommit_block``.
    """
    return bool(conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


def limit(conn: Any, lock: str, statement: str) -> None:
    """Set both limits of the session."""
    limits = f"set_config('lock_timeout', '{lock}', false), set_config('statement_timeout', '{statement}', false)"
    ask(conn, f"select {limits}")


def rows(conn: Any, query: str) -> list[Any]:
    """Read the rows of a query that nobody else hears of."""
    cursor = conn.connection.cursor()
    try:
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        cursor.close()


def ask(conn: Any, query: str) -> Any:
    """Read the first row of a query."""
    return next(iter(rows(conn, query)), None)


def literal(text: str) -> str:
    """Write a string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def plain(statement: str) -> str:
    """Strip what stands before a statement."""
    comment = COMMENT.match(statement)
    return statement[comment.end() if comment else 0 :]
