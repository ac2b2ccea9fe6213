# deploylib health.py 1 sha256:0ca2c21d7a2157ad9f820748e8e3e0e595cdaf9875de68b34185cf12036f75b3
"""Health answers and a graceful shutdown, for ASGI and WSGI.

A copy of the file that ``inv local.health --write DIR`` writes; it needs Python 3.9 and nothing else. In an application:

    health = Health(version="1.4.0", revision=read_revision)  # what asks the database; it may be async
    app = health.asgi(app)                                    # or health.wsgi(app)

``/api/health/live`` asks nobody: name it to whoever restarts what fails. ``/api/health`` asks the database as well: for the
check after a deploy, for monitoring, for people. After SIGTERM it fails, requests in flight finish, and the process ends
with 0. docs/health.md of deploylib has every field and every code.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

__all__ = ["CODES", "Health", "code_of"]

DEADLINE = 1.5  # seconds for the database: whoever asks waits five
SLOW = 1.0  # seconds from which a good answer is a warning
KEPT = 1.0  # seconds for which a result answers all who ask
GIVEN_UP = 10.0  # seconds after which another look is begun beside one that hangs
HANGING_MOST = 3  # looks that hang at a time: each has a thread, and perhaps a connection

# What classes, codes and words of a driver come to; the first that fits. The words themselves are never told.
CAUSES = {
    "full": r"53300|too many (clients|connections)|connection slots|no more connections allowed",
    "pool": r"PoolTimeout|QueuePool limit",
    "schema": r"42P01|UndefinedTable|(relation|table) \S+ does not exist|no such table",
    "missing": r"3D000|database \S+ does not exist",
    "auth": r"28P01|28000|42501|authentication failed|no pg_hba\.conf entry|no password supplied|role \S+ does not exist",
    "timeout": r"57014|TimeoutError|ConnectionTimeout|timeout expired|timed out",
    "dns": r"gaierror|failed to resolve host|could not translate host name",
    "refused": r"ConnectionRefusedError|[Cc]onnection refused|Connect call failed",
    "misconfigured": r"\b(KeyError|ValueError|TypeError|ProgrammingError|ArgumentError)\b",
}
CODES = (*CAUSES, "slow", "stopping", "other")


def code_of(error: BaseException) -> str:
    """Sort an error of a driver into one of `CODES`.

    Its text stays inside: it may hold the host, the user, or a piece of the password.
    """
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(texts) < 10:
        kinds = " ".join(kind.__name__ for kind in type(cause).__mro__)
        texts.append(f"{kinds} {getattr(cause, 'sqlstate', '')} {getattr(cause, 'pgcode', '')} {cause}")
        cause = cause.__cause__ or cause.__context__
    return next((code for code, words in CAUSES.items() if any(re.search(words, each) for each in texts)), "other")


class _Look:
    """One look at the database, for all who ask meanwhile."""

    def __init__(self) -> None:
        self.time, self.began = datetime.now(timezone.utc), time.monotonic()
        self.ended: float | None = None
        self.revision: str | None = None
        self.code = ""
        self.done: Future[None] = Future()

    def end(self, *, revision: str | None = None, code: str = "") -> None:
        self.revision, self.code, self.ended = revision, code, time.monotonic()
        self.done.set_result(None)

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.began + DEADLINE - time.monotonic())

    def is_good(self) -> bool:
        now = time.monotonic()
        return now - self.began <= GIVEN_UP if self.ended is None else now - self.ended <= KEPT

    def checks(self) -> dict[str, list[dict[str, Any]]]:
        late = self.began + DEADLINE
        at = late if self.ended is None else self.ended
        code = "timeout" if at >= late else self.code
        answered = code in {"", "schema"}
        if answered and not self.revision:
            code = "schema"
        moment = (self.time + timedelta(seconds=at - self.began)).isoformat(timespec="milliseconds")
        when = {"time": moment, "ageSeconds": round(time.monotonic() - at, 1)}
        response: dict[str, Any] = {"status": "pass" if answered else "fail", **when}
        response.update(observedValue=round((at - self.began) * 1000, 1), observedUnit="ms")
        schema: dict[str, Any] = {"status": "fail" if code else "pass", "observedValue": self.revision, **when}
        if not answered:
            response["code"], schema["observedValue"] = code, None
        elif code:
            schema["code"] = code
        if answered and at - self.began > SLOW:
            response.update(status="warn", code="slow")
        return {"database:responseTime": [response], "database:revision": [schema]}


class Health:
    """The health of one process.

    However many ask, one look at the database is on its way at a time, and its result is kept for a second.

    Args:
        version: of the application, as people know it.
        revision: asks the database which migration it is at, without waiting for long; None: it has no schema yet. It is
            called in a thread, and what it awaits runs in the application's loop. Left out: no database is asked.
        path: of the full answer; ``/live`` below it asks nobody.
        shutdown_seconds: after SIGTERM until the process ends, whatever is still in flight: two less than the platform
            gives (Render: maxShutdownDelaySeconds, which is 30 unless set).
    """

    def __init__(
        self,
        *,
        version: str = "",
        revision: Callable[[], str | Awaitable[str | None] | None] | None = None,
        path: str = "/api/health",
        shutdown_seconds: float = 28.0,
    ) -> None:
        self.stopping = False
        self._version, self._revision, self._shutdown_seconds = version, revision, shutdown_seconds
        self._full, self._live = path, f"{path}/live"
        self._time, self._began = datetime.now(timezone.utc), time.monotonic()
        self._lock = threading.Lock()
        self._last: _Look | None = None
        self._hanging: list[_Look] = []
        self._in_flight = 0
        self._heard_in = 0  # the process whose SIGTERM is heard: a server may fork
        self._theirs: Any = None  # the handler of the server
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()  # the one thing that a signal handler may wake

    def asgi(self, app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Put the answers before an ASGI application; ``app.add_middleware(health.asgi)`` does as well."""

        async def serve(scope: dict[str, Any], receive: Any, send: Callable[..., Awaitable[None]]) -> None:
            self._hear()

            async def respond(message: dict[str, Any]) -> None:
                if self.stopping and message["type"] == "http.response.start" and scope["http_version"] < "2":
                    headers = [each for each in message.get("headers", ()) if each[0].lower() != b"connection"]
                    message = {**message, "headers": [*headers, (b"connection", b"close")]}
                await send(message)

            if scope["type"] != "http":
                await app(scope, receive, send)
            elif scope["path"] in {self._full, self._live}:
                await self._tell(scope["method"], scope["path"], respond)
            else:
                await self._through_asgi(app, scope, receive, respond)

        return serve

    async def _tell(self, method: str, path: str, send: Callable[..., Awaitable[None]]) -> None:
        look = self._look(method, path, asyncio.get_running_loop())
        if look is not None:
            await asyncio.wait({asyncio.wrap_future(look.done)}, timeout=look.seconds_left)
        status, headers, body = self._answer(method, path, look)
        raw = [(key.lower().encode(), value.encode()) for key, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    async def _through_asgi(self, app: Callable[..., Awaitable[None]], *call: Any) -> None:
        self._count(1)
        try:
            await app(*call)
        finally:
            self._count(-1)

    def wsgi(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Put the answers before a WSGI application."""
        self._hear()

        def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self._hear()
            method, path = environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if path not in {self._full, self._live}:
                if callable(self._theirs):
                    return app(environ, start_response)  # the server counts what is in flight
                return self._through_wsgi(app, environ, start_response)
            look = self._look(method, path, None)
            if look is not None:
                wait_for([look.done], timeout=look.seconds_left)
            status, headers, body = self._answer(method, path, look)
            start_response(f"{status} {HTTPStatus(status).phrase}", headers)
            return [body]

        return serve

    def _through_wsgi(self, app: Callable[..., Iterable[bytes]], *call: Any) -> Iterator[bytes]:
        self._count(1)
        try:
            answer = app(*call)
            try:
                yield from answer
            finally:
                getattr(answer, "close", lambda: None)()
        finally:
            self._count(-1)

    def _answer(self, method: str, path: str, look: _Look | None) -> tuple[int, list[tuple[str, str]], bytes]:
        if method not in {"GET", "HEAD"}:
            return 405, [("Allow", "GET, HEAD"), ("Content-Length", "0")], b""
        uptime = time.monotonic() - self._began
        checks = look.checks() if look is not None else {}
        if self.stopping and path == self._full:
            checks = {"process:state": [{"status": "fail", "code": "stopping"}]}
        seen = {check["status"] for items in checks.values() for check in items}
        status = "fail" if "fail" in seen else "warn" if "warn" in seen else "pass"
        document = {
            "status": status,
            "version": self._version,
            "releaseId": os.environ.get("RENDER_GIT_COMMIT"),
            "deployedAt": self._time.isoformat(timespec="milliseconds"),
            "uptimeSeconds": round(uptime, 1),
            "instance": os.environ.get("RENDER_INSTANCE_ID"),
            "checks": checks,
        }
        body = json.dumps({key: value for key, value in document.items() if value or key == "uptimeSeconds"}).encode()
        headers = [("Content-Type", "application/health+json"), ("Cache-Control", "no-store")]
        headers.append(("Content-Length", str(len(body))))
        return 503 if status == "fail" else 200, headers, b"" if method == "HEAD" else body

    def _look(self, method: str, path: str, loop: asyncio.AbstractEventLoop | None) -> _Look | None:
        """Share the look on its way or still good, or begin one.

        None where this request needs none.
        """
        if self._revision is None or self.stopping or path != self._full or method not in {"GET", "HEAD"}:
            return None
        with self._lock:
            self._hanging = [each for each in self._hanging if each.ended is None]
            last = self._last
            if last is not None and (last.is_good() or (last.ended is None and len(self._hanging) >= HANGING_MOST)):
                return last
            look = self._last = _Look()
            self._hanging.append(look)
        # A thread of its own: what hangs in a driver hangs there, and no exit waits for it.
        threading.Thread(target=self._ask, args=(self._revision, look, loop), name="health", daemon=True).start()
        return look

    @staticmethod
    def _ask(revision: Callable[[], Any], look: _Look, loop: asyncio.AbstractEventLoop | None) -> None:
        async def wait(work: Awaitable[Any]) -> Any:
            return await work

        try:
            answer = revision()
            if inspect.isawaitable(answer):
                work = wait(answer)
                answer = (
                    asyncio.run_coroutine_threadsafe(work, loop).result() if loop is not None else asyncio.run(work)
                )
        except BaseException as error:  # noqa: BLE001 - whatever it is, a code tells it
            look.end(code=code_of(error))
        else:
            look.end(revision=str(answer) if answer else None)

    def _count(self, by: int) -> None:
        with self._lock:
            self._in_flight += by

    def _hear(self) -> None:
        """Hear of SIGTERM before the server, whose handler is called after."""
        if self._heard_in == os.getpid() or threading.current_thread() is not threading.main_thread():
            return
        self._heard_in = os.getpid()
        before = signal.signal(signal.SIGTERM, self._stop)
        self._theirs = self._theirs if before == self._stop else before
        threading.Thread(target=self._leave, name="health-shutdown", daemon=True).start()

    def _stop(self, number: int, frame: Any) -> None:
        again, self.stopping = self.stopping, True
        self._told.put(None)
        if callable(self._theirs):
            # uvicorn sends the signal to itself again once all is done, and would end by it instead of with 0.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            self._theirs(number, frame)
        elif again and not self._in_flight:
            sys.exit(0)

    def _leave(self) -> None:
        """End the process at the deadline.

        Where the server does not do it, also as soon as nothing is in flight.
        """
        self._told.get()
        deadline = time.monotonic() + self._shutdown_seconds
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if not self._in_flight and not callable(self._theirs):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)  # the second one leaves
        sys.stderr.write(f"health: still not done {self._shutdown_seconds:g} s after SIGTERM; the process ends\n")
        sys.stderr.flush()
        os._exit(0)
