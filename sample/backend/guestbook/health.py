"""Two answers about health.

`/api/health/live` asks nobody: Render restarts an instance that fails it, and restarting every instance does
not bring a database back. `/api/health` asks the database as well: for the check after a deploy, for
monitoring and for people.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import __version__
from .database import Code, code_of, revision
from .deadline import within

_DEADLINE_SECONDS = 2.0  # below the 5 seconds that Render waits
_KEEP_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the last look at the database found."""

    code: Code | None
    revision: str | None
    milliseconds: float
    time: datetime

    def as_json(self) -> dict[str, Any]:
        response_time: dict[str, Any] = {
            "status": "fail" if self.code else "pass",
            "observedValue": self.milliseconds,
            "observedUnit": "ms",
            "time": self.time.isoformat(timespec="seconds"),
        }
        if self.code:
            response_time["code"] = self.code
        schema = {"status": "pass" if self.revision else "fail", "observedValue": self.revision}
        return {"database:responseTime": [response_time], "database:revision": [schema]}


class Health:
    """The health of one process.

    However many ask, one check runs at a time and its result is kept for a second: a flood of requests
    costs the database one connection a second.
    """

    def __init__(self, *, database_url: str, release: str) -> None:
        self._database_url = database_url
        self._release = release
        self._started = time.monotonic()
        self._check: asyncio.Task[_Checked] | None = None
        self._checked_at = 0.0

    async def live(self, _request: Request) -> Response:
        """Answer that the process serves."""
        return self._answer("pass", {})

    async def full(self, _request: Request) -> Response:
        """Answer whether the process and its database serve."""
        checked = await self._database()
        healthy = checked.code is None and checked.revision is not None
        return self._answer("pass" if healthy else "fail", {"checks": checked.as_json()})

    async def _database(self) -> _Checked:
        check = self._check
        if check is None or (check.done() and time.monotonic() - self._checked_at > _KEEP_SECONDS):
            check = self._check = asyncio.create_task(self._look())
        return await asyncio.shield(check)  # whoever asked may leave: the others still wait for it

    async def _look(self) -> _Checked:
        started = time.monotonic()
        code: Code | None = None
        found: str | None = None
        try:
            found = await within(_DEADLINE_SECONDS, revision(self._database_url))
        except (psycopg.Error, TimeoutError) as error:
            code = code_of(error)
            _log.warning("the database does not answer: %s", code)
        self._checked_at = time.monotonic()
        milliseconds = round((self._checked_at - started) * 1000, 1)
        return _Checked(code, found, milliseconds, datetime.now(UTC))

    def _answer(self, status: str, more: dict[str, Any]) -> Response:
        return JSONResponse(
            {
                "status": status,
                "version": __version__,
                "releaseId": self._release,
                "uptimeSeconds": round(time.monotonic() - self._started, 1),
                **more,
            },
            HTTPStatus.OK if status == "pass" else HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Cache-Control": "no-store"},
            media_type="application/health+json",
        )
