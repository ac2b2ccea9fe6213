"""A request that a team declares for a service."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from deploylib.errors import SettingsError
from deploylib.models.units import seconds
from deploylib.models.value import SettingsTable

__all__ = ["SmokeRequest"]

HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
# They say whom a request is for and how long it is, which is not for a setting to say.
OURS = {"host", "connection", "content-length", "transfer-encoding"}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SmokeRequest(SettingsTable, frozen=True):
    """``[[services.NAME.smoke]]``: a request, and what must come of it.

    Attributes:
        path: on the service's own host, with its query.
        send: headers of the request.
        send_env: headers whose values are secrets: by their names, the variables that hold them.
        body: of the request: a text as it is, all else as JSON.
        status: that the answer must have, 200 to 599; a redirect is an answer, and never followed.
        json: what the answer's JSON must hold, at any depth: of an object these keys, of a list these items, in this order; it may hold others.
        header: by their names, what headers of the answer must hold.
        contains: a text that the answer must hold.
        under: the longest that the answer may take, such as ``500ms``; empty: as long as any.
    """

    path: str
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    send: dict[str, str] = msgspec.field(default_factory=dict)
    send_env: dict[str, str] = msgspec.field(default_factory=dict)
    body: str | dict[str, Any] | list[Any] | None = None
    status: int = 200
    json: dict[str, Any] | list[Any] | None = None
    header: dict[str, str] = msgspec.field(default_factory=dict)
    contains: str = ""
    under: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", self.path):
            raise ValueError(
                f"{self.path!r} is no path of the service: it begins with one slash, and is printable ASCII"
            )
        for name in (*self.send, *self.send_env, *self.header):
            if not HEADER.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a header")
        if fixed := sorted(name for name in (*self.send, *self.send_env) if name.lower() in OURS):
            raise ValueError(f"{fixed[0]} is not for a smoke request to say: it is asked of the service's own host")
        if odd := sorted(name for name, value in self.send.items() if not (value.isascii() and value.isprintable())):
            raise ValueError(f"the value of {odd[0]} is no printable ASCII")
        if odd := sorted(name for name in self.send_env.values() if not VARIABLE.fullmatch(name)):
            raise ValueError("send_env names variables, and never holds a value")
        self._require_possible()

    def _require_possible(self) -> None:
        """Refuse what no answer could pass.

        Each release would be put back for it.
        """
        if not 200 <= self.status <= 599:
            raise ValueError(f"status is {self.status}; an answer has one from 200 to 599")
        if self.method == "HEAD" and (self.contains or self.json is not None):
            raise ValueError("an answer to HEAD holds nothing, so that json and contains would fail each release")
        if self.under:
            try:
                longest = seconds(self.under, "under")
            except SettingsError as error:
                raise ValueError(error.message) from error
            if not longest:
                raise ValueError(f"under: {self.under!r} is what no answer can take")

    @property
    def name(self) -> str:
        """The request as it is told: without its query."""
        return f"{self.method} {self.path.partition('?')[0]}"
