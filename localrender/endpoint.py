"""The state folder from outside: is a server running, where does it listen, does it do what it is asked."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from localrender.errors import LocalRenderError, bad_input


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a local Render is run."""

    blueprint: str
    state: str
    port: int | None = None
    new_ports: bool = False
    time_scale: float = 60
    postgres: str | None = None
    minimum_free_mb: int = 500
    enforce_rate_limits: bool = False
    faults: bool = False
    only: tuple[str, ...] = ()
    owner: int | None = None
    """The process with which it ends, leaving nothing."""
    beside: str = ""
    """Another state folder, whose values for variables it takes, and whose build caches it uses."""
    no_pip: bool = False
    """Virtual environments are made without pip, which takes seconds."""


def write_endpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write `endpoint.json` at once and readable by its owner only: it holds the key."""
    fresh = folder / f"endpoint.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    shown = {
        name: value
        for name, value in content.items()
        if name not in ("services", "stores", "unset", "left_out", "notes")
    }
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(shown, file, indent=2)
    fresh.replace(folder / "endpoint.json")


def has_own_postgres(folder: Path) -> bool:
    """Whether the databases of this state are on a server that the user has named."""
    file = folder / "state.sqlite3"
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as stored:
            row = stored.execute("select value from setting where name = 'postgres_server'").fetchone()
    except sqlite3.Error:  # of a server that is just being started; the start itself tells what is wrong
        return False
    return bool(row and row[0])


def is_running(folder: Path) -> bool:
    """Whether a server holds the lock of this state."""
    try:
        with (folder / "server.lock").open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_endpoint(folder: Path) -> dict[str, Any] | None:
    """What `endpoint.json` says, or None while there is none.

    Raises:
        LocalRenderError: It cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "endpoint.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise bad_input(
            "endpoint_unreadable",
            f"{folder / 'endpoint.json'} cannot be read",
            f"end the server that holds {folder / 'server.lock'}, remove endpoint.json, python -m localrender up",
        ) from error
    return found


def running_endpoint(folder: Path) -> dict[str, Any]:
    """The endpoint of the server that runs for a state.

    Raises:
        LocalRenderError: None does.
    """
    endpoint = read_endpoint(folder) if is_running(folder) else None
    if endpoint is None:
        raise bad_input("not_running", f"nothing runs for {folder}", "python -m localrender up")
    return endpoint


def ask(endpoint: dict[str, Any], method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call a control endpoint of the running server.

    Raises:
        LocalRenderError: It refused, or did not answer.
    """
    address = endpoint["api_url"].removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Authorization": f"Bearer {endpoint['api_key']}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body or {}), headers)
        response = connection.getresponse()
        content = json.loads(response.read() or b"{}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise LocalRenderError(
            f"the local Render at {address} does not answer: {error}",
            remedy="python -m localrender down, then python -m localrender up",
        ) from error
    finally:
        connection.close()
    if response.status >= 400:
        told = content.get("error") or {"message": content.get("message", f"status {response.status}")}
        raise LocalRenderError(
            told["message"],
            remedy=told.get("remedy", "read server.log in the state folder"),
            code=told.get("code", "refused"),
            exit_code=told.get("exit_code", 1),
            details=tuple(told.get("details", ())),
        )
    return content


def resync(options: Options, folder: Path) -> dict[str, Any] | None:
    """Let the running server take the Blueprint again; what it says of itself and of that, or None where none runs.

    Raises:
        LocalRenderError: It refuses.
    """
    if is_running(folder) and (endpoint := read_endpoint(folder)):
        return synced(options, endpoint)
    return None


def synced(options: Options, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Let a server take the Blueprint again; what it says of itself and of that.

    Raises:
        LocalRenderError: It refuses, or what is wanted takes a start.
    """
    address = endpoint["api_url"].rpartition(":")[2].partition("/")[0]
    if options.new_ports or options.port not in (None, int(address)):
        raise bad_input(
            "already_running", "it runs already, and its ports change only at a start", "python -m localrender down"
        )
    if options.faults and not endpoint.get("faults"):
        raise bad_input(
            "already_running",
            "it runs already, and without fault switches, which are turned on only at a start",
            "python -m localrender down, then python -m localrender up --faults",
        )
    if options.postgres and not has_own_postgres(Path(options.state)):
        raise bad_input(
            "already_running",
            "it runs already, with a Postgres of its own, and takes another one only at a start",
            "python -m localrender down, then python -m localrender up --postgres URL",
        )
    wanted = {"blueprint": options.blueprint, "only": options.only, "path": os.environ.get("PATH", "")}
    return dict(ask(endpoint, "POST", "/local/sync", wanted))
