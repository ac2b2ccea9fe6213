"""What stands before a platform: tells what it is asked, and garbles one answer, or one and those that follow it."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import msgspec

from tests.support.garble.ways import WAYS, Told, told
from tests.support.standing import Quiet, asked, serving

SERVICE, DEPLOY, OWNER, MOMENT = r"srv-\w+", r"dep-\w+", r"tea-\w+", r"\d{4}-\d\d-\d\dT[^&]+"


class Request(msgspec.Struct, frozen=True):
    """The *number*-th request of a command that asks for *what*: method and address, without the ids of one run."""

    what: str
    number: int

    def __str__(self) -> str:
        return f"{self.what} {self.number}"


class Rule(msgspec.Struct, frozen=True):
    """Which answer is garbled, and in which way; *stays*: those to the same question that follow it, too."""

    request: Request
    way: str
    stays: bool = False


@dataclass
class Garbling(ABC):
    """It passes every request on.

    Attributes:
        names: of services, by their ids.
        asked: what a command has asked for until now, in order.
        garbled: how many answers were garbled until now.
    """

    names: dict[str, str] = field(default_factory=dict)
    rule: Rule | None = None
    asked: list[Request] = field(default_factory=list)
    garbled: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, rule: Rule | None = None) -> None:
        """Forget what was asked, and garble by this rule from now on."""
        with self._lock:
            self.rule, self.asked, self.garbled, self._counts = rule, [], 0, Counter()

    def answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Told, dict[str, str]]:
        """What is said to a request, and the headers that go with it."""
        with self._lock:
            way = self._chosen(method, path)
        status, true, given = self.forward(method, path, body, headers)
        if not way:
            return told(status, true, given.pop("content-type", "")), given
        elsewhere = self.forward("GET", self._elsewhere(method, path), b"", headers)[1] if way == "other" else b""
        given.pop("content-type", None)
        return WAYS[way](status, true, elsewhere), given

    def _chosen(self, method: str, path: str) -> str:
        """The way in which this request is answered; empty where it is answered as it is."""
        what = re.sub(SERVICE, lambda found: self.names.get(found[0], found[0]), path.removeprefix("/v1"))
        for pattern, word in ((DEPLOY, "dep"), (OWNER, "owner"), (MOMENT, "then")):
            what = re.sub(pattern, word, what)
        what = f"{method} {what}"
        self._counts[what] += 1
        self.asked.append(Request(what, self._counts[what]))
        if (rule := self.rule) is None or rule.request.what != what:
            return ""
        if self._counts[what] == rule.request.number or (rule.stays and self._counts[what] > rule.request.number):
            self.garbled += 1
            return rule.way
        return ""

    def _elsewhere(self, method: str, path: str) -> str:
        """The address of something of the same kind that was not asked for."""
        if (service := re.search(SERVICE, path)) is None:
            return path.replace("/services", "/postgres") if "/services" in path else path.partition("?")[0] + "/none"
        ids = sorted(self.names)
        path = path.replace(service[0], ids[(ids.index(service[0]) + 1) % len(ids)])
        if method == "POST" or re.search(DEPLOY, path):  # one deploy, of another service
            deploys = path.partition("/deploys")[0].removesuffix("/rollback") + "/deploys"
            listed = self.forward("GET", f"{deploys}?limit=1")[1]
            newest = re.search(DEPLOY, listed.decode())
            assert newest is not None, listed
            return f"{deploys}/{newest[0]}"
        return path

    @abstractmethod
    def forward(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """The true answer: status, body, and headers."""


@dataclass(kw_only=True)
class Proxy(Garbling):
    """A server before the local Render; its address is that of the API."""

    upstream: SplitResult
    address: str = ""

    def forward(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask the local Render; without headers, with those of the request before."""
        if headers is not None:
            self._known = headers
        status, said, given = asked(self.upstream.netloc, method, path, body, self._known)
        return status, said, {name.lower(): text for name, text in given.items()}


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """A proxy before the API at *upstream*, on loopback."""
    proxy = Proxy(upstream=urlsplit(upstream))

    class Handler(Quiet):
        def _any(self) -> None:
            said, more = proxy.answer(self.command, self.path, self.body(), dict(self.headers.items()))
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response_only(said.status)
                for name, value in more.items():
                    self.send_header(name, value)
                if said.kind:
                    self.send_header("Content-Type", said.kind)
                self.send_header("Content-Length", str(said.length))
                self.end_headers()
                self.wfile.write(said.body)
            self.close_connection = self.close_connection or said.length != len(said.body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - the names that http.server asks for

    with serving(Handler) as port:
        proxy.address = f"http://127.0.0.1:{port}{proxy.upstream.path}"
        yield proxy
