"""Commands of stories whose subject is not how a Python starts, which is most of what a short command costs.

A program that has read the library forks for each command. That is a process of its own, with its own folder, environment,
output and end, in which invoke runs as from a command line; only what it imports is there already.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import deploylib

# What a Python, or a module that was imported, reads once.
ONCE = ("LANG", "LANGUAGE", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "TMPDIR", "TZ")
# They are run, and imported by nobody; that of a load test has gevent replace threads, sockets and processes.
PROGRAMS = ("deploylib.loadtest.child", "deploylib.migrations.alembic_child")
OTHERS = (
    "invoke.main",
    "jsonschema",
    "jsonschema_specifications",
    "psycopg",
    "referencing",
    "websockets.sync.client",
    "yaml",
)
HEAD = 4  # bytes that say how long a question is


class Commands:
    """Runs commands for one worker of the tests."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Start the program that forks, in an environment as its commands have it."""
        self.folder, self.env = Path(tempfile.mkdtemp(prefix="warm-")), dict(env)
        self.address = str(self.folder / "commands")
        program = [sys.executable, __file__, self.address]
        self.server = subprocess.Popen(program, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == b"ready\n"

    def serves(self, env: Mapping[str, str]) -> bool:
        """Whether it has started with what a new program would start with."""
        names = {name for name in (*env, *self.env) if name.startswith(ONCE)}
        return all(env.get(name) == self.env.get(name) for name in names)

    def run(
        self, args: Sequence[str], folder: Path, env: Mapping[str, str], within: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``inv`` until nobody writes to its output any more."""
        question = json.dumps({"args": list(args), "folder": str(folder), "env": dict(env)}).encode()
        with contextlib.ExitStack() as ends:
            asking = ends.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            asking.connect(self.address)
            pipes = [os.pipe() for _ in range(2)]
            socket.send_fds(asking, [len(question).to_bytes(HEAD, "big")], [given for _, given in pipes])
            for _, given in pipes:
                os.close(given)
            asking.sendall(question)
            readers = ends.enter_context(ThreadPoolExecutor(2))
            taken = [readers.submit(_all_of, kept) for kept, _ in pipes]
            answers = ends.enter_context(asking.makefile("r"))
            pid = int(answers.readline())
            try:
                asking.settimeout(within)
                code = int(answers.readline())
                said = [one.result(within) for one in taken]
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["inv", *args], within) from None
            return subprocess.CompletedProcess(["inv", *args], code, *said)

    def end(self) -> None:
        """End the program, which ends when its standard input does."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def commands() -> Commands:
    """Those of this worker."""
    from tests.support.edges import environment  # the program that forks has no tests to import

    made = Commands(environment())
    atexit.register(made.end)
    return made


def _all_of(kept: int) -> str:
    with os.fdopen(kept, encoding="utf-8") as file:
        return file.read()


def _library() -> list[str]:
    """The names of all modules of the library."""
    named = (one.name for one in pkgutil.walk_packages(deploylib.__path__, "deploylib."))
    return [name for name in named if not name.startswith(PROGRAMS)]


def _serve(address: str) -> tuple[dict[str, Any], list[int]]:
    """Fork for everybody who asks; in the fork give what is asked for, and where its output goes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen(16)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([0, listening.fileno()], [], [])
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if listening.fileno() not in ready:
                raise SystemExit
            asking, _ = listening.accept()
            with asking:
                if os.fork() == 0 and (asked := _between(asking)):
                    return asked


def _between(asking: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork once more, and tell who asks which process that is, and its end."""
    head, outputs, _, _ = socket.recv_fds(asking, HEAD, 2)
    with asking.makefile("rb") as file:
        asked: dict[str, Any] = json.loads(file.read(int.from_bytes(head, "big")))
    if (pid := os.fork()) == 0:
        return asked, outputs
    for one in (0, 1, *outputs):
        os.close(one)
    asking.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _write_later(fd: Any) -> None:
    """Leave it to the system when a file reaches the disk."""


def _become(asked: dict[str, Any], outputs: Sequence[int]) -> None:
    """Be the process of this command."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for place, source in enumerate((nothing, *outputs)):
        os.dup2(source, place)
        os.close(source)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["folder"])
    sys.path[0] = asked["folder"]
    sys.argv = ["inv", *asked["args"]]


if __name__ == "__main__":
    sys.path[0] = os.devnull  # the place of each command's own folder
    os.fsync = _write_later  # stories end programs, not the machine: what they have written stays
    for name in (*_library(), *OTHERS):
        importlib.import_module(name)
    gc.freeze()
    _become(*_serve(sys.argv[1]))
    runpy.run_module("invoke", run_name="__main__", alter_sys=True)
