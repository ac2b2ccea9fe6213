"""The start command that becomes the program itself, from what people write."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from deploylib.fitness import advice
from deploylib.fitness.measurement import ServiceSubject
from deploylib.fitness.start_command import take_option, tell_direct
from deploylib.models import Kind
from deploylib.models.fitness import Question

SCRIPTS = {
    "start": "node server.js; true",
    "start:prod": "npm run serve",
    "serve": "NODE_ENV=production next start -p $PORT",
    "dev": "nodemon server.js",
    "here": "./bin/www",
    "shell": "sh -c 'node a.js'",
    "loop": "npm run loop",
    "hooked": "node b.js",
    "prehooked": "node build.js",
}


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("npm start", "exec node server.js"),
        ("npm --silent start", "exec node server.js"),
        ("npm run start:prod", "exec env NODE_ENV=production node_modules/.bin/next start -p $PORT"),
        ("yarn serve", "exec env NODE_ENV=production node_modules/.bin/next start -p $PORT"),
        ("pnpm run dev", "exec node server.js: nodemon is for development"),
        ("bun run here", "exec ./bin/www"),
        ("npm run shell", "exec node a.js"),
        ("npm run hooked", "npm run prehooked && exec node b.js"),
        ("A=1 npm run hooked", "npm run prehooked && exec env A=1 node b.js"),
        ("npm run loop", None),
        ("npm run nobody", None),
        ("npm --prefix server start", None),
        ("cd server && npm start", None),
        ("npx serve -s build", "exec node_modules/.bin/serve -s build"),
        ("npx -y tsx app.ts", "exec node_modules/.bin/tsx app.ts"),
        ("pnpm exec next start", "exec node_modules/.bin/next start"),
        ("sh -c 'node server.js'", "exec node server.js"),
        ('/bin/bash -lc "exec npm run hooked"', "npm run prehooked && exec node b.js"),
        ("node server.js | tee log", "exec node server.js, with nothing after it"),
        ("node server.js 2>&1 | tee log", "exec node server.js 2>&1, with nothing after it"),
        ("node a.js & wait", "exec node a.js, with nothing after it"),
        ("echo begins; node a.js; echo ended", "echo begins ; exec node a.js, with nothing after it"),
        ("prisma migrate deploy && node a.js", "prisma migrate deploy && exec node a.js"),
        ("node 'a && b.js'", "exec node 'a && b.js'"),
        ("nodemon server.js", "exec node server.js: nodemon is for development"),
        ("", "exec PROGRAM"),
    ],
)
def test_the_program_itself_is_found(command: str, line: str | None) -> None:
    """Behind shells, package runners and pipes; a script that is not known is not guessed."""
    told = tell_direct(command, SCRIPTS, "node")

    if line is None:
        assert told.startswith("startCommand: the program itself that the script of package.json starts")
    else:
        assert told == f"startCommand: {line}"


@pytest.mark.parametrize(
    "command", ["./start.sh", "bash bin/start.sh --fast", "alembic upgrade head && sh bin/start.sh"]
)
def test_of_a_shell_script_its_own_line_is_told(command: str) -> None:
    """For that is where the program stands."""
    assert tell_direct(command, {}).endswith("start.sh: exec before the line that starts the program")


@pytest.mark.parametrize(
    ("command", "server", "line"),
    [
        ("python app.py; echo ended", "python3.11", "exec python app.py, with nothing after it"),
        ("alembic upgrade head && gunicorn app:app", "gunicorn", "alembic upgrade head && exec gunicorn app:app"),
        ("./agent & ./server", "server", "./agent & exec ./server"),
    ],
)
def test_the_one_that_serves_is_taken(command: str, server: str, line: str) -> None:
    """As it was seen; not what stands last."""
    assert tell_direct(command, {}, server) == f"startCommand: {line}"


def change(question: Question, command: str, runtime: str = "python", scripts: Mapping[str, str] = SCRIPTS) -> str:
    """What is told of a service that is started so."""
    subject = ServiceSubject("api", "srv-1", Kind.WEB, runtime, command, delay=30, scripts=scripts)
    return advice.change(question, subject, size=3)


@pytest.mark.parametrize(
    ("question", "command", "line"),
    [
        (Question.ADDRESS, "uvicorn app:app --host 127.0.0.1", "exec uvicorn app:app --host 0.0.0.0 --port $PORT"),
        (Question.EXIT, "uvicorn app:app", "exec uvicorn app:app --timeout-graceful-shutdown 25"),
        (
            Question.FLIGHT,
            "alembic upgrade head && exec gunicorn -w 2 --graceful-timeout=1 app:app",
            "alembic upgrade head && exec gunicorn -w 2 app:app --graceful-timeout 25",
        ),
        (Question.FLIGHT, "python -m hypercorn app:app", "exec python -m hypercorn app:app --graceful-timeout 25"),
        (Question.ADDRESS, "waitress-serve app:app", "exec waitress-serve app:app --listen 0.0.0.0:$PORT"),
        (Question.SIGNAL, "python manage.py runserver", "exec gunicorn --bind 0.0.0.0:$PORT PROJECT.wsgi"),
        (Question.SIGNAL, "flask run", "exec gunicorn --bind 0.0.0.0:$PORT app:app"),
        (Question.SIGNAL, "npm start", "exec node server.js"),
    ],
)
def test_a_server_gets_the_option_that_it_needs(question: Question, command: str, line: str) -> None:
    """In its own command; one for development is replaced."""
    assert change(question, command) == f"startCommand: {line}"


def test_an_option_is_given_once() -> None:
    """In the place of its own."""
    assert take_option("gunicorn --bind 127.0.0.1:8000 app:app", "--bind 0.0.0.0:$PORT") == (
        "startCommand: exec gunicorn app:app --bind 0.0.0.0:$PORT"
    )
