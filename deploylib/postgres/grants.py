"""The rights in a database: who may do what.

Grants and default privileges, as far as they differ from what a new object has.

A dump names the owner of then in each grant, and fails at a role that is not there. So they are read from the catalog, kept
with the backup, and made alike at the end of a restore: what is there too much is taken, what lacks is given, and what the
server refuses is told. What an object has from the start (``acldefault``, or ``pg_init_privs`` of an extension's) is not
written down: another major gives owners other rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["QUERY", "Grant", "alike", "list_left_out", "read_grants"]


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A right that was given, or taken from a new object.

    Attributes:
        under: ``alter default privileges …`` with a space at its end, where it is one of those.
        object: what it is a right on, as SQL names it: ``table public.orders``; ``database`` is this one.
        verb: the right, with a column: ``SELECT (name)``.
        role: as SQL writes it; empty: whoever owns the object.
        grantable: it may be given on.
        given: False: it was taken.
    """

    under: str
    object: str
    verb: str
    role: str
    grantable: bool
    given: bool

    @property
    def statement(self) -> str:
        """The right as SQL says it."""
        what = f"{self.under}{'grant' if self.given else 'revoke'} {self.verb} on {self.object}"
        return f"{what} {'to' if self.given else 'from'} {self.role or 'its owner'}"


# An owner is nobody by name: what is restored belongs to the role that restores. Whoever grants to itself is the owner.
THING = r"""
thing (object, acl, base, part) as (
  select pg_catalog.format('%s %I.%I', case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname), c.relacl,
    coalesce(i.initprivs, pg_catalog.acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner)), ''
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_class'::regclass and i.objoid = c.oid and i.objsubid = 0
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
  union all
  select pg_catalog.format('table %I.%I', n.nspname, c.relname), a.attacl, i.initprivs,
    pg_catalog.format(' (%I)', a.attname)
  from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_init_privs i
    on i.classoid = 'pg_catalog.pg_class'::regclass and i.objoid = c.oid and i.objsubid = a.attnum
  where a.attacl is not null and not a.attisdropped and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select 'routine ' || p.oid::regprocedure, p.proacl, coalesce(i.initprivs, pg_catalog.acldefault('f', p.proowner)), ''
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_proc'::regclass and i.objoid = p.oid
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select pg_catalog.format('type %I.%I', n.nspname, t.typname), t.typacl,
    coalesce(i.initprivs, pg_catalog.acldefault('T', t.typowner)), ''
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_type'::regclass and i.objoid = t.oid
  where t.typelem = 0 and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and (t.typrelid = 0 or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  union all
  select pg_catalog.format('schema %I', n.nspname), n.nspacl,
    coalesce(i.initprivs, pg_catalog.acldefault('n', n.nspowner)), ''
  from pg_catalog.pg_namespace n
  left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_namespace'::regclass and i.objoid = n.oid
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select pg_catalog.format('language %I', lanname), lanacl, pg_catalog.acldefault('l', lanowner), ''
  from pg_catalog.pg_language
  union all
  select pg_catalog.format('foreign data wrapper %I', fdwname), fdwacl, pg_catalog.acldefault('F', fdwowner), ''
  from pg_catalog.pg_foreign_data_wrapper
  union all
  select pg_catalog.format('foreign server %I', srvname), srvacl, pg_catalog.acldefault('S', srvowner), ''
  from pg_catalog.pg_foreign_server
  union all
  select 'large object ' || oid, lomacl, pg_catalog.acldefault('L', lomowner), '' from pg_catalog.pg_largeobject_metadata
  union all
  select 'database', datacl, pg_catalog.acldefault('d', datdba), '' from pg_catalog.pg_database
  where datname = pg_catalog.current_database()
),
"""
DEFAULTS = r"""
ruled (under, object, acl, base) as (
  select pg_catalog.format('alter default privileges for role %s%s ',
      case when r.rolname = session_user then 'session_user' else pg_catalog.quote_ident(r.rolname) end,
      ' in schema ' || pg_catalog.quote_ident(n.nspname)),
    case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'routines' when 'T' then 'types'
      when 'n' then 'schemas' else 'large objects' end, d.defaclacl,
    case when d.defaclnamespace = 0 then
      pg_catalog.acldefault((case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end)::"char", d.defaclrole) end
  from pg_catalog.pg_default_acl d join pg_catalog.pg_roles r on r.oid = d.defaclrole
  left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
),
"""
QUERY = f"""
with {THING} {DEFAULTS} listed (under, object, given, verb, role, grantable) as (
  select e.under, e.object, side.given, x.privilege_type || e.part,
    case when x.grantee = 0 then 'public'
      when x.grantee = x.grantor and (e.under = '' or r.rolname = session_user) then ''
      else pg_catalog.quote_ident(r.rolname) end, x.is_grantable
  from (select '' as under, object, part, acl, base from thing where acl is not null
        union all select under, object, '', acl, base from ruled) e
  cross join lateral (values (true, e.acl), (false, e.base)) side (given, acl)
  cross join lateral pg_catalog.aclexplode(side.acl) x left join pg_catalog.pg_roles r on r.oid = x.grantee
  where x.grantee = 0 or r.oid is not null
)
select under, object, verb, role, grantable, true as given from (
  select under, object, verb, role, grantable from listed where given
  except select under, object, verb, role, grantable from listed where not given) more
union all
select under, object, verb, role, grantable, false from (
  select under, object, verb, role, grantable from listed where not given
  except select under, object, verb, role, grantable from listed where given) less
order by 1, 2, 3, 4, 5
"""  # noqa: S608 - nothing but our own constants
# What is refused is found out afterwards, by reading once more: a restore does not fail for a grant.
ALIKE = f"""
create temp table deploylib_rights on commit drop as
  select * from pg_catalog.jsonb_to_recordset(%s::jsonb)
    as r (under text, object text, verb text, role text, grantable boolean, given boolean);
do $deploylib$ declare one record; begin
  for one in
    with there as ({QUERY}), step as (
      select * from (select under, object, verb, role, grantable, not given as given from there
        except select under, object, verb, role, grantable, not given from pg_temp.deploylib_rights) less
      union all select * from (table pg_temp.deploylib_rights except table there) more)
    select pg_catalog.concat(under, case when given then 'grant ' else 'revoke ' end, verb, ' on ', object,
      case when object = 'database' then ' ' || pg_catalog.quote_ident(pg_catalog.current_database()) end,
      case when given then ' to ' else ' from ' end, coalesce(nullif(role, ''), 'session_user'),
      case when given and grantable then ' with grant option' end) as sql
    from step order by given, under
  loop
    begin execute one.sql; exception when others then null; end;
  end loop;
end $deploylib$;
"""  # noqa: S608 - nothing but our own constants
NAMED = 20  # that are told one by one


