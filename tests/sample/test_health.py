"""The two health answers of the backend, with a database that serves, hangs, refuses or is not there."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.sample.product import COMMIT, PASSWORD, Backend, Postgres, backend, free_port, wait_until


def test_a_healthy_backend_names_its_release_and_its_schema(book: Backend) -> None:
    """A healthy answer holds the full commit, the version, the age and both checks, and nothing else."""
    answer = book.get("/api/health")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/health+json"
    body = answer.json()
    [response_time], [schema] = body["checks"]["database:responseTime"], body["checks"]["database:revision"]
    assert datetime.fromisoformat(response_time["time"]).tzinfo
    assert response_time.pop("time") == schema.pop("time")
    assert response_time.pop("ageSeconds") == schema.pop("ageSeconds") >= 0
    assert 0 < response_time.pop("observedValue") < 1500
    assert body.pop("uptimeSeconds") >= 0
    assert datetime.fromisoformat(body.pop("deployedAt")).tzinfo
    assert body == {
        "status": "pass",
        "version": "1.0.0",
        "releaseId": COMMIT,
        "checks": {
            "database:responseTime": [{"status": "pass", "observedUnit": "ms"}],
            "database:revision": [{"status": "pass", "observedValue": "0002"}],
        },
    }


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live"])
def test_a_health_answer_is_never_stored(book: Backend, path: str) -> None:
    """A cache between the backend and whoever asks may not answer in its place."""
    assert book.get(path).headers["cache-control"] == "no-store"


def test_a_database_that_hangs_is_reported_within_the_deadline(postgres: Postgres, database: str) -> None:
    """A database that accepts and never answers is a 503 with code timeout within two seconds, then recovers."""
    with backend(database) as running:
        assert running.get("/api/entries").status_code == 200  # the pool holds an open connection

        with postgres.frozen():
            started = time.monotonic()
            answer = running.get("/api/health")
            waited = time.monotonic() - started
            live = running.get("/api/health/live")

        assert waited < 2
        assert answer.status_code == 503
        assert answer.json()["status"] == "fail"
        assert answer.json()["checks"]["database:responseTime"][0]["code"] == "timeout"
        [schema] = answer.json()["checks"]["database:revision"]
        assert (schema["status"], schema["observedValue"]) == ("fail", None)
        assert live.status_code == 200
        wait_until(lambda: running.get("/api/health").status_code == 200)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://guest:{password}@127.0.0.1:{free}/book", "refused"),
        ("postgresql://postgres:wrong@127.0.0.1:{port}/postgres", "auth"),
        ("postgresql://guest:{password}@database.invalid/book", "dns"),
        ("postgresql://postgres:{password}@127.0.0.1:{port}/missing", "missing"),
    ],
)
def test_a_failure_is_one_of_a_few_codes_and_never_the_drivers_text(postgres: Postgres, url: str, code: str) -> None:
    """The answer and the log name a code; host, user, password and database stay inside."""
    url = url.format(password=PASSWORD, port=postgres.port, free=free_port())
    with backend(url) as running:
        health = running.get("/api/health")
        live = running.get("/api/health/live")
        entries = running.get("/api/entries")
        exit_code = running.stop()
        log = running.process.communicate()[1]

    assert health.status_code == 503
    assert health.json()["checks"]["database:responseTime"][0]["code"] == code
    assert live.status_code == 200
    assert live.json()["releaseId"] == COMMIT
    assert entries.status_code == 503
    assert entries.headers["retry-after"] == "2"
    assert exit_code == 0
    for secret in (PASSWORD, "guest:", "postgres", "wrong", "database.invalid"):
        assert secret not in health.text + entries.text + log


def test_a_database_without_a_schema_is_not_healthy(empty: str) -> None:
    """Before the first migration the database answers, but the book cannot serve: 503, no revision."""
    with backend(empty) as running:
        answer = running.get("/api/health")
        entries = running.get("/api/entries")

    assert answer.status_code == 503
    assert answer.json()["checks"]["database:responseTime"][0]["status"] == "pass"
    [schema] = answer.json()["checks"]["database:revision"]
    assert (schema["status"], schema["observedValue"], schema["code"]) == ("fail", None, "schema")
    assert entries.status_code == 503


def test_a_flood_of_requests_is_one_check(book: Backend) -> None:
    """Requests that come together share one look at the database."""
    time.sleep(1.1)  # the result of an earlier test is kept for a second
    with ThreadPoolExecutor(20) as many:
        answers = list(many.map(lambda _: book.get("/api/health").json()["checks"], range(20)))

    assert len({answer["database:responseTime"][0]["time"] for answer in answers}) == 1
