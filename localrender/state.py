"""Everything that survives: one SQLite file in the state folder, so a `kill -9` loses nothing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from localrender.model import Database, Deploy, Event, Service, new_id, now, random_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
create table if not exists setting (name text primary key, value text not null);
create table if not exists service (id text primary key, body text not null);
create table if not exists deploy (id text primary key, service text not null, body text not null);
create index if not exists deploy_service on deploy (service);
create table if not exists stored_database (id text primary key, body text not null);
create table if not exists event (id text primary key, service text not null, body text not null);
create index if not exists event_service on event (service);
create table if not exists process (pid integer primary key, created real not null, kind text not null);
create table if not exists log (
    moment integer primary key, resource text, instance text, type text, level text, message text, labels text not null default '{}');
create index if not exists log_resource on log (resource, moment);
"""


class State:
    """The store. Rows come back in the order in which they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "state.sqlite3"
        file.touch(mode=0o600)
        self.sql = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self.sql.executescript(f"pragma journal_mode=wal; pragma synchronous=normal; {_SCHEMA}")
        if "labels" not in {row[1] for row in self.sql.execute("pragma table_info(log)")}:  # of an earlier version
            self.sql.execute("alter table log add column labels text not null default '{}'")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Writes that are kept all or not at all. Nothing else may run meanwhile: no `await` inside."""
        self.sql.execute("begin")
        try:
            yield
        except BaseException:
            self.sql.execute("rollback")
            raise
        self.sql.execute("commit")

    def setting(self, name: str, default: str = "") -> str:
        """A named text: the API key, a port, a password."""
        row = self.sql.execute("select value from setting where name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def set(self, name: str, value: str) -> str:
        """Store a named text."""
        self.sql.execute("insert or replace into setting values (?, ?)", (name, value))
        return value

    def once(self, name: str, value: str) -> str:
        """The stored text, or, the first time, this one."""
        self.sql.execute("insert or ignore into setting values (?, ?)", (name, value))
        return self.setting(name)

    def identity(self) -> tuple[str, str]:
        """The API key and the owner of this state."""
        return self.once("api_key", f"rnd_{random_word(32)}"), self.once("owner", new_id("tea"))

    def _bodies(self, question: str, *values: str) -> list[str]:
        return [row[0] for row in self.sql.execute(question, values)]

    def services(self) -> list[Service]:
        """All services."""
        return [
            msgspec.json.decode(body, type=Service) for body in self._bodies("select body from service order by rowid")
        ]

    def service(self, identifier: str) -> Service | None:
        """One service."""
        for body in self._bodies("select body from service where id = ?", identifier):
            return msgspec.json.decode(body, type=Service)
        return None

    def known_service(self, identifier: str) -> Service:
        """A service that is certainly there: none is ever deleted."""
        found = self.service(identifier)
        if found is None:
            raise KeyError(identifier)
        return found

    def save_service(self, service: Service) -> None:
        """Store a service."""
        self._save("service (id, body)", service.id, _text(service))

    def deploys(self, service: str) -> list[Deploy]:
        """The deploys of a service, oldest first."""
        question = "select body from deploy where service = ? order by rowid"
        return [msgspec.json.decode(body, type=Deploy) for body in self._bodies(question, service)]

    def deploy(self, identifier: str) -> Deploy | None:
        """One deploy."""
        for body in self._bodies("select body from deploy where id = ?", identifier):
            return msgspec.json.decode(body, type=Deploy)
        return None

    def save_deploy(self, deploy: Deploy) -> None:
        """Store a deploy."""
        deploy.updated_at = now()
        self._save("deploy (id, service, body)", deploy.id, deploy.service_id, _text(deploy))

    def live(self, service: str) -> Deploy | None:
        """The deploy that serves."""
        return next((deploy for deploy in self.deploys(service) if deploy.status == "live"), None)

    def databases(self) -> list[Database]:
        """All databases."""
        return [
            msgspec.json.decode(body, type=Database)
            for body in self._bodies("select body from stored_database order by rowid")
        ]

    def save_database(self, database: Database) -> None:
        """Store a database."""
        self._save("stored_database (id, body)", database.id, _text(database))

    def events(self, service: str) -> list[Event]:
        """The events of a service, oldest first."""
        question = "select body from event where service = ? order by rowid"
        return [msgspec.json.decode(body, type=Event) for body in self._bodies(question, service)]

    def event(self, identifier: str) -> Event | None:
        """One event."""
        for body in self._bodies("select body from event where id = ?", identifier):
            return msgspec.json.decode(body, type=Event)
        return None

    def record(self, service: str, kind: str, details: dict[str, Any] | None = None) -> None:
        """Add an event."""
        event = Event(id=new_id("evt"), timestamp=now(), service_id=service, type=kind, details=details or {})
        self._save("event (id, service, body)", event.id, service, _text(event))

    def _save(self, columns: str, *values: str) -> None:
        names = columns.partition(" ")[2].strip("()").split(", ")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        marks = ", ".join("?" * len(values))
        question = f"insert into {columns} values ({marks}) on conflict (id) do update set {changes}"  # noqa: S608
        self.sql.execute(question, values)

    def remember(self, pid: int, kind: str) -> None:
        """Note a process of ours with its creation time, so that its pid can be proven later."""
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        self.sql.execute("insert or replace into process values (?, ?, ?)", (pid, created, kind))

    def forget(self, pid: int) -> None:
        """Drop a process that has ended."""
        self.sql.execute("delete from process where pid = ?", (pid,))

    def processes(self) -> list[tuple[psutil.Process, str]]:
        """The processes of ours that still run: the same pid, created at the same time."""
        found = []
        for pid, created, kind in self.sql.execute("select pid, created, kind from process").fetchall():
            try:
                process = psutil.Process(pid)
                ours = abs(process.create_time() - created) < 2 and process.status() != psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:
                ours = False
            if ours:
                found.append((process, kind))
            elif pid != os.getpid():
                self.forget(pid)
        return found

    def close(self) -> None:
        """Write everything out."""
        self.sql.close()


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