def read_grants(connection: Any) -> tuple[Grant, ...]:
    """Read which rights differ from a new object's.

    The session's search_path must be empty.
    """
    rows = connection.execute(QUERY).fetchall()
    return tuple(Grant(*row) for row in rows)


def alike(grants: Sequence[Grant]) -> str:
    """Write SQL that gives a database these rights.

    It runs in a transaction whose search_path is empty.
    """
    rows = [
        {name: getattr(grant, name) for name in ("under", "object", "verb", "role", "grantable", "given")}
        for grant in grants
    ]
    literal = "'" + msgspec.json.encode(rows).decode().replace("'", "''") + "'"
    before, after = ALIKE.split("%s::jsonb")
    return f"set local standard_conforming_strings = on;{before}{literal}::jsonb{after}"


def list_left_out(wanted: Sequence[Grant], connection: Any) -> tuple[str, ...]:
    """List what `alike` could not give a database, and why.

    The first ones one by one.

    Args:
        connection: of the role that restored; its search_path must be empty.
    """
    has = set(read_grants(connection))
    roles = {name for (name,) in connection.execute("select pg_catalog.quote_ident(rolname) from pg_catalog.pg_roles")}
    [(mine,)] = connection.execute("select pg_catalog.quote_ident(session_user)").fetchall()
    lines = []
    for grant in wanted:
        if grant in has or (grant.given and grant.role == mine):  # an owner needs no grant
            continue
        absent = grant.role not in {"", "public", *roles}
        why = f"there is no role {grant.role} here" if absent else f"{mine} may not do that here"
        lines.append(f"left out: {grant.statement} ({why})")
    lines += [f"not in the backup, and still there: {one.statement}" for one in sorted(has - set(wanted), key=repr)]
    more = len(lines) - NAMED
    return (*lines[:NAMED], f"and {more} more rights") if more > 0 else tuple(lines)
