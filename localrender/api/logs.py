"""`/logs`: pages by time, in either direction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localrender.api.answers import answer, limit, local, many, moment
from localrender.errors import ApiError, not_found
from localrender.logs import Line, Query
from localrender.model import stamp

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


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
        "labels": [{"name": name, "value": value} for name, value in labels.items() if value],
    }


async def _list(request: Request) -> Response:
    server, resources = local(request), many(request, "resource")
    direction = many(request, "direction", ("forward", "backward"))
    if not resources or not many(request, "ownerId"):
        raise ApiError(400, "ownerId and resource are required")
    if many(request, "ownerId") != [server.owner_id]:
        raise not_found(request.query_params["ownerId"])
    present = datetime.now(UTC)
    start, end = moment(request, "startTime"), moment(request, "endTime")
    query = Query(
        resources=resources,
        start=_micros(start or present - timedelta(hours=1)),
        end=_micros(end or present + timedelta(minutes=1)),
        forward=direction == ["forward"],
        limit=limit(request),
        types=many(request, "type"),
        instances=many(request, "instance"),
        levels=many(request, "level"),
        texts=request.query_params.getlist("text"),
    )
    lines, more = server.logs.find(query)
    first, last = query.start, query.end
    if lines and query.forward:
        first = lines[-1].moment + 1
    elif lines:
        last = lines[-1].moment
    page = {"hasMore": more, "nextStartTime": _time(first), "nextEndTime": _time(last)}
    return answer(page | {"logs": [_shape(line) for line in lines]})


ROUTES = [Route("/v1/logs", _list)]
