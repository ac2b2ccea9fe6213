"""Starting and stopping a server that outlives the command that starts it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import psutil

from localrender import edge, processes, values
from localrender.endpoint import Options, ask, is_running, read_endpoint, resync, synced
from localrender.errors import NO_SPACE, PORT_IN_USE, LocalRenderError
from localrender.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

_READY_WITHIN, _STOPPED_WITHIN = 60.0, 360.0


def existing(path: Path) -> Path:
    """The nearest folder that exists, at or above a path."""
    return path if path.exists() else existing(path.parent)


def examine(options: Options, folder: Path) -> None:
    """Look for what would stop a start: disk space, ports. Changes nothing.

    Raises:
        LocalRenderError: Exit code 3 or 4.
    """
    edge.binary()
    if options.postgres:
        from localrender.postgres import probe  # only then is the driver loaded

        probe(options.postgres)
    free = shutil.disk_usage(existing(folder)).free // 2**20
    if free < options.minimum_free_mb:
        raise LocalRenderError(
            f"{free} MB are free for {folder}, and {options.minimum_free_mb} MB are needed",
            remedy=f"free some space, or choose another place: --state DIR (or --minimum-free-mb {free})",
            code="no_space",
            exit_code=NO_SPACE,
        )
    wanted = {} if options.port is None else {options.port: "--port names"}
    if not options.new_ports and (folder / "state.sqlite3").exists():
        wanted |= _persisted(folder, explicit=options.port is not None)
    for port, whose in wanted.items():
        if not processes.is_free(port):
            other = port == options.port
            raise LocalRenderError(
                f"port {port}, which {whose}, is in use by another program",
                remedy="name another --port" if other else "python -m localrender up --new-ports",
                code="port_in_use",
                exit_code=PORT_IN_USE,
            )


def _persisted(folder: Path, *, explicit: bool) -> dict[int, str]:
    """The ports that this state keeps, less those that a proven leftover of ours still holds."""
    state = State(folder)
    try:
        left = {kind for _, kind in state.processes()}
        ports = {} if explicit else {state.setting("api_port"): "the API of this state keeps"}
        if "postgres" not in left:
            ports |= {state.setting(f"postgres_port_{major}"): "its Postgres keeps" for major in ("16", "18")}
        if "edge" not in left:
            ports |= {str(service.port or ""): f"{service.key} keeps" for service in state.services()}
        return {int(port): whose for port, whose in ports.items() if port}
    finally:
        state.close()


@contextmanager
def _starting(folder: Path) -> Iterator[IO[str]]:
    """One `up` at a time; the other waits and then finds a running server."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    with (folder / "start.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def up(options: Options, folder: Path) -> dict[str, Any]:
    """Start a server, or let the running one take the Blueprint again; what it says of itself.

    Raises:
        LocalRenderError: It cannot start; the last lines of its log are in the message.
    """
    if (status := resync(options, folder)) is not None:
        return status
    if not is_running(folder):
        examine(options, folder)
    with _starting(folder):
        if is_running(folder):
            return synced(options, _wait_for_endpoint(folder, None))
        with (folder / "server.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "localrender", "run-server", "--state", str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if child.stdin is not None:  # not an argument: it may hold the URL of a database
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(msgspec.json.encode(options))
        endpoint = _wait_for_endpoint(folder, child)
        return dict(ask(endpoint, "GET", "/local/status"))


def give(folder: Path, name: str, value: str) -> None:
    """Keep a value for a variable, and let the running server use it."""
    if is_running(folder):
        ask(_wait_for_endpoint(folder, None), "POST", "/local/env", {"name": name, "value": value})
        return
    with _starting(folder):
        state = State(folder)
        try:
            values.give(state, name, value)
        finally:
            state.close()


def _wait_for_endpoint(folder: Path, child: subprocess.Popen[bytes] | None) -> dict[str, Any]:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        endpoint = read_endpoint(folder)
        if endpoint and (child is None or endpoint["pid"] == child.pid):
            return endpoint
        code = child.poll() if child else None
        if code is not None:
            lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
            told = [line for line in lines[-12:] if line.strip()]
            message = next((line for line in reversed(told) if line.startswith("error: ")), "")
            remedy = next((line for line in reversed(told) if line.startswith("next: ")), "")
            raise LocalRenderError(
                message.removeprefix("error: ") or "the server ended during its start:\n" + "\n".join(told),
                remedy=remedy.removeprefix("next: ") or f"read {folder / 'server.log'}",
                code="start_failed",
                exit_code=code if code in (2, 3, 4) else 1,
            )
        time.sleep(0.02)
    if child is not None:
        child.terminate()
    raise LocalRenderError(
        f"not ready within {_READY_WITHIN:g} s", remedy=f"read {folder / 'server.log'}", code="not_ready"
    )


def down(folder: Path) -> bool:
    """Stop the server of a state and everything it runs; whether there was anything."""
    if not (folder / "state.sqlite3").exists():
        return False
    was_running = is_running(folder)
    if was_running:
        endpoint = _wait_for_endpoint(folder, None)
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(endpoint["pid"])
            ask(endpoint, "POST", "/local/shutdown")
            if processes.wait_for_end([server], _STOPPED_WITHIN):
                server.kill()
        for _ in range(100):
            if not is_running(folder):
                break
            time.sleep(0.02)
    if not (folder / "state.sqlite3").exists():  # of one that was there for its owner alone
        return was_running
    return _sweep(folder) or was_running


def _sweep(folder: Path) -> bool:
    """End what a killed server left: applications, the edge and exports, then Postgres by its fast shutdown."""
    state = State(folder)
    try:
        left = state.processes()
        services = [service.id for service in state.services()]
        processes.end_leftovers(state, ("app", "edge", "export", "keyvalue"), services)
        databases = [process for process, kind in left if kind == "postgres"]
        if databases:
            from localrender.cluster import end

            for process in databases:
                end(process)
        (folder / "endpoint.json").unlink(missing_ok=True)
        return bool(left)
    finally:
        state.close()


def reset(folder: Path) -> None:
    """Stop everything, then delete the state and what it keeps elsewhere."""
    down(folder)
    if (folder / "state.sqlite3").exists():
        state = State(folder)
        moved = state.setting("postgres_folder")
        state.close()
        if moved:
            shutil.rmtree(moved, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
