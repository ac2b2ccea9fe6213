"""Count and hash a database in a snapshot of a dump.

``pg_export_snapshot`` in a REPEATABLE READ transaction and ``pg_dump --snapshot`` let two sessions see the same rows
(Postgres' manual, "Snapshot Synchronization Functions"); without it a comparison would be exact only while nobody
writes. The sum of the hashes of all rows needs no order, no sort and no memory.

A transaction keeps a lock on each table and each index that it has read, and the server has room for
``max_locks_per_transaction`` of them for each connection that it admits. So one session only holds the snapshot, and
another reads in it, table after table, in transactions that each take no more locks than are one session's share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

import msgspec

from deploylib.backups.fingerprint import Contents, Counter, Objects, Table
from deploylib.errors import BackupFailed
from deploylib.models import Secret
from deploylib.postgres import connection, grants

__all__ = ["CONFIGURED", "Exported", "Exporter", "Snapshot", "batches", "take_snapshot"]

T = TypeVar("T")
# What the text of a value depends on: the same on both sides.
PINNED = """
set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';
set local extra_float_digits = 1; set local bytea_output = 'hex'; set local xmloption = content;
set local xmlbinary = 'base64'; set local lc_monetary = 'C'; set local search_path = ''; set local row_security = off;
set local lock_timeout = '10s'; set local quote_all_identifiers = off;
"""
# Servers have limits of their own for sessions that take long, and each major knows others.
UNLIMITED = """
select set_config(name, '0', true) from pg_catalog.pg_settings
where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""
# Types whose hash depends on nothing but the value, and that have one for each value that can be stored. All others are
# hashed by their text, which is what a dump holds of them. An enum's hash is made of an oid, which a restore changes; json,
# xml and point have none; a collation that is not deterministic hashes by a key of the installed ICU. What is equal hashes
# alike: 1.0 and 1.00 (numeric, and within jsonb and ranges), -0 and 0 (float), '1 month' and '30 days' (interval), 'a ' and
# 'a' (bpchar), '[0:0]={1}' and '{{1}}' and '{1}' (arrays, which hash neither bounds nor dimensions).
RECORD = """
'bool','char','name','int2','int4','int8','text','varchar','bytea','date','time','timetz','timestamp','timestamptz','uuid',
'inet','cidr','macaddr','macaddr8','oid'
"""
OURS = r"""n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_catalog.pg_depend d
where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')"""
RELATIONS = rf"""
select format('%I.%I', n.nspname, c.relname), c.relkind = 'm', c.relispopulated, pg_catalog.pg_table_size(c.oid),
  1 + (select count(*) from pg_catalog.pg_index i where i.indrelid = c.oid),
  current_setting('server_version_num')::int < 140000 or exists (
    select from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_collation o on o.oid = a.attcollation
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and (t.oid not in (select k.oid from pg_catalog.pg_type k
             where k.typnamespace = 'pg_catalog'::regnamespace and k.typname in ({RECORD}))
           or not coalesce(o.collisdeterministic, true)))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence <> 't' and {OURS} order by 1
"""  # noqa: S608 - nothing but our own constants
SEQUENCES = rf"""
select format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and c.relpersistence <> 't' and {OURS} order by 1
"""  # noqa: S608 - nothing but our own constants
# In pieces: lo_get makes one value of what may be larger than a value can be.
OBJECTS = """
with recursive piece as (
  select m.oid, 0 as number, p.md5, p.size from pg_catalog.pg_largeobject_metadata m cross join lateral (
    select pg_catalog.md5(b) as md5, octet_length(b) as size
    from (select pg_catalog.lo_get(m.oid, 0, 16777216) as b offset 0) r) p
  union all
  select f.oid, f.number + 1, p.md5, p.size from piece f cross join lateral (
    select pg_catalog.md5(b) as md5, octet_length(b) as size
    from (select pg_catalog.lo_get(f.oid, (f.number + 1)::bigint * 16777216, 16777216) as b offset 0) r) p
  where f.size = 16777216)
select count(distinct oid), coalesce(sum(size), 0)::bigint,
  coalesce(sum(pg_catalog.hashtextextended(oid || ' ' || number || ' ' || md5, 0)), 0)::text from piece
"""
INVALID = """
select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and n.nspname !~ '^pg_' order by 1
"""
UNVALIDATED = """
select format('%I on %s', o.conname, o.conrelid::regclass) from pg_catalog.pg_constraint o
join pg_catalog.pg_namespace n on n.oid = o.connamespace
where not o.convalidated and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1
"""
ROLES = """
select r.rolname from pg_catalog.pg_policy p cross join unnest(p.polroles) u join pg_catalog.pg_roles r on r.oid = u
union select usename from pg_catalog.pg_user_mappings where umuser <> 0 order by 1
"""
CONFIGURED = """
select pg_catalog.quote_ident(r.rolname) || ' ' || pg_catalog.split_part(c, '=', 1)
from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole cross join unnest(s.setconfig) c
where s.setdatabase = 0 order by 1
"""
SUPERUSER = "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
LOCALE = "select to_jsonb(d) from pg_catalog.pg_database d where datname = current_database()"
TOGETHER = 100  # sequences that are read in one statement, where the server has room for as many locks
SHARE = "select current_setting('max_locks_per_transaction')::int"
BEGIN = "begin isolation level repeatable read, read only;"


