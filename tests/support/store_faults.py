"""A way to the S3 server that goes wrong on purpose: a proxy on loopback, one request for each connection."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from urllib.parse import parse_qs, urlsplit

CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in: its method, its path and the names in its query, and its headers in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes = field(repr=False)
    length: int = 0

    @property
    def kind(self) -> str:
        """What it asks for: ``part``, ``begin``, ``complete``, ``abort``, ``uploads``, or else the method."""
        if "uploads" in self.query:
            return "begin" if self.method == "POST" else "uploads"
        if "uploadId" in self.query:
            return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[self.method]
        return self.method


class Fault:
    """What becomes of a request; this one: nothing bad."""

    after: int | None = None  # bytes of the answer after which the connection ends
    hard = True  # by a reset, not as if all were said
    pause = 0.0  # seconds between two chunks of the answer

    def answer(self, request: Request) -> bytes | None:
        """An answer in place of the server's; None: the server is asked."""
        return None


class Reset(Fault):
    """The connection breaks: in the middle of the request, or *after* so many bytes of the answer to it."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after

    def answer(self, request: Request) -> bytes | None:
        """Nothing at all, unless it is for the server."""
        return b"" if self.after is None else None


class Cut(Reset):
    """The answer ends early, as if that were all."""

    hard = False


class Status(Fault):
    """An error of the server."""

    def __init__(self, status: int, code: str) -> None:
        self._status, self._code = status, code

    def answer(self, request: Request) -> bytes | None:
        """As S3 words it."""
        body = f"<?xml version='1.0'?><Error><Code>{self._code}</Code><Message>no</Message></Error>".encode()
        head = f"HTTP/1.1 {self._status} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Connection: close\r\n\r\n".encode() + body


class Slow(Fault):
    """The answer comes in drops."""

    pause = 0.02


GOOD = Fault()
LOST = Reset(after=0)  # the server does it, and nobody hears of it
Plan = Callable[[Request], Fault]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        plan: what becomes of each request.
        seen: all requests, in order.
    """

    port: int
    upstream: tuple[str, int]
    plan: Plan = lambda _: GOOD
    seen: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def kinds(self) -> list[str]:
        """What was asked for, in order."""
        return [request.kind for request in self.seen]


def once(kind: str, *faults: Fault) -> Plan:
    """Each of the faults once, for requests of this kind, and then none."""
    left = list(faults)
    return lambda request: left.pop(0) if request.kind == kind and left else GOOD


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """A running proxy; it ends with the block."""
    target = urlsplit(url)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):
                _serve(proxy, self.connection, self.rfile)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(server.server_address[1], (target.hostname or "", target.port or 80))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()


def _serve(proxy: Proxy, client: socket.socket, incoming: BufferedIOBase) -> None:
    request = _read(incoming)
    if request is None:
        return
    if "expect" in request.headers:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    proxy.seen.append(request)
    fault = proxy.plan(request)
    answer = fault.answer(request)
    if answer is not None:
        _pass(incoming, request.length if answer else request.length // 2, None)
        client.sendall(answer)
        if not answer:
            _break(client)
        return
    with socket.create_connection(proxy.upstream) as server:
        server.sendall(request.raw)
        _pass(incoming, request.length, server)
        sent = 0
        while chunk := server.recv(CHUNK):
            if fault.after is not None and sent + len(chunk) > fault.after:
                client.sendall(chunk[: fault.after - sent])
                if fault.hard:
                    _break(client)
                return
            client.sendall(chunk)
            sent += len(chunk)
            time.sleep(fault.pause)


def _read(incoming: BufferedIOBase) -> Request | None:
    """The head of a request; the length of what follows is in it."""
    first, headers, raw = incoming.readline(), {}, b""
    if not first.strip():
        return None
    raw = first
    while line := incoming.readline().rstrip(b"\r\n"):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
        if name.lower() not in {"expect", "connection"}:
            raw += line + b"\r\n"
    method, target, _ = first.decode().split(" ", 2)
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    raw += b"Connection: close\r\n\r\n"
    return Request(method, urlsplit(target).path, query, headers, raw, int(headers.get("content-length", 0)))


def _pass(incoming: BufferedIOBase, length: int, server: socket.socket | None) -> None:
    while length and (chunk := incoming.read(min(CHUNK, length))):
        length -= len(chunk)
        if server is not None:
            server.sendall(chunk)


def _break(client: socket.socket) -> None:
    """End it as a broken line does: a reset, not an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
