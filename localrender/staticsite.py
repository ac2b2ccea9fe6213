"""Static sites: the published folder of an artifact, with the headers and routes of the service."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from localrender.state import State

_CACHING = "public, max-age=0, s-maxage=300"


class Site(msgspec.Struct, frozen=True):
    """What one deploy publishes."""

    folder: Path
    service: str


def _matches(pattern: str, path: str) -> dict[str, str] | None:
    """Render's path patterns: `*` is anything, `:name` one segment; both may be used in a destination."""
    if any(letter in pattern for letter in "*:"):
        parts = re.split(r"(\*|:[A-Za-z_]\w*)", pattern)
        names = iter(range(9))
        expression = "".join(
            f"(?P<star{next(names)}>.*)"
            if part == "*"
            else f"(?P<{part[1:]}>[^/]+)"
            if part.startswith(":")
            else re.escape(part)
            for part in parts
        )
        found = re.fullmatch(expression, path)
        return {name: value or "" for name, value in found.groupdict().items()} if found else None
    return {} if fnmatch.fnmatchcase(path, pattern) else None


def _fill(destination: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        destination = destination.replace("*" if name.startswith("star") else f":{name}", value, 1)
    return destination


class StaticSites:
    """The ASGI application behind the edge: `/<deploy id>/path` is `path` of that deploy's folder."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.sites: dict[str, Site] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        deploy, _, rest = scope["path"].replace("\0", "").lstrip("/").partition("/")
        site = self.sites.get(deploy)
        service = self.state.service(site.service) if site else None
        if site is None or service is None:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        rest = rest.lstrip("/")
        path = f"/{rest}"
        query = scope["query_string"].decode("latin-1")
        chosen = path
        if not (site.folder / rest).is_file():
            for route in service.spec.routes:
                values = _matches(route["source"], path)
                if values is None:
                    continue
                target = _fill(route["destination"], values)
                if route["type"] == "redirect":
                    target = f"{target}?{query}" if query and "?" not in target else target
                    await RedirectResponse(target, 301)(scope, receive, send)
                    return
                chosen = target.partition("?")[0]
                break
        headers = {"Cache-Control": _CACHING}
        headers |= {
            rule["name"]: rule["value"] for rule in service.spec.headers if _matches(rule["path"], path) is not None
        }

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        inner = dict(scope) | {"path": chosen, "raw_path": chosen.encode(), "root_path": ""}
        try:
            await StaticFiles(directory=site.folder, html=True, check_dir=False)(inner, receive, dressed)
        except HTTPException as error:
            await PlainTextResponse(error.detail, error.status_code)(scope, receive, dressed)
