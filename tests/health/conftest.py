"""One Postgres server, and programs that take the health file along."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from deploylib.backups import scratch_server
from deploylib.system import process
from tests.health.running import Database
from tests.support.servers import programs_of

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server, for a superuser."""
    with scratch_server.server(programs_of(16), runner=process.SYSTEM) as running:
        yield running.reveal()


@pytest.fixture
def database(server: str) -> Iterator[Database]:
    """A database at revision 0002 that counts how often it is asked."""
    name = f"asked{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    made = Database(psycopg.conninfo.make_conninfo(server, dbname=name), str(programs_of(16).program("psql")))
    made.run("create table alembic_version (version_num text)", "insert into alembic_version values ('0002')")
    made.run("create sequence asked")
    yield made
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())
