"""`/services/{id}/events` and `/events/{id}`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from starlette.routing import Route

from localrender.api.answers import answer, local, many, moment, page, service_of
from localrender.errors import not_found

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def _list(request: Request) -> Response:
    service, kinds = service_of(request), many(request, "type")
    start = moment(request, "startTime") or datetime.now(UTC) - timedelta(hours=1)
    end = moment(request, "endTime") or datetime.now(UTC) + timedelta(minutes=1)
    found = [
        event
        for event in reversed(local(request).state.events(service.id))
        if (not kinds or event.type in kinds) and start <= datetime.fromisoformat(event.timestamp) <= end
    ]
    return page(request, "event", found, lambda one: one.id, lambda one: one)


async def _get(request: Request) -> Response:
    event = local(request).state.event(request.path_params["event_id"])
    if event is None:
        raise not_found(request.path_params["event_id"])
    return answer(event)


ROUTES = [Route("/v1/services/{service_id}/events", _list), Route("/v1/events/{event_id}", _get)]
