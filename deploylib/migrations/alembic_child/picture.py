"""Compare what code may rely on before and after a revision.

A part of `deploylib.migrations.alembic_child.__main__`, which loads it by its path: it imports nothing of deploylib either.

Two kinds of facts: what code *may* do (name a column, leave a column out, name a UNIQUE in ``ON CONFLICT``, take a number,
read what its role was granted), which must still be there; and what is *asked* of it (give a column, do without rows), of which
there must be no more. Each has an owner: where that is gone, its loss is told and the fact is not. All from the catalogs,
https://www.postgresql.org/docs/16/catalogs.html.
"""

import re
from dataclasses import dataclass
from typing import Any

HERE = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
CLASS = "pg_class c join pg_namespace n on n.oid = c.relnamespace"
TABLE = "n.nspname || '.' || c.relname"
COLUMN = f"{TABLE} || '.' || a.attname"
COLUMNS = f"pg_attribute a join pg_class c on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped join pg_namespace n on n.oid = c.relnamespace and {HERE}"  # fmt: skip
WRITTEN = "c.relkind in ('r', 'p', 'f')"
NOT_OF_EXTENSION = "not exists (select from pg_depend d where d.classid = 'pg_{0}'::regclass and d.objid = {1}.oid and d.deptype = 'e')"  # fmt: skip
ROLES = "pg_roles r where not r.rolsuper and r.rolname !~ '^pg_'"
# A function, as it may be called: with any number of the arguments that it can do without.
CALL = "n.nspname || '.' || p.proname || ' with ' || k || ' arguments'"
CALLS = f"""pg_proc p join pg_namespace n on n.oid = p.pronamespace
cross join lateral generate_series((p.pronargs - p.pronargdefaults)::int, p.pronargs::int) k
where {HERE} and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) and {NOT_OF_EXTENSION.format("proc", "p")}"""
# Asked of what is a sequence only: the server takes conditions in the order that it likes.
READABLE = "(select has_sequence_privilege(z.seqrelid, 'SELECT') from pg_sequence z where z.seqrelid = {0})"
NAMED = f"""
select n.nspname, c.relname from {CLASS} where {HERE} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all select n.nspname, p.proname || '()' from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {HERE}
union all select n.nspname, t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
where {HERE} and t.typtype in ('d', 'e', 'r') or (t.typtype = 'b' and t.typelem = 0 and {HERE})
"""
# The server's own: what this very session has from its role, its database or its address is no default of others.
SERVERS = """
select name, coalesce(case when source in ('default', 'configuration file', 'command line', 'environment variable', 'override')
  then reset_val else boot_val end, '') from pg_settings where name in
  ('search_path', 'default_transaction_read_only', 'row_security', 'session_replication_role')
union all select 'role', 'none'
"""
BEGINS = """
select s.setdatabase <> 0, coalesce(r.rolname, ''), unnest(s.setconfig) from pg_db_role_setting s
left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
where (s.setdatabase = 0 or d.datname = current_database()) and (s.setrole = 0 or r.rolname is not null)
"""
PARTS_OF_A_PATH = re.compile(r'"((?:[^"]|"")+)"|([^\s,"]+)')
FEW = 5
# Owners and what they are; a column is what its table is.
THERE = f"""
select {TABLE}, c.relkind::text from {CLASS} where {HERE} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all select {COLUMN}, c.relkind::text from {COLUMNS} where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
union all select distinct {CALL}, 'function' from {CALLS}
"""
NAMES = f"""
select '', {COLUMN} from {COLUMNS} where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
union all
select '', n.nspname || '.' || t.typname || ' ''' || e.enumlabel || '''' from pg_enum e join pg_type t on t.oid = e.enumtypid
join pg_namespace n on n.oid = t.typnamespace where {HERE}
union all
select '', 'type ' || n.nspname || '.' || t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
where {HERE} and t.typtype in ('d', 'r') and {NOT_OF_EXTENSION.format("type", "t")}
union all
select coalesce((select {TABLE.replace("c.", "o.").replace("n.", "m.")} || '.' || a.attname from pg_depend d
    join pg_class o on o.oid = d.refobjid join pg_namespace m on m.oid = o.relnamespace
    join pg_attribute a on a.attrelid = o.oid and a.attnum = d.refobjsubid
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0 limit 1), ''),
  'sequence ' || {TABLE} from {CLASS} where {HERE} and c.relkind = 'S'
union all
select '', {CALL} from {CALLS}
union all
select '', 'extension ' || extname from pg_extension where extname <> 'plpgsql'
"""
# A deferrable one is nothing that ON CONFLICT can name, nor is an index that is not valid.
CONFLICTS = f"""
select {TABLE}, 'ON CONFLICT (' || (
    select string_agg(k.text, ', ' order by k.text collate "C")
    from (select pg_get_indexdef(x.indexrelid, place, true) as text from generate_series(1, x.indnkeyatts) place) k
  ) || ') of ' || {TABLE} || coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '')
from pg_index x join pg_class c on c.oid = x.indrelid join pg_namespace n on n.oid = c.relnamespace
where {HERE} and {WRITTEN} and x.indisunique and x.indisvalid and x.indimmediate
union all
select {TABLE}, 'ON CONFLICT ON CONSTRAINT ' || k.conname || ' of ' || {TABLE}
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where {HERE} and {WRITTEN} and k.contype in ('p', 'u', 'x') and not k.condeferrable
"""
CASCADES = f"""
select {COLUMN}, 'DELETE from ' || k.confrelid::regclass || ' with what ' || {TABLE} || ' refers to it by ' || a.attname
from pg_constraint k join {COLUMNS} on k.conrelid = c.oid and k.conkey[1] = a.attnum
where k.contype = 'f' and k.confdeltype in ('c', 'n', 'd') and {WRITTEN}
"""
# 4, 8 and 16 are the bits of UPDATE, INSERT and DELETE.
WRITABLE = f"""
select {TABLE}, verb || {TABLE} from {CLASS}
cross join (values (8, 'INSERT into '), (4, 'UPDATE of '), (16, 'DELETE from ')) v (bit, verb)
where {HERE} and c.relkind in ('r', 'p', 'v', 'f') and pg_relation_is_updatable(c.oid, true) & bit = bit
"""
# An operator takes types of one category; bound parameters are of the old one.
KINDS = f"""
select {COLUMN}, {COLUMN} || ' as ' || case t.typcategory when 'N' then 'a number' when 'S' then 'a text' when 'B' then 'a boolean'
  when 'D' then 'a date or time' when 'T' then 'a span of time' when 'A' then 'an array' when 'E' then 'a label of its type'
  when 'R' then 'a range' when 'I' then 'an address' when 'V' then 'bits' else 'a ' || t.typcategory::text || ' type' end
from {COLUMNS} join pg_type t on t.oid = a.atttypid where c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
MAY = "(has_table_privilege(r.oid, c.oid, p) or not exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and not has_column_privilege(r.oid, c.oid, a.attnum, p)))"  # fmt: skip
ALLOWED = f"""
select {TABLE}, p || ' of ' || {TABLE} || ' by ' || r.rolname from {CLASS}
cross join (values ('SELECT'), ('INSERT'), ('UPDATE')) v (p) cross join {ROLES}
and {HERE} and c.relkind in ('r', 'p', 'v', 'm', 'f') and {MAY}
union all
select {TABLE}, p || ' of ' || {TABLE} || ' by ' || r.rolname from {CLASS}
cross join (values ('DELETE'), ('TRUNCATE')) v (p) cross join {ROLES}
and {HERE} and c.relkind in ('r', 'p', 'v', 'f') and has_table_privilege(r.oid, c.oid, p)
union all
select {COLUMN}, p || ' of ' || {COLUMN} || ' by ' || r.rolname from {COLUMNS}
cross join (values ('SELECT'), ('INSERT'), ('UPDATE')) v (p) cross join {ROLES}
and a.attacl is not null and not has_table_privilege(r.oid, c.oid, p) and has_column_privilege(r.oid, c.oid, a.attnum, p)
union all
select {TABLE}, 'nextval of ' || {TABLE} || ' by ' || r.rolname from {CLASS} cross join {ROLES}
and {HERE} and (select has_sequence_privilege(r.oid, z.seqrelid, 'USAGE, UPDATE') from pg_sequence z where z.seqrelid = c.oid)
union all
select '', 'USAGE of schema ' || n.nspname || ' by ' || r.rolname from pg_namespace n cross join {ROLES}
and {HERE} and has_schema_privilege(r.oid, n.oid, 'USAGE')
union all
select f.call, 'EXECUTE of ' || f.call || ' by ' || r.rolname from (select {CALL} as call, p.oid as oid from {CALLS}) f
cross join {ROLES} and has_function_privilege(r.oid, f.oid, 'EXECUTE')
union all
select '', 'CONNECT to the database by ' || r.rolname from {ROLES} and has_database_privilege(r.oid, current_database(), 'CONNECT')
"""
POLICIES = f"""
select {TABLE}, p || ' of ' || {TABLE} || ' under a policy for ' || r.rolname
from pg_policy y join pg_class c on c.oid = y.polrelid join pg_namespace n on n.oid = c.relnamespace
cross join (values ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) v (p, cmd) cross join {ROLES}
and c.relrowsecurity and y.polpermissive and y.polcmd::text in (cmd, '*')
and (0 = any (y.polroles) or exists (select from unnest(y.polroles) role where role <> 0 and pg_has_role(r.oid, role, 'USAGE')))
"""
HAS = (NAMES, CONFLICTS, CASCADES, WRITABLE, KINDS, ALLOWED, POLICIES)

DEFAULTED = (
    "(a.atthasdef or a.attidentity <> '' or (select t.typdefault is not null from pg_type t where t.oid = a.atttypid))"
)
NEVER_NULL = """(a.attnotnull or (select t.typnotnull from pg_type t where t.oid = a.atttypid) or exists (
  select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
  and pg_get_constraintdef(k.oid) ~ '^CHECK \\(\\(+("[^"]+"|[a-z_0-9$]+) IS NOT NULL\\)\\)'))"""
# As far as its text says so: a trigger that assigns to the column of the new row.
FILLED = """exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid
  where g.tgrelid = c.oid and g.tgenabled in ('O', 'A') and g.tgtype & 7 = 7
  and p.prosrc ~* ('\\mnew\\."?' || a.attname || '"?\\s*:?=[^=]'))"""
# What all rows have without a default, the code gives; whether it does in an empty table, nobody knows.
LEFT_OUT = """exists (select from pg_stats s
  where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and s.null_frac > 0)"""
GIVEN = f"""
select {TABLE}, 'INSERT into ' || {TABLE} || ' without ' || a.attname, {NEVER_NULL}
from {COLUMNS} where {WRITTEN} and not {DEFAULTED} and not {FILLED} and ({NEVER_NULL} or not {LEFT_OUT})
"""
# Who leaves it to a sequence does not give it.
COUNTED = "coalesce((select left(pg_get_expr(d.adbin, d.adrelid), 8) = 'nextval(' from pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum), false)"  # fmt: skip
MADE = f"""
select {COLUMN}, 'values for ' || {COLUMN}, a.attgenerated <> '' or a.attidentity = 'a'
from {COLUMNS} where {WRITTEN} and (a.attgenerated <> '' or a.attidentity <> '' or {COUNTED})
"""
HIDDEN = f"""
select {TABLE}, 'rows of ' || {TABLE} || ', by row security' from {CLASS} where {HERE} and c.relkind in ('r', 'p') and c.relrowsecurity
union all
select {TABLE}, 'rows of ' || {TABLE} || ', by row security that holds for the owner, too'
from {CLASS} where {HERE} and c.relkind in ('r', 'p') and c.relrowsecurity and c.relforcerowsecurity
union all
select {TABLE}, 'rows of ' || {TABLE} || ', by its policy ' || y.polname
from pg_policy y join pg_class c on c.oid = y.polrelid join pg_namespace n on n.oid = c.relnamespace
where {HERE} and c.relrowsecurity and not y.polpermissive
union all
select {TABLE}, v.p || ' of ' || {TABLE} || ', by its rule ' || w.rulename
from pg_rewrite w join pg_class c on c.oid = w.ev_class join pg_namespace n on n.oid = c.relnamespace
join (values ('UPDATE', '2'), ('INSERT', '3'), ('DELETE', '4')) v (p, event) on v.event = w.ev_type::text
where {HERE} and c.relkind in ('r', 'p') and w.is_instead and w.ev_enabled <> 'D'
"""
PARTS = f"""
with recursive part (top, oid) as (
  select inhparent, inhrelid from pg_inherits union select p.top, i.inhrelid from part p join pg_inherits i on i.inhparent = p.oid
)
select l.oid::bigint, m.nspname || '.' || l.relname, {TABLE}
from part join pg_class l on l.oid = part.oid and l.relkind = 'r' join pg_namespace m on m.oid = l.relnamespace
join pg_class c on c.oid = part.top join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and {HERE}
"""
# The first column of a unique index for itself is where a number that was given before is refused.
FED = f"""
with fed (sequence, relation, number) as (
  select d.refobjid, f.adrelid, f.adnum from pg_attrdef f
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
  union select objid, refobjid, refobjsubid from pg_depend
  where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and deptype = 'i' and refobjsubid > 0
)
select s.seqrelid::regclass::text, s.seqincrement, c.oid::regclass::text, quote_ident(a.attname), {TABLE}, {COLUMN}
from fed join pg_sequence s on s.seqrelid = fed.sequence join {COLUMNS} on c.oid = fed.relation and a.attnum = fed.number
where a.atttypid in (20, 21, 23, 1700) and {READABLE.format("s.seqrelid")} and exists (
  select from pg_index x where x.indrelid = c.oid and x.indisunique and x.indisvalid and x.indnkeyatts = 1
  and x.indkey[0] = a.attnum and x.indpred is null)
