"""Code that serves before a migration, and after it: statements made from the catalogs, tried, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

HERE = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
ROLE = "serving"
TABLES = f"""
select c.oid, c.oid::regclass::text, c.relkind, exists (select from pg_inherits where inhparent = c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace where {HERE} and c.relkind in ('r', 'p', 'v')
"""
COLUMNS = """
select quote_ident(a.attname), a.attnotnull or t.typnotnull, a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
  format_type(a.atttypid, a.atttypmod), t.typcategory
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
UNIQUE = """
select (select string_agg(pg_get_indexdef(indexrelid, k, true), ', ') from generate_series(1, indnkeyatts) k),
  pg_get_expr(indpred, indrelid), indisunique from pg_index where (indisunique or indisexclusion) and indrelid = {oid}
"""
CONSTRAINTS = "select quote_ident(conname) from pg_constraint where contype in ('p', 'u', 'x') and conrelid = {oid}"
CASCADES = """
select k.confrelid::regclass, quote_ident(r.attname), k.conrelid::regclass, quote_ident(a.attname) from pg_constraint k
join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
join pg_attribute r on r.attrelid = k.confrelid and r.attnum = k.confkey[1]
where k.contype = 'f' and k.confdeltype <> 'a'
"""
SEQUENCES = f"""
select c.oid::regclass::text, has_sequence_privilege('{ROLE}', c.oid, 'USAGE')
from pg_class c join pg_namespace n on n.oid = c.relnamespace where {HERE} and c.relkind = 'S'
"""
FUNCTIONS = f"""
select 'select ' || p.oid::regproc || '(' ||
  coalesce((select string_agg('null::' || t::regtype, ', ') from unnest(p.proargtypes) t), '') || ')'
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {HERE} and p.prorettype <> 'trigger'::regtype
union all select 'select null::' || t.oid::regtype from pg_type t join pg_namespace n on n.oid = t.typnamespace
where {HERE} and t.typtype = 'd'
union all select 'select (null::' || c.oid::regclass || ').' || quote_ident(a.attname) from pg_class c
join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where {HERE} and c.relkind = 'c'
"""
# What a connection would begin with that is made now: by its role in this database, its role, the database.
BEGINS = """
select set_config(case split_part(entry, '=', 1) when 'default_transaction_read_only' then 'transaction_read_only'
  else split_part(entry, '=', 1) end, substr(entry, strpos(entry, '=') + 1), true)
from (select s.setrole <> 0 as by, s.setdatabase <> 0 as own, unnest(s.setconfig) as entry from pg_db_role_setting s
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and s.setrole in (0, (select oid from pg_roles where rolname = '{role}')) order by 1, 2) x
"""
VALUES = {"N": "7", "S": "'x'", "B": "true", "D": "now()"}


def statements(connection: sa.Connection) -> list[str]:
    """What code does that was written for the database as it is now; first the role, where it is not ours."""

    def rows(query: str) -> list[Any]:
        return list(connection.exec_driver_sql(query).fetchall())

    found: list[str] = []
    for oid, table, kind, parent in rows(TABLES):
        columns = rows(COLUMNS.format(oid=oid))
        found += [f"explain select 1 from {table} where {name} = null::{kept}" for name, _n, _d, kept, _c in columns]
        if kind == "v":
            found += [f"explain insert into {table} default values", f"explain delete from {table}"]
        else:
            unique = rows(UNIQUE.format(oid=oid))
            targets = [f"({keys}){f' where {where}' if where else ''}" for keys, where, equal in unique if equal]
            targets += [f"on constraint {name}" for (name,) in rows(CONSTRAINTS.format(oid=oid))]
            found += [f"explain insert into {table} default values on conflict {one} do nothing" for one in targets]
            named = {name for keys, *_ in unique for name in keys.split(", ")}
            found += _inserts(rows, table, columns, named, targets)
        if parent:
            found.append(f"select count(*) from {table}")
        found += [f"{ROLE}: {one}" for one in _granted(table, columns)]
    found += [f"delete from {parent} where {key} in (select {column} from {child} limit 1)"
              for parent, key, child, column in rows(CASCADES)]  # fmt: skip
    for sequence, granted in rows(SEQUENCES):
        found += [f"select nextval('{sequence}')", f"select abs(nextval('{sequence}') - nextval('{sequence}'))"]
        found += [f"{ROLE}: select nextval('{sequence}')"] if granted else []
    called = [f"explain {text}" for (text,) in rows(FUNCTIONS)]
    return [*found, *called, *(f"{ROLE}: {one}" for one in called)]


def _inserts(rows: Any, table: str, columns: list[Any], unique: set[str], targets: list[str]) -> Iterator[str]:
    """Code gives what has no default, as it is in a row now; and what is never NULL it may leave to a trigger.

    What the table does not number by itself, it would give a value that is not there yet: so it is no matter whether the
    row is refused for that.
    """
    given = {name: required for name, required, default, *_ in columns if not default}
    numbers = len(given) < len(columns)
    plain = [name for name in given if given[name] or name not in unique] if numbers else list(given)
    for where in ("", *(f" where {name} is null" for name, required in given.items() if not required)):
        values = ", ".join(f"quote_nullable({name}::text)" for name in given)
        for row in rows(f"select {values} from only {table}{where} limit 1") if given else ():
            has = dict(zip(given, row, strict=True))
            choices = [list(given), plain, *([one for one in given if one != name] for name in given if given[name])]
            yield from (_insert(table, has, some, numbers=numbers) for some in choices if some)
            whole = f"insert into {table} ({', '.join(has)}) values ({', '.join(row)})"
            yield from (
                f"with done as ({whole} on conflict {one} do nothing returning 1) select 0"
                for one in targets
                if " where " not in one
            )
    if not rows(f"select 1 from {table} limit 1"):
        made = {
            name: VALUES.get(category, "null")
            for name, required, default, _t, category in columns
            if required and not default
        }
        if made:
            yield _insert(table, made, list(made), numbers=False)


def _insert(table: str, has: dict[str, str], some: list[str], *, numbers: bool) -> str:
    """A row, of which nothing comes where it is there already."""
    values = ", ".join(has[name] for name in some)
    done = f"insert into {table} ({', '.join(some)}) values ({values}) on conflict do nothing"
    return done if numbers else f"with done as ({done} returning 1) select 0"


def _granted(table: str, columns: list[Any]) -> Iterator[str]:
    """All that a role may do with a table; what it may not fails before as well."""
    yield f"select count(*) from (select 1 from {table} limit 1) x"
    yield f"explain insert into {table} default values"
    yield f"explain delete from {table}"
    yield from (f"explain update {table} set {name} = {name}" for name, *_ in columns)


def tried(connection: sa.Connection, some: list[str]) -> dict[str, int | None]:
    """What comes of each: a number, or None where it fails; nothing of it stays, not even numbers of sequences."""
    were = numbers(connection)
    found: dict[str, int | None] = {}
    for text in some:
        role, _, statement = text.rpartition(": ")
        connection.exec_driver_sql("savepoint tried")
        try:
            connection.exec_driver_sql(BEGINS.format(role=role or "postgres"))
            if role:
                connection.exec_driver_sql(f"set local role {role}")
            done = connection.exec_driver_sql(statement.replace("%", "%%"))
            first = done.fetchall()[0][0] if done.returns_rows else done.rowcount
            found[text] = first if isinstance(first, int) else 1
        except sa.exc.DBAPIError:
            found[text] = None
        connection.exec_driver_sql("rollback to savepoint tried")
    set_back(connection, were)
    return found


def numbers(connection: sa.Connection) -> dict[str, tuple[int, bool]]:
    """Where each sequence is; no transaction takes that back."""
    names = [name for (name, _granted) in connection.exec_driver_sql(SEQUENCES).fetchall()]
    query = "select last_value, is_called from {}"
    rows = {name: connection.exec_driver_sql(query.format(name)).one() for name in names}
    return {name: (row[0], row[1]) for name, row in rows.items()}


def set_back(connection: sa.Connection, were: dict[str, tuple[int, bool]]) -> None:
    """Each sequence that is still there goes back to where it was."""
    for name in were.keys() & numbers(connection).keys():
        last, called = were[name]
        connection.exec_driver_sql(f"select setval('{name}', {last}, {called})")


def suffers(before: dict[str, int | None], after: dict[str, int | None]) -> list[str]:
    """What fails now and did not, or gives less."""
    return [text for text, was in before.items() if was is not None and ((now := after[text]) is None or now < was)]
