"""The append-only history of runs, and what a run's events add up to.

One object per event, ``runs/<run id>/<sequence>-<event>.json``; a run's state is a fold over them. Nothing is ever
changed, so several machines can append and a killed run leaves exactly what it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from deploylib.clock import Clock
from deploylib.models import Commit, Intent, Live, PutBack, Report, Shipped, StageResult, StageStatus
from deploylib.store import Store

__all__ = ["Event", "Journal", "Ledger", "Opened", "RunState", "Triggered"]

T = TypeVar("T")


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The first event of a run: what it is to bring where.

    Attributes:
        services: the only services it may deploy; empty: all.
        back: it restores an earlier release.
    """

    run: str
    environment: str
    commit: Commit
    services: tuple[str, ...] = ()
    author: str = ""
    back: bool = False


class Triggered(msgspec.Struct, frozen=True, kw_only=True):
    """A deploy that the platform has accepted; *adopted* when its answer was lost and it was found again."""

    service: str
    deploy_id: str
    adopted: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, in the order it was written."""

    at: datetime
    kind: str
    data: Any


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run has done so far.

    Attributes:
        stages: the stages that have ended, by name.
        intents: what was about to be asked of the platform, by service.
        triggered: deploys that were accepted, by service.
        shipped: deploys that went live, by service.
        report: the end of the run; None while it is open.
    """

    opened: Opened
    at: datetime
    last: datetime
    stages: dict[str, StageResult] = {}
    intents: dict[str, Intent] = {}
    triggered: dict[str, Triggered] = {}
    shipped: dict[str, Shipped] = {}
    put_back: tuple[PutBack, ...] = ()
    report: Report | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.opened.run

    def done(self, stage: str) -> bool:
        """Whether the stage has ended well, or was rightly left out, in this run."""
        result = self.stages.get(stage)
        return result is not None and result.status in {StageStatus.DONE, StageStatus.SKIPPED}

    def data(self, stage: str, kind: type[T]) -> T:
        """What a stage has left for later ones; the empty value of *kind* where it has not run."""
        result = self.stages.get(stage)
        return msgspec.convert(result.data if result else {}, kind)

    @property
    def commit(self) -> Commit:
        """The commit it is about: of a rollback, the one that was restored."""
        return self.report.commit if self.report is not None and self.report.commit is not None else self.opened.commit

    @property
    def release(self) -> tuple[Live, ...]:
        """What was live, and verified, when the run succeeded."""
        return self.report.live if self.report is not None and self.report.outcome == "succeeded" else ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """The history in a store."""

    store: Store
    clock: Clock

    def append(self, run: str, kind: str, value: Any) -> None:
        """Write one event of a run; it is on the disk when this returns."""
        event = Event(at=self.clock.now(), kind=kind, data=msgspec.to_builtins(value))
        body = msgspec.json.format(msgspec.json.encode(event), indent=1)
        number = max((_number(key) for key in self.store.list(f"runs/{run}/")), default=0)
        while not self.store.put_if_absent(f"runs/{run}/{number + 1:04d}-{kind}.json", body):
            number += 1

    def events(self, run: str) -> Iterator[Event]:
        """The events of a run, oldest first."""
        for key in self.store.list(f"runs/{run}/"):
            yield msgspec.json.decode(b"".join(self.store.read(key)), type=Event)

    def state(self, run: str) -> RunState:
        """Fold the events of a run.

        Raises:
            KeyError: there is no such run.
        """
        events = iter(self.events(run))
        first = next(events, None)
        if first is None or first.kind != "opened":
            raise KeyError(run)
        state = RunState(opened=msgspec.convert(first.data, Opened), at=first.at, last=first.at)
        for event in events:
            state = _fold(state, event)
        return state

    def runs(self) -> list[str]:
        """The ids of all runs, newest first."""
        return sorted({key.split("/")[1] for key in self.store.list("runs/")}, reverse=True)

    def history(self, environment: str, limit: int = 20) -> Iterator[RunState]:
        """The runs of an environment, newest first, at most *limit* of them."""
        for run in self.runs():
            if limit <= 0:
                return
            try:
                state = self.state(run)
            except KeyError:  # its first event is missing, so nobody knows what it was about
                continue
            if state.opened.environment == environment:
                yield state
                limit -= 1

    def find(self, text: str) -> RunState | None:
        """The newest run whose id is or ends with *text*."""
        return next((self.state(run) for run in self.runs() if run.endswith(text)), None)


@dataclass(slots=True)
class Journal:
    """One run while it is being worked on: what is recorded is in the ledger first and in *state* then.

    Nothing is written until the stage *since* has passed: a run that was refused has touched nothing.

    Attributes:
        dry: record nothing anywhere but in *state*, for a dry run.
        since: the last stage that only looks; what it finds may still be a reason to refuse.
        held: events that wait for that stage.
    """

    ledger: Ledger
    state: RunState
    dry: bool = False
    since: str = "check"
    held: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, ledger: Ledger, opened: Opened, *, dry: bool = False, since: str = "check") -> Journal:
        """Begin a run."""
        now = ledger.clock.now()
        return cls(ledger, RunState(opened=opened, at=now, last=now), dry, since, [("opened", opened)])

    def record(self, kind: str, value: Any, /) -> None:
        """Write one event; when this returns it is on the disk, or held back with those before it."""
        event = Event(at=self.ledger.clock.now(), kind=kind, data=msgspec.to_builtins(value))
        after = _fold(self.state, event)
        self.held.append((kind, value))
        if (after.done(self.since) or after.intents) and not self.dry:
            for held in self.held:
                self.ledger.append(self.state.id, *held)
            self.held.clear()
        self.state = after


def _fold(state: RunState, event: Event) -> RunState:
    def read(kind: type[T]) -> T:
        return msgspec.convert(event.data, kind)

    change: dict[str, Any] = {}
    match event.kind:
        case "stage":
            result = read(StageResult)
            change = {"stages": {**state.stages, result.stage: result}}
        case "intent":
            intent = read(Intent)
            change = {"intents": {**state.intents, intent.service: intent}}
        case "triggered":
            triggered = read(Triggered)
            change = {"triggered": {**state.triggered, triggered.service: triggered}}
        case "shipped":
            shipped = read(Shipped)
            change = {"shipped": {**state.shipped, shipped.service: shipped}}
        case "put-back":
            change = {"put_back": (*state.put_back, read(PutBack))}
        case "closed":
            change = {"report": read(Report)}
    return msgspec.structs.replace(state, last=event.at, **change)


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].partition("-")[0])
