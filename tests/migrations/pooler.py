"""A pooler that gives out the server's sessions by the transaction, as PgBouncer does; about as small as one can be."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

READY = b"Z"


class Pooler:
    """Takes clients without a password, and lends each a session until its transaction ends; last in, first out."""

    def __init__(self, url: str, sessions: int) -> None:
        self.kept = [psycopg.connect(url, autocommit=True) for _ in range(sessions)]
        self.sessions = [socket.socket(fileno=os.dup(one.pgconn.socket)) for one in self.kept]
        for one in self.sessions:
            one.settimeout(None)
        self.free = list(self.sessions)
        self.clients: list[socket.socket] = []
        self.closed = False
        self.threads: list[threading.Thread] = []
        self.some = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start(self.serve)

    def start(self, work: Callable[..., None], *about: socket.socket) -> None:
        """A thread that `close` waits for."""
        self.threads.append(threading.Thread(target=work, args=about, daemon=True))
        self.threads[-1].start()

    def serve(self) -> None:
        """Accept clients until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                self.start(self.client, client)

    def client(self, client: socket.socket) -> None:
        """Welcome one, and pass on what it says and hears."""
        with client, suppress(OSError, ConnectionError):
            while True:
                (length,) = struct.unpack("!i", read(client, 4))
                if struct.unpack("!i", read(client, length - 4)[:4]) != (80877103,):  # asks for TLS
                    break
                client.sendall(b"N")
            welcome = [(b"R", struct.pack("!i", 0)), (b"K", struct.pack("!ii", 1, 1)), (READY, b"I")]
            settings = {"client_encoding": "UTF8", "server_version": "16.0", "standard_conforming_strings": "on"}
            welcome[1:1] = [(b"S", f"{name}\0{value}\0".encode()) for name, value in settings.items()]
            client.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in welcome))
            self.talk(client)

    def talk(self, client: socket.socket) -> None:
        """Lend a session for each transaction."""
        lent: socket.socket | None = None
        while True:
            asked, kind = b"", b"?"
            while kind not in {b"Q", b"S"}:
                kind, message = one(client)
                asked += message
                if kind == b"X":
                    return
            if lent is None:
                with self.some:
                    self.some.wait_for(lambda: self.free or self.closed, 60)
                    if self.closed:
                        return
                    lent = self.free.pop()
            lent.sendall(asked)
            kind = b""
            while kind != READY:
                kind, message = one(lent)
                client.sendall(message)
            if message[-1:] == b"I":
                with self.some:
                    self.free.append(lent)
                    self.some.notify()
                lent = None

    def close(self) -> None:
        """End it: whoever waits in it is woken, a session that is lent is taken back."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(10)
        for place in (*self.clients, *self.sessions):
            with suppress(OSError):  # it has ended by itself
                place.shutdown(socket.SHUT_RDWR)
        with self.some:
            self.closed = True
            self.some.notify_all()
        for thread in self.threads:
            thread.join(10)
        for place in (self.listener, *self.sessions):
            place.close()
        for connection in self.kept:
            connection.close()


def read(place: socket.socket, length: int) -> bytes:
    """Exactly so many bytes."""
    found = b""
    while len(found) < length:
        piece = place.recv(length - len(found))
        if not piece:
            raise ConnectionError
        found += piece
    return found


def one(place: socket.socket) -> tuple[bytes, bytes]:
    """The next message: its kind, and all of it."""
    head = read(place, 5)
    return head[:1], head + read(place, struct.unpack("!i", head[1:])[0] - 4)


@contextmanager
def pooled(url: str, sessions: int) -> Iterator[str]:
    """A pooler before a database; gives its address."""
    pooler = Pooler(url, sessions)
    try:
        yield f"postgresql://anybody@127.0.0.1:{pooler.port}/any"
    finally:
        pooler.close()
