"""The table of what to do about an error of Postgres."""

from __future__ import annotations

import re

import pytest
from psycopg import errors

from deploylib.postgres import sqlstates
from deploylib.postgres.sqlstates import DEFAULT, LOCKS, REMEDIES, RESTORING, SENTENCES


def test_each_code_is_one_that_postgres_has() -> None:
    """Or a class of them; the driver has the list of the manual's appendix."""
    known = {code for one in vars(errors).values() if isinstance(code := getattr(one, "sqlstate", None), str)}
    named = {*REMEDIES, *RESTORING, *(state for _, state in SENTENCES)}

    assert [] == [state for state in named if len(state) == 5 and state not in known]
    assert [] == [state for state in named if len(state) == 2 and not any(one.startswith(state) for one in known)]
    assert {len(state) for state in named} == {2, 5}


@pytest.mark.parametrize("state", ["", None, "99999", "P0001", "22012", "23505", "?"])
def test_an_unknown_code_is_blamed_on_nothing(state: str | None) -> None:
    """Neither on rights, nor on size: the server's log knows."""
    assert DEFAULT == sqlstates.remedy(state)
    assert not re.search("right|grant|own", DEFAULT)


def test_rights_are_blamed_for_what_is_a_matter_of_rights() -> None:
    """And for nothing else."""
    assert {"42501"} == {state for state, text in REMEDIES.items() if re.search(r"\bgrant\b", text)}


def test_a_class_serves_its_codes_and_a_code_has_its_own() -> None:
    """The more exact one first; of one code with two meanings the words tell."""
    assert REMEDIES["08"] == sqlstates.remedy("08006")
    assert REMEDIES["08P01"] == sqlstates.remedy("08P01")
    assert LOCKS == sqlstates.remedy("53200", "out of shared memory")
    assert REMEDIES["53200"] == sqlstates.remedy("53200", "out of memory")
    assert sqlstates.HIDDEN == sqlstates.remedy(
        "42501", 'query would be affected by row-level security policy for table "a"'
    )
    assert REMEDIES["42501"] == sqlstates.remedy("42501", "permission denied for table a")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("pg_dump: error: query failed: ERROR:  out of shared memory", "53200"),
        ("pg_dump: error: query failed: ERROR:  permission denied for table secrets", "42501"),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout", "55P03"),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout", "57014"),
        ("pg_dump: error: query failed: FATAL:  terminating connection due to administrator command", "57P01"),
        ("pg_dump: error: query failed: server closed the connection unexpectedly", "08006"),
        ("pg_dump: error: connection to server failed: FATAL:  sorry, too many clients already", "53300"),
        ('pg_dump: error: connection failed: FATAL:  database "x" does not exist', "3D000"),
        ('pg_restore: error: COPY failed for table "parts": ERROR:  relation "kinds" does not exist', "42P01"),
        ("pg_restore: error: could not execute query: ERROR:  function f(text) does not exist", "42883"),
        ('pg_restore: error: COPY failed: ERROR:  new row for relation "a" violates check constraint "b"', "23514"),
        ("pg_restore: error: could not execute query: ERROR:  could not extend file: No space left on device", "53100"),
        ("pg_dump: error: Dumping failed: ERROR:  invalid page in block 3 of relation base/1/2", "XX001"),
        ("pg_dump: error: FEHLER:  Speicher aufgebraucht", ""),
        ("a note of nobody", ""),
    ],
)
def test_a_sentence_of_a_program_becomes_a_code(line: str, state: str) -> None:
    """Where it is known, word for word; of another language nothing is claimed."""
    assert state == sqlstates.recognize(("pg_dump: warning: something", line))[0]


@pytest.mark.parametrize(
    ("state", "outside"),
    [
        ("53100", True),
        ("57P01", True),
        ("42501", True),
        ("25006", True),
        ("23505", False),
        ("42P07", False),
        (None, False),
    ],
)
def test_a_full_disk_is_no_fault_of_a_migration(state: str | None, *, outside: bool) -> None:
    """What the server lacks is not mended by another statement."""
    assert outside == sqlstates.is_of_the_server(state)


def test_rows_are_not_quoted_and_no_line_is_endless() -> None:
    """pg_restore quotes the row that failed, pg_dump the whole statement with the names of all tables."""
    lines = (
        'pg_restore: error: COPY failed for table "a": ERROR:  duplicate key value',
        "DETAIL:  Key (mail)=(anna@example.com) already exists.",
        'CONTEXT:  COPY a, line 7: "7\tanna@example.com"',
        "pg_dump: detail: Query was: LOCK TABLE " + "public.t, " * 5000,
        "HINT:  You might need to increase max_locks_per_transaction.",
    )

    shown = sqlstates.without_rows(lines)

    assert "anna" not in " ".join(shown)
    assert "COPY a, line 7" in " ".join(shown)
    assert max(map(len, shown)) <= sqlstates.LONGEST
    assert "max_locks_per_transaction" in " ".join(shown)
