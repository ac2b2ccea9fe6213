"""`/services`: list, get, change, restart, suspend, resume, instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from starlette.routing import Route

from localrender import environment
from localrender.api.answers import accepted, answer, body, local, many, page, present, service_of, within
from localrender.errors import ApiError
from localrender.model import API_TYPES, BuildFilter, Service, ServiceSpec, now

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PLANS = [
    "starter",
    "starter_plus",
    "standard",
    "standard_plus",
    "pro",
    "pro_plus",
    "pro_max",
    "pro_ultra",
    "free",
    "custom",
]


def shape(service: Service, dashboard: str, owner: str) -> dict[str, Any]:
    """A service as the API shows it (schema `service`)."""
    spec = service.spec
    return present(
        id=service.id,
        name=spec.name,
        ownerId=owner,
        type=API_TYPES[spec.kind],
        slug=service.slug,
        createdAt=service.created_at,
        updatedAt=service.updated_at,
        dashboardUrl=f"{dashboard}/{spec.kind}/{service.id}",
        suspended="suspended" if service.suspended else "not_suspended",
        suspenders=["user"] if service.suspended else [],
        autoDeploy="no" if spec.auto_deploy == "off" else "yes",
        autoDeployTrigger=spec.auto_deploy,
        notifyOnFail="default",
        rootDir=spec.root_dir,
        repo=spec.repo,
        branch=spec.branch,
        buildFilter=spec.build_filter,
        serviceDetails=_details(service),
    )


def _details(service: Service) -> dict[str, Any]:
    spec, url = service.spec, environment.external_url(service)
    if spec.kind == "static":
        return {
            "buildCommand": spec.build_command,
            "publishPath": spec.publish_path,
            "url": url,
            "buildPlan": "starter",
            "previews": {"generation": "off"},
            "pullRequestPreviewsEnabled": "no",
        }
    plan = spec.plan.replace(" ", "_").replace("-", "_")
    native = {"buildCommand": spec.build_command, "startCommand": spec.start_command}
    if spec.pre_deploy_command:
        native["preDeployCommand"] = spec.pre_deploy_command
    details: dict[str, Any] = {
        "env": spec.runtime,
        "runtime": spec.runtime,
        "envSpecificDetails": native,
        "plan": plan if plan in _PLANS else "custom",
        "region": spec.region,
        "buildPlan": "starter",
    }
    if spec.kind == "cron":
        return details | {"schedule": spec.schedule}
    details |= {"numInstances": spec.instances, "maxShutdownDelaySeconds": spec.shutdown_seconds}
    details |= {"previews": {"generation": "off"}, "pullRequestPreviewsEnabled": "no"}
    if spec.kind == "worker":
        return details
    details |= {"openPorts": [{"port": service.port or 0, "protocol": "TCP"}]}
    if spec.kind == "pserv":
        return details | {"url": f"127.0.0.1:{service.port}"}
    maintenance = {"enabled": False, "uri": ""}
    return details | {"url": url, "healthCheckPath": spec.health_check_path, "maintenanceMode": maintenance}


def _shown(request: Request, service: Service) -> dict[str, Any]:
    server = local(request)
    return shape(service, server.dashboard, server.owner_id)


async def _list(request: Request) -> Response:
    names, kinds = many(request, "name"), many(request, "type", list(API_TYPES.values()))
    runtimes, regions = many(request, "env") + many(request, "runtime"), many(request, "region")
    owners, suspended = many(request, "ownerId"), many(request, "suspended", ("suspended", "not_suspended"))
    environments = many(request, "environmentId")
    found = [
        service
        for service in local(request).state.services()
        if (not names or service.spec.name in names)
        and (not kinds or API_TYPES[service.spec.kind] in kinds)
        and (not runtimes or service.spec.runtime in runtimes)
        and (not regions or service.spec.region in regions)
        and (not owners or local(request).owner_id in owners)
        and (not suspended or ("suspended" if service.suspended else "not_suspended") in suspended)
        and not environments
        and within(request, {"created": service.created_at, "updated": service.updated_at})
    ]
    return page(request, "service", found, lambda one: one.id, lambda one: _shown(request, one))


async def _get(request: Request) -> Response:
    return answer(_shown(request, service_of(request)))


class _Commands(msgspec.Struct, rename="camel"):
    build_command: str | None = None
    start_command: str | None = None


class _DetailsChange(msgspec.Struct, rename="camel"):
    env_specific_details: _Commands | None = None
    health_check_path: str | None = None
    pre_deploy_command: str | None = None
    max_shutdown_delay_seconds: int | None = None
    plan: str | None = None
    build_command: str | None = None
    publish_path: str | None = None
    schedule: str | None = None


class _Change(msgspec.Struct, rename="camel"):
    auto_deploy: Literal["yes", "no"] | None = None
    auto_deploy_trigger: Literal["off", "commit", "checksPass"] | None = None
    repo: str | None = None
    branch: str | None = None
    name: str | None = None
    root_dir: str | None = None
    build_filter: BuildFilter | None = None
    service_details: _DetailsChange | None = None


def _changed(spec: ServiceSpec, change: _Change) -> ServiceSpec:
    if change.auto_deploy and change.auto_deploy_trigger:
        raise ApiError(400, "autoDeploy and autoDeployTrigger cannot both be set")
    details = change.service_details or _DetailsChange()
    commands = details.env_specific_details or _Commands()
    delay = details.max_shutdown_delay_seconds
    if delay is not None and not 1 <= delay <= 300:
        raise ApiError(400, f"invalid maxShutdownDelaySeconds: {delay}")
    if details.plan is not None and details.plan not in _PLANS:
        raise ApiError(400, f"invalid plan: {details.plan}")
    automatic = {"yes": "commit", "no": "off"}.get(change.auto_deploy or "")
    values = {
        "auto_deploy": change.auto_deploy_trigger or automatic,
        "repo": change.repo,
        "branch": change.branch,
        "name": change.name,
        "root_dir": change.root_dir,
        "build_filter": change.build_filter,
        "health_check_path": details.health_check_path,
        "pre_deploy_command": details.pre_deploy_command,
        "shutdown_seconds": delay,
        "plan": details.plan,
        "build_command": commands.build_command if details.build_command is None else details.build_command,
        "start_command": commands.start_command,
        "publish_path": details.publish_path,
        "schedule": details.schedule,
    }
    return msgspec.structs.replace(spec, **{key: value for key, value in values.items() if value is not None})


async def _patch(request: Request) -> Response:
    service = service_of(request)
    service.spec = _changed(service.spec, await body(request, _Change))
    service.updated_at = now()
    local(request).state.save_service(service)
    return answer(_shown(request, service))


async def _restart(request: Request) -> Response:
    service, server = service_of(request), local(request)
    live = server.state.live(service.id)
    if service.spec.kind == "cron" or live is None or service.suspended:
        raise ApiError(400, f"{service.spec.name} cannot be restarted: nothing of it runs")
    server.fleet.spawn(server.fleet.restart(service, live))
    return accepted(200)


async def _suspend(request: Request) -> Response:
    service, server = service_of(request), local(request)
    if not service.suspended:
        service.suspended, service.updated_at = True, now()
        server.state.save_service(service)
        server.state.record(service.id, "service_suspended")
        await server.fleet.suspend(service)
    return accepted()


async def _resume(request: Request) -> Response:
    service, server = service_of(request), local(request)
    if service.suspended:
        service.suspended, service.updated_at = False, now()
        server.state.save_service(service)
        server.state.record(service.id, "service_resumed")
        server.fleet.spawn(server.fleet.restore(service))
    return accepted()


async def _instances(request: Request) -> Response:
    running = local(request).fleet.current.get(service_of(request).id, [])
    return answer([{"id": instance.id, "createdAt": instance.created_at} for instance in running])


_ONE = "/v1/services/{service_id}"
ROUTES = [
    Route("/v1/services", _list),
    Route(_ONE, _get),
    Route(_ONE, _patch, methods=["PATCH"]),
    Route(f"{_ONE}/restart", _restart, methods=["POST"]),
    Route(f"{_ONE}/suspend", _suspend, methods=["POST"]),
    Route(f"{_ONE}/resume", _resume, methods=["POST"]),
    Route(f"{_ONE}/instances", _instances),
]
