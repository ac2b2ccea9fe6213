"""A database that is restored into, and a restore that dies on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg

from deploylib.backups import restore
from deploylib.backups.restore_mark import Mark
from deploylib.errors import BackupFailed
from deploylib.models import Backup
from deploylib.models.database import Into, RestoreResult
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.support.servers import Base

OURS = (
    "create table guests (id int primary key, name text not null)",
    "insert into guests values (1, 'Ann'), (2, 'Bob')",
    "create table visits (id serial primary key, guest int references guests)",
    "insert into visits (guest) values (1), (1), (2)",
    "create type mood as enum ('glad', 'sad')",
    "create function glad() returns mood language sql as $$select 'glad'::mood$$",
    "create view seen as select g.name, count(*) from guests g join visits v on v.guest = g.id group by 1",
    "create schema inner_room; create table inner_room.things (a mood default glad())",
    "insert into inner_room.things default values",
    "select lo_from_bytea(0, 'x')",
    "create table parted (id int) partition by range (id)",
    "create table part_1 partition of parted for values from (1) to (9); insert into parted values (3)",
)


THEIRS = (
    "create function watch() returns event_trigger language plpgsql as $$begin end$$",
    "create event trigger watching on ddl_command_end execute function watch()",
    "create publication everything for all tables",
    "create schema theirs; create table theirs.kept as select 7 as id",
)


@dataclass
class Book:
    """A database with a backup, that has changed since."""

    base: Base
    store: Folder
    made: Backup

    def content(self) -> list[object]:
        """What tells the old content from the new."""
        with psycopg.connect(self.base.as_root().url.reveal(), autocommit=True) as connection:
            rows = connection.execute("select id, name from public.guests order by id").fetchall()
            more = connection.execute("select count(*) from public.visits").fetchone()
            large = connection.execute("select count(*) from pg_largeobject_metadata").fetchone()
        return [rows, more, large]

    def restore(
        self, runner: process.Runner = process.SYSTEM, into: Into = "emptied", begun: Mark | None = None
    ) -> RestoreResult:
        """Put the backup back, into the database itself."""
        return restore(self.base.url, self.made, self.base.edges(self.store, runner=runner), into, begun)


def changed(base: Base, store: Folder) -> Book:
    """A database of which a backup was made, and that has changed."""
    base.run(*OURS)
    base.as_root().run(*THEIRS)
    made = base.as_root().back_up(store)
    base.run("delete from visits where guest = 2", "delete from guests where id = 2", "create table newer (id int)")
    return Book(base, store, made)


class Dying:
    """A runner whose psql loses its connection after so many statements of the archive."""

    def __init__(self, after: int, kind: bytes = b"") -> None:
        self.after, self.kind, self.seen = after, b"; Type: " + kind, 0

    def run(self, command: process.Command, /) -> process.Completed:
        """Run it; of psql only a part arrives."""
        if command.name != "psql" or not isinstance(command.stdin, Iterator):
            return process.SYSTEM.run(command)
        return process.SYSTEM.run(replace(command, stdin=self._part(command.stdin)))

    def stream(self, command: process.Command, /) -> Iterator[bytes]:
        """Run it."""
        return process.SYSTEM.stream(command)

    def _counts(self, line: bytes) -> bool:
        return line.startswith((b"-- Name: ", b"-- Data for Name: ")) and self.kind in line

    def _part(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for line in piece.splitlines(keepends=True):
                yield line
                self.seen += self._counts(line)
                if self.seen >= self.after:
                    raise BackupFailed("killed", remedy="again")
