"""`/postgres`: list, get, connection info."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localrender.api.answers import answer, local, many, page, within
from localrender.errors import not_found
from localrender.model import Database

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PLANS = ["free", "starter", "standard", "pro", "pro_plus", "basic_256mb", "basic_1gb", "basic_4gb"]


def _shape(request: Request, database: Database) -> dict[str, Any]:
    server, spec = local(request), database.spec
    return {
        "id": database.id,
        "name": spec.name,
        "databaseName": spec.database,
        "databaseUser": spec.user,
        "createdAt": database.created_at,
        "updatedAt": database.updated_at,
        "dashboardUrl": f"{server.dashboard}/d/{database.id}",
        "diskSizeGB": spec.disk_gb,
        "diskAutoscalingEnabled": False,
        "highAvailabilityEnabled": False,
        "ipAllowList": [{"cidrBlock": "127.0.0.1/32", "description": "this machine"}],
        "owner": server.owner,
        "plan": spec.plan if spec.plan in _PLANS else "custom",
        "readReplicas": [],
        "region": spec.region,
        "role": "primary",
        "status": "available" if server.postgres.is_available(database) else "unavailable",
        "suspended": "not_suspended",
        "suspenders": [],
        "version": spec.major,
        "connectionPool": "none",
    }


def database_of(request: Request) -> Database:
    """The database that the path names."""
    identifier = request.path_params["postgres_id"]
    for database in local(request).state.databases():
        if database.id == identifier:
            return database
    raise not_found(identifier)


async def _list(request: Request) -> Response:
    names, owners, regions = many(request, "name"), many(request, "ownerId"), many(request, "region")
    suspended = many(request, "suspended", ("suspended", "not_suspended"))
    found = [
        database
        for database in local(request).state.databases()
        if (not names or database.spec.name in names)
        and (not owners or local(request).owner_id in owners)
        and (not regions or database.spec.region in regions)
        and (not suspended or "not_suspended" in suspended)
        and not many(request, "environmentId")
        and within(request, {"created": database.created_at, "updated": database.updated_at})
    ]
    return page(request, "postgres", found, lambda one: one.id, lambda one: _shape(request, one))


async def _get(request: Request) -> Response:
    return answer(_shape(request, database_of(request)))


async def _connection(request: Request) -> Response:
    database = database_of(request)
    url = database.property("connectionString")
    command = f"PGPASSWORD={database.password} psql -h {database.host} -p {database.port}"
    return answer(
        {
            "password": database.password,
            "internalConnectionString": url,
            "externalConnectionString": url,
            "psqlCommand": f"{command} -U {database.spec.user} {database.spec.database}",
        }
    )


ROUTES = [
    Route("/v1/postgres", _list),
    Route("/v1/postgres/{postgres_id}", _get),
    Route("/v1/postgres/{postgres_id}/connection-info", _connection),
]
