"""Programs that take the health file along, run as a platform runs them, and the database that they ask."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMIT = "3f2a91c04be8d7a6f5120c9e8b7d6a5f4e3c2b1a"
REVISION = "select version_num, nextval('asked') from alembic_version"
KINDS = ("asgi", "wsgi", "node")


@dataclass(frozen=True)
class Database:
    """A database that counts how often `REVISION` is asked of it."""

    url: str
    psql: str

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute SQL; the rows of the last statement."""
        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def asked(self) -> int:
        """How often it was asked, as Postgres has counted."""
        [(last, is_called)] = self.run("select last_value, is_called from asked")
        return int(last) if is_called else 0

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every process of the server: like a machine that hangs, it accepts and never answers."""
        [(backend,)] = self.run("select pg_backend_pid()")
        [(main,)] = self.run("select pg_read_file('postmaster.pid')")
        server = psutil.Process(int(main.split()[0]))
        assert backend != server.pid
        family = [server, *server.children()]
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                with suppress(psutil.NoSuchProcess):  # of a server that is ending by itself
                    process.resume()


@dataclass
class Program:
    """A running program."""

    port: int
    process: subprocess.Popen[str]
    client: httpx.Client

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        """Ask on a connection of its own."""
        return self.client.request(method, f"http://127.0.0.1:{self.port}{path}")

    def health(self) -> dict[str, Any]:
        """The full answer, whatever its status."""
        told: dict[str, Any] = self.get("/api/health").json()
        return told

    def code(self, check: str = "responseTime") -> str:
        """The code of a check of the database; empty where it is well."""
        return str(self.health()["checks"][f"database:{check}"][0].get("code", ""))

    def wait_for(self, code: str, check: str = "responseTime") -> None:
        """Wait for that code: on a machine that is busy with others, a database is late where it is only slow."""
        end = time.monotonic() + 20
        while (told := self.code(check)) != code:
            assert time.monotonic() < end, told
            time.sleep(0.2)

    @contextmanager
    def connected(self) -> Iterator[HTTPConnection]:
        """A connection that is kept."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            yield connection
        finally:
            connection.close()

    def end(self) -> tuple[int, float]:
        """Send SIGTERM; the exit code, and after how many seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20), time.monotonic() - began


def command_of(kind: str) -> list[str]:
    """What starts a program of a kind; skips the test where there is no node."""
    if kind != "node":
        return [sys.executable, str(HERE / "programs" / f"{kind}.py")]
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on PATH")
    return ["node", str(HERE / "programs" / "node.mjs")]


@contextmanager
def program(kind: str | list[str], url: str, folder: Path = ROOT, **environment: str) -> Iterator[Program]:
    """Run a program of a kind, or by its command, until the block ends; what it says is kept for `communicate`."""
    command = command_of(kind) if isinstance(kind, str) else kind
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [word.replace("$PORT", str(port)) for word in command]
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {"PATH": paths, "PYTHONPATH": str(ROOT), "PORT": str(port), "DATABASE_URL": url}
    given |= {
        "QUERY": REVISION,
        "SLOW": "1",
        "WITHIN": "28",
        "RENDER_GIT_COMMIT": COMMIT,
        "PSQL": "psql",
        **environment,
    }
    unkept = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(timeout=15, trust_env=False, limits=unkept) as client,
        subprocess.Popen(command, cwd=folder, env=given, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            end = time.monotonic() + 30
            while not _accepts(port):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end, "it does not listen"
                time.sleep(0.02)
            yield Program(port, process, client)
        finally:
            process.kill()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answer_on(connection: HTTPConnection, path: str) -> HTTPResponse:
    """Ask on a connection that is kept, and read the whole answer."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer


def flood(port: int, times: int) -> tuple[list[str], float]:
    """The bodies of many answers: all connections are open before the first request is sent; and how long it took."""
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(times)]
    began = time.monotonic()
    for each in sockets:
        each.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    bodies = []
    for each in sockets:
        with each, each.makefile("rb") as stream:
            bodies.append(re.split(r"\r\n\r\n", stream.read().decode(), maxsplit=1)[1])
    return bodies, time.monotonic() - began
