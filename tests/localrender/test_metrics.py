"""Metrics: of the processes that really run, the database that is really there, the requests that were really passed on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from tests.localrender.product import until

if TYPE_CHECKING:
    from tests.localrender.product import Local

_CONNECTED = "select count(*) from pg_stat_activity where datname = current_database()"


@pytest.fixture(scope="module")
def measured(shared: Local) -> Local:
    """A service that runs, and is asked."""
    shared.live("backend", commitId=shared.product.first)
    for _ in range(5):
        shared.page("backend", "/")
    return shared


def last(local: Local, path: str) -> dict[str, float]:
    """The newest figure of each series, by the label that tells them apart."""
    found: list[dict[str, Any]] = local.get(path)
    return {series["labels"][-1]["value"]: series["values"][-1]["value"] for series in found}


def test_memory_and_processor_are_those_of_the_process(measured: Local) -> None:
    """Of each instance, below what its plan has; one that still ends is measured beside the one that serves."""
    (instance,) = measured.get("/services/{backend}/instances")
    used = last(measured, "/metrics/memory?resource={backend}")[instance["id"]]
    limit = last(measured, "/metrics/memory-limit?resource={backend}")[instance["id"]]

    running = sum(process.memory_info().rss for process in measured.processes() if process.pid != psutil.Process().pid)
    assert 1_000_000 < used < min(running, limit) == min(running, 512_000_000)
    assert 0 <= last(measured, "/metrics/cpu?resource={backend}")[instance["id"]] < 8


def test_a_database_tells_its_size_and_who_is_connected(measured: Local) -> None:
    """As Postgres tells it itself."""
    database = measured.get("/postgres")[0]["postgres"]["id"]
    url = measured.get(f"/postgres/{database}/connection-info")["externalConnectionString"]

    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url):

        def is_told() -> bool:
            time.sleep(0.6)  # figures are at most half a second old
            (told,) = last(measured, f"/metrics/active-connections?resource={database}").values()
            (real,) = one.execute(_CONNECTED).fetchone() or (0,)
            return bool(told == real >= 2)

        until(is_told)
    (used,) = last(measured, f"/metrics/disk-usage?resource={database}").values()
    (size,) = last(measured, f"/metrics/disk-capacity?resource={database}").values()
    assert 1_000_000 < used < size == 1_000_000_000


def test_requests_are_counted_by_what_was_answered(measured: Local) -> None:
    """And timed, as the edge has seen them."""
    found = measured.get("/metrics/http-requests?resource={backend}&aggregateBy=statusCode")
    counted = {series["labels"][-1]["value"]: sum(point["value"] for point in series["values"]) for series in found}
    assert counted["200"] >= 5

    (series,) = measured.get("/metrics/http-latency?resource={backend}&quantile=0.5")
    assert series["unit"] == "ms"
    assert 0 <= series["values"][-1]["value"] < 5_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/metrics/cpu", 400),
        ("/metrics/cpu?resource=srv-1&resolutionSeconds=29", 400),
        ("/metrics/http-latency?resource=srv-1&quantile=2", 400),
        ("/metrics/http-requests?resource=srv-1&aggregateBy=mood", 400),
        ("/metrics/mood?resource=srv-1", 404),
    ],
)
def test_what_cannot_be_asked_is_refused(measured: Local, path: str, status: int) -> None:
    """With Render's own codes."""
    assert measured.call("GET", path).status_code == status


def test_what_is_not_measured_has_no_figures(measured: Local) -> None:
    """A service without a disk, a static site, and what nobody knows."""
    assert measured.get("/metrics/disk-usage?resource={backend}") == []
    assert measured.get("/metrics/memory?resource={frontend}") == []
    assert measured.get("/metrics/memory?resource=srv-unknown") == []


def test_a_fault_fills_the_disk_and_the_memory(faulty: Local) -> None:
    """In the figures alone; both stay as they are."""
    faulty.fault("memory-share", value=90, service="backend")
    (used,) = last(faulty, "/metrics/memory?resource={backend}").values()
    (limit,) = last(faulty, "/metrics/memory-limit?resource={backend}").values()
    assert used == 0.9 * limit
    assert last(faulty, "/metrics/memory?resource={worker}") != {}
    assert next(iter(last(faulty, "/metrics/memory?resource={worker}").values())) < used
    assert faulty.armed() == ["memory-share"]
    faulty.clear_faults()
    assert next(iter(last(faulty, "/metrics/memory?resource={backend}").values())) < used
