"""One real Postgres for all of them, of the wheel that the local Render uses, and a database of its own for each test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploylib.models import Secret
from localrender import runtimes
from localrender.cluster import Cluster
from localrender.state import State
from tests.migrations.world import TEMPLATE, World
from tests.support.servers import programs_of

MAJOR = "TEST_POSTGRES"  # a variable: the major version of the server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Postgres 16, or what `MAJOR` says, with a template of the data; gives the address without the database's name."""
    major = os.environ.get(MAJOR, "16")
    state = State(tmp_path_factory.mktemp("postgres"))
    cluster = Cluster(state, major)
    with pytest.MonkeyPatch.context() as patch:
        if major not in runtimes.POSTGRES:
            folder = programs_of(int(major)).folder.parent
            patch.setattr(runtimes, "postgres_folder", lambda _: folder)
        cluster.start()
    try:
        with psycopg.connect(cluster.superuser_url, autocommit=True) as connection:
            # A thousand logins in a minute: one round of hashing is enough for each.
            for setting in ("fsync = off", "max_wal_size = '2GB'", "autovacuum = off"):
                connection.execute(f"alter system set {setting}")
            connection.execute("select pg_reload_conf()")
            connection.execute("select pg_sleep(0.1)")
            if int(major) >= 16:
                connection.execute("set scram_iterations = 1")
                connection.execute(f"alter role postgres password '{cluster.password}'")
            connection.execute("create role serving")
            connection.execute("create database template_people")
        url = cluster.superuser_url.rpartition("/")[0]
        with psycopg.connect(f"{url}/template_people", autocommit=True) as connection:
            connection.execute(TEMPLATE)
            connection.execute("analyze")
        yield url
    finally:
        cluster.stop()
        moved = state.setting("postgres_folder")  # where root's own folders are closed to the server's account
        state.sql.close()
        shutil.rmtree(moved or state.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def fresh(server: str) -> Callable[[], str]:
    """Makes a copy of the template; gives its address."""
    numbers = itertools.count()

    def make() -> str:
        name = f"copy_{os.getpid()}_{next(numbers)}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            strategy = "strategy file_copy" if connection.info.server_version >= 150000 else ""  # the only one before
            connection.execute(f"create database {name} template template_people {strategy}")
        return f"{server}/{name}"

    return make


@pytest.fixture
def world(fresh: Callable[[], str], tmp_path: Path) -> World:
    """A database and a folder for migrations."""
    return World(Secret(fresh()), tmp_path / "files")
