"""Servers that answer without an end, drop by drop, or with something that explodes when it is unpacked or read."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BLANKS = b" " * (1 << 16)
DROP = 0.05  # seconds: far shorter than any time-out of a single wait


def _head(*more: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more, "", "")
    return "\r\n".join(lines).encode()


def endless(to: socket.socket, kind: str) -> None:
    """A body of blanks that never ends."""
    to.sendall(_head(kind=kind))
    while True:
        to.sendall(BLANKS)


def dripping(to: socket.socket, kind: str) -> None:
    """A body of which a byte comes now and then, for ever."""
    to.sendall(_head(kind=kind))
    while True:
        to.sendall(b" ")
        time.sleep(DROP)


def dripping_head(to: socket.socket, kind: str) -> None:
    """Not even the headers end."""
    to.sendall(_head(kind=kind)[:-2] + b"X-More: ")
    while True:
        to.sendall(b"x")
        time.sleep(DROP)


def stalled(to: socket.socket, kind: str) -> None:
    """Half an answer, and nothing more."""
    to.sendall(_head("Content-Length: 100", kind=kind) + b'{"a"')
    while to.recv(1 << 16):
        """Until the other side has had enough."""


def bomb(to: socket.socket, kind: str) -> None:
    """A gigabyte of blanks, packed into one megabyte."""
    to.sendall(_head("Content-Encoding: gzip", kind=kind))
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(1024):
        to.sendall(pack.compress(BLANKS * 16))
    to.sendall(pack.flush())


def deep(to: socket.socket, kind: str) -> None:
    """A list in a list in a list, a million of them."""
    to.sendall(_head("Content-Length: 1000000", kind=kind) + b"[" * 1_000_000)


def wide(to: socket.socket, kind: str) -> None:
    """Thirty megabytes of JSON that are half a gigabyte of objects."""
    body = b"[" + b"{}," * 10_000_000 + b"{}]"
    to.sendall(_head(f"Content-Length: {len(body)}", kind=kind) + body)


WAYS: dict[str, Callable[[socket.socket, str], None]] = {
    way.__name__: way for way in (endless, dripping, dripping_head, stalled, bomb, deep, wide)
}


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads the head of a request and answers so; its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def speak(to: socket.socket) -> None:
        with suppress(OSError), to:
            heard = b""
            while b"\r\n\r\n" not in heard:
                if not (more := to.recv(1 << 16)):
                    return
                heard += more
            answer(to)

    def accept() -> None:
        with suppress(OSError):
            while True:
                to, _ = server.accept()
                threading.Thread(target=speak, args=(to,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
