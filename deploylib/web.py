"""The edge to HTTP: the one place that knows which client library speaks it.

What can go wrong is told apart by what it means for a request that changes something: *not sent* is safe to repeat,
*no answer* may have been accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

__all__ = ["Answer", "HttpError", "NoAnswer", "NotSent", "Session"]


class HttpError(Exception):
    """No answer came; the text names the kind of trouble and never a header or a body."""


class NotSent(HttpError):
    """The connection was never made: the request did not arrive."""


class NoAnswer(HttpError):
    """The request was sent, or may have been, and no whole answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


class Session:
    """Keep-alive connections to one or more servers; safe to use from several threads.

    Args:
        base_url: in front of relative addresses.
        headers: sent with every request.
        timeout: seconds for connecting, and for each wait for data.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": "deploylib", **(headers or {})},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            transport=transport,
            follow_redirects=False,
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, once.

        Raises:
            NotSent: no connection.
            NoAnswer: a time-out or a connection that broke.
        """
        body = msgspec.json.encode(json) if json is not None else None
        every = {**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        try:
            got = self._client.request(method, url, params=params, content=body, headers=every)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(_words(error)) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise NoAnswer(_words(error)) from error
        return Answer(got.status_code, got.headers, got.content, str(got.url))

    def pieces(self, url: str) -> Iterator[bytes]:
        """What lies at *url*, as it is and as it comes; redirects are followed.

        Raises:
            NotSent: no connection.
            NoAnswer: it is not given, or the connection broke before its end.
        """
        try:
            with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}, follow_redirects=True) as got:
                if not got.is_success:
                    raise NoAnswer(f"status {got.status_code}")
                yield from got.iter_raw(1 << 20)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(_words(error)) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise NoAnswer(_words(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _words(error: Exception) -> str:
    """The kind of trouble in plain words: ``ConnectTimeout`` → ``connect timeout``."""
    name = type(error).__name__
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
