"""The live database as a linter must know it: sizes, types, indexes."""

from __future__ import annotations

import re
from typing import Any

from deploylib.models import Secret, Value
from deploylib.postgres import connect

__all__ = ["Catalog", "plain_name", "read_catalog"]

# A table that was never analyzed says -1: then its size tells, at 40 bytes for a row, which is a short one.
TABLES = """
with one as (
    select c.oid, c.relkind,
        case when c.reltuples > 0 then c.reltuples else pg_relation_size(c.oid) / 40 end::bigint as rows,
        c.reltuples <= 0 and pg_relation_size(c.oid) > 0 as bounded
    from pg_class c where c.relkind in ('r', 'm')
)
select n.nspname, c.relname, pg_table_is_visible(c.oid),
    case when c.relkind = 'p' then (
        select coalesce(sum(one.rows), 0) from pg_partition_tree(c.oid) t join one on one.oid = t.relid where t.isleaf
    ) else coalesce((select rows from one where one.oid = c.oid), 0) end::bigint, c.relkind = 'p',
    exists (select from pg_partition_tree(c.oid) t join one on one.oid = t.relid where one.bounded)
    or coalesce((select bounded from one where one.oid = c.oid), false)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'p', 'v') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
COLUMNS = """
select n.nspname, c.relname, pg_table_is_visible(c.oid), a.attname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
INDEXES = """
select n.nspname, c.relname, pg_table_is_visible(c.oid), i.relname,
    (select array_agg(coalesce(a.attname, '') order by k.place) from unnest(x.indkey::int2[]) with ordinality k(number, place)
     left join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number)
from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
join pg_namespace n on n.oid = c.relnamespace
where x.indisvalid and x.indpred is null and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
# Before Postgres 15 one form of timezone() was volatile, that of the type timetz, which nobody uses: the rehearsal sees it.
VOLATILE = """
select distinct proname from pg_proc where provolatile = 'v' and not (proname = 'timezone' and 1266 = any (proargtypes::oid[]))
"""
STEADY = "select distinct proname from pg_proc where provolatile <> 'v'"
PROVEN = """
select n.nspname, c.relname, pg_table_is_visible(c.oid), pg_get_constraintdef(k.oid)
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'c' and k.convalidated and n.nspname !~ '^pg_'
"""


class Catalog(Value, frozen=True):
    """A database as it is before the release.

    Names as `plain_name` gives them.

    Attributes:
        major: the server's major version.
        rows: of each table, about; a partitioned one has those of its partitions.
        bounded: tables that were never analyzed: as many rows as their size could hold, and mostly fewer.
        partitioned: tables that have no rows but those of their partitions.
        types: ``table.column`` → its type, as ``format_type`` says it.
        indexes: table → the columns of each of its indexes; the names of indexes → their table.
        steady: functions that are never volatile, whatever their arguments.
        proven: columns that a validated CHECK proves to be NOT NULL, as ``table.column``.
        utc: the time zone of a session is UTC.
        known: somebody has looked; else no table is known, which does not mean that there is none.
    """

    major: int = 16
    rows: dict[str, int] = {}  # noqa: RUF012 - msgspec copies an empty default
    bounded: frozenset[str] = frozenset()
    partitioned: frozenset[str] = frozenset()
    types: dict[str, str] = {}  # noqa: RUF012
    indexes: dict[str, tuple[tuple[str, ...], ...]] = {}  # noqa: RUF012
    index_tables: dict[str, str] = {}  # noqa: RUF012
    steady: frozenset[str] = frozenset()
    proven: frozenset[str] = frozenset()
    utc: bool = False
    known: bool = True

    def size(self, table: str) -> int | None:
        """Tell about how many rows it has.

        None: there is no such table.
        """
        return self.rows.get(plain_name(table))


def plain_name(table: str) -> str:
    """Write a table's name as the catalog has it, without quotes.

    Where that schema is the first that is looked in, without it.
    """
    parts = [part[1:-1] if part.startswith('"') else part.lower() for part in re.findall(r'"[^"]+"|[\w$]+', table)]
    return ".".join(parts)


def read_catalog(url: Secret) -> Catalog:
    """Read the catalog of a database.

    Raises:
        Unreachable: it does not answer, or not to us.
    """
    with connect(url) as connection:

        def every(query: str) -> list[Any]:
            return list(connection.execute(query).fetchall())

        rows, types = {}, {}
        parents, bounded = set[str](), set[str]()
        indexes: dict[str, list[tuple[str, ...]]] = {}
        index_tables: dict[str, str] = {}
        for schema, name, visible, number, parent, by_size in every(TABLES):
            rows.update(dict.fromkeys(_names(schema, name, visible=visible), int(number)))
            parents.update(_names(schema, name, visible=visible) if parent else ())
            bounded.update(_names(schema, name, visible=visible) if by_size else ())
        for schema, name, visible, column, kind in every(COLUMNS):
            types.update({f"{table}.{column}": kind for table in _names(schema, name, visible=visible)})
        for schema, name, visible, index, columns in every(INDEXES):
            for table in _names(schema, name, visible=visible):
                indexes.setdefault(table, []).append(tuple(columns))
                index_tables.setdefault(index, table)
                index_tables[f"{schema}.{index}"] = table
        proven = {
            f"{table}.{match[1]}"
            for schema, name, visible, text in every(PROVEN)
            for table in _names(schema, name, visible=visible)
            for match in re.finditer(r'\(\(?"?([\w$]+)"? IS NOT NULL\)', text)
        }
        steady = {name for (name,) in every(STEADY)} - {name for (name,) in every(VOLATILE)}
        [(version, zone)] = every("select current_setting('server_version_num')::int, current_setting('timezone')")
    return Catalog(
        major=version // 10000,
        rows=rows,
        bounded=frozenset(bounded),
        partitioned=frozenset(parents),
        types=types,
        indexes={table: tuple(columns) for table, columns in indexes.items()},
        index_tables=index_tables,
        steady=frozenset(steady),
        proven=frozenset(proven),
        utc=zone in {"UTC", "Etc/UTC", "GMT"},
    )


def _names(schema: str, name: str, *, visible: bool) -> tuple[str, ...]:
    return (f"{schema}.{name}", name) if visible else (f"{schema}.{name}",)