class Snapshot(Protocol):
    """A moment of a database that holds still.

    Attributes:
        id: what ``pg_dump --snapshot`` is given.
    """

    id: str

    def look(self, *, hashes: bool = True, like: Contents | None = None) -> Contents:
        """Count and hash everything; see `Exported.look`."""
        ...

    def around(self) -> Contents:
        """Read what a database must have before a restore; see `Exported.around`."""
        ...

    def reread_sequences(self, contents: Contents) -> Contents:
        """Read the sequences again, after the dump."""
        ...

    def cancel(self) -> None:
        """End a `look` of another thread."""
        ...


class Exported:
    """A snapshot that one session holds open, and another reads.

    Args:
        connection: of the session that reads.
        name: of the snapshot.
        share: locks that a transaction may take.
    """

    def __init__(self, connection: Any, name: str, share: int) -> None:
        self.connection = connection
        self.id = name
        self.share = share

    def look(self, *, hashes: bool = True, like: Contents | None = None) -> Contents:
        """Count and hash everything that the snapshot shows.

        Args:
            hashes: hash the rows too; otherwise they are only counted.
            like: hash each table in the way in which it was hashed there.

        Returns:
            All but the definitions, which pg_dump knows.
        """
        ways = {table.name: table.how for table in like.tables} if like else {}
        sequences = self._sequences()
        with self._moment():
            relations = self._all(RELATIONS)
        tables = []
        for batch in batches([(row, row[4]) for row in relations], self.share):
            with self._moment():
                for name, derived, filled, _size, _locks, odd in batch:
                    how = ways.get(name, ("text" if odd else "record") if hashes else "")
                    tables.append(self._table(name, how, derived=derived, filled=filled))
        with self._moment():
            objects = self._objects(hashes=bool(like.objects.hash) if like else hashes)
        return msgspec.structs.replace(
            self.around(),
            stored=like.stored if like else True,
            tables=tuple(tables),
            sequences=tuple(Counter(name=name, last=n, called=c, until=n, until_called=c) for name, n, c in sequences),
            objects=objects,
        )

    def around(self) -> Contents:
        """Read what a database must have before anything is restored into it.

        Without what it holds.
        """
        with self._moment():
            return Contents(
                extensions=dict(self._all("select extname, extversion from pg_catalog.pg_extension order by 1")),
                invalid=self._column(INVALID),
                unvalidated=self._column(UNVALIDATED),
                roles=self._column(ROLES),
                grants=grants.read_grants(self.connection),
                configured=self._column(CONFIGURED),
                superuser=bool(self._column(SUPERUSER)[0]),
                locale={key: str(value) for key, value in self._all(LOCALE)[0][0].items() if _is_locale(key) and value},
            )

    def reread_sequences(self, contents: Contents) -> Contents:
        """Add to *contents* where the sequences stand now, after the dump."""
        now = {name: (last, called) for name, last, called in self._sequences()}
        return msgspec.structs.replace(
            contents,
            sequences=tuple(
                msgspec.structs.replace(sequence, until=now[sequence.name][0], until_called=now[sequence.name][1])
                for sequence in contents.sequences
            ),
        )

    def cancel(self) -> None:
        """End what another thread is asking."""
        self.connection.cancel_safe(timeout=5)

    def _table(self, name: str, how: str, *, derived: bool, filled: bool) -> Table:
        """Read the rows of a table once, without its children's."""
        if not filled:
            return Table(name=name, rows=0, how=how, derived=derived, filled=False)
        # A whole row by the name of its table and a star: a column of that name would be taken first otherwise.
        hashed = {
            "record": "coalesce(sum(pg_catalog.hash_record_extended(one.*, 0)), 0)::text",
            "text": "coalesce(sum(pg_catalog.hashtextextended((one.*)::text, 0)), 0)::text",
            "": "''",
        }[how]
        rows, total = self._all(f"select count(*), {hashed} from only {name} as one")[0]  # noqa: S608 - quoted by the server
        return Table(name=name, rows=rows, hash=total, how=how, derived=derived)

    def _objects(self, *, hashes: bool) -> Objects:
        if not hashes:
            return Objects(number=self._all("select count(*) from pg_catalog.pg_largeobject_metadata")[0][0])
        number, size, total = self._all(OBJECTS)[0]
        return Objects(number=number, size=size, hash=total if number else "")

    def _sequences(self) -> list[tuple[str, int, bool]]:
        """Name, last value, and whether it was given out."""
        with self._moment():
            names = self._column(SEQUENCES)
        states: list[tuple[str, int, bool]] = []
        together = min(TOGETHER, self.share)
        for start in range(0, len(names), together):
            some = names[start : start + together]
            each = (f"select {n}, last_value, is_called from {name}" for n, name in enumerate(some))  # noqa: S608
            with self._moment():
                rows = self._all(" union all ".join(each))
            states += [(some[n], last, called) for n, last, called in sorted(rows)]
        return states

    @contextmanager
    def _moment(self) -> Iterator[None]:
        """Open a transaction in the snapshot; its locks end with it."""
        # Several commands at once can be sent, and not prepared, which the driver does with what comes often.
        self.connection.execute(f"{BEGIN} set transaction snapshot '{self.id}'; {PINNED}", prepare=False)
        self.connection.execute(UNLIMITED)
        try:
            yield
        finally:
            if not self.connection.closed:
                self.connection.execute("rollback")

    def _all(self, query: str) -> list[Any]:
        rows: list[Any] = self.connection.execute(query).fetchall()
        return rows

    def _column(self, query: str) -> tuple[Any, ...]:
        return tuple(row[0] for row in self._all(query))


