"""The routes of the book: read a page, write an entry."""

import logging
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from . import validation
from .database import Database, DatabaseUnavailable
from .problems import Problem

_LARGEST_BODY = 16 * 1024

_log = logging.getLogger(__name__)


class Entries:
    """The entries over HTTP."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def answer(self, request: Request) -> Response:
        """Read or write, as the method says."""
        return await (self.write(request) if request.method == "POST" else self.read(request))

    async def read(self, request: Request) -> Response:
        """Answer a page, newest first; `next` is the `after` of the following page, null on the last."""
        page = validation.page(request.query_params)
        try:
            entries = await self._database.page(limit=page.limit + 1, after=page.after)
        except DatabaseUnavailable as error:
            raise _unavailable(error) from error
        shown = entries[: page.limit]
        following = shown[-1].id if len(entries) > page.limit else None
        return JSONResponse(
            {"entries": [entry.as_json() for entry in shown], "next": following}, headers={"Cache-Control": "no-store"}
        )

    async def write(self, request: Request) -> Response:
        """Keep an entry and answer it."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the entry as application/json.")
        new = validation.new_entry(await _body(request))
        try:
            entry = await self._database.add(name=new.name, message=new.message, mood=new.mood)
        except DatabaseUnavailable as error:
            raise _unavailable(error) from error
        return JSONResponse(entry.as_json(), HTTPStatus.CREATED, headers={"Cache-Control": "no-store"})

    async def rules(self, _request: Request) -> Response:
        """Answer what an entry may be, for the page that asks for one."""
        return JSONResponse(validation.RULES, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes:
    """Read the body, and stop reading where it gets too large, whatever length was announced."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The entry is too large.")
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body ended early.") from None
    return bytes(body)


def _unavailable(error: DatabaseUnavailable) -> Problem:
    _log.warning("an entry could not be read or kept: %s", error)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The guest book cannot reach its database. Please try again in a moment.",
        headers={"Retry-After": "2"},
    )
