"""How the API reads and answers: JSON bodies, list parameters, pages with cursors (API document, `pagination`)."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.responses import Response

from localrender.errors import ApiError, not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.requests import HTTPConnection, Request

    from localrender.model import Deploy, Service
    from localrender.server import LocalRender

T = TypeVar("T")
_MOST = 100
_LONGEST = 1_000_000  # bytes of a request's body


def local(request: HTTPConnection) -> LocalRender:
    """The server that a request is about."""
    server: LocalRender = request.app.state.local
    return server


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, media_type="application/json; charset=utf-8")


def accepted(status: int = 202) -> Response:
    """An answer without a body and without a content type."""
    return Response(status_code=status)


async def content(request: Request, most: int = _LONGEST) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        most: bytes that the endpoint takes.

    Raises:
        ApiError: 413, it is longer.
    """
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > most:
            raise ApiError(413, f"a request body has at most {most} bytes")
    return bytes(read)


async def body(request: Request, kind: type[T]) -> T:
    """The JSON body of a request; an empty one is an empty object.

    Raises:
        ApiError: 400, it is not what the endpoint takes; 413, it is too long.
    """
    try:
        return msgspec.json.decode(await content(request) or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, f"invalid request body: {error}") from error


def many(request: HTTPConnection, name: str, choices: Sequence[str] = ()) -> list[str]:
    """The values of a list parameter, given comma-separated or repeated.

    Raises:
        ApiError: 400, a value is none of the choices.
    """
    given = [word for value in request.query_params.getlist(name) for word in value.split(",") if word]
    for word in given:
        if choices and word not in choices:
            raise ApiError(400, f"invalid {name}: {word}")
    return given


def limit(request: HTTPConnection) -> int:
    """How many items a page has: 1 to 100, 20 unless told."""
    given = request.query_params.get("limit", "20")
    if not given.isdigit() or not 1 <= int(given) <= _MOST:
        raise ApiError(400, f"invalid limit: {given}")
    return int(given)


def moment(request: HTTPConnection, name: str) -> datetime | None:
    """A time parameter: RFC 3339, or seconds since the epoch."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        if given.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(given), UTC)
        found = datetime.fromisoformat(given.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        raise ApiError(400, f"invalid {name}: {given}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def within(request: Request, times: dict[str, str | None]) -> bool:
    """Whether an item lies between the `<name>Before` and `<name>After` parameters."""
    for name, value in times.items():
        before, after = moment(request, f"{name}Before"), moment(request, f"{name}After")
        if (before or after) and value is None:
            return False
        if value is not None:
            when = datetime.fromisoformat(value)
            if (before and when >= before) or (after and when <= after):
                return False
    return True


def page(
    request: Request, key: str, items: Iterable[T], name: Callable[[T], str], shape: Callable[[T], Any]
) -> Response:
    """One page of a list: `[{<key>: ..., "cursor": ...}]`.

    Args:
        request: With `limit` and `cursor`.
        key: The name of the resource in the wrapper.
        items: All that match, in order.
        name: What tells an item from the others.
        shape: An item as the API shows it.
    """
    found = list(items)
    size, cursor = limit(request), request.query_params.get("cursor")
    start = 0
    if cursor:
        try:
            last = base64.urlsafe_b64decode(cursor.encode() + b"==").decode()
        except (binascii.Error, ValueError) as error:
            raise ApiError(400, f"invalid cursor: {cursor}") from error
        positions = [index for index, item in enumerate(found) if name(item) == last]
        if not positions:
            raise ApiError(400, f"invalid cursor: {cursor}")
        start = positions[0] + 1
    marked = [(item, base64.urlsafe_b64encode(name(item).encode()).decode().rstrip("=")) for item in found]
    return answer([{key: shape(item), "cursor": mark} for item, mark in marked[start : start + size]])


def service_of(request: Request) -> Service:
    """The service that the path names."""
    identifier = request.path_params["service_id"]
    service = local(request).state.service(identifier)
    if service is None:
        raise not_found(identifier)
    return service


def deploy_of(request: Request) -> Deploy:
    """The deploy that the path names, of the service that it names."""
    service, identifier = service_of(request), request.path_params["deploy_id"]
    deploy = local(request).state.deploy(identifier)
    if deploy is None or deploy.service_id != service.id:
        raise not_found(identifier)
    return deploy


def present(**values: Any) -> dict[str, Any]:
    """An object without its nulls: official clients fail on them."""
    return {name: value for name, value in values.items() if value is not None}
