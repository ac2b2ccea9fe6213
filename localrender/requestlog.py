"""The requests that the edge has passed on, as lines of the log of the service that they went to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from localrender.logs import Logs
    from localrender.state import State

_LONGEST = 4 << 20  # bytes of the file, after which it begins anew
_PIECE = 4 << 20


class _Passed(msgspec.Struct, frozen=True, rename="pascal"):
    """A line of Traefik's access log (its documents, "Access Logs")."""

    entry_point_name: str = msgspec.field(default="", name="entryPointName")
    request_method: str = ""
    request_host: str = ""
    request_path: str = ""
    downstream_status: int = 0
    downstream_content_size: int = 0
    duration: int = 0
    client_host: str = ""


class RequestLog:
    """Reads what Traefik has written since the last time."""

    def __init__(self, file: Path, state: State, logs: Logs) -> None:
        self.file = file
        self.state = state
        self.logs = logs
        self.read = file.stat().st_size if file.exists() else 0
        self.rest = b""

    def take(self) -> None:
        """Add what is new to the log of each web service; a static site has no such lines."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.read)
                piece = file.read(_PIECE)
        except FileNotFoundError:
            return
        self.read += len(piece)
        *whole, self.rest = (self.rest + piece).split(b"\n")
        web = {service.id for service in self.state.services() if service.spec.kind == "web"} if whole else set()
        for line in whole:
            passed = msgspec.json.decode(line, type=_Passed)
            if passed.entry_point_name in web:
                self._add(passed)
        if self.read > _LONGEST and not piece:
            os.truncate(self.file, 0)
            self.read = 0

    def _add(self, passed: _Passed) -> None:
        path = passed.request_path.partition("?")[0]  # what follows may be a secret of a visitor
        labels = {
            "host": passed.request_host,
            "statusCode": str(passed.downstream_status),
            "method": passed.request_method,
            "path": path,
        }
        message = (
            f"[{passed.request_method}]{passed.downstream_status}{passed.request_host}{path} "
            f'clientIP="{passed.client_host}" responseTimeMS={passed.duration // 1_000_000} '
            f"responseBytes={passed.downstream_content_size}"
        )
        self.logs.add(passed.entry_point_name, "request", message, labels=labels)
