"""The edge to HTTP.

The one place that knows which client library speaks it.

What can go wrong is told apart by what it means for a request that changes something: *not sent* is safe to repeat,
*no answer* may have been accepted. Nothing is read without a limit in bytes, on the wire and unpacked, nor for longer than
a request as a whole may take: a server that sends a byte every now and then outlives any time-out of a single wait.
"""

from __future__ import annotations

import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
from httpcore import ConnectTimeout, NetworkBackend, NetworkStream, ReadTimeout, WriteTimeout

from deploylib.models import decoding
from deploylib.system import threads
from deploylib.system.clock import Deadline
from deploylib.system.trust import find_trusted
from deploylib.system.websocket import Websocket, WebsocketError, open_websocket

__all__ = [
    "API",
    "ASSET",
    "HERE",
    "PAGE",
    "Answer",
    "HttpError",
    "Limit",
    "NoAnswer",
    "NotSent",
    "Session",
    "Websocket",
    "WebsocketError",
    "open_websocket",
]

MIB = 1 << 20
PIECE = 1 << 16
VALUES = 1_000_000  # an object of Python is up to forty times as large as its JSON
SLOWEST, EVERY = 1 * MIB, 60.0  # bytes, and seconds in which they must come of a download
DOWNLOAD_WITHIN = 12 * 3600.0
HERE = ("127.0.0.1", "::1", "localhost")  # asked without a proxy, also where nobody has set NO_PROXY
NO_ADDRESS = "its address is none"  # a part of a host's name that is too long or empty, half a character


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a body is taken.

    Attributes:
        kept: bytes of it, unpacked, that are kept.
        read: bytes after which it is no answer; 0: once enough is kept nothing more is read.
    """

    kept: int
    read: int = 0


API = Limit(32 * MIB, 32 * MIB)
PAGE = Limit(MIB, 32 * MIB)  # a large page is still a page, and what it names stands at its beginning
ASSET = Limit(MIB)


class HttpError(Exception):
    """No answer came.

    The text names the kind of trouble and never a header or a body.
    """


class NotSent(HttpError):
    """The connection was never made: the request did not arrive."""


class NoAnswer(HttpError):
    """The request may have been sent, and no whole answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status.

    Attributes:
        whole: *body* is all of it, and not only its beginning.
        expires: when the certificate of the server ends; None: it showed none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = ""
    whole: bool = True
    expires: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Read the body as JSON.

        None where it is not, or has more values in it than anything that is meant for us.
        """
        if not self.whole or sum(map(self.body.count, b"[{,")) > VALUES:
            return None
        try:
            return decoding.json(self.body, Any, most=API.kept)
        except decoding.Undecodable:
            return None


class Session:
    """Keep-alive connections to one or more servers.

    Safe to use from several threads.

    Args:
        base_url: in front of relative addresses.
        headers: sent with every request.
        timeout: seconds for connecting, and for each wait for data.
        within: seconds for a whole request, from looking its name up to the last byte; 0: as *timeout*.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        within: float = 0.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._within = within or timeout
        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": "deploylib", "Accept-Encoding": "gzip, deflate", **(headers or {})},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            verify=find_trusted(),
            transport=transport,
            mounts={f"all://{f'[{host}]' if ':' in host else host}": None for host in HERE},
            follow_redirects=False,
        )
        self._ends = _bounded(self._client)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: Limit = API,
        within: float = 0.0,
    ) -> Answer:
        """Send one request, once.

        Args:
            json: what is sent, as JSON.
            content: what is sent, as it is.
            within: seconds for all of it; 0: as the session has it.

        Raises:
            NotSent: no connection.
            NoAnswer: a time-out, a connection that broke, or a body that is too long or cannot be unpacked.
        """
        body = msgspec.json.encode(json) if json is not None else content
        every = {**({"Content-Type": "application/json"} if json is not None else {}), **(headers or {})}
        self._ends.deadline = deadline = Deadline.after(within or self._within)
        with _told(), self._client.stream(method, url, params=params, content=body, headers=every) as got:
            expires = _expiry(got)
            kept, whole = _taken(got, limit, deadline)
        return Answer(got.status_code, got.headers, kept, str(got.url), whole, expires)

    def pieces(self, url: str) -> Iterator[bytes]:
        """Read what lies at *url*, as it is and as it comes.

        Redirects are followed.

        Raises:
            NotSent: no connection.
            NoAnswer: it is not given, comes too slowly, or the connection broke before its end.
        """
        self._ends.deadline = deadline = Deadline.after(DOWNLOAD_WITHIN)
        minute, come = Deadline.after(EVERY), 0
        asked = {"Accept-Encoding": "identity"}
        with _told(), self._client.stream("GET", url, headers=asked, follow_redirects=True) as got:
            if not got.is_success:
                raise NoAnswer(f"status {got.status_code}")
            for piece in got.iter_raw():
                come += len(piece)
                if minute.has_passed():
                    if come < SLOWEST or deadline.has_passed():
                        raise NoAnswer(f"it comes too slowly: {come} bytes in a minute")
                    minute, come = Deadline.after(EVERY), 0
                yield piece
                self._ends.deadline = deadline  # whoever took the piece may have asked for something else meanwhile

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _expiry(got: httpx.Response) -> datetime | None:
    """Read when the certificate of this very connection ends."""
    stream = got.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    shown = (tls.getpeercert() or {}) if tls is not None else {}
    ends = shown.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if ends else None


