"""Describe a database in numbers, so that two can be compared.

Counts and hashes are taken in one snapshot, which a dump can share: the comparison is exact while others write.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from deploylib.models import Value
from deploylib.models.units import count
from deploylib.postgres import Grant

__all__ = ["Contents", "Counter", "Objects", "Table", "definitions", "differences", "remarks"]

ALIKE = "rows were compared by equality, as this backup is of an older version: 1.0 and 1.00 are one, so are -0 and 0"
NAMED = 20  # differences that are told one by one

V = TypeVar("V")


class Table(Value, frozen=True):
    """The rows of a table, a partition or a materialized view.

    Attributes:
        name: as SQL writes it, with its schema.
        how: what was summed up over the rows: ``record`` (hash_record_extended), ``text`` (hashtextextended of the
            row's text) or nothing.
        derived: a materialized view: the dump holds its definition, and the restore fills it anew.
        filled: False for a materialized view without data.
    """

    name: str
    rows: int
    hash: str = ""
    how: str = ""
    derived: bool = False
    filled: bool = True


class Counter(Value, frozen=True):
    """Where a sequence stands.

    Sequences obey no snapshot: they are read before and after the dump, which read them in between.

    Attributes:
        last: its last value before the dump.
        called: whether that value was given out already.
        until: its last value after the dump.
        until_called: whether that one was given out.
    """

    name: str
    last: int
    called: bool
    until: int
    until_called: bool

    def admits(self, other: Counter) -> bool:
        """Tell whether a dump that was made meanwhile may hold that state."""
        if self.last == self.until == other.last:
            return other.called in {self.called, self.until_called}
        return min(self.last, self.until) <= other.last <= max(self.last, self.until)


class Objects(Value, frozen=True):
    """The large objects of a database.

    How many they are, their bytes, and the sum of the hashes of their pieces.
    """

    number: int = 0
    size: int = 0
    hash: str = ""


class Contents(Value, frozen=True):
    """What a database holds, in one snapshot.

    Attributes:
        extensions: name → version.
        schema: the name of each definition of ``pg_dump --schema-only`` → a checksum of its text.
        schema_by: the version of pg_dump that wrote it; another one may word it differently.
        invalid: indexes that a failed ``create index concurrently`` left behind; pg_dump leaves them out.
        unvalidated: constraints that are not validated.
        roles: named by policies and user mappings, which cannot be restored without them.
        superuser: whether the dump was made by one.
        locale: encoding, collation and so on, as ``pg_database`` has them.
        stored: rows were hashed as they are stored; a backup of an older version took for one what is equal, like 1.0
            and 1.00.
        grants: what differs from the rights that new objects have; None: the backup does not say.
        configured: the names of settings of roles, for all databases of the server: ``role name``. Their values are in no
            dump of one database.
    """

    tables: tuple[Table, ...] = ()
    sequences: tuple[Counter, ...] = ()
    objects: Objects = Objects()
    extensions: dict[str, str] = msgspec.field(default_factory=dict)
    schema: dict[str, str] = msgspec.field(default_factory=dict)
    schema_by: str = ""
    invalid: tuple[str, ...] = ()
    unvalidated: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    superuser: bool = False
    locale: dict[str, str] = msgspec.field(default_factory=dict)
    stored: bool = False
    grants: tuple[Grant, ...] | None = None
    configured: tuple[str, ...] = ()

    @property
    def hashed(self) -> bool:
        """Whether the rows were hashed, not only counted."""
        return all(table.how for table in self.tables)


HEADER = re.compile(r"^--\n-- Name: (.*); Type: (.*); Schema: (.*); Owner: .*\n--\n", re.MULTILINE)
WORD = r'(?:"(?:[^"]|"")+"|[\w$]+)'
# pg_dump writes a policy's roles in the order in which it finds them, which is another one on another server.
ROLES = re.compile(rf"(?<= TO ){WORD}(?:, {WORD})+(?= USING| WITH CHECK|;)")
NOISE = re.compile(r"^(\\(un)?restrict .*|-- PostgreSQL database dump complete|--)$", re.MULTILINE)


def definitions(text: str) -> dict[str, str]:
    r"""Name the definitions that ``pg_dump --schema-only`` prints, each with its checksum.

    The random key of ``\restrict``, which every pg_dump since August 2025 writes, is left out; so is what stands above
    the first definition: the versions of server and client.
    """
    checksums: dict[str, str] = {}
    headers = [*HEADER.finditer(text)]
    ends = [*(match.start() for match in headers[1:]), len(text)]
    for match, end in zip(headers, ends, strict=False):
        name, kind, schema = match.groups()
        label = f"{kind.lower()} {name}" if schema == "-" else f"{kind.lower()} {schema}.{name}"
        body = NOISE.sub("", text[match.end() : end]).strip()
        if kind == "POLICY":
            body = ROLES.sub(lambda roles: ", ".join(sorted(roles[0].split(", "))), body, count=1)
        checksums[label] = hashlib.sha256((checksums.get(label, "") + body).encode()).hexdigest()[:32]
    return checksums


def differences(backup: Contents, restored: Contents) -> tuple[str, ...]:
    """Name what differs between a restored database and the backup.

    Nothing: they are equal.

    Not compared on purpose: owners, which are not restored, and grants, which `rights` looks after; versions of extensions and rows of materialized
    views, which the dump does not hold (see `remarks`).
    """
    faults = list(_tables(backup, restored))
    faults += _pairs("sequence", _by_name(backup.sequences), _by_name(restored.sequences), _sequence)
    if backup.objects != restored.objects and (backup.objects.hash or backup.objects.number != restored.objects.number):
        ours, theirs = (
            f"{count(objects.number, 'large object')} of {objects.size} bytes" for objects in _objects(backup, restored)
        )
        faults.append(
            f"large objects: {theirs}, the backup has {ours}" if ours != theirs else "large objects: other bytes"
        )
    faults += [f"extension {name} is missing" for name in backup.extensions if name not in restored.extensions]
    if backup.schema and restored.schema and backup.schema_by == restored.schema_by:
        faults += _pairs("", backup.schema, restored.schema, lambda a, b: "is defined otherwise" if a != b else "")
    faults += [f"index {name} is not valid" for name in restored.invalid if name not in backup.invalid]
    odd = set(backup.unvalidated) ^ set(restored.unvalidated)
    faults += [f"constraint {name}: {_validated(name, restored)}" for name in sorted(odd)]
    more = len(faults) - NAMED
    return (*faults[:NAMED], f"and {more} more") if more > 0 else tuple(faults)


def remarks(backup: Contents, restored: Contents) -> tuple[str, ...]:
    """List remarks on a backup that are no fault of it."""
    there = _by_name(restored.tables)
    stale = [one.name for one in backup.tables if one.derived and one.name in there and there[one.name] != one]
    lines = [f"materialized view {name} was not fresh: a restore fills it anew" for name in stale]
    lines += [f"index {name} was not valid, and is not in the dump" for name in backup.invalid]
    for name, version in backup.extensions.items():
        if restored.extensions.get(name, version) != version:
            lines.append(f"extension {name} was {version}, a restore gave {restored.extensions[name]}")
    if backup.schema and backup.schema_by != restored.schema_by:
        lines.append(f"definitions were not compared: pg_dump was {backup.schema_by}, is {restored.schema_by}")
    if not backup.hashed:
        lines.append("rows were counted, not hashed")
    elif backup.tables and not backup.stored:
        lines.append(ALIKE)
    return tuple(lines)


def _tables(backup: Contents, restored: Contents) -> Iterator[str]:
    """Name the tables that are missing or have other rows."""
    return _pairs("table", _by_name(backup.tables), _by_name(restored.tables), _rows)


def _rows(ours: Table, theirs: Table) -> str:
    if ours.derived or theirs.derived:
        return (
            "" if ours.derived == theirs.derived and ours.filled == theirs.filled else "is filled in only one of them"
        )
    if ours.rows != theirs.rows:
        return f": {count(theirs.rows, 'row')}, the backup has {ours.rows}"
    if ours.how == theirs.how and ours.hash != theirs.hash:
        return f": {count(ours.rows, 'row')} in both, with other contents"
    return ""


def _sequence(ours: Counter, theirs: Counter) -> str:
    if ours.admits(theirs):
        return ""
    span = f"{ours.last}" if ours.last == ours.until else f"{ours.last} to {ours.until}"
    return f": at {theirs.last} ({_called(theirs)}), the backup has {span} ({_called(ours)})"


def _called(counter: Counter) -> str:
    return "given out" if counter.called else "not given out"


def _validated(name: str, restored: Contents) -> str:
    return (
        "is not validated, in the backup it is" if name in restored.unvalidated else "is validated, in the backup not"
    )


def _objects(*sides: Contents) -> tuple[Objects, ...]:
    return tuple(side.objects for side in sides)


def _pairs(kind: str, ours: Mapping[str, V], theirs: Mapping[str, V], compare: Callable[[V, V], str]) -> Iterator[str]:
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        label = f"{kind} {name}".strip()
        if name not in theirs:
            yield f"{label} is missing"
        elif name not in ours:
            yield f"{label} is not in the backup"
        elif difference := compare(ours[name], theirs[name]):
            yield f"{label}{difference}" if difference.startswith(":") else f"{label} {difference}"


N = TypeVar("N", Table, Counter)


def _by_name(values: tuple[N, ...]) -> dict[str, N]:
    return {value.name: value for value in values}
