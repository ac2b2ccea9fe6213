"""The instances of every service: started, checked, switched to at the edge, watched, drained, stopped."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec

from localrender import environment, health, loopback, processes, sabotage
from localrender.model import now, random_word
from localrender.staticsite import Site

if TYPE_CHECKING:
    from pathlib import Path

    from localrender.edge import Edge
    from localrender.faults import Faults
    from localrender.logs import Logs
    from localrender.model import Deploy, Service
    from localrender.processes import Running
    from localrender.state import State
    from localrender.staticsite import StaticSites

START_TIMEOUT, DRAIN, UNHEALTHY_AFTER = 15 * 60, 60, 60
_log = logging.getLogger(__name__)
_PORT_OPEN_BY = 1.0  # seconds: a program that listens elsewhere by then is told so
_STARTING_INTERVAL, _RUNNING_INTERVAL, _WORKER_PROOF, _ALONE_FOR = 0.1, 1.0, 0.75, 2.0
_FAILED_CHECKS, _LONGEST_BACK_OFF = 3, 30.0


class StartFailed(Exception):
    """New instances did not become healthy; `reason` is the `failure` of the API's events."""

    def __init__(self, message: str, reason: dict[str, Any]) -> None:
        super().__init__(message)
        self.reason = {"evicted": False, **reason}


