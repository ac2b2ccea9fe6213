"""A database with tables of every kind, and migrations that are written for it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from deploylib.migrations import Tool
from deploylib.migrations.tool import Applied
from deploylib.models import Migration, Secret
from deploylib.settings import Config, EnvironmentSettings, MigrationSettings, Settings
from tests.support.fakes import write

ROWS = 12_000
TEMPLATE = f"""
create extension if not exists plpgsql;
create type mood as enum ('glad', 'sad');
create domain positive as integer;
create table people (
    id bigint primary key, name varchar(50), note text, email text, age integer, maybe integer, grp integer not null,
    price numeric(10, 2), seen timestamptz, seen3 timestamptz(3), plain timestamp, at time(3), span interval(3),
    code char(5), data jsonb, raw json, net cidr, feeling mood, span_of int4range
);
insert into people select n, 'name ' || n, 'note', 'mail' || n || '@example.org', n % 90,
    case when n % 7 = 0 then null else n end, n % 10, n, now(), now(), now(), '10:00', '1 day', 'abcde',
    '{{}}', '{{}}', '10.0.0.0/8', 'glad', int4range(n, n + 1) from generate_series(1, {ROWS}) n;
create index people_name on people (name);
create index people_email on people (email);
create unique index people_email_key on people (email);
create table orders (
    id bigint primary key, person_id bigint references people (id), other_id bigint, amount integer default 1 check (amount > 0)
);
insert into orders select n, n, n, 1 from generate_series(1, {ROWS}) n;
create index orders_person on orders (person_id);
create table small (id integer primary key, name varchar(20), n integer);
insert into small select n, 'x', n from generate_series(1, 300) n;
create table nothing (id integer primary key, n integer);
create table events (id bigint not null, what text) partition by range (id);
create table events_a partition of events for values from (0) to (20000);
create table events_b partition of events for values from (20000) to (40000);
create table events_c (id bigint not null, what text);
create table events_d (id bigint not null, what text, constraint fits check (id >= 60000 and id < 80000));
insert into events select n, 'x' from generate_series(1, {ROWS}) n;
insert into events select n, 'x' from generate_series(20001, {20000 + ROWS}) n;
insert into events_c select n, 'x' from generate_series(40001, {40000 + ROWS}) n;
insert into events_d select n, 'x' from generate_series(60001, {60000 + ROWS}) n;
create table priced (id integer primary key, worth positive);
insert into priced select n, n from generate_series(1, {ROWS}) n;
create view names as select id, grp from people;
create materialized view totals as select id, grp from people;
create unique index totals_id on totals (id);
create sequence numbers;
create schema other;
create function touch() returns trigger language plpgsql as 'begin return new; end';
create trigger touched before insert on orders for each row execute function touch();
"""  # noqa: S608 - fixed text
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""
REVISION = '''"""Revision {number:04}."""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = "{number:04}"
down_revision = {below}
{more}

def upgrade():
{body}
'''


@dataclass
class World:
    """A database, and the files of a commit."""

    url: Secret
    files: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self, *bodies: str, more: str = "", env: str = ENV) -> None:
        """Let these be the revisions, oldest first."""
        texts = {
            f"migrations/versions/r{number:04}.py": REVISION.format(
                number=number,
                below=repr(f"{number - 1:04}") if number > 1 else None,
                body=textwrap.indent(textwrap.dedent(body).strip(), "    "),
                more=more,
            )
            for number, body in enumerate(bodies, 1)
        }
        write(self.files, {"migrations/env.py": env, **texts})

    @property
    def config(self) -> Config:
        """Settings without a file."""
        return Config(
            root=self.files,
            name="staging",
            settings=Settings(migrations=MigrationSettings(**self.settings)),
            environment=EnvironmentSettings(),
            environ={},
        )

    @property
    def tool(self) -> Tool:
        """What migrates it."""
        return Tool(self.files, self.config)

    def status(self) -> Migration:
        """What is pending."""
        return self.tool.read_status(self.url)

    def upgrade(self, target: str, within: float = 20) -> tuple[Applied, ...]:
        """Apply it."""
        return self.tool.upgrade(self.url, target, within=within)

    def query(self, text: str) -> Sequence[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url.reveal(), autocommit=True) as connection:
            done = connection.execute(text)
            return done.fetchall() if done.description else []
