"""`/services/{id}/deploys` and `/services/{id}/rollback`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from starlette.routing import Route

from localrender import source
from localrender.api.answers import accepted, answer, body, deploy_of, local, many, page, present, service_of, within
from localrender.errors import ApiError, not_found
from localrender.model import STATUSES, Deploy

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def shape(deploy: Deploy) -> dict[str, Any]:
    """A deploy as the API shows it (schema `deploy`)."""
    return present(
        id=deploy.id,
        commit=deploy.commit,
        status=deploy.status,
        trigger=deploy.trigger,
        createdAt=deploy.created_at,
        updatedAt=deploy.updated_at,
        startedAt=deploy.started_at,
        finishedAt=deploy.finished_at,
        buildId=deploy.artifact,
    )


class _Trigger(msgspec.Struct, rename="camel"):
    clear_cache: Literal["clear", "do_not_clear"] = "do_not_clear"
    commit_id: str | None = None
    image_url: str | None = None
    deploy_mode: Literal["build_and_deploy"] = "build_and_deploy"


class _Rollback(msgspec.Struct, rename="camel"):
    deploy_id: str


async def _create(request: Request) -> Response:
    service, server, wanted = service_of(request), local(request), await body(request, _Trigger)
    if wanted.image_url is not None:
        raise ApiError(400, "imageUrl is for image-backed services only")
    if service.spec.kind == "cron" and wanted.commit_id is not None:
        raise ApiError(400, "commitId is not supported for cron jobs")
    if service.suspended:
        raise ApiError(400, f"{service.spec.name} is suspended")
    found = await asyncio.to_thread(source.find, server.builds.repository, service.spec.branch, wanted.commit_id)
    deploy = server.deploys.trigger(service, found, "api", clear_cache=wanted.clear_cache == "clear")
    return accepted() if deploy.status == "queued" else answer(shape(deploy), 201)


async def _list(request: Request) -> Response:
    service, statuses = service_of(request), many(request, "status", STATUSES)
    found = [
        deploy
        for deploy in reversed(local(request).state.deploys(service.id))
        if (not statuses or deploy.status in statuses)
        and within(
            request, {"created": deploy.created_at, "updated": deploy.updated_at, "finished": deploy.finished_at}
        )
    ]
    return page(request, "deploy", found, lambda one: one.id, shape)


async def _get(request: Request) -> Response:
    return answer(shape(deploy_of(request)))


async def _cancel(request: Request) -> Response:
    return answer(shape(await local(request).deploys.cancel(deploy_of(request))))


async def _rollback(request: Request) -> Response:
    service, server, wanted = service_of(request), local(request), await body(request, _Rollback)
    target = server.state.deploy(wanted.deploy_id)
    if target is None or target.service_id != service.id:
        raise not_found(wanted.deploy_id)
    return answer(shape(server.deploys.roll_back(service, target)), 201)


_ALL = "/v1/services/{service_id}/deploys"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(f"{_ALL}/{{deploy_id}}", _get),
    Route(f"{_ALL}/{{deploy_id}}/cancel", _cancel, methods=["POST"]),
    Route("/v1/services/{service_id}/rollback", _rollback, methods=["POST"]),
]
