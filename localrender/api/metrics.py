"""`/metrics/…`: what runs here, as Render measures it; HTTP from the edge's own record of requests."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localrender.api.answers import answer, local, many, moment
from localrender.errors import ApiError
from localrender.logs import Line, Query
from localrender.model import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

_UNITS = {
    "cpu": "cpu", "cpu-limit": "cpu", "memory": "bytes", "memory-limit": "bytes", "disk-usage": "bytes",
    "disk-capacity": "bytes", "active-connections": "connections", "instance-count": "instances",
}  # fmt: skip
_SHARES = {"disk-usage": ("disk-share", "disk-capacity"), "memory": ("memory-share", "memory-limit")}
_TOOK = re.compile(r"responseTimeMS=(\d+)")
_FINEST, _USUAL = 30, 60
_MANY = 100_000
Point = tuple[float, float]


def _resources(request: Request) -> list[str]:
    found = many(request, "resource") or many(request, "service")
    if not found:
        raise ApiError(400, "resource is required")
    return found


def _span(request: Request) -> tuple[float, float, int]:
    """The seconds of its beginning and end, and between two figures."""
    given = request.query_params.get("resolutionSeconds", str(_USUAL))
    if not given.isdigit() or int(given) < _FINEST:
        raise ApiError(400, f"invalid resolutionSeconds: {given}; at least {_FINEST}")
    end = moment(request, "endTime") or datetime.now(UTC)
    start = moment(request, "startTime") or end - timedelta(hours=1)
    return start.timestamp(), end.timestamp(), int(given)


def _series(labels: dict[str, str], points: Iterable[Point], unit: str) -> dict[str, Any]:
    return {
        "labels": [{"field": field, "value": value} for field, value in labels.items() if value],
        "values": [
            {"timestamp": stamp(datetime.fromtimestamp(at, UTC)), "value": value, "unit": unit} for at, value in points
        ],
        "unit": unit,
    }


def _spread(points: Iterable[Point], every: int) -> list[Point]:
    """The last figure of each interval, at the moment when it was taken."""
    return list({int(at // every): (at, value) for at, value in points}.values())


async def _gauge(request: Request) -> Response:
    server, name = local(request), request.path_params["name"]
    resources, (start, end, every) = _resources(request), _span(request)
    await server.gauges.refresh()
    found = []
    for resource in resources:
        share = server.faults.lasting_value(_SHARES[name][0], resource) if server.faults and name in _SHARES else None
        source = name if share is None else _SHARES[name][1]
        for instance, points in server.gauges.find(source, resource, start, end + every).items():
            told = points if share is None else [(at, value * share / 100) for at, value in points]
            found.append(_series({"resource": resource, "instance": instance}, _spread(told, every), _UNITS[name]))
    return answer(found)


def _requests(request: Request, resource: str, start: float, end: float) -> list[Line]:
    server = local(request)
    hosts, paths = many(request, "host"), many(request, "path")
    query = Query(
        resources=[resource],
        start=round(start * 1_000_000),
        end=round((end + _USUAL) * 1_000_000),
        forward=True,
        limit=_MANY,
        types=["request"],
        labels={name: values for name, values in (("host", hosts), ("path", paths)) if values},
    )
    return server.logs.find(query)[0]


async def _over_requests(request: Request, by: str, measure: Callable[[list[float]], float], unit: str) -> Response:
    """Figures of the requests of each interval, by one of their labels."""
    (start, end, every), found = _span(request), []
    for resource in _resources(request):
        groups: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for line in _requests(request, resource, start, end):
            took = _TOOK.search(line.message)
            groups[line.more.get(by, "") if by else ""][line.moment // 1_000_000 // every].append(
                float(took[1]) if took else 0.0
            )
        for value, intervals in groups.items():
            points = [(float(number * every), measure(times)) for number, times in sorted(intervals.items())]
            found.append(_series({"resource": resource, by: value} if by else {"resource": resource}, points, unit))
    return answer(found)


async def _http_requests(request: Request) -> Response:
    by = many(request, "aggregateBy", ("statusCode", "host"))
    return await _over_requests(request, by[0] if by else "", len, "requests")


async def _http_latency(request: Request) -> Response:
    given = request.query_params.get("quantile", "0.95")
    try:
        quantile = float(given)
    except ValueError:
        quantile = math.nan
    if not 0 <= quantile <= 1:
        raise ApiError(400, f"invalid quantile: {given}")

    def measure(times: list[float]) -> float:
        return sorted(times)[max(0, math.ceil(quantile * len(times)) - 1)]

    return await _over_requests(request, "", measure, "ms")


async def _named(request: Request) -> Response:
    if request.path_params["name"] not in _UNITS:
        raise ApiError(404, f"there is no metric {request.path_params['name']} here")
    return await _gauge(request)


ROUTES = [
    Route("/v1/metrics/http-requests", _http_requests),
    Route("/v1/metrics/http-latency", _http_latency),
    Route("/v1/metrics/{name}", _named),
]
