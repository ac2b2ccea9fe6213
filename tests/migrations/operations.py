"""Operations of a migration: the row of the table of hazards that each stands for, and what Postgres does with it.

A third of them, chosen by a fixed seed before any rule was first run on them, was not looked at while the rules were
corrected (`HELD_OUT`); what is said of the rules is said of that third.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One of them.

    Attributes:
        row: of the table of hazards.
        truth: the hazards that Postgres shows: ``work``, ``fails``, ``contract``, ``destroys``, ``bulk``; none: harmless.
        bodies: of ``upgrade()``, one for each revision.
        before: SQL that is there already.
        more: lines of the revision's head.
    """

    row: str
    name: str
    truth: frozenset[str]
    bodies: tuple[str, ...]
    before: str = ""
    more: str = ""

    @property
    def hazardous(self) -> bool:
        """Whether a release must be refused; one that says what it tolerates was thought about."""
        return bool(self.truth) and "tolerates" not in self.more


def _does(truth: str) -> _Maker:
    return _Maker(frozenset(truth.split()))


class _Maker:
    def __init__(self, truth: frozenset[str]) -> None:
        self.truth = truth

    def __call__(self, row: str, name: str, *bodies: str, before: str = "", more: str = "") -> Operation:
        return Operation(row, name, self.truth, bodies, before, more)


def sql(text: str) -> str:
    """A statement as it stands."""
    return f"op.execute({text!r})"


def alone(text: str) -> str:
    """A line in an autocommit_block."""
    return f"with op.get_context().autocommit_block():\n    {text}"


def column(text: str) -> str:
    """A new column of people."""
    return f"op.add_column('people', sa.Column({text}))"


def kind(name: str, to: str, was: str = "sa.Text()", more: str = "") -> str:
    """Another type of a column of people."""
    return f"op.alter_column('people', {name!r}, type_={to}, existing_type={was}{more})"


work, fails, contract, destroys, bulk, short = map(_does, ("work", "fails", "contract", "destroys", "bulk", ""))
both, uses = _does("contract destroys"), _does("work bulk")

