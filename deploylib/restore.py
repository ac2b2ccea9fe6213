"""A backup goes back: beside, into a new database; or into one, in one transaction, once that was proven beside.

The checksum is verified while the dump streams through pg_restore into psql. The last piece is held back until it is right, and so
is the end of the transaction: a damaged dump changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deploylib import archive, manifest, postgres, proof, rights
from deploylib.archive import Progress
from deploylib.clock import Clock
from deploylib.errors import SettingsError
from deploylib.manifest import Manifest
from deploylib.models import Backup, Secret
from deploylib.process import Runner
from deploylib.programs import Client
from deploylib.snapshot import CONFIGURED, Exporter, exported
from deploylib.store import Store

__all__ = ["Done", "NotBeside", "beside", "into"]

WITHIN = 6 * 3600.0
LOCKS_A_TABLE = 4  # the table, its indexes, its sequence, its TOAST table
BESIDE = "a role that may make databases (on Render the database's own may); or --into database --unproven"
# All schemas of the database, their comments and rights as a new database has them; what lies outside of schemas, too.
# What the role owns, and nothing else: extensions, and what belongs to others, stay where they are. A schema goes as a whole
# where nothing in it stays; in one that holds an extension's objects each object goes by itself. All of it in one transaction with
# what fills the database again.
EMPTY = r"""
do $deploylib$ declare one record; begin
  create temp table staying on commit drop as
    select distinct n.oid, n.nspname from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and (
      n.nspname = 'public' or not pg_has_role(n.nspowner, 'USAGE')
      or exists (select from pg_depend d where d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.deptype = 'n'
        and exists (select from pg_depend e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e'))
      or exists (select from pg_depend e where e.classid = 'pg_namespace'::regclass and e.objid = n.oid and e.deptype = 'e')
      or exists (select from pg_class c where c.relnamespace = n.oid and not pg_has_role(c.relowner, 'USAGE'))
      or exists (select from pg_proc p where p.pronamespace = n.oid and not pg_has_role(p.proowner, 'USAGE')));
  for one in select format('drop publication %I', pubname) as sql from pg_publication where pg_has_role(pubowner, 'USAGE')
    union all select format('drop event trigger %I cascade', evtname) from pg_event_trigger where pg_has_role(evtowner, 'USAGE')
    union all select format('drop schema %I cascade', nspname) from pg_namespace n
      where nspname !~ '^pg_' and nspname <> 'information_schema' and not exists (select from staying s where s.oid = n.oid)
  loop execute one.sql; end loop;
  for one in
    select format('drop %s if exists %I.%I cascade', case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
        when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end, s.nspname, c.relname) as sql
      from pg_class c join staying s on s.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and pg_has_role(c.relowner, 'USAGE')
        and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype in ('e', 'i'))
      order by c.relkind <> 'v', c.relkind <> 'm'
  loop execute one.sql; end loop;
  for one in
    select p.oid::regprocedure::text as name, p.prokind, p.oid from pg_proc p join staying s on s.oid = p.pronamespace
      where pg_has_role(p.proowner, 'USAGE')
        and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')
  loop
    if exists (select from pg_proc where oid = one.oid) then
      execute format('drop %s %s cascade',
        case one.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, one.name);
    end if;
  end loop;
  for one in
    select t.oid, format('drop type %I.%I cascade', s.nspname, t.typname) as sql from pg_type t join staying s on s.oid = t.typnamespace
      where t.typtype in ('b', 'c', 'd', 'e', 'r') and t.typelem = 0 and pg_has_role(t.typowner, 'USAGE')
        and (t.typrelid = 0 or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
        and not exists (select from pg_depend e where e.classid = 'pg_type'::regclass and e.objid = t.oid and e.deptype in ('e', 'i'))
  loop
    if exists (select from pg_type where oid = one.oid) then execute one.sql; end if;
  end loop;
  for one in
    select format('drop collation %I.%I cascade', s.nspname, collname) as sql from pg_collation c join staying s on s.oid = collnamespace
      where pg_has_role(collowner, 'USAGE') and not exists (select from pg_depend e where e.objid = c.oid and e.deptype = 'e')
    union all select format('drop text search configuration %I.%I cascade', s.nspname, cfgname) from pg_ts_config c
      join staying s on s.oid = cfgnamespace where pg_has_role(cfgowner, 'USAGE')
      and not exists (select from pg_depend e where e.objid = c.oid and e.deptype = 'e')
    union all select format('drop text search dictionary %I.%I cascade', s.nspname, dictname) from pg_ts_dict c
      join staying s on s.oid = dictnamespace where pg_has_role(dictowner, 'USAGE')
      and not exists (select from pg_depend e where e.objid = c.oid and e.deptype = 'e')
  loop execute one.sql; end loop;
  perform lo_unlink(oid) from pg_largeobject_metadata where pg_has_role(lomowner, 'USAGE');
end $deploylib$;
"""
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
LIKE_IT = r"""
select format('create database %%I template template0 encoding %%L lc_collate %%L lc_ctype %%L%%s', %s::text,
  pg_encoding_to_char(encoding), datcollate, datctype,
  case to_jsonb(d) ->> 'datlocprovider' when 'i' then format(' locale_provider icu icu_locale %%L',
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) else '' end)
from pg_database d where datname = current_database()
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
ANYTHING = r"""
select coalesce(
  (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_depend d
     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') order by c.relkind <> 'r', 1 limit 1),
  (select format('the schema %I', nspname) from pg_namespace
   where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') and not exists (select from pg_depend d
     where d.classid = 'pg_namespace'::regclass and d.objid = pg_namespace.oid and d.deptype = 'e') limit 1),
  (select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') limit 1),
  (select format('the type %s', t.oid::regtype) from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype in ('e', 'i')) limit 1),
  (select format('the large object %s', oid) from pg_largeobject_metadata limit 1))
"""


class Done(msgspec.Struct, frozen=True):
    """A restore; where it was compared with the backup, it was found equal.

    Attributes:
        seconds: from the first look to the comparison.
        tables: how many were restored.
        notes: what should be known, for example that an extension has another version.
        compared: with what the backup says it holds; not where it does not say.
        database: the name of the new one, where it was restored beside.
        address: of it, without the password.
    """

    backup: Backup
    seconds: float
    tables: int
    notes: tuple[str, ...] = ()
    compared: bool = True
    database: str = ""
    address: str = ""


class NotBeside(SettingsError):
    """The role may not make a database, so that nothing can be restored beside another one."""


def into(
    url: Secret,
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: Runner,
    clock: Clock,
    force: bool = False,
    unproven: bool = False,
    within: float = WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Done:
    """Restore a backup into a database, and compare what is there then with the backup.

    Owners are not restored: all belongs to the URL's role. Grants, default privileges and settings are, where the roles
    are there and the role may; what lacks is told. What cannot belong to it is left out and told:
    extensions that are there already and their comments, and for a role that is no superuser publications,
    subscriptions and event triggers. Statistics are gathered at the end.

    A database that is not empty is first restored *beside*, by the same role, which proves that this very restore can be
    done. Then it is emptied and filled in one transaction: whatever happens, it holds the old content or the new.

    Args:
        url: of the database; its role must be allowed to make what the backup holds.
        backup: as `backup.listing` gives it.
        client: of a version that fits the database's server and the one that the backup was made of.
        force: empty the database first, of what the role owns, where it is not empty.
        unproven: leave out the proof beside, where the role may not make a database.
        within: seconds after which the restore is given up.
        progress: told the bytes of the dump that have been read (twice as many with *force*).

    Raises:
        SettingsError: the database is not empty, and nobody insisted; it has more tables than one transaction may
            lock; or the programs cannot read the dump.
        NotBeside: the proof beside cannot be made.
        BackupFailed: the backup is damaged, cannot be restored, or the database holds something else than it should,
            which is named. A database that was not empty is as it was then.
        Unreachable: the database does not answer.
    """
    began = clock.monotonic()
    found = manifest.manifest(backup, store=store)
    with postgres.connected(url, 10, statements="0") as connection:
        something = _one(connection, ANYTHING)
    if something is not None and not force:
        raise SettingsError(
            f"the database is not empty: it has {something}",
            remedy="inv backup.restore (beside it, in a new database); or insist, which removes everything of yours first",
        )
    edges = _Edges(store, client, runner, exporter, within, progress)
    if something is not None:
        _require_room(url, found)
        if not unproven:
            with _made(url, f"proof_{backup.id}"[:50], clock) as beside:
                _compared(beside, found, _filled(beside, found, edges, hold_back=True), edges)
    made = _filled(url, found, edges, empty=something is not None)
    notes = list(made.notes)
    compared = bool(found.contents.schema_by) and not (made.later or made.others)
    if compared or not found.contents.schema_by:
        notes += _compared(url, found, made, edges)
    else:
        why = "belongs to others" if made.others else "is hidden from its owner (FORCE ROW LEVEL SECURITY)"
        notes.append(
            f"what {why} could not be read, so that it was compared {'' if unproven else 'beside only, '}not here"
        )
    notes += made.lacking
    with postgres.connected(url, 10, statements="0") as connection:
        connection.execute("analyze")
    took = round(clock.monotonic() - began, 3)
    return Done(backup, took, found.tables, tuple(dict.fromkeys(notes)), compared=compared)


def beside(
    url: Secret,
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: Runner,
    clock: Clock,
    within: float = WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Done:
    """Restore a backup into a new database on the same server, by the same role, and compare it.

    What is there now is not touched. The new database stays; nobody uses it until the product's URL names it.

    Raises:
        NotBeside: the role may not make a database.
        BackupFailed: the backup is damaged, cannot be restored, or holds something else; the new database is gone then.
    """
    began = clock.monotonic()
    found = manifest.manifest(backup, store=store)
    edges = _Edges(store, client, runner, exporter, within, progress)
    name = f"restored_{clock.now():%Y%m%d_%H%M%S}"
    with _made(url, name, clock, keep=True) as new:
        made = _filled(new, found, edges, hold_back=True)
        notes = (*made.notes, *_compared(new, found, made, edges), *made.lacking)
        with postgres.connected(new, 10, statements="0") as connection:
            for statement in made.later:
                connection.execute(statement)
            connection.execute("analyze")
    return Done(
        backup,
        round(clock.monotonic() - began, 3),
        found.tables,
        tuple(dict.fromkeys(notes)),
        compared=bool(found.contents.schema_by),
        database=name,
        address=_shown(new),
    )


@dataclass(frozen=True, slots=True)
class _Edges:
    """What a restore works with, and for how long."""

    store: Store
    client: Client
    runner: Runner
    exporter: Exporter
    within: float
    progress: Progress


class _Filled(msgspec.Struct, frozen=True):
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


def _filled(url: Secret, found: Manifest, edges: _Edges, *, empty: bool = False, hold_back: bool = False) -> _Filled:
    """Make what a dump holds, in one transaction; see `into`.

    Args:
        empty: remove first what the role owns.
        hold_back: leave the statements that hide rows from their owner to the caller.
    """
    with postgres.connected(url, 10, statements="0") as connection:
        extensions, schemas, mighty, relations, routines = connection.execute(THERE).fetchone()
        if missing := sorted(set(found.contents.extensions) - set(extensions) - {"plpgsql"}) if not mighty else []:
            _require_trusted(connection, missing)
    later: list[bytes] = []
    left_out: list[str] = []
    theirs = tuple(f" {name} " for name in (*relations, *routines))

    def leave_out(entry: str) -> bool:
        kind, _, rest = entry.partition(" - ")
        name = rest.split(" ")[0]
        gone = (
            (not mighty and entry.startswith(MIGHTY))
            or (kind == "EXTENSION" and name in extensions)
            or (kind == "SCHEMA" and name in schemas)
            or entry.startswith(("COMMENT - EXTENSION", "COMMENT - SCHEMA public", "COMMENT - EVENT TRIGGER"))
            or any(name in f"{entry} " for name in theirs)
        )
        if gone:
            left_out.append(entry)
        return gone

    def whole(pieces: Iterator[bytes]) -> Generator[bytes]:
        yield b"begin;\n"
        if empty:
            yield EMPTY.encode()
        yield from _held_back(pieces, later)
        if not hold_back:
            yield b"".join(later)
        if found.contents.grants is not None:
            yield b"\nset local search_path = '';\n" + rights.alike(found.contents.grants).encode()
        yield b"commit;\n"  # never reached where the dump turns out to be damaged: its last piece is held back

    with archive.script(
        found, store=edges.store, client=edges.client, runner=edges.runner, leave_out=leave_out, progress=edges.progress
    ) as pieces:
        archive.perform(
            url, whole(pieces), found, store=edges.store, client=edges.client, runner=edges.runner, within=edges.within
        )
    return _Filled(tuple(left_out), tuple(later), bool(theirs), _surrounding(url, found, edges))


class _Refused(SettingsError):
    """The server does not take a setting, which is told."""


def _surrounding(url: Secret, found: Manifest, edges: _Edges) -> tuple[str, ...]:
    """Set what the backup's database was set to, and say which grants and settings could not be given.

    Settings come after the transaction: emptying does not touch them. Their values come from the dump, are written down
    nowhere, and never told: one may be a secret.
    """
    _, name = postgres.named(url)
    lacking: list[str] = []
    with postgres.connected(url, 10, statements="60s") as connection:
        connection.execute("set search_path = ''")
        has = {(role, name): value for role, name, value in connection.execute(HAS).fetchall()}
        for role, setting, value in archive.settings(
            found, store=edges.store, client=edges.client, runner=edges.runner
        ):
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
        if found.contents.grants is None:
            lacking.append("grants and default privileges were not restored: the backup does not say them")
        else:
            lacking += rights.left_out(found.contents.grants, connection)
        known = {row[0] for row in connection.execute(CONFIGURED).fetchall()}
    lacking += [
        f"left out: setting {one.split(' ')[-1]} of role {one.rpartition(' ')[0]} on its whole server, which no backup holds"
        for one in found.contents.configured
        if one not in known
    ]
    return tuple(lacking)


def _plain(literal: Secret) -> str:
    """What a literal of pg_dump says."""
    text = literal.reveal().strip()
    return (text[2:-1].replace("\\\\", "\\") if text.startswith("E") else text[1:-1]).replace("''", "'")


def _held_back(pieces: Iterator[bytes], later: list[bytes]) -> Iterator[bytes]:
    """The same script as part of one transaction.

    Statements that hide rows from their owner come later: no row could be written after them. Large objects are written in a
    transaction of their own by pg_restore, whose end would be the end of ours.
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
            elif large and line in {b"BEGIN;", b"COMMIT;"}:
                continue
            else:
                copying = COPYING.fullmatch(ended) is not None
            lines.append(ended)
        yield b"".join(lines)
    yield rest


def _compared(url: Secret, found: Manifest, made: _Filled, edges: _Edges) -> tuple[str, ...]:
    """Compare a database with what the backup says that it holds; returns remarks.

    Raises:
        BackupFailed: it differs, and not in what was left out or comes later.
    """
    expected = found.contents
    if not expected.schema_by:
        why = "of an export nobody knows" if found.exported else "its manifest, of an older version, does not say"
        return (f"nothing was compared: {why} what it should hold",)
    there = proof.held(url, like=expected, client=edges.client, runner=edges.runner, exporter=edges.exporter)
    absent = [entry.replace(" - ", " ", 1) for entry in made.left_out]
    tables = {f"table {FORCED_TABLE.findall(line)[0].decode()}" for line in made.later}
    known = {
        label: text
        for label, text in expected.schema.items()
        if label in tables or any(f"{entry} ".lower().startswith(f"{label} ".lower()) for entry in absent)
    }
    there = msgspec.structs.replace(there, schema={**there.schema, **known})
    return proof.compared(found, expected, there)


def _require_trusted(connection: Any, extensions: list[str]) -> None:
    """See that the role may create the extensions that a new database lacks; where they are already, they stay.

    Raises:
        NotBeside: it may not.
    """
    query = "select array_agg(distinct name) from pg_available_extension_versions where trusted and name = any(%s)"
    trusted = connection.execute(query, (extensions,)).fetchone()[0] or ()
    if refused := sorted(set(extensions) - set(trusted)):
        raise NotBeside(
            f"in a new database the role may not create the extension {refused[0]}, which the backup needs",
            remedy="have a superuser create it in a new database, and restore into that (--into VARIABLE); or, where it "
            "is already, --into database --unproven",
        )


def _require_room(url: Secret, found: Manifest) -> None:
    """See that one transaction may lock all that goes and all that comes.

    Raises:
        SettingsError: what to do instead.
    """
    taken, room = postgres.lock_room(url)
    needed = LOCKS_A_TABLE * (taken + found.tables)
    if needed > room:
        raise SettingsError(
            f"emptying and filling this database takes some {needed} locks at once, and its server has room for {room}",
            remedy="inv backup.restore (beside it, in a new database), and set the product's URL to that",
        )


@contextmanager
def _made(url: Secret, name: str, clock: Clock, *, keep: bool = False) -> Iterator[Secret]:
    """A new, empty database on the same server, by the same role; gone after the block, or kept when that ends well.

    Raises:
        NotBeside: the role may not.
    """
    name = f"{name}_{clock.now():%f}" if not keep else name
    refused = postgres.refusals(NotBeside, f"no database can be made beside this one ({name})", BESIDE)
    with postgres.connected(url, 10, statements="0") as connection:
        statement = connection.execute(LIKE_IT, (name,)).fetchone()[0]
        with refused:
            connection.execute(statement)
    well = False
    try:
        yield postgres.altered(url, dbname=name)
        well = True
    finally:
        if not (keep and well):
            with postgres.connected(url, 10, statements="60s") as connection:
                connection.execute(f'drop database if exists "{name}" with (force)')


def _shown(url: Secret) -> str:
    """An address as a person may read it."""
    parts = urlsplit(url.reveal())
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme}://{parts.username or ''}:•••@{host}{parts.path}"


def _one(connection: Any, query: str) -> Any:
    return connection.execute(query).fetchone()[0]
