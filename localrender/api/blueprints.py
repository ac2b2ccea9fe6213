"""`/blueprints/validate`: what is wrong with a `render.yaml`, and what it would make; it makes nothing."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localrender import blueprint, documented
from localrender.api.answers import answer, content, local, present
from localrender.errors import ApiError, LocalRenderError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from localrender.yaml12 import Document

_LONGEST = 10 << 20  # bytes of the request (documented)


async def _validate(request: Request) -> Response:
    """As Render's SDK 1.5.0 describes it: multipart with `ownerId` and `file`."""
    parts = _parts(request.headers.get("content-type", ""), await content(request, _LONGEST))
    if missing := {"ownerId", "file"} - parts.keys():
        raise ApiError(400, f"{min(missing)} is required")
    if (owner := parts["ownerId"].decode(errors="replace")) != local(request).owner_id:
        raise ApiError(403, f"no such workspace, or none of yours: {owner}")
    try:
        document, remarks = blueprint.examine(parts["file"].decode(), "render.yaml")
    except UnicodeDecodeError:
        return answer({"valid": False, "errors": [{"error": "it is no UTF-8"}]})
    except LocalRenderError as error:  # no YAML, so that there is no document to speak of
        return answer({"valid": False, "errors": [{"error": error.message}]})
    errors = [
        {"error": one.text, "path": one.place.partition(" (")[0], "line": one.line}
        for one in remarks
        if not one.is_note
    ]
    if errors:
        return answer({"valid": False, "errors": errors})
    return answer({"valid": True, "plan": _plan(document)})


def _parts(kind: str, body: bytes) -> dict[str, bytes]:
    """The named parts of a form.

    Raises:
        ApiError: 400, it is no such form.
    """
    form = message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body, policy=HTTP)
    if not kind.startswith("multipart/form-data") or not form.is_multipart():
        raise ApiError(400, "the request body is not multipart/form-data")
    named: dict[str, bytes] = {}
    for part in form.walk():
        name, payload = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            named[name] = payload
    return named


def _plan(document: Document) -> dict[str, Any]:
    """The names of what would be made."""
    services, databases, stores, groups = list[str](), list[str](), list[str](), list[str]()
    for scope in documented.scopes(document):
        for one, _ in scope.each("services"):
            (stores if one["type"] in documented.KEY_VALUE else services).append(one["name"])
        databases += [one["name"] for one, _ in scope.each("databases")]
        groups += [one["name"] for one, _ in scope.each("envVarGroups")]
    every = {"services": services, "databases": databases, "keyValue": stores, "envGroups": groups}
    return present(**{name: names or None for name, names in every.items()}, totalActions=sum(map(len, every.values())))


ROUTES = [Route("/v1/blueprints/validate", _validate, methods=["POST"])]
