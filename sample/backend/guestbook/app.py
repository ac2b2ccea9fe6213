"""The application: what is served where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from . import __version__, problems
from .database import Database, revision
from .entries import Entries
from .health import Health
from .settings import Settings


def create_app(settings: Settings) -> Starlette:
    """Put the parts together."""
    database = Database(settings.database_url)
    entries = Entries(database)
    # Its looks have connections of their own: the pool would answer from one that is open, and hide why a new one fails.
    health = Health(version=__version__, revision=lambda: revision(settings.database_url))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        yield
        await database.close()

    return Starlette(
        routes=[Route("/api/entries", entries.answer, methods=["GET", "POST"]), Route("/api/rules", entries.rules)],
        middleware=[
            # The book is public and knows no sessions, so a page of any origin may read and write it.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST", "OPTIONS"],
                allow_headers=["Content-Type"],
                max_age=3600,
            ),
            Middleware(health.asgi),
        ],
        exception_handlers={
            problems.Problem: problems.answer_problem,
            HTTPException: problems.answer_http,
            Exception: problems.answer_bug,
        },
        lifespan=lifespan,
    )
