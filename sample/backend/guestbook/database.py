"""The entries in Postgres.

A release changes the schema first and the code after, and a rollback puts back the code alone. So the code
never meets a schema that is behind its own, and has to work with one that is ahead: columns are always named,
never `*`, so one that the next revision adds is not noticed. That revision has to give it a default or let it be
null, and may drop only what this code does not name.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg.errors import UndefinedTable
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from .deadline import within
from .health import code_of

NEWEST = 2**63 - 1
"""A page after this id is the first one."""

_QUERY_SECONDS = 5.0
_CONNECT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the guest book."""

    id: int
    name: str
    message: str
    mood: str | None
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Give the entry as the API shows it."""
        values = asdict(self)
        created_at: datetime = values.pop("created_at")
        return {**values, "createdAt": created_at.astimezone(UTC).isoformat()}


class DatabaseUnavailable(Exception):
    """The database does not answer as it should; a driver's own text stays inside: it can hold the password."""

    def __init__(self, code: str) -> None:
        super().__init__(f"database unavailable: {code}")
        self.code = code


_PAGE: LiteralString = """
    select id, name, message, mood, created_at from entries
    where id < %(after)s order by id desc limit %(limit)s"""
_ADD: LiteralString = """
    insert into entries (name, message, mood) values (%(name)s, %(message)s, %(mood)s)
    returning id, name, message, mood, created_at"""


class Database:
    """A pool of connections, made when they are needed: the service starts without a database too."""

    def __init__(self, url: str) -> None:
        self._pool = AsyncConnectionPool(
            url,
            open=False,
            min_size=0,
            max_size=8,
            timeout=_CONNECT_SECONDS,
            reconnect_timeout=_CONNECT_SECONDS,  # the next request tries anew, not a back-off of minutes
            check=AsyncConnectionPool.check_connection,  # a restarted database costs no request
            kwargs={"autocommit": True, "connect_timeout": _CONNECT_SECONDS, "application_name": "guestbook"},
        )

    async def open(self) -> None:
        """Start the pool; it connects to nothing yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close(timeout=_CONNECT_SECONDS)

    async def page(self, *, limit: int, after: int = NEWEST) -> list[Entry]:
        """Give the newest entries that are older than the entry `after`."""
        return await self._run(_PAGE, {"limit": limit, "after": after})

    async def add(self, *, name: str, message: str, mood: str | None) -> Entry:
        """Keep one entry."""
        [entry] = await self._run(_ADD, {"name": name, "message": message, "mood": mood})
        return entry

    async def _run(self, statement: LiteralString, values: Mapping[str, object]) -> list[Entry]:
        async def run() -> list[Entry]:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(row_factory=class_row(Entry))
                await cursor.execute(statement, values)
                return await cursor.fetchall()

        try:
            return await within(_QUERY_SECONDS, run())
        except (psycopg.Error, TimeoutError) as error:
            raise DatabaseUnavailable(code_of(error)) from error


async def revision(url: str) -> str | None:
    """Read the schema revision on a connection of its own; None where there is no schema yet."""
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, application_name="guestbook-health", connect_timeout=_CONNECT_SECONDS
    )
    async with connection:
        try:
            cursor = await connection.execute(
                "select string_agg(version_num, ',' order by version_num) from alembic_version"
            )
        except UndefinedTable:
            return None
        row = await cursor.fetchone()
    return row[0] if row else None
