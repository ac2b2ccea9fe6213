"""`/local/instances`: instances that serve nobody, to be measured: started, looked at, ended. No part of Render's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from localrender.api.answers import answer, body, local
from localrender.errors import bad_input, not_found
from localrender.fleet import StartFailed

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from localrender.fleet import Instance
    from localrender.model import Service
    from localrender.server import LocalRender

_LONGEST = 300.0


class _Start(msgspec.Struct):
    service: str
    without: tuple[str, ...] = ()


class _End(msgspec.Struct):
    patience: float = 30


def _service(server: LocalRender, name: str) -> Service:
    known = {service.spec.name: service for service in server.state.services()}
    if name not in known:
        raise bad_input("unknown_service", f"there is no service {name}", f"one of: {', '.join(known)}")
    return known[name]


def _instance(request: Request) -> Instance:
    found = local(request).fleet.apart.get(request.path_params["instance_id"])
    if found is None:
        raise not_found(request.path_params["instance_id"])
    return found


async def _start(request: Request) -> Response:
    server, wanted = local(request), await body(request, _Start)
    service = _service(server, wanted.service)
    live = server.state.live(service.id)
    if live is None or service.spec.kind in ("static", "cron"):
        raise bad_input("no_instances", f"{wanted.service} has no program that runs", "deploy it first")
    try:
        instance = await server.fleet.launch_apart(service, live, wanted.without)
    except StartFailed as failure:
        raise bad_input("start_failed", str(failure), f"python -m localrender logs {wanted.service}") from failure
    return answer(instance.shown(), 201)


async def _look(request: Request) -> Response:
    return answer(_instance(request).shown())


async def _end(request: Request) -> Response:
    instance, wanted = _instance(request), await body(request, _End)
    return answer(await local(request).fleet.end_apart(instance, min(max(wanted.patience, 0), _LONGEST)))


async def _failed(request: Request) -> Response:
    """What was seen of the last instances of a service that did not become healthy."""
    server = local(request)
    service = _service(server, request.path_params["service"])
    return answer({"instances": server.fleet.failed.get(service.id, [])})


ROUTES = [
    Route("/local/instances", _start, methods=["POST"]),
    Route("/local/instances/failed/{service}", _failed),
    Route("/local/instances/{instance_id}", _look),
    Route("/local/instances/{instance_id}/end", _end, methods=["POST"]),
]
