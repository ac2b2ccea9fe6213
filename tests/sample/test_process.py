"""The life of the backend's process: how it starts and how it leaves."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.sample.product import Postgres, accepts, backend, execute, start, wait_until


def test_sigterm_finishes_what_is_in_flight(database: str) -> None:
    """After SIGTERM a slow request still gets its answer, new connections are refused, the exit code is 0."""
    with backend(database) as running, ThreadPoolExecutor(1) as other, psycopg.connect(database) as blocker:
        blocker.execute("lock table entries in access exclusive mode")
        slow = other.submit(running.write, name="Ada", message="slow")
        wait_until(lambda: bool(execute(database, "select 1 from pg_locks where not granted")))

        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(running.port))
        assert running.process.poll() is None
        blocker.rollback()

        assert slow.result().status_code == 201
        assert running.process.wait(timeout=5) == 0
        assert "Traceback" not in running.process.communicate()[1]
    assert execute(database, "select message from entries") == [("slow",)]


def test_a_client_that_never_finishes_does_not_hold_the_exit(database: str) -> None:
    """A request that outlasts SHUTDOWN_SECONDS is given up: the process leaves before Render kills it."""
    with (
        backend(database, SHUTDOWN_SECONDS="1") as running,
        socket.create_connection(("127.0.0.1", running.port)) as client,
    ):
        head = b"POST /api/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        client.sendall(head)
        wait_until(lambda: running.get("/api/health/live").status_code == 200)
        started = time.monotonic()

        assert running.stop() == 0
        assert time.monotonic() - started < 4


def test_a_query_that_hangs_is_given_up(postgres: Postgres, database: str) -> None:
    """A query on a server that hangs is a 503 after 5 seconds, however long the driver needs to cancel it."""
    with backend(database) as running:
        assert running.get("/api/entries").status_code == 200  # the pool holds an open connection
        with postgres.frozen():
            started = time.monotonic()
            answer = running.get("/api/entries")
            waited = time.monotonic() - started

    assert answer.status_code == 503
    assert waited < 6.5


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "mysql://guest:secret@host/book"}, "DATABASE_URL is not a Postgres URL"),
        ({"DATABASE_URL": "postgresql://guest:se%cret@host/book"}, "DATABASE_URL is not a Postgres URL"),
        ({"DATABASE_URL": "postgresql://host/book", "PORT": "http"}, "PORT is 'http'"),
    ],
)
def test_settings_that_cannot_work_end_the_start(environment: dict[str, str], text: str) -> None:
    """A missing or wrong setting ends the process at once, with one line that says which and no secret."""
    with start(**environment) as process:
        log = process.communicate(timeout=10)[1]

    assert process.returncode == 2
    assert log.startswith("guestbook cannot start: ")
    assert text in log
    assert "se%cret" not in log
    assert "Traceback" not in log
