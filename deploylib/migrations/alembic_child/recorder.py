"""Record what each statement of a revision does to a copy.

Locks, rewrites, scans, rows, time.

A part of `deploylib.migrations.alembic_child.__main__`, which loads it by its path: it imports nothing of deploylib either.

Nothing is parsed: after each statement its own session is asked what it holds (``pg_locks``), which files are new
(``relfilenode``) and what was read or changed (``pg_stat_xact_all_tables``,
https://www.postgresql.org/docs/16/monitoring-stats.html). In an ``autocommit_block`` the locks are gone by then.

A statement that fails for want of something that a copy need not have, or whose revision allows that, is passed over: each
has a savepoint, so that the rest can be rehearsed. Whether the database itself has it is for others to find out.
"""

import re
import time
from typing import Any

MODES = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
CHANGES = re.compile(r"(?:UPDATE|DELETE|MERGE|WITH)\b", re.IGNORECASE)
# What a savepoint does not go with: the ends of transactions, and what must be first in one.
UNSAVED = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION|SET\s+(?:SESSION|TRANSACTION))\b"
    r"|.*;\s*(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT)\b",
    re.IGNORECASE | re.DOTALL,
)
# Of the server and not of the statement: rights, connections to elsewhere, memory and disk, files.
ELSEWHERE = ("42501", "25006", "08", "53", "58")
LACKED = re.compile(
    r"(?P<kind>role|extension|tablespace|collation|language|access method|foreign-data wrapper|database|"
    r'text search configuration|text search dictionary|server|publication|subscription) "(?P<name>[^"]+)"'
    r'(?: for encoding "[^"]+")? (?:does not exist|is not available)'
    r"|could not (?:create|open|load) (?:locale|extension control file|library)|could not access file|wal_level|shared_preload_libraries"
)
HERE = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
RELATIONS = f"""
select c.oid::bigint, case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end, c.relkind::text,
       c.relfilenode::bigint, coalesce(i.indrelid, 0)::bigint,
       case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) else 0 end,
       case when c.relkind = 'p' then (
           select coalesce(sum(greatest(l.reltuples, 0)), 0) from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid
           where t.isleaf) else greatest(c.reltuples, 0) end::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_index i on i.indexrelid = c.oid
where {HERE} and c.relkind in ('r', 'p', 'm', 'i', 'v', 'S')
"""  # noqa: S608 - fixed text
HELD = "select relation::bigint, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and granted"
# Rows that are only added are in nobody's way.
USED = """
select relid::bigint, seq_scan, n_tup_upd, n_tup_del from pg_stat_xact_all_tables where seq_scan + n_tup_upd + n_tup_del > 0
"""
UNKNOWN = f"""
select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
where {HERE} and c.relkind in ('r', 'm') and pg_relation_size(c.oid) > 0 and (c.reltuples < 0
  or not exists (select from pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname)) limit 1
"""  # noqa: S608 - fixed text


EMPTY = """
select case when c.relkind = 'm' and not c.relispopulated then '' else c.oid::regclass::text end
from pg_class c where c.oid = {relation}
"""


def empty(ask: Any, relation: int) -> bool:
    """Tell whether a table or view still stands and has no row.

    Args:
        ask: gives the rows of a query.
    """
    for (name,) in ask(EMPTY.format(relation=int(relation))):
        return not name or not ask(f"select 1 from only {name} limit 1")  # noqa: S608 - quoted by the server
    return False


def asking(connection: Any) -> Any:
    """Make a function that asks by a session of our own."""
    return lambda query: connection.exec_driver_sql(query).fetchall()


