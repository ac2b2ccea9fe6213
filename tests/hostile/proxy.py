"""A proxy before the local Render that answers some requests in a hostile way, and the others as they are."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.hostile.ends import WAYS

DROPPED = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "date", "server"}


class Proxy:
    """What it does now; its address is that of the API.

    Attributes:
        path: regular expression; a read of what matches it is answered in that *way*.
        replaced: text of answers → what stands in its place.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream, self.address = urlsplit(upstream), ""
        self.path, self.way = "", ""
        self.replaced: dict[str, str] = {}

    def is_hostile_to(self, method: str, path: str) -> bool:
        """Whether this request is answered in a hostile way."""
        return bool(self.way) and method == "GET" and re.search(self.path, path) is not None


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """A proxy before the API at *upstream*."""
    proxy = Proxy(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            """Nothing."""

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if proxy.is_hostile_to(self.command, self.path):
                self.close_connection = True
                try:
                    WAYS[proxy.way](self.connection, "application/json")
                except OSError:
                    return
                return
            asked = http.client.HTTPConnection(proxy.upstream.netloc, timeout=60)
            kept = {name: text for name, text in self.headers.items() if name.lower() not in DROPPED}
            asked.request(self.command, self.path, body or None, kept)
            answer = asked.getresponse()
            text = answer.read()
            for old, new in proxy.replaced.items():
                text = text.replace(old.encode(), new.encode())
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in DROPPED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            asked.close()

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the names that http.server asks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    proxy.address = f"http://127.0.0.1:{server.server_port}{proxy.upstream.path}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