def _taken(got: httpx.Response, limit: Limit, deadline: Deadline) -> tuple[bytes, bool]:
    """Read the body or its beginning, and whether that is all."""
    raw = iter((got.content,)) if got.is_stream_consumed else _unpacked(got, limit, deadline)
    kept, come = bytearray(), 0
    for piece in raw:
        come += len(piece)
        kept += piece[: limit.kept - len(kept)]
        if come > limit.kept and not limit.read:
            break
        if come > max(limit.read, limit.kept):
            raise NoAnswer(f"more than {limit.read // MIB} MB")
    return bytes(kept), come <= limit.kept


def _unpacked(got: httpx.Response, limit: Limit, deadline: Deadline) -> Iterator[bytes]:
    """Unpack a body as it comes.

    What is packed otherwise than we asked for is given as it is.

    Not by httpx, which unpacks each piece whole: 64 kB of gzip are up to 64 MB, of br or zstd some GB.
    """
    coding, packed, unpack = got.headers.get("content-encoding", "").strip().lower(), 0, None
    for piece in got.iter_raw(PIECE):
        packed += len(piece)
        if deadline.has_passed():
            raise NoAnswer("read timeout")
        if packed > max(limit.read, limit.kept) and limit.read:
            raise NoAnswer(f"more than {limit.read // MIB} MB")
        if coding not in {"gzip", "x-gzip", "deflate"}:
            yield piece
            continue
        if unpack is None:  # some servers send deflate without the head that its standard asks for
            bare = coding == "deflate" and piece[0] & 15 != 8
            unpack = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        try:
            while piece and not unpack.eof:
                out = unpack.decompress(piece, PIECE)
                piece = unpack.unconsumed_tail  # noqa: PLW2901 - what is left of it
                yield out
        except zlib.error as error:
            raise NoAnswer("it cannot be unpacked") from error
        if unpack.eof:
            return
    if unpack is not None:
        raise NoAnswer("it ends in the middle")


class _Ends(threading.local):
    """When the request of this thread is over."""

    deadline: Deadline | None = None

    def count_left(self, timeout: float | None, late: type[Exception]) -> float | None:
        """Count the seconds left for one wait."""
        if self.deadline is None:
            return timeout
        if self.deadline.has_passed():
            raise late
        return self.deadline.left if timeout is None else min(timeout, self.deadline.left)


class _Stream(NetworkStream):
    """A connection that waits no longer than its request may take."""

    def __init__(self, stream: NetworkStream, ends: _Ends) -> None:
        self._stream, self._ends = stream, ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._ends.count_left(timeout, ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._ends.count_left(timeout, WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        left = self._ends.count_left(timeout, ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(NetworkBackend):
    """A network whose connections are bounded.

    Looking a name up has no time-out of its own, so it is done aside.
    """

    def __init__(self, network: NetworkBackend, ends: _Ends) -> None:
        self._network, self._ends = network, ends

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any, **more: Any) -> NetworkStream:
        left = self._ends.count_left(timeout, ConnectTimeout)
        connecting = threads.start(lambda: self._network.connect_tcp(host, port, left, *rest, **more))
        try:
            return _Stream(connecting.result(left), self._ends)
        except TimeoutError as error:
            raise ConnectTimeout from error

    def connect_unix_socket(self, *args: Any, **options: Any) -> NetworkStream:
        return _Stream(self._network.connect_unix_socket(*args, **options), self._ends)


def _bounded(client: httpx.Client) -> _Ends:
    """Bound every wait of a client.

    The moment at which it ends is set for each request.

    httpx has a time-out for each wait, and none for a request; the network below it is no argument of it.
    """
    ends = _Ends()
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - see above
        if isinstance(transport, httpx.HTTPTransport):
            pool: Any = transport._pool  # noqa: SLF001
            pool._network_backend = _Backend(pool._network_backend, ends)  # noqa: SLF001
    return ends


@contextmanager
def _told() -> Iterator[None]:
    """Tell the library's errors by whether the request arrived."""
    try:
        yield
    except (UnicodeError, httpx.InvalidURL) as error:
        raise NotSent(NO_ADDRESS) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise NotSent(_words(error)) from error
    except httpx.RequestError as error:
        raise NoAnswer(_words(error)) from error


def _words(error: Exception) -> str:
    """Name the kind of trouble in plain words.

    ``ConnectTimeout`` → ``connect timeout``; of a certificate, what is wrong with it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    name = type(error).__name__
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