class Recorder:
    """Writes down what each statement of this process did.

    Args:
        sessions: the module `deploylib.migrations.alembic_child.sessions`, which knows how to ask a session.
        watch: a `deploylib.migrations.alembic_child.blockers.Watch`, which has another way into the same database.
        pictures: the module `deploylib.migrations.alembic_child.picture`, which knows what code relies on.
        versions: alembic's own table, as SQL names it: what happens to it is nobody's concern.
        allowed: revisions that may fail, as their files say: what of them fails is passed over.
    """

    def __init__(self, sessions: Any, watch: Any, pictures: Any, versions: str, allowed: frozenset[str]) -> None:
        self.sessions, self.watch, self.pictures = sessions, watch, pictures
        self.versions = f"select coalesce(to_regclass({sessions.literal(versions)})::oid::bigint, 0)"
        self.allowed = allowed
        self.lost = 0.0  # time that was ours, not the migration's
        self.picture: Any = None  # of what the serving code was written for: before all of them
        self.told_of: set[str] = set()
        self.begin("")

    def begin(self, revision: str) -> None:
        """Begin the next revision."""
        self.revision = revision
        self.statements: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.first: dict[int, tuple[Any, ...]] = {}
        self.known: dict[int, tuple[Any, ...]] = {}
        self.used: dict[int, tuple[int, int, int]] = {}
        self.since: dict[tuple[int, str], float] = {}
        self.losing: dict[int, int] = {}  # relation → the last statement that has taken rows from it
        self.passed: tuple[str, str] | None = None
        self.began = 0.0

    def now(self) -> float:
        """Read a clock that stands still while we look, in seconds."""
        return time.monotonic() - self.lost

    def before(self, conn: Any, _cursor: Any, _statement: str, _parameters: Any, _context: Any, _many: Any) -> None:
        """Remember the copy before a statement."""
        if self.sessions.ours(conn):
            return
        looked = time.monotonic()
        if not self.known:
            self.start(conn)
        self.passed = None
        self.lost += time.monotonic() - looked
        self.began = self.now()

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Run a statement where its failure can be taken back.

        False: it has to run without.
        """
        return self.run_with_savepoint(context, statement, lambda: cursor.execute(statement, parameters))

    def execute_many(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Run a statement many times; see `execute`."""
        return self.run_with_savepoint(context, statement, lambda: cursor.executemany(statement, parameters))

    def execute_bare(self, cursor: Any, statement: str, context: Any) -> bool:
        """Run a statement without parameters; see `execute`."""
        return self.run_with_savepoint(context, statement, lambda: cursor.execute(statement))

    def run_with_savepoint(self, context: Any, statement: str, run: Any) -> bool:
        """Run a statement after a savepoint; go back if it fails."""
        conn = context.root_connection
        if self.sessions.ours(conn) or self.sessions.autocommit(conn) or UNSAVED.match(self.sessions.plain(statement)):
            return False
        try:
            self.sessions.rows(conn, "savepoint deploylib")
        except Exception:  # noqa: BLE001 - a transaction that has failed, or none: the statement itself tells
            return False
        try:
            run()
        except Exception as error:
            state, words = self.sessions.explain_error(error)
            if self.revision not in self.allowed and not lacking(state, words):
                raise
            self.sessions.rows(conn, "rollback to savepoint deploylib")
            self.passed = state or "", words.partition("\n")[0]
        self.sessions.rows(conn, "release savepoint deploylib")
        return True

    def start(self, conn: Any) -> None:
        """Note that a transaction begins."""
        if self.picture is None:
            with self.watch.engine.connect() as connection:
                if self.sessions.rows(conn, UNKNOWN):  # a copy that was just restored
                    connection.exec_driver_sql("analyze")
                self.picture = self.pictures.picture(asking(connection))
        self.known = self.relations(conn)
        self.first = self.first or self.known
        self.used = self.uses(conn)

    def relations(self, conn: Any) -> dict[int, tuple[Any, ...]]:
        """List all relations but alembic's own."""
        [(own,)] = self.sessions.rows(conn, self.versions)
        return {
            row[0]: tuple(row) for row in self.sessions.rows(conn, RELATIONS) if not own or own not in {row[0], row[4]}
        }

    def uses(self, conn: Any) -> dict[int, tuple[int, int, int]]:
        """Count whole scans, updates and deletions so far, by table."""
        return {row[0]: (row[1], row[2], row[3]) for row in self.sessions.rows(conn, USED)}

    def after(self, conn: Any, cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any) -> None:
        """Write down what a statement did to what was there before."""
        if self.sessions.ours(conn):
            return
        seconds, looked = self.now() - self.began, time.monotonic()
        text = " ".join(statement.split())[:300]
        if self.passed:
            state, words = self.passed
            self.statements.append({"text": text, "seconds": seconds, "state": state, "passed": words})
            self.lost += time.monotonic() - looked
            return
        now = self.relations(conn)
        uses = self.uses(conn)
        alone = self.sessions.autocommit(conn)
        scanned, changed, losing = self.use(uses)
        if alone and not changed and CHANGES.match(self.sessions.plain(statement)):
            changed = {0: cursor.rowcount}
        new = {one for one, row in now.items() if one in self.known and row[3] != self.known[one][3]} & set(self.first)
        rewritten = {one for one in new if self.first[one][2] in "rm"}
        scanned |= {self.first[one][4] for one in new if self.first[one][2] == "i"}
        self.losing |= dict.fromkeys(losing | rewritten, len(self.statements))
        locks = self.locks(conn)
        self.statements.append(
            {
                "text": text,
                "seconds": seconds,
                "transaction": not alone,
                "locks": {self.name(one): mode for one, mode in locks.items()},
                "rewritten": sorted(self.name(one) for one in rewritten),
                "emptied": [],
                "scanned": sorted(self.name(one) for one in scanned - rewritten),
                "changed": {self.name(one): number for one, number in changed.items()},
                "rows": {self.name(one): self.size(one) for one in {*locks, *scanned, *rewritten, *changed}},
            }
        )
        self.known, self.used = now, uses
        self.lost += time.monotonic() - looked

    def use(self, uses: dict[int, tuple[int, int, int]]) -> tuple[set[int], dict[int, int], set[int]]:
        """Read which tables the last statement has used.

        Those it has read whole, the rows it has changed of each, and what it has deleted from.

        The counters go on over transactions until the server collects them, which is at most once a second.
        """
        scanned, changed, losing = set(), {}, set()
        for relation in uses.keys() & self.first.keys():
            now, before = uses[relation], self.used.get(relation, (0, 0, 0))
            if any(one < other for one, other in zip(now, before, strict=True)):
                before = (0, 0, 0)
            scans, updated, deleted = (one - other for one, other in zip(now, before, strict=True))
            if scans:
                scanned.add(relation)
            if updated + deleted:
                changed[relation] = updated + deleted
            if deleted:
                losing.add(relation)
        return scanned, changed, losing

    def locks(self, conn: Any) -> dict[int, str]:
        """Read the strongest lock on each relation.

        And since when the transaction has each.
        """
        locks: dict[int, str] = {}
        for relation, mode in self.sessions.rows(conn, HELD):
            kind = self.first[relation][2] if relation in self.first else ""
            nobody = kind == "m" and mode != MODES[-1]  # nobody writes into a materialized view
            if kind and kind in "rpmvS" and not nobody:
                locks[relation] = max(locks.get(relation, mode), mode, key=MODES.index)
                self.since.setdefault((relation, mode), self.began)
        return locks

    def size(self, relation: int) -> int:
        """Give the rows that a relation had before the revision."""
        return int(self.first[relation][6]) if relation in self.first else 0

    def name(self, relation: int) -> str:
        """Give the name that a relation had before the revision."""
        return str(self.first[relation][1]) if relation in self.first else "?"

    def end(self, conn: Any) -> None:
        """Note that the transaction ends, and with it its locks."""
        if self.sessions.ours(conn):
            return
        for (relation, mode), since in self.since.items():
            if MODES.index(mode) >= MODES.index("ShareLock"):
                held = {"table": self.name(relation), "mode": mode, "rows": self.size(relation)}
                self.held.append({**held, "seconds": self.now() - since})
        self.since, self.known = {}, {}

    def summarize(self) -> dict[str, Any]:
        """Sum up what the revision did, and what code has lost."""
        gone: list[str] = []
        if self.picture is not None:
            with self.watch.engine.connect() as connection:
                ask = asking(connection)
                for relation, number in self.losing.items():
                    if empty(ask, relation):
                        self.statements[number]["emptied"].append(self.name(relation))
                lost = self.pictures.find_lost(self.picture, self.pictures.picture(ask), ask)
            gone = [one for one in lost if one not in self.told_of]
            self.told_of.update(gone)
        return {"id": self.revision, "statements": self.statements, "held": self.held, "gone": gone}

    def listening(self) -> Any:
        """Hear every session for as long as the block lasts."""
        return self.sessions.listening(
            before_cursor_execute=self.before,
            after_cursor_execute=self.after,
            do_execute=self.execute,
            do_executemany=self.execute_many,
            do_execute_no_params=self.execute_bare,
            commit=self.end,
            rollback=self.end,
        )


def lacking(state: str | None, words: str) -> bool:
    """Tell whether an error comes of what a copy lacks.

    The copy need not have it, and the database has.
    """
    return bool(state) and (str(state).startswith(ELSEWHERE) or LACKED.search(words.partition("\n")[0]) is not None)
