"""The answers of the health files, in programs of both languages that ask a real Postgres."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from urllib.parse import quote

import psycopg
import pytest

from deploylib.models import Proof
from deploylib.probes import Pace, verify
from tests.health.running import COMMIT, KINDS, REVISION, Database, Program, flood, program

EVERY = pytest.mark.parametrize("kind", KINDS)
CODES = {
    "refused": "refused",
    "password": "auth",
    "missing": "missing",
    "full": "full",
    "slow": "timeout",
    "frozen": "timeout",
    "warn": "slow",
    "empty": "schema",
    "unmigrated": "schema",
    "malformed": "misconfigured",
}
HOSTILE = "p@ss/w0rd#1:%s'\"\\"


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, database: Database) -> Iterator[Program]:
    """A program of each kind, with a database that is well."""
    with program(request.param, database.url, PSQL=database.psql, RENDER_INSTANCE_ID="srv-1-abcde") as started:
        yield started


def test_an_answer_has_the_documented_fields(running: Program) -> None:
    """All of them, each of its kind, and nothing else; what deploylib verifies is among them."""
    running.wait_for("")
    answer = running.get("/api/health?from=outside")
    told = answer.json()
    [response], [schema] = told["checks"].pop("database:responseTime"), told["checks"].pop("database:revision")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/health+json")
    assert answer.headers["cache-control"] == "no-store"
    assert 0 <= (datetime.now(UTC) - datetime.fromisoformat(told.pop("deployedAt"))).total_seconds() < 60
    assert 0 <= told.pop("uptimeSeconds") < 60
    assert told == {
        "status": "pass", "version": "1.4.0", "releaseId": COMMIT, "instance": "srv-1-abcde", "checks": {}
    }  # fmt: skip
    for check in (response, schema):
        assert 0 <= (datetime.now(UTC) - datetime.fromisoformat(check.pop("time"))).total_seconds() < 60
        assert 0 <= check.pop("ageSeconds") < 60
    assert 0 < response.pop("observedValue") < 1500
    assert response == {"status": "pass", "observedUnit": "ms"}
    assert schema == {"status": "pass", "observedValue": "0002"}
    assert running.get("/api/health", "HEAD").content == b""
    refused = running.get("/api/health", "POST")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert running.get("/elsewhere").text == "done\n"

    proven = verify(f"http://127.0.0.1:{running.port}/api/health", commit=COMMIT, pace=Pace(every=0.1))
    assert (proven.proof, proven.text) == (Proof.COMMIT, f"answers {COMMIT[:7]} 5/5 · schema 0002")


@EVERY
def test_live_asks_nobody(kind: str, database: Database) -> None:
    """It is well whatever the database is, and does not ask it."""
    with program(kind, "postgresql://shop:x@database.invalid/shop", PSQL=database.psql) as started:
        live, full = started.get("/api/health/live"), started.get("/api/health")

    assert (live.status_code, live.json()["status"], live.json()["releaseId"]) == (200, "pass", COMMIT)
    assert "checks" not in live.json()
    assert (full.status_code, full.json()["checks"]["database:responseTime"][0]["code"]) == (503, "dns")


@EVERY
def test_what_is_not_known_is_left_out(kind: str, database: Database) -> None:
    """Not said as none or empty: a commit that nobody has named is no commit."""
    with program(kind, database.url, PSQL=database.psql, RENDER_GIT_COMMIT="") as started:
        told = started.health()

    assert {"instance", "releaseId"} & {key for key, value in told.items() if value or value is None} == set()


@pytest.mark.parametrize(
    ("kind", "which"),
    # The program in WSGI takes the file of the one in ASGI along: how it waits differs, and nothing else.
    [
        *itertools.product(["asgi", "node"], CODES),
        ("wsgi", "frozen"),
        *(pytest.param("wsgi", which, marks=pytest.mark.load) for which in ("refused", "warn")),
    ],
)
def test_a_database_that_is_not_well_is_told_as_a_code(kind: str, which: str, database: Database) -> None:
    """Within two seconds, whatever is wrong; and no password, user or host in the answer or in the log."""
    code, parts = CODES[which], psycopg.conninfo.conninfo_to_dict(database.url)
    secret = quote(HOSTILE, safe="")
    urls = {
        "refused": f"postgresql://shopkeeper:{secret}@127.0.0.1:1/shop",
        "password": psycopg.conninfo.make_conninfo(database.url, password=HOSTILE),
        "missing": psycopg.conninfo.make_conninfo(database.url, dbname="nowhere"),
        "full": psycopg.conninfo.make_conninfo(database.url, user=f"full_{parts['dbname']}", password="x"),
        "malformed": f"postgresql://shopkeeper:{HOSTILE}@127.0.0.1:port/shop",
    }
    if which == "full":
        database.run(f"create role full_{parts['dbname']} login connection limit 0 password 'x'")
    if which == "empty":
        database.run("delete from alembic_version")
    if which == "unmigrated":
        database.run("drop table alembic_version")
    query = {"slow": "select pg_sleep(4)", "warn": "select '0002' from pg_sleep(1.1)"}.get(which, REVISION)

    place = "revision" if code == "schema" else "responseTime"

    with program(kind, urls.get(which, database.url), PSQL=database.psql, QUERY=query) as started:
        with database.frozen() if which == "frozen" else nullcontext():
            began = time.monotonic()
            assert started.get("/api/health").status_code in {200, 503}
            took = time.monotonic() - began
            started.wait_for(code, place)
            answer, live = started.get("/api/health"), started.get("/api/health/live")
        started.end()
        log = started.process.communicate()[1]

    told = answer.json()
    assert took < 2
    assert (answer.status_code, told["status"]) == ((200, "warn") if which == "warn" else (503, "fail"))
    assert told["checks"]["database:revision"][0]["observedValue"] == ("0002" if which == "warn" else None)
    assert live.status_code == 200
    for word in (HOSTILE, "w0rd", "shopkeeper", "nowhere", "127.0.0.1", str(parts["host"])):
        assert word not in answer.text + log
    if which == "frozen":
        assert "Traceback" not in log


def test_a_thousand_who_ask_at_once_cost_the_database_two_queries(running: Program, database: Database) -> None:
    """As Postgres has counted; more only where they take longer than the second for which an answer is kept."""
    before = database.asked()
    bodies, took = flood(running.port, 1000)

    assert len([body for body in bodies if "database:responseTime" in json.loads(body)["checks"]]) == 1000
    assert database.asked() - before <= max(2, 1 + math.ceil(took))


def test_a_result_is_kept_for_a_second_and_no_longer(running: Program, database: Database) -> None:
    """With its age; and then asked for anew, so that what was well once is not told for good."""
    began = time.monotonic()
    first, again = (running.health()["checks"]["database:revision"][0] for _ in range(2))
    at_once = time.monotonic() - began < 1
    database.run("update alembic_version set version_num = '0003'")
    time.sleep(1.1)
    running.wait_for("")

    assert first["time"] == again["time"] or not at_once
    assert running.health()["checks"]["database:revision"][0]["observedValue"] == "0003"


def test_a_database_that_is_back_is_told_as_well(running: Program, database: Database) -> None:
    """A look that hung does not keep the next one from being begun once it has ended."""
    with database.frozen():
        assert running.code() == "timeout"
        began = time.monotonic()
        assert running.health()["status"] == "fail"
        assert time.monotonic() - began < 1  # whoever asks later does not wait anew

    running.wait_for("")