"""
NEXT = "(case when q.is_called then q.last_value + ({step}) else q.last_value end)"
TAKEN = "select {number} from {sequence} q where exists (select from {table} where {column} {beyond} " + NEXT + ")"
SEQUENCES = f"""
select {TABLE}, c.oid::bigint, c.oid::regclass::text, s.seqincrement, case when s.seqcycle then null
  when s.seqincrement > 0 then s.seqmax - s.seqincrement else s.seqmin - s.seqincrement end
from {CLASS} join pg_sequence s on s.seqrelid = c.oid where {HERE} and {READABLE.format("c.oid")}
"""
LAST = "select seqrelid::bigint, pg_sequence_last_value(seqrelid) from pg_sequence where seqrelid in ({})"
AT_ONCE = 100  # tables or sequences that one query looks at: each takes a lock


@dataclass
class Sequence:
    """A sequence.

    Attributes:
        quoted: its name, as SQL has it.
        final: beyond it there is no other number; None: it begins anew.
        last: the number that was given last; None: none was.
    """

    quoted: str
    step: int
    final: int | None
    last: int | None

    @property
    def spent(self) -> bool:
        """Whether it has given its last number."""
        if self.last is None or self.final is None:
            return False
        return self.last > self.final if self.step > 0 else self.last < self.final


@dataclass
class Picture:
    """What code may rely on in a database.

    Attributes:
        there: what may own a fact, and what it is.
        may: what code may do, and whose fact it is.
        asked: the same of what code must give or do without.
        given: the same, and columns that code gives although the database does not ask for them.
        parts: table, and what it is seen in besides → the table's number.
        sequences: by name.
        fed: sequences whose numbers are compared with what is in the table.
        named: schema → the names in it, as code writes them without it.
        begins: role → settings that its next connection begins with; that of no name is of all the others.
    """

    there: dict[str, str]
    may: dict[str, str]
    asked: dict[str, str]
    given: dict[str, str]
    parts: dict[tuple[str, str], int]
    sequences: dict[str, Sequence]
    fed: set[str]
    named: dict[str, set[str]]
    begins: dict[str, dict[str, str]]


def picture(ask: Any) -> Picture:
    """Read what code may rely on in a database.

    Args:
        ask: gives the rows of a query.
    """
    asked = {text: owner for owner, text in ask(HIDDEN)}
    fed, sequences = ask(FED), every_sequence(ask)
    asked |= {
        f"new numbers of {name}, of which there are no more": name
        for name, sequence in sequences.items()
        if sequence.spent
    }
    asked |= again(ask, fed)
    given = [row for query in (GIVEN, MADE) for row in ask(query)]
    return Picture(
        there=dict(map(tuple, ask(THERE))),
        may={text: owner for query in HAS for owner, text in ask(query)},
        asked=asked | {text: owner for owner, text, must in given if must},
        given=asked | {text: owner for owner, text, _must in given},
        parts={(leaf, top): oid for oid, leaf, top in ask(PARTS)},
        sequences=sequences,
        fed={sequence for sequence, *_rest in fed},
        named=names_of(ask),
        begins=beginnings(ask),
    )


def names_of(ask: Any) -> dict[str, set[str]]:
    """List the names of each schema."""
    names: dict[str, set[str]] = {}
    for schema, name in ask(NAMED):
        names.setdefault(schema, set()).add(name)
    return names


def beginnings(ask: Any) -> dict[str, dict[str, str]]:
    """Read what the next connections begin with.

    A role's in this database go before its own, and those before the database's.
    """
    server = dict(map(tuple, ask(SERVERS)))
    rows = [(bool(own), role, entry.partition("=")[::2]) for own, role, entry in ask(BEGINS)]
    settings = {}
    for role in {"", *(role for _own, role, _entry in rows)}:
        first = sorted((bool(by), own, entry) for own, by, entry in rows if by in {"", role})
        settings[role] = server | {name: value for _by, _own, (name, value) in first if name in server}
    return settings


def every_sequence(ask: Any) -> dict[str, Sequence]:
    """Read every sequence that may be read, by name."""
    rows = ask(SEQUENCES)
    last: dict[int, int | None] = {}
    for start in range(0, len(rows), AT_ONCE):
        numbers = ", ".join(str(oid) for _name, oid, *_ in rows[start : start + AT_ONCE])
        last.update(map(tuple, ask(LAST.format(numbers))))
    return {name: Sequence(quoted, step, final, last.get(oid)) for name, oid, quoted, step, final in rows}


def again(ask: Any, fed: Any) -> dict[str, str]:
    """Find columns whose sequence will repeat a number."""
    sequences = {}
    for start in range(0, len(fed), AT_ONCE):
        some = fed[start : start + AT_ONCE]
        queries = [
            TAKEN.format(
                number=number,
                sequence=sequence,
                table=table,
                column=column,
                step=step,
                beyond=">=" if step > 0 else "<=",
            )
            for number, (sequence, step, table, column, _owner, _name) in enumerate(some)
        ]
        for (number,) in ask(" union all ".join(queries)):
            sequences[f"new numbers for {some[number][5]}"] = some[number][4]
    return sequences


def find_lost(before: Picture, after: Picture, ask: Any) -> list[str]:
    """List what code could do and cannot any more.

    Args:
        ask: gives the rows of a query, in the database as it is after.
    """
    lost = [text for text in before.may.keys() - after.may.keys() if stands(text, before, after)]
    lost += [text for text in after.asked.keys() - before.given.keys() if after.asked[text] in before.there]
    for (leaf, top), oid in before.parts.items():
        if (leaf, top) not in after.parts and top in after.there and has_rows(ask, oid):
            lost.append(f"rows of {leaf} in {top}")
    lost += [
        text for name in before.sequences.keys() & after.sequences.keys() for text in back(name, before, after, ask)
    ]
    return sorted(lost + at_the_next_connection(before, after))


def at_the_next_connection(before: Picture, after: Picture) -> list[str]:
    """Tell what settings take from code that connects again.

    What plain names mean, writes, triggers, rows; the settings are a role's or a database's.
    """
    lost = []
    for role in sorted({*before.begins, *after.begins}):
        was, now = before.begins.get(role, before.begins[""]), after.begins.get(role, after.begins[""])
        if role and (was, now) == (before.begins[""], after.begins[""]):
            continue
        who = f"the next connections of {role}" if role else "the next connections"
        if was["search_path"] != now["search_path"]:
            meant, means = (
                resolve_names(moment.named, path["search_path"], role) for moment, path in ((before, was), (after, now))
            )
            other = sorted(
                name
                for name, schema in meant.items()
                if means.get(name) != schema and name in after.named.get(schema, ())
            )
            more = f" and {len(other) - FEW} more" if len(other) > FEW else ""
            lost += [f"plain names for {who}: {', '.join(other[:FEW])}{more}"] if other else []
        worse = {
            f"writes by {who}": ("default_transaction_read_only", "on"),
            f"triggers and foreign keys for {who}": ("session_replication_role", "replica"),
            f"tables with row security for {who}": ("row_security", "off"),
        }
        lost += [
            text
            for text, (name, bad) in worse.items()
            if normalize_setting(now[name]) == bad != normalize_setting(was[name])
        ]
        if now["role"] not in {was["role"], "none"}:
            lost.append(f"the rights of {who}, which act as {now['role']}")
    return lost


def normalize_setting(value: str) -> str:
    """Write a setting of yes or no in one of two words."""
    word = value.strip().lower()
    return {"true": "on", "yes": "on", "1": "on", "t": "on", "y": "on", "false": "off", "no": "off", "0": "off"}.get(
        word, word
    )


def resolve_names(named: dict[str, set[str]], path: str, role: str) -> dict[str, str]:
    """Find the schema of each name that says none."""
    schemas: dict[str, str] = {}
    for quoted, plain in PARTS_OF_A_PATH.findall(path):
        schema = quoted.replace('""', '"') if quoted else plain.lower()
        for name in named.get(role if schema == "$user" else schema, ()):
            schemas.setdefault(name, role if schema == "$user" else schema)
    return schemas


def stands(text: str, before: Picture, after: Picture) -> bool:
    """Tell whether the loss of a fact is news, and a loss."""
    owner = before.may[text]
    if owner and owner not in after.there:
        return False
    if owner and after.there[owner] == "v" and before.there.get(owner) != "v":
        # A view in place of a table passes on what is written into it, if it can be written.
        return not text.startswith("ON CONFLICT") and " with what " not in text
    # A UNIQUE over all rows does for those of a part of them.
    return text.partition(" WHERE ")[0] not in after.may if text.startswith("ON CONFLICT (") else True


def has_rows(ask: Any, oid: int) -> bool:
    """Tell whether a table is there and not empty."""
    names = ask(f"select oid::regclass::text from pg_class where oid = {int(oid)}")
    return any(ask(f"select 1 from only {name} limit 1") for (name,) in names)


def back(name: str, before: Picture, after: Picture, ask: Any) -> list[str]:
    """Say which way back a sequence has lost.

    Go on from where it was, in steps that leave as much room.
    """
    was, now = before.sequences[name], after.sequences[name]
    lost = [f"steps of {was.step} of {name}"] if abs(was.step) > 1 and abs(now.step) < abs(was.step) else []
    goes_on = (
        now.step == was.step and now.last is not None and was.last is not None and (now.last - was.last) * was.step >= 0
    )
    if was.last is None or goes_on or now.quoted in after.fed:  # of what it feeds, what is in the table tells it better
        return lost
    [(comes,)] = ask(f"select {NEXT.format(step=now.step)} from {now.quoted} q")
    return [*lost, f"new numbers of {name}"] if (comes - was.last) * was.step <= 0 else lost
