"""Databases: a role and a database for each, on clusters of ours or on a server the user names."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from localrender.cluster import Cluster
from localrender.errors import LocalRenderError, bad_input
from localrender.model import Database, DatabaseSpec, new_id, now, random_word

if TYPE_CHECKING:
    from localrender.state import State

_LONGEST_PAUSE = 30.0
_log = logging.getLogger(__name__)


class Postgres:
    """All databases of a state.

    Args:
        state: Where they are remembered.
        server: A superuser's URL of a server to use instead of clusters of ours.
    """

    def __init__(self, state: State, server: str | None) -> None:
        self.state = state
        self.server = server
        self.clusters: dict[str, Cluster] = {}
        self.next_try, self.delay = 0.0, 1.0

    async def provide(self, specs: list[DatabaseSpec]) -> None:
        """Make the databases that are missing, and start what those that exist need."""
        known = {database.spec.name: database for database in self.state.databases()}
        fresh = [spec for spec in specs if spec.name not in known]
        majors = {spec.major for spec in fresh} | {database.spec.major for database in known.values()}
        for major in sorted(majors if not self.server else ()):
            if major not in self.clusters:
                cluster = Cluster(self.state, major)
                await asyncio.to_thread(cluster.start)
                self.clusters[major] = cluster
        for database in known.values():
            if not self.server:
                database.port = self.clusters[database.spec.major].port
                self.state.save_database(database)
        for spec in fresh:
            moment = now()
            database = Database(
                id=new_id("dpg", "-a"), spec=spec, password=random_word(32), created_at=moment, updated_at=moment
            )
            url = self.superuser_url(spec.major)
            self.state.save_database(await asyncio.to_thread(_create, url, database, ours=not self.server))

    def superuser_url(self, major: str) -> str:
        """How the local Render itself connects to the server of a major version."""
        return self.server or self.clusters[major].superuser_url

    async def switch(self, *, running: bool) -> None:
        """Stop the clusters of ours as by a fault, or start those that stand; data and ports stay."""
        for cluster in self.clusters.values():
            if not running:  # also one that has died: it must not come back by itself
                await asyncio.to_thread(cluster.stop)
            elif not cluster.is_running():
                await asyncio.to_thread(cluster.start)

    def has_died(self) -> bool:
        """Whether a cluster of ours has ended without being told to."""
        return any(cluster.has_died() for cluster in self.clusters.values())

    async def revive(self) -> None:
        """Start again what has died; one that does not start is tried again later, and later each time."""
        if time.monotonic() < self.next_try:
            return
        try:
            for cluster in self.clusters.values():
                if await asyncio.to_thread(cluster.revive):
                    _log.warning("Postgres %s had died and was started again", cluster.major)
            self.delay = 1.0
        except (LocalRenderError, OSError) as error:
            _log.error("Postgres had died and does not start again: %s", error)
            self.next_try, self.delay = time.monotonic() + self.delay, min(2 * self.delay, _LONGEST_PAUSE)

    def is_available(self, database: Database) -> bool:
        """Whether the server of a database runs, as far as we know."""
        cluster = self.clusters.get(database.spec.major)
        return cluster is None or cluster.is_running()

    async def stop(self) -> None:
        """Stop the clusters of ours."""
        for cluster in self.clusters.values():
            await asyncio.to_thread(cluster.stop)
        self.clusters.clear()


def probe(url: str) -> None:
    """Connect once to the server that the user names.

    Raises:
        LocalRenderError: It cannot be reached.
    """
    _connect(url).close()


def _connect(url: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise bad_input(
            "postgres_unreachable", f"no connection to the Postgres server: {error}", "correct --postgres"
        ) from error


def _create(url: str, database: Database, *, ours: bool) -> Database:
    """Make the role and the database; the password reaches the server as a SCRAM verifier only."""
    spec = database.spec
    role, name = sql.Identifier(spec.user), sql.Identifier(spec.database)
    with _connect(url) as connection:
        taken = connection.execute("select 1 from pg_roles where rolname = %s", (spec.user,)).fetchone()
        if taken and not ours:
            raise bad_input(
                "postgres_role_taken",
                f"the server already has the role {spec.user}",
                f"give the database {spec.name} another `user` in the Blueprint",
            )
        verifier = connection.pgconn.encrypt_password(
            database.password.encode(), spec.user.encode(), b"scram-sha-256"
        ).decode()
        verb = sql.SQL("alter" if taken else "create")
        connection.execute(sql.SQL("{} role {} login createdb password {}").format(verb, role, sql.Literal(verifier)))
        if not connection.execute("select 1 from pg_database where datname = %s", (spec.database,)).fetchone():
            connection.execute(sql.SQL("grant {} to current_user").format(role))
            connection.execute(sql.SQL("create database {} owner {}").format(name, role))
        connection.execute(sql.SQL("revoke connect on database {} from public").format(name))
        database.host, database.port = connection.info.host, connection.info.port
        major = str(connection.info.server_version // 10_000)
        database.spec = msgspec.structs.replace(spec, major=major)
    return database
