"""What every request passes: the key, the rate-limit window, Render's headers, one line in the request log."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.datastructures import Headers, MutableHeaders

from localrender.api.answers import answer
from localrender.api.disturbed import Exchange, disturb
from localrender.api.exports import LINKS
from localrender.model import now, random_word

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from localrender.server import LocalRender

_PER_SERVICE = re.compile(r"^/v1/services/([^/]+)(?:/(?:deploys|resume|suspend|scale))?$")
_CREATED = ("/v1/services", "/v1/postgres", "/v1/key-value", "/v1/redis")
_HEADERS = {
    "Vary": "Origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


_BEGINNINGS = ("http.response.start", "websocket.http.response.start")


class Bucket(msgspec.Struct, frozen=True):
    """Which requests are counted together, how many of them, in how many seconds."""

    name: str
    limit: int
    seconds: int = 60


def bucket(method: str, path: str) -> Bucket:
    """The bucket of a request, as documented; recorded answers agree, but for 100 other writes a minute."""
    if method in ("GET", "HEAD"):
        return Bucket("logs", 30) if path.startswith("/v1/logs") else Bucket("get", 400)
    service = _PER_SERVICE.fullmatch(path)
    if service and (method == "PATCH" or (method == "POST" and path.count("/") > 3)):
        cron = service[1].startswith("crn-")
        return Bucket(f"service {'crn' if cron else service[1]}", 10)
    if method == "POST" and path in _CREATED:
        return Bucket("create", 20, 3600)
    return Bucket("write", 30)


class Limits:
    """Counters in fixed windows, aligned to the wall clock's minute and hour."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, key: str, chosen: Bucket) -> tuple[int, int]:
        """Count one request; what remains (below zero: too many) and the seconds left in the window."""
        moment = int(time.time())
        window, passed = divmod(moment, chosen.seconds)
        seen, used = self.used.get((key, chosen.name), (window, 0))
        used = used + 1 if seen == window else 1
        self.used[key, chosen.name] = (window, used)
        return chosen.limit - used, chosen.seconds - passed - 1


class Gate:
    """Around the application."""

    def __init__(self, application: ASGIApp, local: LocalRender) -> None:
        self.application = application
        self.local = local
        self.limits = Limits()
        self.prefix = f"api-{random_word(10)}-{random_word(5)}"
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return
        began, self.count = time.monotonic(), self.count + 1
        method, path = scope.get("method", "GET"), scope["path"]  # a websocket is asked for by a GET
        given = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
        known = secrets.compare_digest(given.encode(), self.local.api_key.encode())
        ours = path.startswith("/local/")  # no part of Render's API: neither counted nor noted
        shown = dict(_HEADERS)
        shown["Render-Request-Id"] = f"{self.prefix}/{random_word(10)}-{self.count:06}"
        remaining = 0 if ours else self._count(self.local.owner_id if known else "", bucket(method, path), shown)
        more: dict[str, Any] = {}

        def note(status: int) -> None:
            line = {"time": now(), "method": method, "path": path, "status": status}
            self.local.note_request(json.dumps(line | {"seconds": round(time.monotonic() - began, 6)} | more))

        async def dressed(message: Message) -> None:
            if message["type"] == "websocket.accept":
                note(101)
            if message["type"] in _BEGINNINGS:
                MutableHeaders(scope=message).update(shown)
                if not ours:  # noted before it is sent: whoever has the answer finds the line
                    note(message["status"])
            await send(message)

        if not (known or path.startswith(LINKS)):
            await answer({"message": "Unauthorized"}, 401)(scope, receive, dressed)
        elif remaining < 0 and self.local.options.enforce_rate_limits:
            await answer({"message": "rate limit exceeded"}, 429)(scope, receive, dressed)
        elif self.local.faults is None or ours:
            await self.application(scope, receive, dressed)
        else:
            exchange = Exchange(scope, receive, dressed, shown, more, note)
            await disturb(self.local, self.application, exchange)

    def _count(self, key: str, chosen: Bucket, shown: dict[str, str]) -> int:
        remaining, left = self.limits.take(key, chosen)
        if not self.local.options.enforce_rate_limits:
            remaining = chosen.limit - 1  # nothing runs out, and a client that paces itself need not wait
        shown |= {"Ratelimit-Limit": str(chosen.limit), "Ratelimit-Remaining": str(max(remaining, 0))}
        shown["Ratelimit-Reset"] = str(left)
        return remaining
