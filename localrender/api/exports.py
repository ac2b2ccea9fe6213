"""`/postgres/{id}/export`: make and list; and the links of what is listed, which need no key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import FileResponse
from starlette.routing import Route

from localrender.api.answers import accepted, answer, local, present
from localrender.api.postgres import database_of
from localrender.errors import not_found

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LINKS = "/local/exports/"


async def _list(request: Request) -> Response:
    server, database = local(request), database_of(request)
    base = f"http://127.0.0.1:{server.port}{LINKS}"
    finished = {one: f"{base}{one.token}/{one.file}" for one in server.exports.finished()}
    found = [one for one in (*finished, *server.exports.making.values()) if one.database_id == database.id]
    found.sort(key=lambda one: one.created_at, reverse=True)
    return answer([present(id=one.id, createdAt=one.created_at, url=finished.get(one)) for one in found])


async def _create(request: Request) -> Response:
    local(request).exports.begin(database_of(request))
    return accepted()


async def _download(request: Request) -> Response:
    file = local(request).exports.find(request.path_params["token"], request.path_params["name"])
    if file is None:
        raise not_found("export")
    return FileResponse(file, media_type="application/gzip", filename=file.name)


ROUTES = [
    Route("/v1/postgres/{postgres_id}/export", _list),
    Route("/v1/postgres/{postgres_id}/export", _create, methods=["POST"]),
    Route(f"{LINKS}{{token}}/{{name}}", _download),
]
