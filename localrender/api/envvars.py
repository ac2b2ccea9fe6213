"""`/services/{id}/env-vars`: what the next deploy gets; none of these calls deploys."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from localrender import environment
from localrender.api.answers import accepted, answer, body, local, page, service_of
from localrender.errors import ApiError, not_found
from localrender.model import EnvVar, Service, now

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class _Value(msgspec.Struct, rename="camel"):
    value: str | None = None
    generate_value: bool = False


class _Input(_Value):
    key: str = ""


def generated() -> str:
    """A value that Render generates: base64 of 256 bits."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _variable(key: str, given: _Value) -> EnvVar:
    if not _KEY.fullmatch(key):
        raise ApiError(400, f"invalid environment variable key: {key}")
    if (given.value is None) is not given.generate_value:
        raise ApiError(400, f"{key} needs either value or generateValue")
    return EnvVar(key=key, value=generated() if given.value is None else given.value)


def _values(request: Request, service: Service) -> dict[str, str]:
    return environment.resolve(service.env, local(request).state)


def _save(request: Request, service: Service, variables: list[EnvVar]) -> None:
    service.env, service.updated_at = variables, now()
    local(request).state.save_service(service)


def _listed(request: Request, service: Service) -> Response:
    found = list(_values(request, service).items())
    return page(request, "envVar", found, lambda one: one[0], lambda one: {"key": one[0], "value": one[1]})


async def _list(request: Request) -> Response:
    return _listed(request, service_of(request))


async def _replace(request: Request) -> Response:
    service, given = service_of(request), await body(request, list[_Input])
    _save(request, service, list({one.key: _variable(one.key, one) for one in given}.values()))
    return _listed(request, service)


async def _get(request: Request) -> Response:
    key = request.path_params["key"]
    values = _values(request, service_of(request))
    if key not in values:
        raise not_found(key)
    return answer({"key": key, "value": values[key]})


async def _put(request: Request) -> Response:
    service, key = service_of(request), request.path_params["key"]
    variable = _variable(key, await body(request, _Value))
    known = {one.key: one for one in service.env}
    _save(request, service, list((known | {key: variable}).values()))
    return answer({"key": key, "value": variable.value})


async def _delete(request: Request) -> Response:
    service, key = service_of(request), request.path_params["key"]
    if key not in {one.key for one in service.env}:
        raise not_found(key)
    _save(request, service, [one for one in service.env if one.key != key])
    return accepted(204)


_ALL = "/v1/services/{service_id}/env-vars"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _replace, methods=["PUT"]),
    Route(f"{_ALL}/{{key}}", _get),
    Route(f"{_ALL}/{{key}}", _put, methods=["PUT"]),
    Route(f"{_ALL}/{{key}}", _delete, methods=["DELETE"]),
]
