"""A bare WSGI application with the health file, under wsgiref with threads; ``/slow`` takes as long as SLOW says."""

import os
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import psycopg

from deploylib.health.health import Health


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    request_queue_size = 4096


class Handler(WSGIRequestHandler):
    """No line for each request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""


def revision() -> str | None:
    """Ask the database by QUERY, on a connection of its own."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute(os.environ["QUERY"].encode()).fetchone()
    return row[0] if row else None


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a line."""
    time.sleep(float(os.environ["SLOW"]) if environ["PATH_INFO"] == "/slow" else 0)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"done\n"]


health = Health(version="1.4.0", revision=revision, shutdown_seconds=float(os.environ["WITHIN"]))
with make_server("127.0.0.1", int(os.environ["PORT"]), health.wsgi(app), Server, Handler) as server:
    server.serve_forever()
