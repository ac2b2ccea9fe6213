"""Instances of a local Render that serve nobody, by its control endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import msgspec

from deploylib.errors import NotExamined, Unreachable
from deploylib.models import Secret, decoding
from deploylib.system import http

__all__ = ["Exit", "Instance", "Instances", "NotStarted", "Program"]

T = TypeVar("T")
SOON, BESIDE = 90.0, 20.0  # seconds for a request, and beside what it waits for


class Program(msgspec.Struct, frozen=True, rename="camel"):
    """One process of an instance.

    Attributes:
        on_sigterm: ``caught``, ``ignored``, ``default`` or ``unknown``.
        listening: address and port of each socket on which it listens.
        connected: those to which it is connected.
    """

    pid: int
    name: str
    on_sigterm: str = msgspec.field(name="on_sigterm", default="unknown")
    listening: tuple[tuple[str, int], ...] = ()
    connected: tuple[tuple[str, int], ...] = ()


class Instance(msgspec.Struct, frozen=True, rename="camel"):
    """A program that runs, with what it has started.

    Attributes:
        programs: its processes; the first is what the start command became.
    """

    id: str
    pid: int
    host: str
    port: int
    exit_code: int | None = None
    programs: tuple[Program, ...] = ()

    @property
    def servers(self) -> tuple[Program, ...]:
        """The processes that listen on its port."""
        return tuple(one for one in self.programs if any(port == self.port for _, port in one.listening))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens on its port."""
        every = (address for one in self.programs for address, port in one.listening if port == self.port)
        return tuple(sorted(set(every)))

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports on which it listens."""
        return tuple(sorted({port for one in self.programs for _, port in one.listening}))


class Exit(msgspec.Struct, frozen=True):
    """How an instance has ended, after SIGTERM to its first process.

    Attributes:
        killed: it had not ended in time.
        left: what its first process had started and left running.
    """

    code: int
    seconds: float
    killed: bool
    left: tuple[Program, ...] = ()


class _Failed(msgspec.Struct, frozen=True):
    instances: tuple[Instance, ...] = ()


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class NotStarted(Exception):
    """An instance did not become healthy; the text says why."""


@dataclass(frozen=True)
class Instances:
    """The instances of one local Render.

    Attributes:
        api_url: of its API, with ``/v1``; the control endpoints are beside it.
    """

    api_url: str
    key: Secret = field(repr=False)

    @cached_property
    def session(self) -> http.Session:
        """Connections to the control endpoints."""
        base = self.api_url.removesuffix("/v1")
        return http.Session(base, headers={"Authorization": f"Bearer {self.key.reveal()}"}, timeout=SOON)

    def start(self, service: str, without: tuple[str, ...] = ()) -> Instance:
        """Start an instance of a service; wait until it is healthy.

        Args:
            without: variables that it does not get.

        Raises:
            NotStarted: it does not become so.
        """
        answer = self._sent("POST", "/local/instances", {"service": service, "without": without})
        if answer.status == 400:
            raise NotStarted(self._decoded(answer, _Error).message)
        return self._decoded(answer, Instance)

    def look(self, instance: Instance) -> Instance:
        """Look at an instance as it is now."""
        return self._decoded(self._sent("GET", f"/local/instances/{instance.id}"), Instance)

    def end(self, instance: Instance, patience: float) -> Exit:
        """Send SIGTERM to its first process; kill all after *patience* seconds."""
        path = f"/local/instances/{instance.id}/end"
        return self._decoded(self._sent("POST", path, {"patience": patience}, patience + BESIDE), Exit)

    def read_failed(self, service: str) -> tuple[Instance, ...]:
        """Read what was seen of instances that did not become healthy."""
        return self._decoded(self._sent("GET", f"/local/instances/failed/{service}"), _Failed).instances

    def rest(self, service_id: str) -> None:
        """Stop the instances that serve."""
        self._require_ok(self._sent("POST", f"/v1/services/{service_id}/suspend"))

    def switch_postgres(self, *, running: bool) -> None:
        """Stop the databases, or start them again; returns when that is done."""
        name = "postgres-up" if running else "postgres-down"
        self._require_ok(self._sent("POST", "/local/faults", {"fault": name}))

    def _sent(self, method: str, path: str, body: object = None, within: float = SOON) -> http.Answer:
        try:
            return self.session.request(method, path, json=body, within=within)
        except http.HttpError as error:
            raise Unreachable(
                f"the local Render does not answer: {error}", remedy="inv local.fitness, again"
            ) from error

    def _decoded(self, answer: http.Answer, kind: type[T]) -> T:
        if kind is not _Error:
            self._require_ok(answer)
        try:
            return decoding.json(answer.body, kind)
        except decoding.Undecodable as error:
            message = f"the local Render gave no answer that can be read: {error}"
            raise Unreachable(message, remedy="inv local.fitness, again") from error

    def _require_ok(self, answer: http.Answer) -> None:
        if not answer.ok:
            message = self._decoded(answer, _Error).message
            raise NotExamined(f"the local Render refused: {message}", remedy="inv local.fitness, again")