OPERATIONS: tuple[Operation, ...] = (
    # Work under a lock that others notice.
    work("3", "volatile default", column("'x', sa.DateTime(), server_default=sa.text('clock_timestamp()')")),
    work("3", "random default", column("'x', sa.Float(), server_default=sa.text('random()'), nullable=False")),
    work("3", "uuid default", column("'x', sa.Uuid(), server_default=sa.text('gen_random_uuid()')")),
    work("3", "volatile default in SQL", sql("ALTER TABLE people ADD COLUMN x float DEFAULT random() * 2")),
    work("4", "bigserial", sql("alter table people add column x bigserial")),
    work("4", "identity", column("'x', sa.BigInteger(), sa.Identity()")),
    work("4", "serial", sql("alter table only people add x serial")),
    work("5", "generated column", column("'x', sa.Integer(), sa.Computed('age * 2', persisted=True)")),
    work("7", "unique column", sql("alter table people add column x integer unique")),
    work("7", "unique column of alembic", column("'x', sa.Integer(), unique=True")),
    work("8", "column with a check", sql("alter table people add column x integer check (x > 0)")),
    work("8", "column with a check and a default", sql("alter table people add column x integer default 1 check (x > 0)")),
    work("9", "column that refers, with a default", sql("alter table orders add column x bigint default 1 references people (id)")),
    work("10", "column of a domain with a check", column("'x', sa.Integer()") + "\n" + sql("alter table people add column y big"),
         before="create domain big as integer check (value > 0)"),
    work("13", "varchar shrinks", kind("name", "sa.String(40)", "sa.String(50)")),
    work("13", "text to varchar(n)", kind("note", "sa.String(40)")),
    work("13", "int to bigint", kind("age", "sa.BigInteger()", "sa.Integer()")),
    work("13", "numeric scale", kind("price", "sa.Numeric(12, 3)", "sa.Numeric(10, 2)")),
    work("13", "char to text", kind("code", "sa.Text()", "sa.CHAR(5)")),
    work("13", "timestamptz loses precision", kind("seen", "postgresql.TIMESTAMP(timezone=True, precision=0)")),
    work("13", "json to jsonb", kind("raw", "postgresql.JSONB()", more=", postgresql_using='raw::jsonb'")),
    work("13", "timestamp to timestamptz in Berlin", kind("plain", "sa.DateTime(timezone=True)"),
         before="alter database {database} set timezone = 'Europe/Berlin'"),
    work("13", "text to integer", kind("code", "sa.Integer()", more=", postgresql_using='length(code)'")),
    work("13", "interval loses precision", kind("span", "postgresql.INTERVAL(precision=0)")),
    work("13c", "collation", sql('alter table people alter column name type varchar(50) collate "C"')),
    work("14", "set not null", "op.alter_column('people', 'age', nullable=False, existing_type=sa.Integer())"),
    work("14", "set not null in SQL", sql("ALTER TABLE orders ALTER COLUMN other_id SET NOT NULL")),
    work("16", "check", "op.create_check_constraint('k', 'people', 'age >= 0')"),
    work("16", "check on a partitioned table", "op.create_check_constraint('k', 'events', 'id > 0')"),
    work("18", "foreign key", "op.create_foreign_key('k', 'orders', 'people', ['other_id'], ['id'])"),
    work("18", "foreign key in SQL", sql("alter table orders add foreign key (other_id) references people")),
    work("18", "foreign key to the table itself", "op.create_foreign_key('k', 'people', 'people', ['maybe'], ['id'])"),
    work("23", "unique constraint", "op.create_unique_constraint('k', 'people', ['email'])"),
    work("23", "unique constraint on two columns", "op.create_unique_constraint('k', 'orders', ['other_id', 'amount'])"),
    work("24", "primary key by an index on a nullable column", sql("alter table spare add primary key using index spare_id"),
         before="create table spare as select * from orders; create unique index spare_id on spare (id); analyze spare"),
    work("25", "primary key", "op.create_primary_key('k', 'spare', ['id'])",
         before="create table spare as select * from orders; analyze spare"),
    work("26", "exclusion", "op.create_exclude_constraint('k', 'people', ('span_of', '&&'), using='gist')"),
    work("27", "index", "op.create_index('i', 'people', ['age'])"),
    work("27", "unique index", "op.create_index('i', 'orders', ['other_id'], unique=True)"),
    work("27", "partial index", "op.create_index('i', 'people', ['age'], postgresql_where=sa.text('age > 5'))"),
    work("27", "expression index", sql("create index i on people (lower(email))")),
    work("27", "index with gin", "op.create_index('i', 'people', ['data'], postgresql_using='gin')"),
    work("27", "index on a partitioned table", "op.create_index('i', 'events', ['what'])"),
    work("31", "reindex an index", sql("reindex index people_name")),
    work("31", "reindex a table", sql("REINDEX TABLE people")),
    work("38", "unlogged", sql("alter table orders set unlogged")),
    work("38", "cluster", sql("cluster people using people_pkey")),
    work("38", "vacuum full", alone(sql("vacuum full people"))),
    work("40", "attach without a check", sql("alter table events attach partition events_c for values from (40000) to (60000)")),
    work("42", "refresh", sql("refresh materialized view totals")),
    work("45", "domain gets a check", sql("alter domain positive add constraint k check (value > 0)")),
    work("49", "validate in the same transaction", "op.create_check_constraint('k', 'people', 'age >= 0', postgresql_not_valid=True)\n" + sql("alter table people validate constraint k")),
    work("49", "validate a foreign key at once", "op.create_foreign_key('k', 'orders', 'people', ['other_id'], ['id'], postgresql_not_valid=True)\n" + sql("alter table orders validate constraint k")),
    work("53", "count under a lock", column("'x', sa.Integer()") + "\nop.get_bind().execute(sa.text('select count(*) from people')).scalar()"),  # noqa: S608
    work("53", "hidden in a block", sql("do $$ begin execute 'alter table people alter column age type bigint'; end $$")),
    # Changes many rows in one transaction.
    bulk("46", "update of a table", sql("update orders set amount = 2")),
    _does("destroys bulk")("46", "delete of a table", sql("delete from orders")),
    uses("47", "backfill with its column", column("'x', sa.Integer()") + "\n" + sql("update people set x = age")),  # noqa: S608
    bulk("53", "update by Python", "b = op.get_bind()\nids = [r[0] for r in b.execute(sa.text('select id from orders'))]\nb.execute(sa.text('update orders set amount = 3 where id = any(:ids)'), {'ids': ids})"),
    # Fails on real data, or always.
    fails("6", "not null without a default", column("'x', sa.Integer(), nullable=False")),
    fails("6", "not null without a default on a small table", "op.add_column('small', sa.Column('x', sa.Integer(), nullable=False))"),
    fails("14", "set not null over nulls", "op.alter_column('people', 'maybe', nullable=False, existing_type=sa.Integer())"),
    fails("16", "check that data breaks", "op.create_check_constraint('k', 'people', 'age > 5')"),
    fails("18", "foreign key that data breaks", "op.create_foreign_key('k', 'people', 'small', ['age'], ['id'])"),
    fails("23", "unique over doubles", "op.create_unique_constraint('k', 'people', ['grp'])"),
    fails("29", "concurrent index in a transaction", "op.create_index('i', 'people', ['age'], postgresql_concurrently=True)"),
    fails("29", "concurrent reindex in a transaction", sql("reindex index concurrently people_name")),
    fails("14b", "not null not valid before 18", sql("alter table people add constraint k not null age not valid")),
    fails("20", "not enforced before 18", sql("alter table people add constraint k check (age > 0) not enforced")),
    fails("44", "new label used at once", sql("alter type mood add value 'calm'") + "\n" + sql("update people set feeling = 'calm' where id = 1")),  # noqa: S608
    # Takes away what serving code names.
    contract("12", "drop column", "op.drop_column('people', 'note')"),
    contract("12", "drop column that refers", "op.drop_column('orders', 'person_id')"),
    contract("12", "drop column of a small table", "op.drop_column('small', 'n')"),
    contract("32", "rename column", "op.alter_column('people', 'name', new_column_name='title')"),
    contract("32", "rename table", "op.rename_table('orders', 'purchases')"),
    contract("32", "rename label", sql("alter type mood rename value 'sad' to 'unhappy'")),
    contract("32", "rename schema", sql("alter schema other rename to another"), before="create table other.thing (id integer)"),
    contract("33", "drop table", "op.drop_table('orders')"),
    contract("33", "drop empty table", "op.drop_table('nothing')"),
    contract("37", "set schema", sql("alter table small set schema other")),
    contract("37", "row security", sql("alter table people enable row level security")),
    contract("43", "drop view", sql("drop view names")),
    # Destroys data.
    destroys("34", "truncate", sql("truncate orders")),
    destroys("34", "truncate cascade", sql("truncate people cascade")),
    destroys("34", "truncate a small table", sql("truncate table small")),
    # Short, or noticed by nobody.
    short("1", "nullable column", column("'x', sa.Text()")),
    short("2", "constant default", column("'x', sa.Integer(), server_default='0', nullable=False")),
    short("2", "stable default", column("'x', sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False")),
    short("2", "default in UTC", column("'x', sa.DateTime(), server_default=sa.text(\"timezone('utc', now())\"), nullable=False")),
    short("2", "default of an expression", column("'x', sa.Text(), server_default=sa.text(\"upper('a')\")")),
    short("2", "empty object", column("'x', postgresql.JSONB(), server_default=sa.text(\"'{}'::jsonb\"), nullable=False")),
    short("9", "column that refers, inline", sql("alter table orders add column x bigint references people (id)")),
    contract("12", "drop column that says so", "op.drop_column('people', 'note')", more="tolerates = '0000'"),
    short("13b", "varchar grows", kind("name", "sa.String(200)", "sa.String(50)")),
    short("13b", "varchar to text", kind("name", "sa.Text()", "sa.String(50)")),
    short("13b", "text to varchar", kind("note", "sa.String()")),
    short("13b", "numeric grows", kind("price", "sa.Numeric(14, 2)", "sa.Numeric(10, 2)")),
    short("13b", "numeric without limit", kind("price", "sa.Numeric()", "sa.Numeric(10, 2)")),
    short("13b", "timestamptz gains precision", kind("seen3", "sa.DateTime(timezone=True)")),
    short("13b", "time gains precision", kind("at", "sa.Time()")),
    short("13b", "interval gains precision", kind("span", "postgresql.INTERVAL(precision=6)")),
    short("13b", "cidr to inet", kind("net", "postgresql.INET()", "postgresql.CIDR()")),
    short("13b", "timestamp to timestamptz in UTC", kind("plain", "sa.DateTime(timezone=True)")),
    short("14", "set not null with a proof", "op.alter_column('people', 'age', nullable=False, existing_type=sa.Integer())",
          before="alter table people add constraint k check (age is not null)"),
    short("14", "not null the long way", "op.create_check_constraint('k', 'people', 'age is not null', postgresql_not_valid=True)",
          sql("alter table people validate constraint k"), "op.alter_column('people', 'age', nullable=False, existing_type=sa.Integer())\nop.drop_constraint('k', 'people')"),
    short("14", "set not null on a small table", "op.alter_column('small', 'n', nullable=False, existing_type=sa.Integer())"),
    short("15", "drop not null", "op.alter_column('people', 'grp', nullable=True, existing_type=sa.Integer())"),
    short("15", "set default", "op.alter_column('people', 'age', server_default='5', existing_type=sa.Integer())"),
    short("15", "drop default", "op.alter_column('orders', 'amount', server_default=None, existing_type=sa.Integer())"),
    short("17", "check, not valid", "op.create_check_constraint('k', 'people', 'age >= 0', postgresql_not_valid=True)"),
    short("17", "check and its validation", "op.create_check_constraint('k', 'people', 'age >= 0', postgresql_not_valid=True)", sql("alter table people validate constraint k")),
    short("19", "foreign key, not valid", "op.create_foreign_key('k', 'orders', 'people', ['other_id'], ['id'], postgresql_not_valid=True)"),
    short("19", "foreign key and its validation", "op.create_foreign_key('k', 'orders', 'people', ['other_id'], ['id'], postgresql_not_valid=True)", sql("alter table orders validate constraint k")),
    short("21", "drop foreign key", "op.drop_constraint('orders_person_id_fkey', 'orders')"),
    short("22", "drop check", "op.drop_constraint('orders_amount_check', 'orders')"),
    short("16", "check on a small table", "op.create_check_constraint('k', 'small', 'n > 0')"),
    short("23", "unique on a small table", "op.create_unique_constraint('k', 'small', ['n'])"),
    short("13", "type of a small table", "op.alter_column('small', 'n', type_=sa.BigInteger())"),
    short("27", "index on a small table", "op.create_index('i', 'small', ['n'])"),
    short("27", "index on a new table", "op.create_table('made', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer(), index=True))"),
    short("24", "unique by an index", sql("alter table people add constraint k unique using index people_email_key")),
    short("28", "concurrent index", alone("op.create_index('i', 'people', ['age'], postgresql_concurrently=True)")),
    short("28", "concurrent unique index", alone("op.create_index('i', 'orders', ['other_id'], unique=True, postgresql_concurrently=True)")),
    short("30", "drop index", "op.drop_index('people_name')"),
    short("30", "drop index concurrently", alone("op.drop_index('people_name', postgresql_concurrently=True)")),
    short("31", "reindex concurrently", alone(sql("reindex index concurrently people_name"))),
    short("32", "rename constraint", sql("alter table orders rename constraint orders_amount_check to positive_amount")),
    short("32", "rename index", sql("alter index people_name rename to people_by_name")),
    short("35", "table that refers", "op.create_table('made', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('p', sa.BigInteger(), sa.ForeignKey('people.id'), index=True))"),
    short("36", "trigger", sql("create trigger t before update on people for each row execute function touch()")),
    short("36", "disable trigger", sql("alter table orders disable trigger touched")),
    short("37", "replica identity", sql("alter table people replica identity full")),
    short("37", "policy", sql("create policy p on people using (true)")),
    short("39", "fillfactor", sql("alter table people set (fillfactor = 90)")),
    short("39", "statistics", sql("alter table people alter column age set statistics 500")),
    short("39", "comment", "op.create_table_comment('people', 'who')"),
    short("40", "attach with a check", sql("alter table events attach partition events_d for values from (60000) to (80000)")),
    short("41", "detach", sql("alter table events detach partition events_b")),
    short("41", "new partition", sql("create table events_e partition of events for values from (90000) to (99000)")),
    short("42", "refresh concurrently", sql("refresh materialized view concurrently totals")),
    short("43", "replace view", sql("create or replace view names as select id, grp, email from people")),
    short("44", "new label", sql("alter type mood add value 'calm'")),
    short("45", "domain check, not valid", sql("alter domain positive add constraint k check (value > 0) not valid")),
    short("46", "update of some rows", sql("update orders set amount = 2 where id < 500")),
    short("48", "two tables", column("'x', sa.Text()") + "\nop.add_column('orders', sa.Column('y', sa.Text()))"),
    short("50", "key without an index", "op.create_foreign_key('k', 'orders', 'people', ['other_id'], ['id'], postgresql_not_valid=True)"),
    short("51", "sequence", sql("alter sequence numbers increment by 2")),
    short("11", "json column", column("'x', sa.JSON()")),
)  # fmt: skip

