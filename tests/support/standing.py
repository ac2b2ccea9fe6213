"""A server of a test's own on loopback, and what stands between a client and the local Render."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROPPED = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "date", "server"}


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a proxy passes on."""
    return {name: text for name, text in headers.items() if name.lower() not in DROPPED}


def asked(
    netloc: str, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes, dict[str, str]]:
    """What the server behind a proxy answers: status, body, and the headers that are passed on."""
    connection = http.client.HTTPConnection(netloc, timeout=60)
    try:
        connection.request(method, path, body or None, passed_on(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(), passed_on(dict(answer.getheaders()))
    finally:
        connection.close()


class Quiet(BaseHTTPRequestHandler):
    """Keeps connections, and writes nothing down."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Nothing."""

    def body(self) -> bytes:
        """What was sent with the request."""
        return self.rfile.read(int(self.headers.get("content-length") or 0))


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
