"""`/local/…`: what the command line asks of a running server. No part of Render's API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from localrender import processes
from localrender.api.answers import accepted, answer, body, local

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class _Sync(msgspec.Struct):
    blueprint: str
    only: tuple[str, ...] = ()
    path: str = ""


class _Value(msgspec.Struct):
    name: str
    value: str


async def _sync(request: Request) -> Response:
    wanted = await body(request, _Sync)
    processes.look_in(wanted.path)
    described = await local(request).sync(Path(wanted.blueprint), only=wanted.only)
    return answer(local(request).status() | {"blueprint": described})


async def _env(request: Request) -> Response:
    given = await body(request, _Value)
    local(request).give(given.name, given.value)
    return answer(local(request).status())


async def _status(request: Request) -> Response:
    return answer(local(request).status())


async def _shutdown(request: Request) -> Response:
    local(request).stopping.set()
    return accepted()


ROUTES = [
    Route("/local/sync", _sync, methods=["POST"]),
    Route("/local/env", _env, methods=["POST"]),
    Route("/local/status", _status),
    Route("/local/shutdown", _shutdown, methods=["POST"]),
]
