"""What one command was asked, and the run that it works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import msgspec

from deploylib.environment import Environment
from deploylib.loadtest import Measurement
from deploylib.models import Checked, Commit, Live, Planned, Secret, StageName, Value
from deploylib.models.results import StageResult, StageStatus
from deploylib.models.units import seconds
from deploylib.probes import DowntimeWatch, Pace
from deploylib.release.database import database_of
from deploylib.release.live_log import LiveLog
from deploylib.release.prerequisites import CheckFinding
from deploylib.release.telling import Telling
from deploylib.render import rollout
from deploylib.state import Journal, Lease, RunState
from deploylib.system import Deadline

__all__ = ["Options", "Run", "Stage", "plan_stage", "result", "skip_stage", "table"]


class Options(Value, frozen=True):
    """What one command was asked.

    Attributes:
        commit: to release; empty: what is checked out.
        services: the only ones to deploy; empty: all.
        until: the last stage to do; empty: all of them.
        asked: the stage that was typed as a command of its own; None: a whole release.
        skip: gates to leave out, for *reason*.
        wait: how long to wait for another run; by default not at all, and in CI for as long as a run may take.
        dry_run: look only.
        rehearse: in a dry run, rehearse what is pending on a copy of the newest backup.
        when_due: make a backup only when one is due.
        to: run, commit or deploy that a rollback restores.
    """

    commit: str = ""
    services: tuple[str, ...] = ()
    until: str = ""
    asked: StageName | None = None
    skip: tuple[str, ...] = ()
    reason: str = ""
    wait: str = ""
    dry_run: bool = False
    rehearse: bool = False
    when_due: bool = False
    to: str = ""


@dataclass
class Run:
    """One run while a command works on it.

    What is recorded, and the lease under which it changes anything.

    Attributes:
        decides: this command brings the run to its end, and so puts back what went wrong.
        services: the only ones to deploy; empty: all.
        coming: the stages that this command is to do, by name.
        uncommitted: what lies in the folder is looked at, committed or not.
        noticed: what must be put right, and was seen before the first stage.
        spared: ids of backups that are not to be removed for a newer one.
        wanted: the commit of each service, by name, where a release is brought from elsewhere.
        examined: the commit that other jobs of this CI have examined, where a release is brought from elsewhere.
        seen: what the services served when the lease was acquired, for the stage that comes right after.
        before: what a load test has measured of the release that this one takes the place of.
    """

    env: Environment
    options: Options
    journal: Journal
    lease: Lease
    decides: bool = True
    services: tuple[str, ...] = ()
    coming: tuple[str, ...] = ()
    uncommitted: bool = False
    noticed: tuple[CheckFinding, ...] = ()
    spared: tuple[str, ...] = ()
    wanted: Mapping[str, str] = field(default_factory=dict)
    examined: str = ""
    seen: Mapping[str, Live] = field(default_factory=dict)
    before: Measurement | None = None

    @property
    def state(self) -> RunState:
        """What this run has done so far."""
        return self.journal.state

    @property
    def id(self) -> str:
        """The run's id."""
        return self.state.id

    @property
    def commit(self) -> Commit:
        """The commit that it brings, or goes back to."""
        return self.state.restoring.commit if self.state.restoring is not None else self.state.opened.commit

    @property
    def back(self) -> bool:
        """Whether it restores an earlier release."""
        return self.state.opened.back

    @property
    def checked(self) -> Checked:
        """What the check has found."""
        return self.state.checked

    @property
    def planned(self) -> Planned:
        """What the run is about."""
        return self.state.planned

    @property
    def releases(self) -> bool:
        """Whether it brings a release, forward or back.

        A backup or a look that was asked for alone does not.
        """
        return not self.state.opened.operation and self.options.asked is not StageName.BACKUP

    def record(self, kind: str, value: Any, /) -> None:
        """Write one event; see `Journal.record`."""
        self.journal.record(kind, value)
        self.telling.update()

    def announce(self, commit: Commit | None) -> None:
        """Tell the view that the run begins or goes on."""
        self.env.progress.opened(self.id, self.env.name, commit)
        self.env.progress.credit(self.state.opened.author, self.state.at, self.state.opened.url)

    @cached_property
    def telling(self) -> Telling:
        """The telling of it to who wants to know."""
        return Telling(self.env, self.journal, self.coming, shared=not self.decides)

    @cached_property
    def log(self) -> LiveLog:
        """The log of the services, followed meanwhile."""
        return LiveLog(self.env, self.id)

    @cached_property
    def visitors(self) -> DowntimeWatch:
        """The visitors who ask public addresses while traffic is switched."""
        return DowntimeWatch(self.env.clock, every=0.1 if self.env.config.is_local else 0.5)

    @cached_property
    def deadline(self) -> Deadline:
        """When waiting ends, for the whole run."""
        return Deadline.after(seconds(self.env.config.settings.deadline), self.env.clock)

    @cached_property
    def database(self) -> Secret | None:
        """The database's address.

        None where the product has none, or none that is opened from here.
        """
        return database_of(self.env, self.checked)

    @property
    def look_for(self) -> float:
        """Seconds for which a deploy whose answer was lost is looked for.

        A loopback server lists it at once.
        """
        return 10.0 if self.env.config.is_local else rollout.LOOK_FOR

    @property
    def pace(self) -> Pace:
        """How verification measures.

        The bake is what gives way when the run would take longer than its target.
        """
        settings = self.env.config.settings
        chosen = self.env.config.environment.bake or settings.bake
        bake = seconds(chosen or ("0s" if self.env.config.is_local else "15s"))
        left = seconds(settings.target) - (self.env.clock.now() - self.state.at).total_seconds()
        return msgspec.structs.replace(self.env.pace, bake=max(0.0, min(bake, left)))


class Stage(Protocol):
    """One step of a run.

    Attributes:
        name: of the stage, also of the command that does it.
        needs_lease: no other run may change what it has seen.
    """

    needs_lease: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The stage's name."""
        ...

    def is_done(self, run: Run) -> bool:
        """Tell whether this run has done it."""
        return run.state.has_done(self.name)

    def plan(self, run: Run) -> StageResult:
        """Say what `apply` would do; reads only."""
        ...

    def apply(self, run: Run) -> StageResult:
        """Do it."""
        ...


def result(stage: str, *lines: str, status: StageStatus = StageStatus.DONE, data: object = None) -> StageResult:
    """Make what a stage says at its end.

    *data* is for later stages.
    """
    return StageResult(stage=stage, status=status, lines=lines, data=msgspec.to_builtins(data) if data else {})


def skip_stage(stage: str, reason: str, data: object = None) -> StageResult:
    """Make the result of a stage left out for a reason."""
    return result(stage, f"skipped: {reason}", status=StageStatus.SKIPPED, data=data)


def plan_stage(stage: str, *lines: str) -> StageResult:
    """Make what a stage says that only looked."""
    return result(stage, *lines, status=StageStatus.PLANNED)


def table(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    """Set two columns, the first as wide as it needs."""
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"{name:<{width}}  {text}" for name, text in rows)
