"""What runs here, measured: memory and processor of the instances, size and connections of the databases.

It is measured from the first time that anybody asks, every fifteen seconds and with each request: who never asks pays nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import psutil
import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localrender.fleet import Fleet, Instance
    from localrender.model import Database, Service
    from localrender.postgres import Postgres
    from localrender.state import State

_EVERY, _FRESH = 15.0, 0.5  # seconds
_KEPT = 4_000  # figures of each series: an hour and more
_MB, _GB = 10**6, 10**9
# Memory and processors of a service's plan, https://render.com/pricing; of any other the smallest.
_PLANS = {
    "free": (512 * _MB, 0.1),
    "starter": (512 * _MB, 0.5),
    "standard": (2 * _GB, 1.0),
    "pro": (4 * _GB, 2.0),
    "pro_plus": (8 * _GB, 4.0),
}


class Place(msgspec.Struct, frozen=True):
    """What a series is of."""

    metric: str
    resource: str
    instance: str = ""


class Gauges:
    """Figures of the last hour."""

    def __init__(self, state: State, fleet: Fleet, postgres: Postgres) -> None:
        self.state = state
        self.fleet = fleet
        self.postgres = postgres
        self.series: dict[Place, deque[tuple[float, float]]] = {}
        self.used: dict[int, tuple[float, float]] = {}
        self.last = 0.0
        self.measuring = asyncio.Lock()
        self.wanted = False

    async def refresh(self) -> None:
        """Measure now, for somebody who asks."""
        if not self.wanted:
            self.wanted = True
            self.fleet.spawn(self._go_on())
        await self._measure(_FRESH)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._measure(_EVERY / 2)

    async def _measure(self, older_than: float) -> None:
        async with self.measuring:
            if time.monotonic() - self.last < older_than:
                return
            running = [(service, list(self.fleet.current.get(service.id, ()))) for service in self.state.services()]
            databases = self.state.databases()
            found = await asyncio.to_thread(lambda: [*self._of_services(running), *self._of_databases(databases)])
            at = time.time()
            for place, value in found:
                self.series.setdefault(place, deque(maxlen=_KEPT)).append((at, value))
            self.last = time.monotonic()

    def find(self, metric: str, resource: str, start: float, end: float) -> dict[str, list[tuple[float, float]]]:
        """The figures of a resource between two moments, by instance."""
        found = {
            place.instance: [(at, value) for at, value in series if start <= at <= end]
            for place, series in self.series.items()
            if (place.metric, place.resource) == (metric, resource)
        }
        return {instance: points for instance, points in found.items() if points}

    def _of_services(self, running: list[tuple[Service, list[Instance]]]) -> Iterator[tuple[Place, float]]:
        for service, instances in running:
            memory, processors = _PLANS.get(service.spec.plan.replace(" ", "_"), _PLANS["starter"])
            if service.spec.kind not in ("static", "cron"):
                yield Place("instance-count", service.id), len(instances)
            for instance in instances:
                tree = [process for process in instance.running.tree() if process.is_running()]
                yield Place("memory", service.id, instance.id), _memory(tree)
                yield Place("cpu", service.id, instance.id), self._processor(instance.running.pid, tree)
                yield Place("memory-limit", service.id, instance.id), memory
                yield Place("cpu-limit", service.id, instance.id), processors

    def _processor(self, pid: int, tree: list[psutil.Process]) -> float:
        """Processors in use since the last look; 0 at the first one."""
        now, spent = time.monotonic(), 0.0
        for process in tree:
            with suppress(psutil.Error):
                times = process.cpu_times()
                spent += times.user + times.system
        before, then = self.used.get(pid, (spent, now))
        self.used[pid] = (spent, now)
        return max(0.0, spent - before) / (now - then) if now > then else 0.0

    def _of_databases(self, databases: list[Database]) -> Iterator[tuple[Place, float]]:
        for database in databases:
            yield Place("disk-capacity", database.id), database.spec.disk_gb * _GB
            with suppress(psycopg.Error):  # a server that does not answer has no figures
                connections, size = self._ask(database)
                yield Place("active-connections", database.id), connections
                yield Place("disk-usage", database.id), size

    def _ask(self, database: Database) -> tuple[int, int]:
        url = self.postgres.superuser_url(database.spec.major)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            found = connection.execute(
                "select count(*) filter (where datname = %s), pg_database_size(%s) from pg_stat_activity",
                (database.spec.database, database.spec.database),
            ).fetchone()
        return found or (0, 0)


def _memory(tree: list[psutil.Process]) -> float:
    total = 0
    for process in tree:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total
