"""Keep-alive connections to one instance, each of which is seen by itself.

Not `deploylib.system.http`: its client has a pool, in which nobody sees which connection was closed, and when.
"""

from __future__ import annotations

import http.client
import select
import socket
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["Connection", "HttpRequest", "Peer", "has_open_port"]

LARGEST = 32 << 20  # bytes of an answer
TROUBLES = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True)
class Peer:
    """Where an instance is asked, and as which host."""

    host: str
    port: int
    name: str


@dataclass(frozen=True)
class HttpRequest:
    """A request that is measured.

    A GET at once; anything else has a body, of which the second half comes later.
    """

    method: str
    path: str

    @property
    def line(self) -> str:
        """The request without its query, which may be a secret."""
        return f"{self.method} {self.path.partition('?')[0]}"

    @classmethod
    def of(cls, text: str) -> HttpRequest:
        """Read a request as the settings write it: ``/path``, ``POST /path``."""
        method, _, path = text.strip().rpartition(" ")
        return cls(method.strip().upper() or "GET", "/" + path.removeprefix("/"))


class Connection:
    """One connection, on which one request after the other is asked.

    Args:
        within: seconds for each wait.
    """

    def __init__(self, place: Peer, within: float = 10.0) -> None:
        self._client = http.client.HTTPConnection(place.host, place.port, timeout=within)
        self._name = place.name
        self._rest = b""

    def ask(self, path: str) -> int:
        """Ask for a path, and read all of the answer.

        Returns:
            Its status; 0 where none came, or not all of it.
        """
        try:
            self.begin(HttpRequest("GET", path))
            return self.finish()
        except TROUBLES:
            self.close()
            return 0

    def begin(self, request: HttpRequest) -> None:
        """Send a request, but for the second half of its body.

        Raises:
            OSError: the connection is gone.
            HTTPException: another request is not answered yet.
        """
        self._client.putrequest(request.method, request.path, skip_host=True)
        self._client.putheader("Host", self._name)
        self._client.putheader("User-Agent", "deploylib")
        body = b"" if request.method == "GET" else b"{}"
        if body:
            self._client.putheader("Content-Type", "application/json")
            self._client.putheader("Content-Length", str(len(body)))
        self._client.endheaders(body[:1] or None)
        self._rest = body[1:]

    def finish(self) -> int:
        """Send the rest of a request, and read all its answer.

        Returns:
            Its status.

        Raises:
            OSError: the connection broke, or nothing came in time.
            HTTPException: it is no whole answer of HTTP.
        """
        if self._rest:
            self._client.send(self._rest)
            self._rest = b""
        answer = self._client.getresponse()
        body = answer.read(LARGEST)
        if len(body) == LARGEST or answer.length:  # one that is cut raises nothing where its length was told
            raise http.client.HTTPException("it does not end, or was cut")
        return answer.status

    def read_answer(self) -> int:
        """Finish a request; 0 where no whole answer came."""
        try:
            return self.finish()
        except TROUBLES:
            return 0
        finally:
            self.close()

    def hears(self, seconds: float) -> bool:
        """Tell whether an answer comes, or the end, within so many seconds."""
        if self._client.sock is None:
            return True
        return bool(select.select([self._client.sock], [], [], seconds)[0])

    @property
    def is_open(self) -> bool:
        """Whether it was kept after an answer, and not closed since."""
        sock = self._client.sock
        if sock is None:
            return False
        with suppress(OSError):
            while select.select([sock], [], [], 0)[0]:
                if not sock.recv(4096, socket.MSG_DONTWAIT):
                    return False
            return True
        return False

    def close(self) -> None:
        """Close it."""
        self._client.close()


def has_open_port(place: Peer, within: float) -> bool:
    """Tell whether it takes a connection, as Render does without health path."""
    with suppress(OSError), socket.create_connection((place.host, place.port), timeout=within):
        return True
    return False
