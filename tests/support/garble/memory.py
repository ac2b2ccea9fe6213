"""The product of two workers on the platform in memory, its answers garbled on their way: a story takes an instant."""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploylib.errors import DeployError
from deploylib.models.results import Report
from deploylib.system import process
from tests.support import edges
from tests.support.fakes import API
from tests.support.garble.proxy import Garbling
from tests.support.in_memory import Platform
from tests.support.in_memory_product import NAMES, Product

PATH = httpx.URL(API).path
BUILDS = ["build_in_progress", "live"]
# It ends so late that the other service is live by then, and has to be put back.
FAILS = {"srv-api": ["live"], "srv-web": ["build_in_progress"] * 4 + ["build_failed"]}


class Cut(httpx.SyncByteStream):
    """A body whose connection ends before it does."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


@dataclass
class Transport(Garbling):
    """Stands between the client and the platform in memory."""

    platform: Platform = field(default_factory=Platform)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, in the way that is asked for."""
        path = request.url.raw_path.decode()
        said, given = self.answer(request.method, path, request.content, dict(request.headers))
        headers = {**given, **({"content-type": said.kind} if said.kind else {})}
        if said.length != len(said.body):
            return httpx.Response(said.status, headers=headers, stream=Cut(said.body))
        return httpx.Response(said.status, headers=headers, content=said.body)

    def forward(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask the platform; its list of databases is empty, and so a well-formed answer to any question for a list."""
        if path.startswith(f"{PATH}/postgres"):
            return 200, b"[]", {"content-type": "application/json"}
        url = httpx.URL(API).copy_with(raw_path=path.encode())
        answer = self.platform(httpx.Request(method, url, content=body, headers=dict(headers or {})))
        return answer.status_code, answer.content, {"content-type": answer.headers.get("content-type", "")}


@dataclass
class Remembering(process.SystemRunner):
    """Really asks git, and each question once: nothing about the repository changes meanwhile."""

    known: dict[tuple[object, ...], process.Completed] = field(default_factory=dict)

    def run(self, command: process.Command, /) -> process.Completed:
        """Answer as before, or start it."""
        question = (*command.args, command.stdin if isinstance(command.stdin, bytes) else None)
        if question not in self.known:
            self.known[question] = super().run(command)
        return self.known[question]


class InMemory:
    """The product with two releases, and a third commit; brought back to that by `anew`."""

    def __init__(self, product: Product) -> None:
        self.product, self.folder = product, product.repository.root
        self.proxy = Transport(names={f"srv-{name}": name for name in NAMES}, platform=product.platform)
        product.platform.through = self.proxy
        assert product.deploy().outcome == "succeeded"
        self.first, second = product.first, product.change("2")
        assert product.deploy().outcome == "succeeded"
        self.commits = {"rollback": second, "deploy": product.change("3")}
        product.runner = Remembering()
        self._kept = self._stored()
        self._platform = copy.deepcopy({name: getattr(product.platform, name) for name in ("deploys", "events")})
        self._seconds = product.clock.seconds

    def _stored(self) -> dict[Path, bytes]:
        """The objects of the store."""
        return {path: path.read_bytes() for path in (self.folder / ".deploylib").rglob("*") if path.is_file()}

    def anew(self) -> None:
        """Put everything back to the two releases."""
        now = self._stored()
        for path in set(now) - set(self._kept):
            path.unlink()
            with suppress(OSError):  # it holds something else
                path.parent.rmdir()
        for path, body in self._kept.items():
            if now.get(path) != body:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
        platform = self.product.platform
        for name, value in copy.deepcopy(self._platform).items():
            setattr(platform, name, value)
        platform.plans = dict.fromkeys(("srv-api", "srv-web"), BUILDS)
        self.product.clock.seconds = self._seconds
        self.proxy.begin()

    def change_all(self, *, fails: bool = False) -> str:
        """The third commit, which can be built or cannot."""
        self.product.platform.plans = dict(FAILS) if fails else {f"srv-{name}": BUILDS for name in NAMES}
        return self.commits["deploy"]

    def inv(self, *args: str) -> edges.Completed:
        """What the command would print, and its exit code."""
        commands: dict[str, Callable[[], Report]] = {
            "deploy": self.product.deploy,
            "rollback": self.product.roll_back,
            "finish": self.product.finish,
        }
        try:
            report = commands[args[0]]()
        except DeployError as error:
            return edges.Completed(error.exit_code, "", error.diagnostics())
        except Exception:  # noqa: BLE001 - a bug, as the command would show it
            return edges.Completed(1, "", traceback.format_exc())
        return edges.Completed(report.exit_code, msgspec.json.encode(report).decode(), "")

    def ok(self, *args: str) -> edges.Completed:
        """A command that must succeed, or how the lease is."""
        if args[0] == "lease":
            lease = self.product.env().leases.read()
            told = msgspec.to_builtins(lease) if lease is not None else None
            return edges.Completed(0, json.dumps(told, default=str), "")
        done = self.inv(*args)
        assert done.code == 0, done.said
        return done

    def served(self) -> dict[str, str]:
        """The commit that each service serves, by name."""
        return {name: self.product.platform.live(f"srv-{name}") for name in NAMES}

    def deploys(self, service: str, /) -> list[dict[str, Any]]:
        """The platform's deploys of a service, newest first."""
        return self.product.platform.deploys[f"srv-{service}"]
