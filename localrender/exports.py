"""Logical exports of databases (docs page `postgresql-backups`): made beside everything else, kept for seven days."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from psycopg import pq

from localrender import processes, runtimes
from localrender.errors import ApiError, bad_input
from localrender.model import Database, new_id, now

if TYPE_CHECKING:
    from localrender.fleet import Fleet
    from localrender.logs import Logs
    from localrender.postgres import Postgres
    from localrender.state import State

_KEPT, _LONGEST = timedelta(days=7), 120 * 60


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One export of one database."""

    id: str
    database_id: str
    created_at: str
    token: str
    """What its link has in it: whoever knows it needs no key."""

    @property
    def stamp(self) -> str:
        """The folder in the archive: the minute in which the export began."""
        return f"{self.created_at[:16]}Z"

    @property
    def file(self) -> str:
        """The name of the archive."""
        return f"{self.stamp.replace(':', '_')}.dir.tar.gz"


class Exports:
    """The exports of all databases: a folder each, which takes its place once the export is whole.

    Args:
        state: In whose folder they are.
        logs: Where a failure is told.
        fleet: Runs what is made beside.
        postgres: Knows the servers.
    """

    def __init__(self, state: State, logs: Logs, fleet: Fleet, postgres: Postgres) -> None:
        self.state = state
        self.logs = logs
        self.fleet = fleet
        self.postgres = postgres
        self.folder = state.folder / "exports"
        self.making: dict[str, Export] = {}

    def abandon(self) -> None:
        """Remove what an earlier server did not finish."""
        shutil.rmtree(self.folder / "making", ignore_errors=True)

    def finished(self) -> list[Export]:
        """Those that can be downloaded; what is older than seven days is removed."""
        found = []
        for file in self.folder.glob("*/export.json"):
            export = msgspec.json.decode(file.read_bytes(), type=Export)
            if datetime.now(UTC) - datetime.fromisoformat(export.created_at) < _KEPT:
                found.append(export)
            else:
                shutil.rmtree(file.parent, ignore_errors=True)
        return found

    def find(self, token: str, name: str) -> Path | None:
        """The archive that a link is for."""
        for export in self.finished():
            if secrets.compare_digest(token.encode(), export.token.encode()) and name == export.file:
                return self.folder / export.id / name
        return None

    def begin(self, database: Database) -> None:
        """Begin an export; it is listed from now on.

        Raises:
            ApiError: 403 on the free plan, 406 while another one of this database is being made.
            LocalRenderError: No pg_dump here can read this server.
        """
        if database.spec.plan == "free":
            raise ApiError(403, f"{database.spec.name} is on the free plan, which has no exports: choose a paid plan")
        if database.id in self.making:
            raise ApiError(406, f"an export of {database.spec.name} is being made: wait until it is finished")
        program = pg_dump(database.spec.major)
        export = Export(id=new_id("exp"), database_id=database.id, created_at=now(), token=secrets.token_urlsafe(32))
        self.making[database.id] = export
        self.fleet.spawn(self._make(export, database, program))

    async def _make(self, export: Export, database: Database, program: Path) -> None:
        part = self.folder / "making" / export.id
        try:
            for folder in (self.folder, part.parent, part):  # not its parents: a state that is gone stays so
                folder.mkdir(mode=0o700, exist_ok=True)
            await self._dump(database, program, part / "dump")
            await asyncio.to_thread(_pack, part, export, database.spec.database)
            part.rename(self.folder / export.id)
        except (OSError, RuntimeError) as error:
            self.logs.add(database.id, "app", f"error: the export {export.id} failed: {error}")
        finally:
            del self.making[database.id]
            shutil.rmtree(part, ignore_errors=True)

    async def _dump(self, database: Database, program: Path, folder: Path) -> None:
        lines: list[str] = []
        command = shlex.join([str(program), "--format=directory", "--no-password", f"--file={folder}"])
        variables = _environment(self.postgres.superuser_url(database.spec.major), database)
        running = await processes.start(f"exec {command}", folder.parent, variables, lines.append, self.state, "export")
        try:
            code = await asyncio.wait_for(running.wait(), _LONGEST)
        except (TimeoutError, asyncio.CancelledError) as error:
            await running.stop(0)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise RuntimeError(f"pg_dump took longer than {_LONGEST} s") from error
        if code:
            raise RuntimeError(f"pg_dump ended with code {code}: {' '.join(lines)}")


def pg_dump(major: str) -> Path:
    """The oldest pg_dump of the wheel that reads a server of this major version.

    Raises:
        LocalRenderError: There is none.
    """
    if missing := runtimes.postgres_problem():
        raise bad_input("no_pg_dump", f"no pg_dump for an export: {missing.message}", missing.remedy)
    fitting = [known for known in runtimes.POSTGRES if int(known) >= int(major)]
    if not fitting:
        newest = max(runtimes.POSTGRES, key=int)
        raise bad_input(
            "no_pg_dump",
            f"no pg_dump here can export from Postgres {major}: the newest is {newest}",
            f"name a server of version {newest} or older with --postgres",
        )
    return runtimes.postgres_folder(min(fitting, key=int)) / "bin" / "pg_dump"


def _environment(url: str, database: Database) -> dict[str, str]:
    """How pg_dump connects: all of it in variables, none in arguments, which others can see."""
    given = {one.envvar.decode(): one.val.decode() for one in pq.Conninfo.parse(url.encode()) if one.envvar and one.val}
    ambient = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    return processes.inherited(os.environ) | ambient | given | {"PGDATABASE": database.spec.database}


def _pack(part: Path, export: Export, database: str) -> None:
    """The archive as Render makes it: `<stamp>/<database>/…`; the dump itself goes."""
    with tarfile.open(part / export.file, "w:gz", compresslevel=1) as archive:
        archive.add(part / "dump", f"{export.stamp}/{database}")
    shutil.rmtree(part / "dump")
    (part / "export.json").write_bytes(msgspec.json.encode(export))
