"""What the events of a run add up to.

A run's state is a fold over its events: `fold` adds one. Every prefix of a run is a state, so that another machine goes on
wherever one was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from deploylib.models import (
    BackedUp,
    Checked,
    Commit,
    Intent,
    Live,
    LoadTested,
    Moment,
    Planned,
    Proven,
    Shipped,
    StageName,
)
from deploylib.models.release import Opened, Restored, Triggered
from deploylib.models.results import Ending, PutBack, Report, StageResult, StageStatus
from deploylib.models.summaries import RunSummary, StageTime

T = TypeVar("T")
LEFT: dict[str, type] = {
    "check": Checked,
    "changes": Planned,
    "backup": BackedUp,
    "verify": Proven,
    "loadtest": LoadTested,
}
BY_SERVICE: dict[str, tuple[str, Any]] = {
    "intent": ("intents", Intent),
    "triggered": ("triggered", Triggered),
    "shipped": ("shipped", Shipped),
    "back-intent": ("back_intents", Intent),
    "back-triggered": ("back_triggered", Triggered),
}
ANSWERED = {"intents": "triggered", "back_intents": "back_triggered"}
ONCE: dict[str, tuple[str, Any]] = {
    "restoring": ("restoring", Restored),
    "recovering": ("recovering", Ending),
    "closed": ("report", Report),
}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, in the order it was written."""

    at: Moment
    kind: str
    data: Any


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run has done so far.

    Attributes:
        stages: the stages that have ended, by name.
        intents: what was about to be asked of the platform, by service.
        triggered: deploys that were accepted, by service; none of those that were asked for again.
        shipped: deploys that went live, by service; *went_live*: when the first of them did.
        restoring: the release that a rollback has chosen.
        recovering: why what it changed is being put back; from then on the run never goes forward again.
        back_intents: what was about to be asked in order to put a service back.
        back_triggered: deploys that were accepted for that.
        report: the end of the run; None while it is open.
    """

    opened: Opened
    at: Moment
    last: Moment
    stages: dict[str, StageResult] = {}
    intents: dict[str, Intent] = {}
    triggered: dict[str, Triggered] = {}
    shipped: dict[str, Shipped] = {}
    went_live: Moment | None = None
    restoring: Restored | None = None
    recovering: Ending | None = None
    back_intents: dict[str, Intent] = {}
    back_triggered: dict[str, Triggered] = {}
    put_back: tuple[PutBack, ...] = ()
    report: Report | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.opened.run

    def has_done(self, stage: str) -> bool:
        """Tell whether the stage has ended well, or was left out."""
        result = self.stages.get(stage)
        return result is not None and result.status in {StageStatus.DONE, StageStatus.SKIPPED}

    def read_data(self, stage: str, kind: type[T]) -> T:
        """Read what a stage has left for later ones.

        The empty value of *kind* where it has not run.
        """
        result = self.stages.get(stage)
        return msgspec.convert(result.data if result else {}, kind)

    @property
    def checked(self) -> Checked:
        """What the check has found."""
        return self.read_data(StageName.CHECK, Checked)

    @property
    def planned(self) -> Planned:
        """What the run is about."""
        return self.read_data(StageName.CHANGES, Planned)

    @property
    def backed_up(self) -> BackedUp:
        """The backup that it has made, or gone on from."""
        return self.read_data(StageName.BACKUP, BackedUp)

    @property
    def proven(self) -> Proven:
        """What verification has shown."""
        return self.read_data(StageName.VERIFY, Proven)

    @property
    def commit(self) -> Commit:
        """The commit it is about.

        Of a rollback, the one that was restored.
        """
        return self.report.commit if self.report is not None and self.report.commit is not None else self.opened.commit

    @property
    def release(self) -> tuple[Live, ...]:
        """What was live, and verified, when the run succeeded."""
        return self.report.live if self.report is not None and self.report.outcome == "succeeded" else ()

    @property
    def summary(self) -> RunSummary:
        """The run in a few words."""
        report, opened = self.report, self.opened
        serving = {each.commit for each in self.release}
        before = {intent.previous.commit for intent in self.intents.values()}
        return RunSummary(
            id=self.id,
            at=self.at,
            ended=self.last,
            commit=self.commit,
            outcome=report.outcome if report else "",
            exit_code=report.exit_code if report else 0,
            error=report.error if report else "",
            author=opened.author,
            url=opened.url,
            back=opened.back,
            restoring=self.restoring,
            stages=tuple(
                StageTime(stage=each.stage, status=each.status, seconds=each.seconds) for each in self.stages.values()
            ),
            shipped={name: each.deploy_id for name, each in self.shipped.items()},
            live=report.live if report else (),
            went_live=self.went_live,
            left=tuple(sorted(before - serving - {""})) if opened.back and serving else (),
            put_back=tuple(each.service for each in self.put_back if each.ok),
            stuck=tuple(each.service for each in self.put_back if not each.ok),
        )


def fold(state: RunState, event: Event) -> RunState:
    """Add one event to a state.

    One that is not known here changes nothing.
    """
    change: dict[str, Any] = {}
    if event.kind in BY_SERVICE:
        name, kind = BY_SERVICE[event.kind]
        value = msgspec.convert(event.data, kind)
        change = {name: {**getattr(state, name), value.service: value}}
        if name == "shipped":
            change["went_live"] = state.went_live or event.at
        if (asked := ANSWERED.get(name)) is not None:
            change[asked] = _still_on_its_way(getattr(state, asked), value)
    elif event.kind in ONCE:
        name, kind = ONCE[event.kind]
        change = {name: msgspec.convert(event.data, kind)}
    elif event.kind == "stage":
        result = msgspec.structs.replace(msgspec.convert(event.data, StageResult), at=event.at)
        change = {"stages": {**state.stages, result.stage: _joined(state.stages.get(result.stage), result)}}
    elif event.kind == "put-back":
        change = {"put_back": (*state.put_back, msgspec.convert(event.data, PutBack))}
    return msgspec.structs.replace(state, last=event.at, **change)


def _still_on_its_way(triggered: Mapping[str, Triggered], intent: Intent) -> dict[str, Triggered]:
    """Leave out the accepted deploy that is asked for again.

    It was there already when that was noted.
    """
    return {
        service: trigger
        for service, trigger in triggered.items()
        if service != intent.service or trigger.deploy_id not in intent.existing
    }


def _joined(before: StageResult | None, now: StageResult) -> StageResult:
    """Join the results of two jobs that did a stage's parts.

    Both are told, and what has failed stays failed.
    """
    if before is None or not now.part or not before.part or set(before.part) & set(now.part):
        return now
    worse = before if before.status is StageStatus.FAILED else now
    return msgspec.structs.replace(
        worse,
        part=(*before.part, *now.part),
        lines=(*before.lines, *now.lines),
        seconds=max(before.seconds, now.seconds),
    )