FIRST = sorted(operation.name for operation in OPERATIONS)
# Written after the rules were corrected, and judged once: with their results, whatever they are.
LATER = (
    work("9", "column that refers, as alembic writes it", column("'x', sa.Integer(), sa.ForeignKey('people.id')").replace("'people', sa.Column", "'orders', sa.Column")),
    work("27", "column with an index", column("'x', sa.Integer(), index=True")),
    work("13", "several changes in one statement", sql("alter table people add column z int, alter column note type varchar(30)")),
    work("5", "generated text", sql("alter table people add column x text generated always as (lower(email)) stored")),
    work("14", "set not null in a batch", "with op.batch_alter_table('people') as batch:\n    batch.alter_column('age', nullable=False)"),
    work("16", "check in a batch", "with op.batch_alter_table('orders') as batch:\n    batch.create_check_constraint('k', 'amount < 100')"),
    work("27", "index without a transaction, not concurrent", alone("op.create_index('i', 'people', ['age'])")),
    work("38", "cluster without a transaction", alone(sql("cluster orders using orders_pkey"))),
    bulk("46", "update by sqlalchemy", "t = sa.table('orders', sa.column('amount'))\nop.execute(t.update().values(amount=5))"),
    bulk("53", "update in a loop of Python", "b = op.get_bind()\nfor start in range(0, 12001, 200):\n    b.execute(sa.text('update orders set amount = 7 where id between :a and :b'), {'a': start, 'b': start + 199})"),
    _does("destroys")("46", "delete of a small table", sql("delete from small")),
    contract("12", "drop column in a batch", "with op.batch_alter_table('people') as batch:\n    batch.drop_column('note')"),
    contract("32", "rename view", sql("alter view names rename to titles")),
    contract("12", "drop column by Python", "for name in ('n',):\n    op.get_bind().exec_driver_sql(f'alter table small drop column {name}')"),
    contract("33", "drop tables of a list", sql("drop table if exists absent, nothing")),
    fails("53", "table that is not there", sql("alter table absent add column x integer")),
    fails("53", "Python that breaks", "op.get_bind().exec_driver_sql('select 1 / 0')"),
    short("53", "count without a lock", sql("select count(*) from people")),
    short("46", "many new rows", sql("insert into nothing select n, n from generate_series(1, 20000) n")),
    short("46", "a few rows by alembic", "op.bulk_insert(sa.table('nothing', sa.column('id'), sa.column('n')), [{'id': 1, 'n': 1}, {'id': 2, 'n': 2}])"),
    short("2", "boolean with a default", column("'x', sa.Boolean(), server_default=sa.text('false'), nullable=False")),
    short("44", "enumeration and its column", "postgresql.ENUM('a', 'b', name='kind').create(op.get_bind())\n" + column("'x', postgresql.ENUM('a', 'b', name='kind', create_type=False)")),
    short("44", "enumeration and its column, in SQL", sql("create type kind as enum ('a', 'b')") + "\n" + column("'x', postgresql.ENUM('a', 'b', name='kind', create_type=False), server_default='a'")),
    short("35", "table of a select", sql("create table snapshot as select * from people")),
    short("27", "index on an empty table", "op.create_index('i', 'nothing', ['n'])"),
    short("23", "unique on an empty table", "op.create_unique_constraint('k', 'nothing', ['n'])"),
    short("6", "not null on an empty table", "op.add_column('nothing', sa.Column('x', sa.Integer(), nullable=False))"),
    short("13b", "varchar to text with a default", "op.alter_column('people', 'name', type_=sa.Text(), existing_type=sa.String(50), server_default='x')"),
    short("43", "view made again", sql("drop view names") + "\n" + sql("create view names as select id, grp, note from people")),  # noqa: S608
    short("24", "unique by a concurrent index", alone("op.create_index('i', 'people', ['email'], unique=True, postgresql_concurrently=True)"), sql("alter table people add constraint k unique using index i")),
    short("17", "validation alone", sql("alter table people validate constraint k"), before="alter table people add constraint k check (age >= 0) not valid"),
    short("39", "grant", sql("grant select on people to public")),
    short("36", "function", sql("create or replace function touch() returns trigger language plpgsql as 'begin return null; end'")),
    short("1", "columns of two statements", column("'x', sa.Text()") + "\n" + column("'y', sa.Integer()")),
    short("15", "default of a label", "op.alter_column('people', 'feeling', server_default='glad')"),
    short("13", "types of a new table", "op.create_table('made', sa.Column('id', sa.Integer()))\nop.alter_column('made', 'id', type_=sa.BigInteger(), nullable=False)\nop.create_check_constraint('k', 'made', 'id > 0')"),
)  # fmt: skip
OPERATIONS = (*OPERATIONS, *LATER)

NAMES = [operation.name for operation in OPERATIONS]
HELD_OUT = frozenset(random.Random(20260301).sample(FIRST, len(FIRST) // 3)) | {operation.name for operation in LATER}  # noqa: S311 - a fixed choice
