"""What the page tells, and what a page for everybody leaves out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from deploylib.dashboard.figures import Figure
from deploylib.errors import BackupFailed, MigrationFailed, PersonNeeded
from deploylib.models import Commit, Moment, StageName, Value
from deploylib.models.summaries import RunSummary

__all__ = ["Fact", "Panel", "Serving", "Site", "State", "without_private"]

OF_DATA = frozenset({StageName.BACKUP, StageName.MIGRATE, StageName.SCHEMA})


class State(StrEnum):
    """How something is; *unknown*: nobody could look."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class Serving(Value, frozen=True):
    """What a service serves, and what its address answers now.

    Attributes:
        by: who has released it.
        health: what its address answers, in words.
    """

    service: str
    commit: str
    state: State = State.UNKNOWN
    health: str = ""
    since: Moment | None = None
    by: str = ""
    url: str = ""


class Fact(Value, frozen=True):
    """One thing that is told of an environment.

    Attributes:
        text: for everybody; *private* and *lines* are not.
        at: the moment that it is about; *of*: what of it, where that is not plain.
    """

    name: str = ""
    text: str = ""
    state: State | None = None
    at: Moment | None = None
    of: str = ""
    private: str = ""
    lines: tuple[str, ...] = ()


class Panel(Value, frozen=True):
    """An environment on the page.

    Attributes:
        trouble: why nothing is known of it; empty: it was looked at.
        runs: those that are drawn, newest first.
        unreadable: ids of runs that cannot be read; no figure counts them.
        recovered: seconds until all was well again, of the runs that have failed; None: not known, or not yet.
    """

    name: str
    trouble: str = ""
    serving: tuple[Serving, ...] = ()
    facts: tuple[Fact, ...] = ()
    runs: tuple[RunSummary, ...] = ()
    unreadable: tuple[str, ...] = ()
    recovered: dict[str, float | None] = msgspec.field(default_factory=dict)
    figures: tuple[Figure, ...] = ()

    @property
    def state(self) -> State:
        """How the environment is: the worst that is known of it."""
        states = {each.state for each in self.serving} | {each.state for each in self.facts if each.state is not None}
        last = next((run for run in self.runs if run.outcome), None)
        if last is not None and last.exit_code:
            states.add(State.FAIL if last.exit_code == PersonNeeded.exit_code else State.WARN)
        worst = (State.FAIL, State.UNREACHABLE, State.WARN)
        asked = any(each.state is State.PASS for each in self.serving)
        return next((each for each in worst if each in states), State.PASS if asked else State.UNKNOWN)

    @property
    def commit(self) -> str:
        """The commit that went live last; empty: none is known."""
        live = sorted((each for each in self.serving if each.commit), key=lambda each: str(each.since or ""))
        return live[-1].commit if live else ""


class Site(Value, frozen=True):
    """The whole page.

    Attributes:
        product: its name.
        every: seconds between two makings of the page; it is old after twice as many.
        public: it leaves out people, subjects, backups, and what the database is like.
    """

    product: str
    built_at: Moment
    every: float
    public: bool
    panels: tuple[Panel, ...]


def without_private(run: RunSummary) -> RunSummary:
    """Strip a run of what is not for everybody.

    No person, no words of anybody, nothing of the data.
    """
    of_data = run.exit_code in {BackupFailed.exit_code, MigrationFailed.exit_code}
    return msgspec.structs.replace(
        run,
        commit=Commit(id=run.commit.id),
        outcome="stopped before anything went live" if of_data else run.outcome,
        error="",
        author="",
        url="",
        stages=tuple(each for each in run.stages if each.stage not in OF_DATA),
        live=tuple(msgspec.structs.replace(each, schema="") for each in run.live),
    )
