"""The results of a run, as it tells them.

Its stages, what it put back, how it ended. Recorded in the history, printed by ``--json``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

from deploylib.errors import DeployError
from deploylib.models import remedies
from deploylib.models.release import Commit
from deploylib.models.services import Live
from deploylib.models.stages import BackedUp, StageName, Waived
from deploylib.models.units import count
from deploylib.models.value import Moment, Value

__all__ = [
    "ABANDONED",
    "DONE",
    "NOTHING",
    "PAUSED",
    "PLANNED",
    "SUPERSEDED",
    "Ending",
    "PutBack",
    "Report",
    "StageResult",
    "StageStatus",
    "Visitors",
    "short",
]

NOTHING, PLANNED, PAUSED, DONE = "nothing to do", "planned", "paused", "done"
ABANDONED = "abandoned"
SUPERSEDED = "superseded by a newer release"


def short(run: str) -> str:
    """Shorten a run's id as people say it.

    Its last four characters, and of GitHub's the number and the attempt.
    """
    of_github = re.search(r"-(\d+-\d+(?:-back)?(?:-\d+)?)$", run)
    return of_github[1] if of_github else run[-4:]


class Visitors(Value, frozen=True):
    """What a visitor would have met while traffic was switched.

    Attributes:
        requests: how many requests were sent to the public addresses.
        failed: how many got no answer or a 5xx.
        longest_gap: seconds between two good answers, the worst; also of the gap that had not ended when it was over.
        open_gap: seconds since the last good answer of an address that gave none any more at the end; 0: all did.
    """

    requests: int = 0
    failed: int = 0
    longest_gap: float = 0.0
    open_gap: float = 0.0

    @property
    def text(self) -> str:
        """The figures in a line; empty where nobody was asked."""
        if not self.requests:
            return ""
        ended = f"; one had not ended, after {self.open_gap:.1f} s" if self.open_gap else ""
        return f"{count(self.requests, 'request')} during the switch, {self.failed} failed; longest gap {self.longest_gap:.1f} s{ended}"


class PutBack(Value, frozen=True):
    """What was done to undo one service's deploy."""

    service: str
    commit: str
    text: str
    ok: bool = True


class StageStatus(StrEnum):
    """How a stage ended in this run."""

    DONE = "done"
    SKIPPED = "skipped"
    PLANNED = "planned"
    FAILED = "failed"


class Ending(Value, frozen=True):
    """How a run ended, or a stage that failed.

    Recorded, for whoever decides on another machine.

    Attributes:
        outcome: in words, see `deploylib.errors` and ``succeeded``, ``nothing to do``, ``planned``, ``paused``.
        next: what a person may do now, most useful first.
    """

    outcome: str = "succeeded"
    exit_code: int = 0
    error: str = ""
    details: tuple[str, ...] = ()
    next: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: DeployError) -> Ending:
        """Make the ending that an error means."""
        return cls(
            outcome=error.outcome,
            exit_code=error.exit_code,
            error=error.message,
            details=error.details,
            next=(error.remedy,),
        )


class StageResult(Value, frozen=True):
    """The result of a stage.

    Attributes:
        lines: for people; the first may be the only one.
        seconds: how long it took.
        data: for later stages, also on other machines.
        part: the services it is about, where another job does the stage for others.
        failure: why it has failed.
        at: when it ended, as the history has it.
    """

    stage: str
    status: StageStatus
    lines: tuple[str, ...]
    seconds: float = 0.0
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    part: tuple[str, ...] = ()
    failure: Ending | None = None
    at: Moment | None = None

    @classmethod
    def of(cls, stage: str, error: DeployError, seconds: float, part: tuple[str, ...] = ()) -> StageResult:
        """Make the result that an error means."""
        lines = (error.message, *error.details)
        failed, took = StageStatus.FAILED, round(seconds, 3)
        return cls(stage=stage, status=failed, lines=lines, seconds=took, part=part, failure=Ending.of(error))

    @property
    def waived(self) -> Waived | None:
        """Who left it out, and why; None: nobody did."""
        return msgspec.convert(self.data, Waived) if self.data.get("skipped_by") else None


class Report(Value, frozen=True):
    """A whole run, as it is told at its end.

    Attributes:
        outcome: in words, see `deploylib.errors` and ``succeeded``, ``nothing to do``, ``planned``, ``paused``.
        error: the first error, and then what was put back.
        deploying: the services that this run is about, once that is decided.
        live: what every service serves at the end.
        next: what a person may do now, most useful first; its commands name the environment.
        first_week: what is told more in the week after an environment's first release.
        seconds: that it took; *target* is how long it should take at most.
        verdict: of a check: whether a release could begin, and the first step, in a sentence.
    """

    run: str
    environment: str
    outcome: str
    exit_code: int
    commit: Commit | None = None
    stages: tuple[StageResult, ...] = ()
    deploying: tuple[str, ...] = ()
    live: tuple[Live, ...] = ()
    visitors: Visitors = Visitors()
    error: str = ""
    details: tuple[str, ...] = ()
    put_back: tuple[PutBack, ...] = ()
    next: tuple[str, ...] = ()
    first_week: tuple[str, ...] = ()
    seconds: float = 0.0
    target: float = 0.0
    verdict: str = ""

    @property
    def backed_up(self) -> BackedUp:
        """The backup that the run has made, or gone on from."""
        result = next((each for each in self.stages if each.stage == StageName.BACKUP), None)
        return msgspec.convert(result.data if result else {}, BackedUp)

    def __post_init__(self) -> None:
        steps = tuple(remedies.about(self.environment, line) for line in self.next)
        msgspec.structs.force_setattr(self, "next", steps)
        week = tuple(remedies.about(self.environment, line) for line in self.first_week)
        msgspec.structs.force_setattr(self, "first_week", week)
