"""What the tests of the sample product share: its files, its processes, its database."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from alembic import command
from alembic.config import Config

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "3f2a91c04be8d7a6f5120c9e8b7d6a5f4e3c2b1a"
PASSWORD = "not-a-secret"


@dataclass(frozen=True)
class Postgres:
    """One running server."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Give the URL of one of its databases, as Render writes it."""
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every process of the server: like a machine that hangs, it accepts and never answers."""
        server = psutil.Process(self.process.pid)
        family = [server, *server.children()]
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                with suppress(psutil.NoSuchProcess):  # of a server that is ending by itself
                    process.resume()


@dataclass(frozen=True)
class Backend:
    """One running backend."""

    port: int
    process: subprocess.Popen[str]
    client: httpx.Client

    def get(self, path: str, **query: str | int) -> httpx.Response:
        """Send a GET."""
        return self.client.get(path, params=query)

    def write(self, **entry: object) -> httpx.Response:
        """Send an entry."""
        return self.client.post("/api/entries", json=entry)

    def stop(self) -> int:
        """Send SIGTERM and give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@contextmanager
def backend(url: str, **settings: str) -> Iterator[Backend]:
    """Run `python -m guestbook` until the block ends."""
    port = free_port()
    settings = {"HOST": "127.0.0.1", "PORT": str(port), "RENDER_GIT_COMMIT": COMMIT, **settings}
    with (
        start(DATABASE_URL=url, **settings) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=15, trust_env=False) as client,
    ):
        try:
            wait_until(lambda: process.poll() is not None or accepts(port))
            assert process.poll() is None, process.communicate()
            yield Backend(port, process, client)
        finally:
            process.kill()


def start(**environment: str) -> subprocess.Popen[str]:
    """Start the backend's process with this environment and nothing else."""
    return subprocess.Popen(
        [sys.executable, "-m", "guestbook"],
        cwd=ROOT / "sample" / "backend",
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement and give its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def settings_in_code(url: str) -> Config:
    """Configure alembic as a deployment does: no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(url: str, revision: str) -> None:
    """Bring a database up to a revision."""
    command.upgrade(settings_in_code(url), revision)
