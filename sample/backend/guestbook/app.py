"""The application: what is served where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from . import problems
from .database import Database
from .entries import Entries
from .health import Health
from .settings import Settings


def create_app(settings: Settings) -> Starlette:
    """Put the parts together."""
    database = Database(settings.database_url)
    entries = Entries(database)
    health = Health(database_url=settings.database_url, release=settings.release)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        yield
        await database.close()

    return Starlette(
        routes=[
            Route("/api/health/live", health.live),
            Route("/api/health", health.full),
            Route("/api/entries", entries.answer, methods=["GET", "POST"]),
            Route("/api/rules", entries.rules),
        ],
        middleware=[
            # The book is public and knows no sessions, so a page of any origin may read and write it.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST", "OPTIONS"],
                allow_headers=["Content-Type"],
                max_age=3600,
            )
        ],
        exception_handlers={
            problems.Problem: problems.answer_problem,
            HTTPException: problems.answer_http,
            Exception: problems.answer_bug,
        },
        lifespan=lifespan,
    )