def crowding() -> float:
    """How many processes want each processor, and at least one: on a busy machine a program starts later than at Render."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def exit_reason(code: int) -> dict[str, Any]:
    """How the API tells that a process ended by itself."""
    return {"evicted": False, "nonZeroExit": code} if code else {"evicted": False, "earlyExit": True}


class Instance(msgspec.Struct, eq=False):
    """One process of a deploy, at a port of its own."""

    id: str
    created_at: str
    deploy: Deploy
    port: int
    running: Running
    retiring: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    def shown(self) -> dict[str, Any]:
        """As the control endpoint shows it."""
        programs = [] if self.running.has_ended() else self.running.programs()
        code = self.running.process.returncode
        return {
            "id": self.id,
            "deployId": self.deploy.id,
            "pid": self.running.pid,
            "host": loopback.address(),
            "port": self.port,
            "exitCode": None if code is None else 128 - code if code < 0 else code,
            "programs": [msgspec.to_builtins(one) for one in programs],
        }


class Fleet:
    """What runs. The edge sends the traffic of a service to its current instances only."""

    def __init__(self, state: State, logs: Logs, edge: Edge, sites: StaticSites, time_scale: float) -> None:
        self.state = state
        self.logs = logs
        self.edge = edge
        self.sites = sites
        self.static_port = 0
        self.time_scale = time_scale
        self.current: dict[str, list[Instance]] = {}
        self.ports: set[int] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.faults: Faults | None = None
        self.patience = math.inf
        """Seconds from SIGTERM to SIGKILL, at most."""
        self.apart: dict[str, Instance] = {}
        """Instances that serve nobody, and that nobody watches: to be measured."""
        self.failed: dict[str, list[dict[str, Any]]] = {}
        """What was seen of the last instances of a service that did not become healthy."""

    def artifact(self, deploy: Deploy) -> Path:
        """The folder of a deploy's artifact."""
        return self.state.folder / "artifacts" / deploy.service_id / str(deploy.artifact)

    def spawn(self, work: Any) -> None:
        """Run something beside everything else."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("something that ran beside failed", exc_info=error)

    def published(self, service: Service, deploy: Deploy) -> Path | None:
        """The folder that a deploy of a static site publishes; None where its build has not made it."""
        kept = deploy.snapshot or environment.snapshot(service)
        source = (self.artifact(deploy) / "src").resolve()
        folder = (source / kept.root_dir / kept.publish_path.strip("/")).resolve()
        return folder if folder.is_dir() and folder.is_relative_to(source) else None

    async def launch(
        self, service: Service, deploy: Deploy, count: int | None = None, without: tuple[str, ...] = ()
    ) -> list[Instance]:
        """Start instances of a deploy and wait until all are healthy.

        Args:
            count: How many; by default as many as the service has.
            without: Variables that they do not get.

        Raises:
            StartFailed: One ended, or stayed unhealthy for the start timeout; all are stopped.
        """
        kept = deploy.snapshot or environment.snapshot(service)
        if service.spec.kind == "static":
            if (folder := self.published(service, deploy)) is None:
                raise StartFailed(f"publish directory {kept.publish_path or '.'} does not exist", {})
            self.sites.sites[deploy.id] = Site(folder, service.id)
            return []
        if service.spec.kind == "cron":
            return []
        instances: list[Instance] = []
        try:
            while len(instances) < (count or kept.instances):
                instances += [await self._start(service, deploy, without)]
            await asyncio.gather(*(self._until_healthy(service, instance) for instance in instances))
        except BaseException:
            self.failed[service.id] = [instance.shown() for instance in instances]
            self._discard(service, instances)
            raise
        return instances

    def _discard(self, service: Service, instances: list[Instance]) -> None:
        for instance in instances:
            instance.retiring.set()
            self.spawn(self._stop(service, instance))

    async def launch_apart(self, service: Service, deploy: Deploy, without: tuple[str, ...] = ()) -> Instance:
        """Start an instance that gets no traffic, and that nobody watches or replaces.

        Raises:
            StartFailed: It ended, or stayed unhealthy for the start timeout.
        """
        (instance,) = await self.launch(service, deploy, 1, without)
        self.apart[instance.id] = instance
        return instance

    async def end_apart(self, instance: Instance, patience: float) -> processes.Ended:
        """End such an instance as Render ends one that has no traffic any more."""
        ended = await instance.running.end(patience)
        self.apart.pop(instance.id, None)
        self.ports.discard(instance.port)
        return ended

    async def _start(self, service: Service, deploy: Deploy, without: tuple[str, ...] = ()) -> Instance:
        kept = deploy.snapshot or environment.snapshot(service)
        name = f"{service.id}-{random_word(5)}"
        port = processes.free_port(processes.INTERNAL_PORTS, self.ports)
        self.ports.add(port)
        artifact = self.artifact(deploy)
        variables = environment.of_process(service, deploy, artifact, self.state, port=port, instance=name)
        variables = {name: value for name, value in variables.items() if name not in without}
        folder = artifact / "src" / kept.root_dir
        if not folder.is_dir():
            raise StartFailed("the build artifact is no longer kept", {})
        take = functools.partial(self.logs.add, service.id, "app", instance=name)
        command = kept.start_command
        if self.faults:
            command = sabotage.command(self.faults, "start", deploy, command)
        running = await processes.start(command, folder, variables, take, self.state, "app")
        return Instance(name, now(), deploy, port, running)

    async def _until_healthy(self, service: Service, instance: Instance) -> None:
        patience = START_TIMEOUT / self.time_scale
        began, elsewhere = time.monotonic(), ""
        while True:
            spent = time.monotonic() - began
            if instance.running.has_ended():
                code = await instance.running.wait()
                raise StartFailed(f"the new instance exited with code {code} after {spent:.1f} s", exit_reason(code))
            if service.spec.kind == "worker":
                problem = "" if spent > _WORKER_PROOF else "starting"
            else:
                problem = await self._check(service, instance)
            if self.faults:
                problem = sabotage.starting(self.faults, instance.deploy, problem, spent)
            if not problem:
                if not instance.running.has_ended():
                    return
                continue
            if problem == health.ALONE and spent > _ALONE_FOR:
                raise StartFailed(problem, {"unhealthy": problem})
            if service.spec.kind != "worker" and spent > _PORT_OPEN_BY and problem != health.ALONE:
                elsewhere = elsewhere or self._elsewhere(service, instance)
                problem = f"{problem}; {elsewhere}" if elsewhere else problem
            if spent > patience * crowding():
                raise StartFailed(
                    f"the new instance did not become healthy within {patience:g} s: {problem}",
                    {"unhealthy": problem, "timedOutSeconds": round(patience), "timedOutReason": "health check"},
                )
            await asyncio.sleep(_STARTING_INTERVAL)

    def _elsewhere(self, service: Service, instance: Instance) -> str:
        """Say, also in its log, that a program listens on another port than it was given; empty where it does not."""
        ports = instance.running.listening()
        if not ports or instance.port in ports:
            return ""
        told = f"it listens on port {', '.join(map(str, sorted(ports)))}, and not on PORT, which is {instance.port}"
        self.logs.add(service.id, "app", f"==> {told}", instance=instance.id)
        return told

    async def _check(self, service: Service, instance: Instance) -> str:
        kept = instance.deploy.snapshot or environment.snapshot(service)
        path = kept.health_check_path if service.spec.kind == "web" else ""
        return await health.check(instance.port, path, f"127.0.0.1:{service.port}")

    async def switch(self, service: Service, deploy: Deploy, instances: list[Instance]) -> None:
        """Send the traffic to these instances; the old ones go on for the drain time, then get SIGTERM."""
        old = self.current.get(service.id, [])
        self.current[service.id] = instances
        try:
            await self._point(service, deploy)
        except BaseException:
            self.current[service.id] = old
            self._discard(service, instances)
            if serving := self.state.live(service.id):
                self.spawn(self._point(service, serving))
            raise
        for instance in instances:
            self.spawn(self._watch(service.id, instance))
        for instance in old:
            instance.retiring.set()
            self.spawn(self._retire(service, instance))

    async def _point(self, service: Service, deploy: Deploy) -> None:
        if service.spec.kind == "static":
            await self.edge.point(service, [f"127.0.0.1:{self.static_port}"], f"/{deploy.id}")
        else:
            upstreams = [f"{loopback.address()}:{instance.port}" for instance in self.current.get(service.id, [])]
            await self.edge.point(service, upstreams)

    async def _retire(self, service: Service, instance: Instance) -> None:
        await asyncio.sleep(max(DRAIN / self.time_scale, 0.2))
        await self._stop(service, instance)

    async def _stop(self, service: Service, instance: Instance) -> None:
        await instance.running.stop(min(service.spec.shutdown_seconds, self.patience))
        self.ports.discard(instance.port)

    async def _watch(self, service_id: str, instance: Instance) -> None:
        """Follow a live instance: restart it when it ends or stays unhealthy, with growing pauses."""
        failing_since, failures, delay, began = 0.0, 0, 0.5, time.monotonic()
        tolerated = UNHEALTHY_AFTER / self.time_scale
        while not instance.retiring.is_set():
            service = self.state.known_service(service_id)
            problem = ""
            if instance.running.has_ended():
                reason = exit_reason(await instance.running.wait())
            else:
                problem = "" if service.spec.kind == "worker" else await self._check(service, instance)
                if self.faults:
                    spent, shortest = time.monotonic() - began, tolerated + _FAILED_CHECKS * _RUNNING_INTERVAL
                    problem = sabotage.serving(self.faults, instance.deploy, problem, spent, shortest)
                    if sabotage.is_due(self.faults, instance.deploy, spent) and not instance.retiring.is_set():
                        instance.running.signal(signal.SIGKILL)
                failures = failures + 1 if problem else 0
                failing_since = (failing_since or time.monotonic()) if problem else 0.0
                lasted = time.monotonic() - failing_since if failing_since else 0.0
                if failures < _FAILED_CHECKS or lasted < tolerated:
                    if not instance.running.has_ended():
                        await asyncio.sleep(_RUNNING_INTERVAL)
                    continue
                reason = {"evicted": False, "unhealthy": problem}
            if instance.retiring.is_set():
                return
            self.state.record(service_id, "server_failed", {"instanceID": instance.id, "reason": reason})
            await self._stop(service, instance)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_BACK_OFF)
            if await self._replace(service, instance):
                return

    async def _replace(self, service: Service, old: Instance) -> bool:
        """One attempt to put a new instance in the place of one that failed."""
        try:
            (fresh,) = await self.launch(service, old.deploy, 1)
        except StartFailed as failure:
            self.logs.add(service.id, "app", f"restart failed: {failure}", old.id)
            return False
        current = self.current.get(service.id, [])
        if old.retiring.is_set() or old not in current:
            await self._stop(service, fresh)
            return True
        current[current.index(old)] = fresh
        self.spawn(self._watch(service.id, fresh))
        await self._point(service, old.deploy)
        self.state.record(service.id, "server_available")
        return True

    async def restore(self, service: Service) -> None:
        """Start again what was live when the server ended; one that fails is tried again and again."""
        deploy = self.state.live(service.id)
        if deploy is None or service.suspended:
            await self.edge.point(service, [])
            return
        try:
            await self.switch(service, deploy, await self.launch(service, deploy))
        except StartFailed as failure:
            self.logs.add(service.id, "app", f"restart failed: {failure}")
            self.state.record(service.id, "server_failed", {"reason": failure.reason})
            await self.edge.point(service, [])
            self.spawn(self._restore_later(service.id))

    async def _restore_later(self, service_id: str) -> None:
        await asyncio.sleep(_LONGEST_BACK_OFF / 3)
        service = self.state.service(service_id)
        if service is not None and not self.current.get(service_id):
            await self.restore(service)

    async def restart(self, service: Service, deploy: Deploy) -> None:
        """Replace the instances by new ones of the same deploy, without a gap."""
        try:
            await self.switch(service, deploy, await self.launch(service, deploy))
        except StartFailed as failure:
            self.logs.add(service.id, "app", f"restart failed: {failure}")
            self.state.record(service.id, "server_failed", {"reason": failure.reason})
            return
        self.state.record(service.id, "server_restarted", {"triggeredByUser": "local"})

    async def suspend(self, service: Service) -> None:
        """Stop the instances; the edge answers 503."""
        old = self.current.pop(service.id, [])
        for instance in old:
            instance.retiring.set()
        await self.edge.point(service, [])
        self._discard(service, old)

    async def close(self) -> None:
        """Stop everything: SIGTERM, then SIGKILL after each service's own delay."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        services = {service.id: service for service in self.state.services()}
        instances = [(services[name], one) for name, many in self.current.items() for one in many]
        instances += [(services[one.deploy.service_id], one) for one in self.apart.values()]
        self.current.clear()
        self.apart.clear()
        await asyncio.gather(*(self._stop(service, instance) for service, instance in instances))
        await asyncio.to_thread(processes.end_leftovers, self.state, ("app",), services)
