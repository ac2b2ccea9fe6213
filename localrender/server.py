"""The running local Render: puts the parts together, keeps them running, takes them down."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import psutil
import uvicorn

from localrender import api, blueprint, loopback, processes, runtimes, sync, values
from localrender.api.disturbed import Protocol
from localrender.builds import Builds
from localrender.deploys import Deploys
from localrender.edge import ACCESS, Edge
from localrender.endpoint import Options, write_endpoint
from localrender.errors import PORT_IN_USE, LocalRenderError, bad_input
from localrender.exports import Exports
from localrender.faults import Faults
from localrender.fleet import Fleet
from localrender.gauges import Gauges
from localrender.keyvalue import KeyValues
from localrender.logs import Logs
from localrender.model import ANY, PUBLIC, now
from localrender.postgres import Postgres
from localrender.requestlog import RequestLog
from localrender.state import State
from localrender.staticsite import StaticSites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import ASGIApp


_THROWN_AWAY = 2.0  # seconds from SIGTERM to SIGKILL, where nobody needs what runs


class _Web(uvicorn.Server):
    """uvicorn without its signal handlers: signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class LocalRender:
    """One state folder, one server.

    Args:
        options: From the command line.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = Path(options.state)
        self.stopping = asyncio.Event()
        self.began = now()
        self.owner_process = psutil.Process(options.owner) if options.owner else None
        self.lock = _locked(self.folder)
        self.state = State(self.folder)
        self.api_key, self.owner_id = self.state.identity()
        self.owner = {"id": self.owner_id, "name": "local", "email": "local@localhost", "type": "team"}
        self.logs = Logs(self.state)
        self.sites = StaticSites(self.state)
        self.edge = Edge(self.state)
        self.logs.requests = RequestLog(self.edge.folder / ACCESS, self.state, self.logs)
        self.fleet = Fleet(self.state, self.logs, self.edge, self.sites, options.time_scale)
        self.fleet.patience = _THROWN_AWAY if options.owner else self.fleet.patience
        self.builds = Builds(self.state, self.logs, self.fleet)
        self.builds.no_pip = options.no_pip
        self.deploys = Deploys(self.state, self.fleet, self.builds)
        self.faults = Faults() if options.faults else None
        self.fleet.faults = self.builds.faults = self.deploys.faults = self.faults
        self.postgres = Postgres(self.state, options.postgres or self.state.setting("postgres_server") or None)
        self.gauges = Gauges(self.state, self.fleet, self.postgres)
        self.stores = KeyValues(self.state)
        self.exports = Exports(self.state, self.logs, self.fleet, self.postgres)
        self.syncing = asyncio.Lock()
        self.left_out: list[blueprint.LeftOut] = []
        self.notes: list[str] = []
        self.web: list[_Web] = []
        self.port = 0
        self.ready = False
        self.requests = (self.folder / "requests.jsonl").open("a", encoding="utf-8")

    @property
    def dashboard(self) -> str:
        """The base of `dashboardUrl`."""
        return f"http://127.0.0.1:{self.port}/local"

    def note_request(self, line: str) -> None:
        """Add a line to the request log."""
        self.requests.write(f"{line}\n")
        self.requests.flush()

    async def run(self, announce: Callable[[dict[str, Any]], object]) -> None:
        """Serve until told to stop, or until the state folder is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        try:
            await self._start()
            announce(self.status())
            while not self.stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), 0.5)
                if not self._owned() or (self.owner_process and not processes.is_alive(self.owner_process)):
                    break
                self.logs.flush()
                await self.edge.watch()
                if not self.syncing.locked():
                    await self.stores.revive()
                if self.postgres.has_died() and not self.syncing.locked():
                    self.fleet.spawn(self._revive())  # beside: a server that recovers takes its time
        finally:
            await self._close()

    async def _start(self) -> None:
        (self.folder / "endpoint.json").unlink(missing_ok=True)
        services = [service.id for service in self.state.services()]
        await asyncio.to_thread(processes.end_leftovers, self.state, ("app", "edge", "export", "keyvalue"), services)
        await asyncio.to_thread(runtimes.settle, self.folder / "artifacts")
        self.deploys.abandon()
        self.exports.abandon()
        if self.options.new_ports:
            for name in ("api_port", "postgres_port_16", "postgres_port_18"):
                self.state.set(name, "")
        stored = self.state.setting("api_port")
        wanted = self.options.port or (int(stored) if stored else processes.free_port(processes.PUBLIC_PORTS))
        listening = _listen(wanted)
        self.port = int(self.state.set("api_port", str(wanted)))
        if self.options.postgres:
            self.state.set("postgres_server", self.options.postgres)
        internal = _listen(0)
        self.fleet.static_port = internal.getsockname()[1]
        await self._serve(self.sites, internal)
        if self.options.beside:
            self._take_after(Path(self.options.beside))
        await self.sync(Path(self.options.blueprint), only=self.options.only, new_ports=self.options.new_ports)
        await asyncio.gather(*(self.fleet.restore(service) for service in self.state.services()))
        await self._serve(api.build(self), listening)
        write_endpoint(self.folder, self.status() | {"api_key": self.api_key})
        self.ready = True

    def _take_after(self, other: Path) -> None:
        """Take what a person has given to another state, and share what its builds keep."""
        values.take_given(self.state, other)
        ours, theirs = self.folder / "cache", other / "cache"
        if theirs.is_dir() and not ours.exists():
            ours.symlink_to(theirs)

    async def _serve(self, application: ASGIApp, listening: socket.socket) -> None:
        config = uvicorn.Config(
            application,
            http=Protocol if self.faults else "auto",
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = _Web(config)
        self.web.append(server)
        self.fleet.spawn(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it by this flag alone
            await asyncio.sleep(0.005)

    async def sync(self, path: Path, *, only: tuple[str, ...] = (), new_ports: bool = False) -> dict[str, Any]:
        """Take what the Blueprint says now; nothing is deleted. What it holds."""
        async with self.syncing:
            external = self.postgres.server is not None
            found = await asyncio.to_thread(blueprint.load, path, any_postgres=external, only=only)
            before = self._seen() if self.ready else {}
            values.take_file(self.state, await asyncio.to_thread(values.of_file, path))
            self.builds.repository = found.repository
            described = found.described(values.remarks(path))
            self.left_out, self.notes = found.left_out, described["notes"]
            sync.apply(self.state, found.services, new_ports=new_ports)
            services = self.state.services()
            await asyncio.gather(
                self.postgres.provide(found.databases), self.stores.provide(found.stores), self.edge.start(services)
            )
            for service in services:
                if service.id not in self.edge.routes:
                    await self.edge.point(service, [])
            if self.ready:
                write_endpoint(self.folder, self.status() | {"api_key": self.api_key})
            after = self._seen()
            self._renew(key for key, seen in before.items() if after.get(key, seen) != seen)
            return described

    def _seen(self) -> dict[str, dict[str, str]]:
        """What the programs that serve would be told from outside the Blueprint, were they started now; by service."""
        live = {service.id: self.state.live(service.id) for service in self.state.services()}
        kept = {service: deploy.snapshot for service, deploy in live.items() if deploy}
        return {service: values.outside(found.env, self.state) for service, found in kept.items() if found}

    def _renew(self, keys: Iterable[str]) -> None:
        """Start the programs of these services anew, where they serve."""
        wanted = set(keys)
        for service in self.state.services():
            live = self.state.live(service.id)
            if service.id in wanted and live and not service.suspended:
                self.fleet.spawn(self.fleet.restart(service, live))

    def give(self, name: str, value: str) -> None:
        """Take a value for a variable; the programs that see it are started anew."""
        values.give(self.state, name, value)
        self._renew(one.id for one in self.state.services() if {name, ANY} & {variable.key for variable in one.env})

    async def set_postgres(self, *, running: bool) -> None:
        """Stop the clusters of ours, or start those that stand."""
        async with self.syncing:
            await self.postgres.switch(running=running)

    async def _revive(self) -> None:
        async with self.syncing:
            await self.postgres.revive()

    def status(self) -> dict[str, Any]:
        """What `up` and `status` show: addresses, never a secret."""
        services = self.state.services()
        live = {service.id: self.state.live(service.id) for service in services}
        return {
            "api_url": f"http://127.0.0.1:{self.port}/v1",
            "owner_id": self.owner_id,
            "pid": os.getpid(),
            "started_at": self.began,
            "time_scale": self.options.time_scale,
            "faults": self.options.faults,
            "urls": {
                service.spec.name: f"http://127.0.0.1:{service.port}/"
                for service in services
                if service.spec.kind in PUBLIC
            },
            "databases": {database.spec.name: {"version": database.spec.major} for database in self.state.databases()},
            "stores": list(self.stores.specs),
            "services": {
                service.spec.name: {
                    "id": service.id,
                    "live_commit": found.commit.id if (found := live[service.id]) else None,
                }
                for service in services
            },
            "unset": sync.unset(self.state),
            "left_out": [msgspec.to_builtins(one) for one in self.left_out],
            "notes": [*self.notes, *([] if loopback.address() != loopback.PLAIN else [loopback.UNSEEN])],
        }

    def _owned(self) -> bool:
        """Whether the state folder and its endpoint file are still there and name this server."""
        try:
            found = json.loads((self.folder / "endpoint.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(found.get("pid") == os.getpid())

    async def _close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "endpoint.json").unlink()
        self.stopping.set()  # also when it was not asked to stop: what hangs on purpose waits for it
        for server in self.web:
            server.should_exit = True
        await self.deploys.close()
        await self.edge.stop()
        await self.fleet.close()
        await self.postgres.stop()
        await self.stores.stop()
        self.logs.flush()
        moved = self.state.setting("postgres_folder")
        if moved and not self.folder.exists():
            shutil.rmtree(moved, ignore_errors=True)
        self.state.close()
        self.requests.close()
        self.lock.close()
        if self.options.owner:
            for folder in (self.folder, *([Path(moved)] if moved else [])):
                shutil.rmtree(folder, ignore_errors=True)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # without it asyncio does not send small answers at once
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)  # now: a port that is only bound may still be taken by another program
    except OSError as error:
        raise LocalRenderError(
            f"port {port} is in use by another program",
            remedy="python -m localrender up --new-ports",
            code="port_in_use",
            exit_code=PORT_IN_USE,
        ) from error
    return listening


def _locked(folder: Path) -> IO[str]:
    """Hold the lock that says a server runs for this state; the system gives it back however the server ends."""
    file = (folder / "server.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise bad_input(
            "already_running", "a local Render already runs for this state", "python -m localrender status"
        ) from error
    return file


def serve(options: Options, announce: Callable[[dict[str, Any]], object] = bool) -> None:
    """Run a server in this process until it is told to stop.

    Args:
        options: How.
        announce: Gets its status once it is ready.
    """

    async def main() -> None:
        await LocalRender(options).run(announce)

    asyncio.run(main())


def options_from(text: str) -> Options:
    """The options that `up` hands to the server it starts."""
    return msgspec.json.decode(text, type=Options)
