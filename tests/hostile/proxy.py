"""A proxy before the local Render that answers some requests in a hostile way, and the others as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.support.ends import WAYS
from tests.support.standing import Quiet, asked, serving


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

    class Handler(Quiet):
        def _any(self) -> None:
            body = self.body()
            if proxy.is_hostile_to(self.command, self.path):
                self.close_connection = True
                try:
                    WAYS[proxy.way](self.connection, "application/json")
                except OSError:
                    return
                return
            headers = dict(self.headers.items())
            status, text, given = asked(proxy.upstream.netloc, self.command, self.path, body, headers)
            for old, new in proxy.replaced.items():
                text = text.replace(old.encode(), new.encode())
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the names that http.server asks for

    with serving(Handler) as port:
        proxy.address = f"http://127.0.0.1:{port}{proxy.upstream.path}"
        yield proxy
