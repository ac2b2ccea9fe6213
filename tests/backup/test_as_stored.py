"""Rows are compared as they are stored: what is equal and not the same is a difference."""

from __future__ import annotations

from deploylib.backups.fingerprint import ALIKE, Contents, Table, remarks
from deploylib.backups.snapshot import take_snapshot
from tests.support.servers import Servers

# Type, and two values of it that Postgres holds for equal, or whose hashes are.
PAIRS = (
    ("numeric", "1.0", "1.00"),
    ("numeric[]", "{1.0}", "{1.00}"),
    ("float4", "-0", "0"),
    ("float8", "-0", "0"),
    ("interval", "1 month", "30 days"),
    ("interval", "1 day", "24 hours"),
    ("int[]", "{1,2}", "[0:1]={1,2}"),
    ("int[]", "{1,2}", "{{1,2}}"),
    ("text[]", "{a}", "[5:5]={a}"),
    ("bpchar", "a", "a "),
    ("jsonb", "1.0", "1.00"),
    ("jsonb", '{"a": [1.0]}', '{"a": [1.00]}'),
    ("json", '{"a":1}', '{"a": 1}'),
    ("numrange", "[1.0,2)", "[1.00,2)"),
    ("price", "1.0", "1.00"),
    ("point_of", "(1.0)", "(1.00)"),
    ("point", "(0,0)", "(-0,0)"),
    ("timetz", "12:00+00", "13:00+01"),
    ("text", "", None),
    ("inet", "10.0.0.1/8", "10.0.0.1/9"),
    ("varbit", "0", "00"),
    ("tsvector", "a:1", "a:2"),
)


def test_rows_are_compared_as_stored(servers: Servers) -> None:
    """Each pair has two hashes, and a value is like itself."""
    base = servers.fresh(16)
    statements = ["create domain price as numeric", "create type point_of as (x numeric)"]
    for number, (kind, *values) in enumerate(PAIRS):
        for side, value in zip("abc", (*values, values[0]), strict=True):
            literal = "null" if value is None else f"'{value}'"
            statements.append(f"create table t{number}{side} as select {literal}::{kind} as v")
    base.run(*statements)

    with take_snapshot(base.url) as snapshot:
        hashes = {table.name.removeprefix("public."): table.hash for table in snapshot.look().tables}

    same = [pair for number, pair in enumerate(PAIRS) if hashes[f"t{number}a"] == hashes[f"t{number}b"]]
    unlike = [pair for number, pair in enumerate(PAIRS) if hashes[f"t{number}a"] != hashes[f"t{number}c"]]
    assert ([], []) == (same, unlike)


def test_a_backup_of_an_older_version_says_how_its_rows_are_compared() -> None:
    """It is compared in the way in which it was hashed, which is said."""
    old = Contents(tables=(Table(name="t", rows=1, hash="1", how="record"),))

    assert ALIKE in remarks(old, old)
