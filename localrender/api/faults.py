"""`/local/faults`: arm a fault, list what is armed, clear all. No part of Render's API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import Route

from localrender import source
from localrender.api.answers import answer, content, local
from localrender.errors import ApiError, bad_input
from localrender.faults import Armed, Faults, decoded, faults_off
from localrender.sabotage import current

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from localrender.server import LocalRender


def _faults(server: LocalRender) -> Faults:
    if server.faults is None:
        raise faults_off()
    return server.faults


def _listed(server: LocalRender) -> Response:
    faults = _faults(server)
    return answer({"rules": [one.shown() for one in faults.listed(current(server.state))]})


async def _list(request: Request) -> Response:
    return _listed(local(request))


async def _arm(request: Request) -> Response:
    server = local(request)
    faults = _faults(server)
    entry = faults.arm(decoded(await content(request)), server.state.services())
    if entry.kind.group == "platform":
        await _act(server, faults, entry)
    return answer(entry.shown(), 201)


async def _clear(request: Request) -> Response:
    server = local(request)
    faults = _faults(server)
    faults.clear()
    await server.set_postgres(running=True)
    return _listed(server)


async def _act(server: LocalRender, faults: Faults, entry: Armed) -> None:
    """Do at once what a fault of the platform is."""
    name, identifier = entry.rule.fault, entry.service_id
    if name in ("postgres-down", "postgres-up"):
        await _switch_postgres(server, faults, entry)
    elif name in ("overlap-override", "disk-share", "memory-share"):
        faults.remove(name, identifier)
        faults.armed.append(entry)
    elif name == "overlap-wait":
        faults.remove("overlap-override", identifier)
        if faults.is_set("overlap-override", identifier):
            raise bad_input(
                "bad_fault", "overlap-override is on for every service", "python -m localrender fault overlap-wait"
            )
    elif name == "artifact-gone":
        await asyncio.to_thread(server.deploys.prune, identifier, 0)
    else:
        await _deploy(server, entry)
    entry.fired += entry not in faults.armed or name == "postgres-down"
    entry.left = None if entry in faults.armed else 0


async def _switch_postgres(server: LocalRender, faults: Faults, entry: Armed) -> None:
    if not server.postgres.clusters:
        raise bad_input(
            "no_postgres", "no Postgres of ours runs here", "a Blueprint with `databases`, and up without --postgres"
        )
    await server.set_postgres(running=entry.rule.fault == "postgres-up")
    faults.remove("postgres-down")
    if entry.rule.fault == "postgres-down":
        faults.armed.append(entry)


async def _deploy(server: LocalRender, entry: Armed) -> None:
    """A deploy as from the Dashboard: trigger `manual`."""
    service, live = server.state.known_service(entry.service_id), server.state.live(entry.service_id)
    name = service.spec.name
    if service.suspended:
        raise bad_input("bad_fault", f"{name} is suspended", "resume it first")
    if entry.rule.commit:
        wanted, branch = entry.rule.commit, service.spec.branch
        try:
            commit = await asyncio.to_thread(source.find, server.builds.repository, branch, wanted)
        except ApiError as error:
            raise bad_input("bad_fault", error.message, "name a commit of the repository") from error
    elif live is None:
        raise bad_input("bad_fault", f"{name} has no live deploy", "deploy it first, or name a commit")
    else:
        commit = live.commit
    entry.deploys = [server.deploys.trigger(service, commit, "manual").id]


ROUTES = [
    Route("/local/faults", _list),
    Route("/local/faults", _arm, methods=["POST"]),
    Route("/local/faults", _clear, methods=["DELETE"]),
]
