"""`/logs`: pages by time in either direction, a websocket of what comes, and the values that a label has."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from localrender.api.answers import answer, limit, local, many, moment
from localrender.errors import ApiError, not_found
from localrender.logs import Line, Query
from localrender.model import stamp

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

CUT_AFTER = "localrender.cut_after"
_BORNE = ("host", "statusCode", "method", "path")
_VALUES = ("instance", "host", "statusCode", "method", "level", "type")
_PUSHED = 500  # lines, before anything else may happen
_EVERY = 0.1  # seconds between two looks for what has come
_RESTARTS = 1012  # the code of a server that goes away for a moment (RFC 6455 and its registry)


def _micros(when: datetime) -> int:
    return round(when.timestamp() * 1_000_000)


def _time(micros: int) -> str:
    return stamp(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros))


def _shape(line: Line) -> dict[str, Any]:
    labels = {"resource": line.resource, "instance": line.instance, "type": line.type, "level": line.level}
    return {
        "id": f"{line.moment}",
        "message": line.message,
        "timestamp": _time(line.moment),
        "labels": [{"name": name, "value": value} for name, value in {**labels, **line.more}.items() if value],
    }


def _asked(request: HTTPConnection, since: timedelta) -> Query:
    """What a request asks for; from *since* ago, where it does not say.

    Raises:
        ApiError: 400, it is no such question; 404, it is about another workspace.
    """
    server, resources = local(request), many(request, "resource")
    direction = many(request, "direction", ("forward", "backward"))
    if not resources or not many(request, "ownerId"):
        raise ApiError(400, "ownerId and resource are required")
    if many(request, "ownerId") != [server.owner_id]:
        raise not_found(request.query_params["ownerId"])
    present = datetime.now(UTC)
    start, end = moment(request, "startTime"), moment(request, "endTime")
    return Query(
        resources=resources,
        start=_micros(start or present - since),
        end=_micros(end or present + timedelta(minutes=1)),
        forward=direction == ["forward"],
        limit=limit(request),
        types=many(request, "type"),
        instances=many(request, "instance"),
        levels=many(request, "level"),
        texts=request.query_params.getlist("text"),
        labels={name: many(request, name) for name in _BORNE},
    )


async def _list(request: Request) -> Response:
    query = _asked(request, timedelta(hours=1))
    lines, more = local(request).logs.find(query)
    first, last = query.start, query.end
    if lines and query.forward:
        first = lines[-1].moment + 1
    elif lines:
        last = lines[-1].moment
    page = {"hasMore": more, "nextStartTime": _time(first), "nextEndTime": _time(last)}
    return answer(page | {"logs": [_shape(line) for line in lines]})


async def _values(request: Request) -> Response:
    label = many(request, "label", _VALUES)
    if not label:
        raise ApiError(400, "label is required")
    query = msgspec.structs.replace(_asked(request, timedelta(hours=1)), limit=100_000)
    lines, _ = local(request).logs.find(query)
    told = ({item["name"]: item["value"] for item in _shape(line)["labels"]}.get(label[0]) for line in lines)
    return answer(sorted({value for value in told if value}))


async def _subscribe(websocket: WebSocket) -> None:
    """Send each line that comes, until the client goes, the server stops, or a fault cuts it."""
    server = local(websocket)
    try:
        query = msgspec.structs.replace(_asked(websocket, timedelta(0)), forward=True, limit=_PUSHED)
    except ApiError as error:
        await websocket.send_denial_response(answer({"message": error.message}, error.status))
        return
    left = websocket.scope.get(CUT_AFTER)
    await websocket.accept()
    gone = asyncio.ensure_future(_until_gone(websocket))
    try:
        while not gone.done() and not server.stopping.is_set():
            lines, _ = server.logs.find(msgspec.structs.replace(query, end=_micros(datetime.now(UTC)) + 60_000_000))
            for line in lines if left is None else lines[:left]:
                await websocket.send_text(msgspec.json.encode(_shape(line)).decode())
                query = msgspec.structs.replace(query, start=line.moment + 1)
            if left is not None and (left := left - len(lines)) <= 0:
                break
            await asyncio.wait([gone], timeout=0 if lines else _EVERY)
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close(_RESTARTS)
    except WebSocketDisconnect:
        """The client has gone in this moment."""
    finally:
        gone.cancel()


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        """A client has nothing to say here."""


ROUTES = [Route("/v1/logs", _list), Route("/v1/logs/values", _values), WebSocketRoute("/v1/logs/subscribe", _subscribe)]
