"""A bare ASGI application with the health file, under uvicorn; ``/slow`` takes as long as SLOW says."""

import asyncio
import os
from typing import Any

import psycopg
import uvicorn

from deploylib.health.health import Health


async def revision() -> str | None:
    """Ask the database by QUERY, on a connection of its own."""
    connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)
    async with connection:
        row = await (await connection.execute(os.environ["QUERY"].encode())).fetchone()
    return row[0] if row else None


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with two lines; there is no lifespan."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await asyncio.sleep(float(os.environ["SLOW"]) if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"done\n"})


health = Health(version="1.4.0", revision=revision, shutdown_seconds=float(os.environ["WITHIN"]))
uvicorn.run(health.asgi(app), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error", backlog=4096)
