"""A platform of nothing but logs: by query and by a websocket, each of which fails as often as it is told to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAGE = 100


@dataclass
class LogPlatform:
    """Gives *lines* of a service one after the other.

    Attributes:
        cuts: numbers of lines after each of which the websocket is cut.
        refusals: how many websockets are refused with 429 before the next one is given.
        apart: lines that come to pass before each websocket but the first is open.
        without_websocket: it has none at all.
        unanswered: how many pages are refused after the first cut.
        before: lines that came before anybody asks.
        page_seconds: how long it thinks about a page.
        spacing: how long after a line the next one comes, by their moments.
    """

    lines: int
    cuts: tuple[int, ...] = ()
    refusals: int = 0
    apart: int = 40
    without_websocket: bool = False
    unanswered: int = 0
    before: int = 0
    page_seconds: float = 0.0
    spacing: timedelta = timedelta(milliseconds=1)
    text: str = "line {}"
    refused: int = 0
    opened: int = 0
    pages: int = 0
    _come: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._come = self.before

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve it; the address of its API."""
        with serve(self._send, "127.0.0.1", 0, process_request=self._answer, compression=None) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{self._port(server)}/v1"

    @staticmethod
    def _port(server: Server) -> int:
        return int(server.socket.getsockname()[1])

    def _line(self, number: int) -> dict[str, Any]:
        at = SINCE + number * self.spacing
        labels = {"resource": "srv-api", "type": "build"}
        return {
            "id": f"log-{number}",
            "message": self.text.format(number),
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "labels": [{"name": name, "value": value} for name, value in labels.items()],
        }

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        """A page, a refusal, or (None) a websocket."""
        parts = urlsplit(request.path)
        if request.headers["Authorization"] != "Bearer rnd_key":
            return _json(401, {"message": "Unauthorized"})
        if not parts.path.endswith("/subscribe"):
            return self._page({name: values[0] for name, values in parse_qs(parts.query).items()})
        if self.without_websocket:
            return _json(404, {"message": "not found"})
        if self.opened and self.refused < self.refusals:
            self.refused += 1
            return _json(429, {"message": "rate limit exceeded"}, {"Retry-After": "0"})
        with self._lock:
            self._come = min(self.lines, self._come + (self.apart if self.opened else 0))
        self.opened += 1
        return None

    def _page(self, query: dict[str, str]) -> Response:
        self.pages += 1
        time.sleep(self.page_seconds)
        if self.opened > 1 and self.unanswered:
            self.unanswered -= 1
            return _json(403, {"message": "not now"})
        with self._lock:
            if self.without_websocket:
                self._come = min(self.lines, self._come + 2 * PAGE)
            come = self._come
        start = datetime.fromisoformat(query["startTime"])
        end = datetime.fromisoformat(query.get("endTime", "2027-01-01T00:00:00+00:00"))
        first = max(0, -(-(start - SINCE) // self.spacing))
        found = [self._line(number) for number in range(first, min(come, first + PAGE))]
        last = SINCE + (first + len(found)) * self.spacing
        return _json(
            200,
            {
                "hasMore": first + PAGE < come,
                "nextStartTime": last.isoformat(),
                "nextEndTime": end.isoformat(),
                "logs": found,
            },
        )

    def _send(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while self._come < self.lines:
                with self._lock:
                    number, self._come = self._come, self._come + 1
                connection.send(json.dumps(self._line(number)))
                if number in self.cuts:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
            connection.recv()


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    content = json.dumps(body).encode()
    told = Headers({"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"})
    for name, value in (headers or {}).items():
        told[name] = value
    return Response(status, "", told, content)
