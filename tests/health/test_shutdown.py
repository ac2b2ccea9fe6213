"""What the health files do about SIGTERM, in programs of both languages and in one that a real server drains."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.health.running import KINDS, Database, answer_on, program

EVERY = pytest.mark.parametrize("kind", KINDS)


@EVERY
def test_a_request_in_flight_is_answered_whole_and_the_process_ends_with_0(kind: str, database: Database) -> None:
    """Its connection is not kept, and idle ones do not hold the end up."""
    with (
        program(kind, database.url, PSQL=database.psql, SLOW="1.5") as started,
        ThreadPoolExecutor(1) as other,
        socket.create_connection(("127.0.0.1", started.port)),
        started.connected() as idle,
        started.connected() as busy,
    ):
        assert answer_on(idle, "/api/health/live").status == 200
        assert answer_on(busy, "/elsewhere").status == 200
        slow = other.submit(answer_on, busy, "/slow")
        time.sleep(0.5)
        code, took = started.end()

        answer = slow.result()
        assert (answer.status, answer.length) == (200, 0)
        assert answer.will_close
        assert (code, took < 4) == (0, True)
        log = started.process.communicate()[1]
    assert "Traceback" not in log
    assert log == ("closed last\n" if kind == "node" else "")


@EVERY
def test_a_request_that_does_not_end_does_not_hold_the_process(kind: str, database: Database) -> None:
    """It ends with 0 before the platform would kill it."""
    with (
        program(kind, database.url, PSQL=database.psql, SLOW="60", WITHIN="1") as started,
        started.connected() as connection,
    ):
        connection.request("GET", "/slow")
        time.sleep(0.3)
        code, took = started.end()

    assert (code, 0.9 < took < 3) == (0, True)


def test_readiness_fails_from_sigterm_on(database: Database) -> None:
    """Where the server still takes requests; it lives all the same, and asks nobody."""
    with program("wsgi", database.url, SLOW="1.5") as started, started.connected() as kept:
        kept.request("GET", "/slow")
        time.sleep(0.5)
        started.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        full, live = started.get("/api/health"), started.get("/api/health/live")

        assert full.status_code == 503
        assert full.json()["checks"] == {"process:state": [{"status": "fail", "code": "stopping"}]}
        assert (live.status_code, database.asked()) == (200, 0)
        assert kept.getresponse().status == 200
        assert started.process.wait(timeout=10) == 0


def test_readiness_of_node_fails_from_sigterm_on(database: Database) -> None:
    """On a connection on which a request has begun: new ones are refused."""
    with (
        program("node", database.url, PSQL=database.psql, SLOW="1.5") as started,
        started.connected() as kept,
        socket.create_connection(("127.0.0.1", started.port)) as begun,
    ):
        kept.request("GET", "/slow")
        begun.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.5)
        started.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        begun.sendall(b"\r\n")
        with begun.makefile("rb") as stream:
            said = stream.read().decode()

        assert said.startswith("HTTP/1.1 503 ")
        assert '"checks":{"process:state":[{"status":"fail","code":"stopping"}]}' in said
        assert "connection: close" in said.lower()
        assert database.asked() == 0
        assert kept.getresponse().status == 200
        assert started.process.wait(timeout=10) == 0
