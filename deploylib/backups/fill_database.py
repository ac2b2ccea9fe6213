"""Fill a database with a dump, by an ordinary role.

What the role cannot make is left out and told.

Owners are not restored: all belongs to the role. The checksum is verified while the dump streams through pg_restore into psql.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import msgspec

from deploylib.backups import archive, restore_mark, restore_test
from deploylib.backups.edges import Edges
from deploylib.backups.repository import Manifest
from deploylib.backups.restore_test import IN_PLACE, NotBeside
from deploylib.backups.snapshot import CONFIGURED
from deploylib.errors import SettingsError
from deploylib.models import Secret
from deploylib.postgres import connect, grants
from deploylib.postgres import connection as postgres

__all__ = ["Filled", "compare", "estimate_locks", "fill"]

THERE = r"""
select (select coalesce(array_agg(extname::text), '{}') from pg_extension),
       (select coalesce(array_agg(nspname::text), '{}') from pg_namespace n where nspname = 'public'
          or nspname ~ '^pg_' or not pg_has_role(nspowner, 'USAGE') or exists (select from pg_depend d
            where d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and exists (select from pg_depend e
              where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e'))),
       (select rolsuper from pg_roles where rolname = current_user),
       array(select n.nspname || ' ' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
            and not pg_has_role(c.relowner, 'USAGE') and not exists (select from pg_depend e
              where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')),
       array(select n.nspname || ' ' || p.proname || '(' || array_to_string(array(
            select format_type(arg, null) from unnest(p.proargtypes) with ordinality as a (arg, number) order by number), ', ') || ')'
          from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not pg_has_role(p.proowner, 'USAGE')
            and not exists (select from pg_depend e
              where e.classid = 'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e'))
"""

HAS = """
select coalesce(pg_catalog.quote_ident(r.rolname), ''), lower(pg_catalog.split_part(c, '=', 1)),
  substr(c, pg_catalog.strpos(c, '=') + 1)
from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_roles r on r.oid = s.setrole cross join unnest(s.setconfig) c
where s.setdatabase = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
"""

FORCED = re.compile(rb"ALTER TABLE ONLY [^;]+ FORCE ROW LEVEL SECURITY;\r?\n?")
FORCED_TABLE = re.compile(rb"ALTER TABLE ONLY (.+) FORCE")
MIGHTY = ("EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION")
COPYING = re.compile(rb"COPY [^;]+ FROM stdin;\r?\n")

LOCKS_A_TABLE, LOCKS_A_DEFINITION = 3, 2
# A commit need not wait for the disk, as one that does comes last of all.
ONE_BY_ONE = b"set client_min_messages = warning; set synchronous_commit = off;\n"


class Filled(msgspec.Struct, frozen=True):
    """What came of making what a dump holds.

    Attributes:
        left_out: entries of its table of contents.
        later: statements that hide rows from their owner, which come last.
        others: something in the database belongs to somebody else, and stayed.
        lacking: grants and settings that could not be given, each with the reason.
    """

    left_out: tuple[str, ...]
    later: tuple[bytes, ...]
    others: bool
    lacking: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        mighty = [entry for entry in self.left_out if entry.startswith(MIGHTY)]
        theirs = [entry for entry in self.left_out if not entry.startswith((*MIGHTY, "EXTENSION", "SCHEMA", "COMMENT"))]
        notes = [f"left out, because only a superuser may make it: {entry}" for entry in mighty]
        return (*notes, *(f"left as it is, because it belongs to somebody else: {entry}" for entry in theirs))


def fill(
    url: Secret, manifest: Manifest, edges: Edges, *, first: str = "", whole: bool = True, defer: bool = False
) -> Filled:
    """Make what a dump holds, by the role of the URL.

    Args:
        first: what is run before it, each statement for itself.
        whole: all of it is one transaction, which a damaged dump never ends; otherwise each statement is one.
        defer: leave the statements that hide rows from their owner to the caller.

    Raises:
        BackupFailed: a statement failed, or the dump is damaged.
        NotBeside: the role may not create an extension that lacks.
    """
    with connect(url, 10, statements="0") as connection:
        there = _There(*connection.execute(THERE).fetchone())
        lacking = set(manifest.contents.extensions) - set(there.extensions) - {"plpgsql"}
        if lacking and not there.mighty:
            _require_trusted(connection, sorted(lacking))
    later: list[bytes] = []
    left_out: list[str] = []

    def leave_out(entry: str) -> bool:
        if gone := there.lacks(entry):
            left_out.append(entry)
        return gone

    def made(pieces: Iterator[bytes]) -> Generator[bytes]:
        yield b"begin;\n" if whole else ONE_BY_ONE
        yield first.encode()
        yield from _defer(pieces, later, whole=whole)
        if not defer:
            yield b"".join(later)
        if manifest.contents.grants is not None:
            yield b"" if whole else b"\nbegin;"
            yield b"\nset local search_path = '';\n" + grants.alike(manifest.contents.grants).encode()
            yield b"" if whole else b"commit;\n"
        if whole:
            yield b"commit;\n"  # never reached where the dump turns out to be damaged: its last piece is held back

    with archive.script(manifest, edges, leave_out) as pieces:
        archive.run_script(url, made(pieces), manifest, edges)
    return Filled(tuple(left_out), tuple(later), there.others, _surrounding(url, manifest, edges))


def estimate_locks(manifest: Manifest) -> int:
    """Estimate the locks of a transaction that makes what a backup holds.

    Counted in pg_locks: 15 for a table with a key, a reference and a sequence, which are seven definitions.
    """
    tables = LOCKS_A_TABLE * manifest.tables
    return tables + LOCKS_A_DEFINITION * len(manifest.contents.schema) if manifest.contents.schema else 5 * tables


class _There(NamedTuple):
    """What is in a database before it is filled, and stays."""

    extensions: list[str]
    schemas: list[str]
    mighty: bool
    relations: list[str]
    routines: list[str]

    @property
    def others(self) -> bool:
        """Whether something belongs to another role."""
        return bool(self.relations or self.routines)

    def lacks(self, entry: str) -> bool:
        """Tell whether the role cannot or need not make an entry."""
        kind, _, rest = entry.partition(" - ")
        name = rest.split(" ")[0]
        return (
            (not self.mighty and entry.startswith(MIGHTY))
            or (kind == "EXTENSION" and name in self.extensions)
            or (kind == "SCHEMA" and name in self.schemas)
            or entry.startswith(("COMMENT - EXTENSION", "COMMENT - SCHEMA public", "COMMENT - EVENT TRIGGER"))
            or any(f" {name} " in f"{entry} " for name in (*self.relations, *self.routines))
        )


class _Refused(SettingsError):
    """The server refuses a setting, which is told."""


def _surrounding(url: Secret, manifest: Manifest, edges: Edges) -> tuple[str, ...]:
    """Set what the backup's database was set to.

    Grants and settings that could not be given are told.

    Settings come after the transaction: emptying does not touch them. Their values come from the dump, are written down
    nowhere, and never told: one may be a secret.
    """
    _, name = postgres.names_of(url)
    lacking: list[str] = []
    with connect(url, 10, statements="60s") as connection:
        connection.execute("set search_path = ''")
        has = {(role, name): value for role, name, value in connection.execute(HAS).fetchall()}
        for role, setting, value in archive.settings(manifest, edges):
            if has.get((role, setting.strip('"').lower())) == _plain(value):
                continue
            database = f'"{name.replace(chr(34), chr(34) * 2)}"'
            where = f"role {role} in database {database}" if role else f"database {database}"
            try:
                with postgres.refusals(_Refused, "it is refused"):
                    connection.execute(f"alter {where} set {setting} to {value.reveal()}")
            except _Refused:  # its sentence may hold the value
                of = f"role {role} in the database" if role else "the database"
                lacking.append(f"left out: setting {setting} of {of}, which the server does not take from this role")
        if manifest.contents.grants is None:
            lacking.append("grants and default privileges were not restored: the backup does not say them")
        else:
            lacking += grants.list_left_out(manifest.contents.grants, connection)
        known = {row[0] for row in connection.execute(CONFIGURED).fetchall()}
    lacking += [
        f"left out: setting {configured.split(' ')[-1]} of role {configured.rpartition(' ')[0]} on its whole server, which no backup holds"
        for configured in manifest.contents.configured
        if configured not in known
    ]
    return tuple(lacking)


def _plain(literal: Secret) -> str:
    """Read what a literal of pg_dump says."""
    text = literal.reveal().strip()
    return (text[2:-1].replace("\\\\", "\\") if text.startswith("E") else text[1:-1]).replace("''", "'")


def _defer(pieces: Iterator[bytes], later: list[bytes], *, whole: bool) -> Iterator[bytes]:
    """Defer the statements that hide rows from their owner.

    They come last: no row could be written after them.

    pg_restore writes large objects in a transaction of their own, whose end would be the end of ours where it is one as a *whole*.
    """
    rest, copying, large = b"", False, False
    for piece in pieces:
        block, newline, rest = (rest + piece).rpartition(b"\n")
        lines = []
        for line in block.split(b"\n") if newline else ():
            ended = line + b"\n"
            if copying:
                copying = line != b"\\."
            elif FORCED.fullmatch(ended):
                later.append(ended)
                continue
            elif line.startswith((b"-- Name: ", b"-- Data for Name: ")):
                large = b"; Type: BLOBS;" in line  # named BLOBS, or N..M from Postgres 17 on
            elif whole and large and line in {b"BEGIN;", b"COMMIT;"}:
                continue
            else:
                copying = COPYING.fullmatch(ended) is not None
            lines.append(ended)
        yield b"".join(lines)
    yield rest


def compare(url: Secret, manifest: Manifest, filled: Filled, edges: Edges) -> tuple[str, ...]:
    """Compare a database with what the backup says that it holds.

    Returns remarks.

    Raises:
        BackupFailed: it differs, and not in what was left out or comes later.
    """
    expected = manifest.contents
    if not expected.schema_by:
        why = "of an export nobody knows" if manifest.exported else "its manifest, of an older version, does not say"
        return (f"nothing was compared: {why} what it should hold",)
    there = restore_test.look_at(url, edges, like=expected)
    schema = {label: there.schema[label] for label in restore_mark.leave_out_mark(there.schema)}
    absent = [entry.replace(" - ", " ", 1) for entry in filled.left_out]
    tables = {f"table {FORCED_TABLE.findall(line)[0].decode()}" for line in filled.later}
    known = {
        label: text
        for label, text in expected.schema.items()
        if label in tables or any(f"{entry} ".lower().startswith(f"{label} ".lower()) for entry in absent)
    }
    there = msgspec.structs.replace(there, schema={**schema, **known})
    return restore_test.compare_contents(manifest, expected, there)


def _require_trusted(connection: Any, extensions: list[str]) -> None:
    """See that the role may create the extensions that are lacking.

    Where they are already, they stay.

    Raises:
        NotBeside: it may not.
    """
    query = "select array_agg(distinct name) from pg_available_extension_versions where trusted and name = any(%s)"
    trusted = connection.execute(query, (extensions,)).fetchone()[0] or ()
    if refused := sorted(set(extensions) - set(trusted)):
        raise NotBeside(
            f"in a new database the role may not create the extension {refused[0]}, which the backup needs",
            remedy="have a superuser create it in a new database, and restore into that (--into VARIABLE); or, where it "
            f"is already, {IN_PLACE}",
        )