def _is_locale(key: str) -> bool:
    return key in {"encoding", "datcollate", "datctype", "datlocprovider", "datlocale", "daticulocale"}


def batches(things: Sequence[tuple[T, int]], share: int) -> Iterator[list[T]]:
    """Put things into batches of at most *share* by weight.

    They keep their order; a heavier one is alone.
    """
    batch: list[T] = []
    left = share
    for thing, weight in things:
        if batch and weight > left:
            yield batch
            batch, left = [], share
        batch.append(thing)
        left -= weight
    if batch:
        yield batch


@contextmanager
def take_snapshot(url: Secret) -> Iterator[Snapshot]:
    """Take a snapshot of a database for this block.

    Dumps that are given its name share it.

    Raises:
        Unreachable: the database does not answer, or not to us.
        BackupFailed: it does not show us everything.
    """
    refusals = connection.refusals(
        BackupFailed,
        "the database cannot be read whole",
        "grant pg_read_all_data to the URL's role, or use the URL of the role that owns all of it",
    )
    with (
        connection.connect(url, 10, statements="0") as keeper,
        connection.connect(url, 10, statements="0") as reader,
        refusals,
    ):
        keeper.execute(BEGIN)
        keeper.execute(UNLIMITED)
        name = keeper.execute("select pg_catalog.pg_export_snapshot()").fetchone()[0]
        yield Exported(reader, name, reader.execute(SHARE).fetchone()[0])


Exporter = Callable[[Secret], AbstractContextManager[Snapshot]]
