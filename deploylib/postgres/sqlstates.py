"""Remedies for errors of Postgres, by SQLSTATE.

The one place that knows.

The codes are those of the manual's appendix "PostgreSQL Error Codes": five characters, of which the first two are the
class. A code that is not here gets a remedy that claims nothing. pg_dump and pg_restore print sentences, and no code;
those that are known are recognized, in English, which they are started with (`ENGLISH`), and never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "DEFAULT",
    "ENGLISH",
    "HIDDEN",
    "REMEDIES",
    "is_gone",
    "is_of_the_server",
    "is_right",
    "recognize",
    "remedy",
    "restoring",
    "without_rows",
]

LONGEST = 300
ENGLISH = {"LC_ALL": "C"}
"""Of a program that prints sentences; a server may still speak its own language."""

DEFAULT = "see what the server's log says of it, then run the same command again"
LOCKS = (
    "raise max_locks_per_transaction and restart the server: pg_dump locks every table and sequence at once (Render: a "
    "parameter override of the database, or a plan with more connections, as room is this number for each); or drop "
    "tables and partitions that nobody needs"
)
AGAIN = "run the same command again"
HIDDEN = (
    "its policies hide rows from this role. As the owner of the table that is named: alter table … no force row level "
    "security; or as a superuser: alter role … bypassrls; then run the same command again"
)
REMEDIES = {
    # what the connection came to
    "08": "look at the database's status, then run the same command again",
    "08P01": "use the direct connection string of the database, not a pooler's",
    "28": "check user and password in the database's URL",
    "3D000": "check the name in the database's URL",
    "53300": "close connections that nobody uses, or wait (select * from pg_stat_activity); a larger plan has more of them",
    "57P01": "somebody has ended the session or restarts the server: look at its status, then run the same command again",
    "57P02": "the server has crashed: read its log before anything else",
    "57P03": "the server is starting, stopping or recovering: wait until it is up, then run the same command again",
    "57P04": "the database was dropped: check the name in the database's URL",
    "57P05": "raise idle_session_timeout of the database's role, or run it when there is less to do",
    # what the session or the server may not do now
    "25006": "it is a replica, or set to read only (a full disk does that, too): use the primary's URL",
    "25P02": "see the first error in the server's log; this one only follows from it",
    "25P03": "raise idle_in_transaction_session_timeout of the database's role",
    "25P04": "raise transaction_timeout of the database's role",
    "40001": f"somebody changed the same rows meanwhile: {AGAIN}",
    "40P01": f"two sessions waited for each other: {AGAIN}, when nobody else changes tables",
    "40": AGAIN,
    "42501": "grant the role of the database's URL what is named, or use the URL of the role that owns it",
    "42P01": f"somebody has changed the schema meanwhile: {AGAIN}",
    "42704": f"somebody has changed the schema meanwhile: {AGAIN}",
    "55006": "end the sessions that use it (select * from pg_stat_activity), then run the same command again",
    "55P03": "end the session that holds the lock (select * from pg_locks where granted), then run the same command again",
    "57014": "statement_timeout or a person ended it: raise the limit of the database's role, or run it when less is going on",
    # what the server has run out of
    "53100": "the database's disk is full: make room there, or a larger disk (Render: the database's page → Storage)",
    "53200": "the server's memory is used up: wait until less is going on, or a larger plan",
    "53": "the server has run out of something: look at the database's metrics, or take a larger plan",
    "54": "it is beyond a limit of the server: its message says which",
    # what it found of itself
    "58": "the server cannot read or write a file of its own: ask the platform, and make no change before it has answered",
    "58P01": "a file of the server is missing, of an extension perhaps: ask the platform, or leave that extension out",
    "XX000": "the server found an error in itself: read its log, and ask the platform",
    "XX001": "the database is damaged: make no change; ask the platform, and restore (see the runbook, data is lost)",
    "XX002": "an index is damaged: reindex it (reindex index concurrently), and ask the platform for the reason",
    "0A000": "the server cannot do that: is it Postgres, of a version that is still kept up? (select version())",
}
# Of "out of memory" there are two kinds with one code, and only the sentence tells the table of locks.
SENTENCES = (
    (r"out of shared memory", "53200"),
    (r"remaining connection slots are reserved|too many clients already|too many connections for", "53300"),
    (r"[Nn]o space left on device", "53100"),
    (r"out of memory", "53200"),
    (r"must be superuser|must be owner of|must be a superuser|permission denied|query would be affected by row-level", "42501"),
    (r"canceling statement due to lock timeout", "55P03"),
    (r"canceling statement due to (?:statement timeout|user request)", "57014"),
    (r"terminating connection due to administrator command", "57P01"),
    (r"terminating connection due to idle-in-transaction timeout", "25P03"),
    (r"terminating connection due to transaction timeout", "25P04"),
    (r"terminating connection because of crash of another server process", "57P02"),
    (r"the database system is (?:starting up|shutting down|in recovery mode|not accepting connections)", "57P03"),
    (r"canceling statement due to conflict with recovery", "40001"),
    (r"could not serialize access", "40001"),
    (r"deadlock detected", "40P01"),
    (r"in a read-only transaction|during recovery", "25006"),
    (r"(?:password|SASL|peer|ident|certificate) authentication failed|no password supplied", "28P01"),
    (r'role "[^"]*" (?:does not exist|is not permitted to log in)|no pg_hba\.conf entry', "28000"),
    (r'FATAL:  database "[^"]*" does not exist', "3D000"),
    (r"server closed the connection unexpectedly|could not receive data from server|connection reset by peer", "08006"),
    (r"SSL connection has been closed|SSL SYSCALL error|SSL error", "08006"),
    (r"could not open extension control file|could not access file|could not load library", "58P01"),
    (r"invalid page in block|could not read block|missing chunk number|unexpected chunk number", "XX001"),
    (r"cache lookup failed", "XX000"),
    (r'(?:relation|schema) "[^"]*" does not exist', "42P01"),
    (r"(?:function|operator|procedure|aggregate) .* does not exist|operator does not exist", "42883"),
    (r'(?:type|collation|role|text search configuration) "[^"]*" does not exist', "42704"),
    (r"column .* does not exist", "42703"),
    (r"violates check constraint", "23514"),
    (r"violates foreign key constraint", "23503"),
    (r"could not create unique index|duplicate key value violates", "23505"),
    (r"violates not-null constraint|contains null values", "23502"),
)  # fmt: skip
NAMES = (
    "a dump is restored with an empty search_path, table by table: in functions that checks, generated columns, indexes, "
    'views and rules use write the schema before each name, or add "set search_path = …" to the function'
)
ALONE = "a check may look at its own row alone, as rows come back table by table: what needs another table is a foreign key or a trigger"
RESTORING = {
    "42P01": NAMES,
    "42883": NAMES,
    "42703": NAMES,
    "42704": NAMES,
    "23514": ALONE,
    "23503": "rows that the constraint forbids are there: correct them, then validate the constraint",
    "23505": "rows that the index forbids are there: correct them, then build the index anew (reindex)",
    "23502": "rows that the constraint forbids are there: correct them",
}


def remedy(state: str | None, words: str = "") -> str:
    """Choose the next step for an error of that code.

    Args:
        state: five characters; None or empty: nobody knows.
        words: the server's own, where one code means several things.
    """
    if not state:
        return DEFAULT
    if state == "53200" and re.search(SENTENCES[0][0], words):
        return LOCKS
    if state == "42501" and "row-level security" in words:
        return HIDDEN
    return REMEDIES.get(state) or REMEDIES.get(state[:2]) or DEFAULT


def restoring(state: str | None, words: str = "") -> str:
    """Give the next step for an error of a restore.

    The dump is good: what of the database does not come back.
    """
    return RESTORING.get(state or "") or remedy(state, words)


def recognize(lines: Iterable[str]) -> tuple[str, str]:
    """Find the first line that says a known error.

    It gives the code and the line; an empty code: nobody knows.
    """
    errors = [line for line in lines if re.search(r"error:|ERROR:|FATAL:|PANIC:", line)]
    for line in errors:
        for pattern, state in SENTENCES:
            if re.search(pattern, line):
                return state, line
    return "", errors[0] if errors else ""


def is_gone(state: str | None) -> bool:
    """Tell whether the session is over, or the server.

    There is nobody left to ask.
    """
    return state is not None and (state[:2] == "08" or state[:4] == "57P0")


def is_right(state: str | None) -> bool:
    """Tell whether it is a matter of rights."""
    return state == "42501"


def is_of_the_server(state: str | None) -> bool:
    """Tell whether it is no fault of the statement.

    What the server has, is, or lets this role do.
    """
    return state is not None and (state[:2] in {"08", "53", "57", "58", "XX"} or state in {"25006", "40001", "42501"})


def without_rows(lines: Iterable[str]) -> tuple[str, ...]:
    """Strike quoted rows from a program's words.

    The longest lines are cut.
    """
    kept = (line for line in lines if not re.match(r"\s*(?:pg_\w+: )?DETAIL:", line, re.IGNORECASE))
    return tuple(re.sub(r"(COPY \S+, line \d+).*", r"\1", line)[:LONGEST] for line in kept)
