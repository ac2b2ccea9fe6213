"""`/owners` and `/users`: one workspace, one user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from localrender.api.answers import answer, local, many, page
from localrender.errors import not_found

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def _list(request: Request) -> Response:
    owner = local(request).owner
    names, emails = many(request, "name"), many(request, "email")
    fits = (not names or owner["name"] in names) and (not emails or owner["email"] in emails)
    return page(request, "owner", [owner] if fits else [], lambda one: one["id"], lambda one: one)


async def _get(request: Request) -> Response:
    if request.path_params["owner_id"] != local(request).owner_id:
        raise not_found(request.path_params["owner_id"])
    return answer(local(request).owner)


async def _user(request: Request) -> Response:
    owner = local(request).owner
    return answer({"id": owner["id"].replace("tea-", "usr-"), "email": owner["email"], "name": owner["name"]})


ROUTES = [Route("/v1/owners", _list), Route("/v1/owners/{owner_id}", _get), Route("/v1/users", _user)]
