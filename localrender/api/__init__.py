"""Render's REST API: the routes, one module for each resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from localrender.api import (
    blueprints,
    control,
    deploys,
    envvars,
    events,
    exports,
    faults,
    instances,
    logs,
    metrics,
    owners,
    postgres,
    services,
)
from localrender.api.answers import answer
from localrender.api.gate import Gate
from localrender.errors import ApiError, LocalRenderError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from localrender.server import LocalRender


def build(local: LocalRender) -> ASGIApp:
    """The ASGI application of the API."""
    resources = (
        services,
        metrics,
        deploys,
        envvars,
        events,
        logs,
        postgres,
        exports,
        owners,
        control,
        faults,
        instances,
        blueprints,
    )
    application = Starlette(
        routes=[route for resource in resources for route in resource.ROUTES],
        exception_handlers={ApiError: _refused, HTTPException: _unrouted, LocalRenderError: _explained},
    )
    application.state.local = local
    return Gate(application, local)


async def _refused(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else ApiError(500, str(error))
    return answer({"message": known.message}, known.status)


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    missing = status == 404
    return answer({"message": f"not found: {request.url.path}" if missing else "method not allowed"}, status)


async def _explained(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, LocalRenderError) else LocalRenderError(str(error), remedy="")
    told = {
        "code": known.code,
        "message": known.message,
        "remedy": known.remedy,
        "exit_code": known.exit_code,
        "details": known.details,
    }
    return answer({"message": known.message, "error": told}, 400)
