"""Empty a database before a restore.

All that the role owns in it goes, and nothing else.

Extensions, and what belongs to others, stay where they are. In one transaction with what fills the database again; or piece
by piece, each in a transaction of its own, where the server has not the room for so many locks.
"""

from __future__ import annotations

from deploylib.models import Secret
from deploylib.postgres import connect

__all__ = ["AT_ONCE", "count_locks", "one_by_one", "something"]

# All schemas of the database, their comments and rights as a new database has them; what lies outside of schemas, too.
# A partitioned table depends on itself, by its key. A schema goes as a whole where nothing in it stays; in one that holds an extension's objects each object goes by itself.
AT_ONCE = r"""
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
      where nspname !~ '^pg_' and nspname not in ('information_schema', 'deploylib_restoring')
        and not exists (select from staying s where s.oid = n.oid)
  loop execute one.sql; end loop;
  for one in
    select format('drop %s if exists %I.%I cascade', case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
        when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end, s.nspname, c.relname) as sql
      from pg_class c join staying s on s.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and pg_has_role(c.relowner, 'USAGE')
        and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid
          and e.objsubid = 0 and e.deptype in ('e', 'i'))
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
SOMETHING = r"""
select coalesce(
  (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_depend d
     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') order by c.relkind <> 'r', 1 limit 1),
  (select format('the schema %I', nspname) from pg_namespace
   where nspname !~ '^pg_' and nspname not in ('information_schema', 'public', 'deploylib_restoring') and not exists (select from pg_depend d
     where d.classid = 'pg_namespace'::regclass and d.objid = pg_namespace.oid and d.deptype = 'e') limit 1),
  (select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') limit 1),
  (select format('the type %s', t.oid::regtype) from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype in ('e', 'i')) limit 1),
  (select format('the large object %s', oid) from pg_largeobject_metadata limit 1))
"""
# A foreign key goes before its tables, as of one that many refer to the drop would lock them all; what is inherited goes before
# what it inherits from, a partition before the whole. What is left then, and is little, goes at once.
OURS = """
pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'deploylib_restoring')
  and pg_catalog.pg_has_role(c.relowner, 'USAGE') and not exists (select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.objsubid = 0 and e.deptype in ('e', 'i'))
"""
ONE_BY_ONE = rf"""
with recursive depth (oid, number) as (
  select inhrelid, 1 from pg_catalog.pg_inherits
  union select i.inhrelid, d.number + 1 from pg_catalog.pg_inherits i join depth d on d.oid = i.inhparent)
select sql from (
  select 1, 0, pg_catalog.format('alter table if exists %I.%I drop constraint if exists %I cascade', n.nspname, c.relname, o.conname)
    from {OURS} join pg_catalog.pg_constraint o on o.conrelid = c.oid
    join pg_catalog.pg_class other on other.oid = o.confrelid
    where o.contype = 'f' and o.conparentid = 0 and c.relkind = 'r' and other.relkind = 'r'
  union all
  select case when c.relkind in ('v', 'm') then 2 else 3 end,
      -coalesce((select max(d.number) from depth d where d.oid = c.oid), 0),
      pg_catalog.format('drop %s if exists %I.%I cascade', case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
        when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end, n.nspname, c.relname)
    from {OURS} where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
  union all
  select 4, 0, pg_catalog.format('drop routine if exists %s cascade', p.oid::regprocedure)
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and pg_catalog.pg_has_role(p.proowner, 'USAGE')
      and not exists (select from pg_catalog.pg_depend e
        where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype in ('e', 'i'))
  union all
  select 5, 0, pg_catalog.format('select pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata where oid = any (%L)',
      pg_catalog.array_agg(oid))
    from (select oid, pg_catalog.row_number() over (order by oid) / 20 as part from pg_catalog.pg_largeobject_metadata
          where pg_catalog.pg_has_role(lomowner, 'USAGE')) few group by part
) piece (step, number, sql) order by step, number
"""  # noqa: S608 - nothing but our own constants
# A drop locks each object: a table and its TOAST table, their indexes, constraints, defaults, triggers and rules, and the two
# types that each table has (counted in pg_locks: 18 for one with a key, a reference, a sequence and an index). What an
# extension has brought stays.
KINDS = (
    "class", "type", "constraint", "attrdef", "trigger", "rewrite", "policy", "proc", "largeobject_metadata",
)  # fmt: skip
LOCKS = " + ".join(
    f"(select count(*) from pg_catalog.pg_{kind} where oid >= 16384)"  # noqa: S608 - nothing but our own constants
    for kind in KINDS
)
STAYING = "(select count(*) from pg_catalog.pg_depend where deptype = 'e' and objid >= 16384)"


def something(url: Secret) -> str | None:
    """Find the name of something that is in a database.

    None: it is empty, but perhaps for its mark.
    """
    with connect(url, 10, statements="0") as connection:
        name: str | None = connection.execute(SOMETHING).fetchone()[0]
    return name


def count_locks(url: Secret) -> int:
    """Count the locks of a transaction that empties a database."""
    with connect(url, 10, statements="0") as connection:
        [number] = connection.execute(f"select {LOCKS} - {STAYING}").fetchone()
    return max(0, int(number))


def one_by_one(url: Secret) -> str:
    """Write the statements that empty a database as it is now.

    Each is to be run in a transaction of its own, and may be run again.
    """
    with connect(url, 10, statements="0") as connection:
        connection.execute("set search_path = ''")
        statements = [sql for (sql,) in connection.execute(ONE_BY_ONE).fetchall()]
    return "".join(f"{sql};\n" for sql in (*statements, AT_ONCE.rstrip().removesuffix(";")))
