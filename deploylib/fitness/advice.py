"""Advise which line to change, in the program's own language.

Facts: the documents of Node (``server.close``, ``closeIdleConnections``), uvicorn, gunicorn, psycopg_pool, SQLAlchemy and pg.
"""

from __future__ import annotations

import re

from deploylib.fitness.measurement import ServiceSubject
from deploylib.fitness.start_command import take_option, tell_direct
from deploylib.models.fitness import Question

__all__ = ["change", "setting"]

CLOSE = 'process.on("SIGTERM", () => server.close(() => process.exit(0)))'
STOP = "signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())"
EITHER = "handle SIGTERM: take no new request, answer those in flight, close the connections, exit 0"

NODE = {
    Question.FLIGHT: f"{CLOSE}, and no process.exit before; server is what app.listen(…) returns; of Fastify: app.close()",
    Question.EXIT: f"{CLOSE}; setTimeout(() => process.exit(0), {{deadline}}000).unref()",
    Question.IDLE: "server.close(…); server.closeIdleConnections()",
    Question.ADDRESS: 'server.listen(process.env.PORT, "0.0.0.0"); of Fastify: app.listen({{ port: process.env.PORT, host: "0.0.0.0" }})',
    Question.CONNECTIONS: "new Pool({{ max: {size} }})",
}
PYTHON = {
    Question.FLIGHT: f"{STOP}; and threads that are not daemons; of waitress: lambda *_: sys.exit(0)",
    Question.EXIT: f"{STOP}; and a deadline of {{deadline}} s for what it waits for",
    Question.IDLE: "close the connections that wait for a request once SIGTERM has come; a time-out for them: timeout = 5",
    Question.ADDRESS: 'listen on ("0.0.0.0", int(os.environ["PORT"]))',
    Question.CONNECTIONS: "ConnectionPool(url, max_size={size}); of SQLAlchemy: pool_size={size}, max_overflow=0",
}
# Of a server that a command starts, the options that it needs there.
OPTIONS: dict[str, dict[Question, tuple[str, ...]]] = {
    "uvicorn": {
        Question.FLIGHT: ("--timeout-graceful-shutdown {deadline}",),
        Question.EXIT: ("--timeout-graceful-shutdown {deadline}",),
        Question.ADDRESS: ("--host 0.0.0.0", "--port $PORT"),
    },
    "gunicorn": {
        Question.FLIGHT: ("--graceful-timeout {deadline}",),
        Question.EXIT: ("--graceful-timeout {deadline}",),
        Question.ADDRESS: ("--bind 0.0.0.0:$PORT",),
    },
    "hypercorn": {
        Question.FLIGHT: ("--graceful-timeout {deadline}",),
        Question.EXIT: ("--graceful-timeout {deadline}",),
        Question.ADDRESS: ("--bind 0.0.0.0:$PORT",),
    },
    "waitress-serve": {Question.ADDRESS: ("--listen 0.0.0.0:$PORT",)},
}
# Those that are for development get another one in their place.
REPLACED = {
    "flask run": "exec gunicorn --bind 0.0.0.0:$PORT app:app",
    "manage.py runserver": "exec gunicorn --bind 0.0.0.0:$PORT PROJECT.wsgi",
}
OF_SERVER = {Question.SIGNAL, Question.FLIGHT, Question.EXIT, Question.ADDRESS}
REST = {
    Question.FLIGHT: EITHER,
    Question.EXIT: EITHER,
    Question.IDLE: EITHER,
    Question.ADDRESS: "listen on 0.0.0.0, at the port that PORT says",
    Question.CONNECTIONS: "give the pool of database connections at most {size}",
}


def change(
    question: Question, subject: ServiceSubject, *, size: int = 0, code: int = 0, back: bool = False, server: str = ""
) -> str:
    """Tell the line to change.

    Args:
        size: connections that an instance may hold.
        code: that it has ended with.
        back: it does not find its database again.
        server: the name of the process that serves.
    """
    command, deadline = subject.start_command, max(int(subject.drain) - 5, 1)
    replaced = next((line for words, line in REPLACED.items() if words in command), "")
    if replaced and question in OF_SERVER:
        return f"startCommand: {replaced}"
    if question is Question.SIGNAL:
        return tell_direct(command, subject.scripts, server)
    if question is Question.DATABASE:
        return _of_database(subject, code=code, back=back)
    own = next((every.get(question, ()) for word, every in OPTIONS.items() if re.search(rf"\b{word}\b", command)), ())
    if own:
        return take_option(command, *(one.format(deadline=deadline) for one in own))
    common = {"python": PYTHON, "node": NODE}.get(subject.runtime, REST)
    return (common.get(question) or REST[question]).format(deadline=deadline, size=size)


def setting(subject: ServiceSubject, line: str) -> str:
    """Tell the setting to add."""
    return f"[services.{subject.name}] {line}"


def _of_database(subject: ServiceSubject, *, code: int, back: bool) -> str:
    if code and subject.runtime == "node":
        return 'pool.on("error", (error) => console.error(error.code)): without it the loss of an idle connection ends the program'
    if code:
        return "catch what the driver raises when a connection is lost, and take another one from a pool"
    if not back:
        return (
            f"healthCheckPath: a path that asks nobody but the process, in place of {subject.health_path or '/'}; "
            "inv verify and monitoring ask the deep one"
        )
    if subject.runtime == "python":
        return "ConnectionPool(url, check=ConnectionPool.check_connection); of SQLAlchemy: pool_pre_ping=True"
    if subject.runtime == "node":
        return "new Pool(…) in place of one Client, which is never connected again"
    return "take connections from a pool that replaces those that are lost"
