"""A run in few words: of such is a list of hundreds."""

from __future__ import annotations

import msgspec

from deploylib.models.release import Commit, Restored
from deploylib.models.results import StageStatus
from deploylib.models.services import Live
from deploylib.models.value import Moment, Value

__all__ = ["RunSummary", "StageTime"]


class StageTime(Value, frozen=True):
    """A stage of a run, how it ended, and its seconds."""

    stage: str
    status: StageStatus
    seconds: float = 0.0


class RunSummary(Value, frozen=True):
    """The summary of a run.

    Attributes:
        at: when it was opened; *ended*: when its last event was written.
        outcome: in words, as its report has it; empty: the run is open.
        back: it restored an earlier release, the one of *restoring*.
        shipped: deploys of its own that went live, by service.
        live: what every service serves at its end, as far as that was found out.
        went_live: when the first of its deploys did; None: none did, or the record is of an older version.
        left: commits that a rollback went back from.
        put_back: services that were put back; *stuck*: those of which that failed.
    """

    id: str
    at: Moment
    ended: Moment
    commit: Commit
    outcome: str = ""
    exit_code: int = 0
    error: str = ""
    author: str = ""
    url: str = ""
    back: bool = False
    restoring: Restored | None = None
    stages: tuple[StageTime, ...] = ()
    shipped: dict[str, str] = msgspec.field(default_factory=dict)
    live: tuple[Live, ...] = ()
    went_live: Moment | None = None
    left: tuple[str, ...] = ()
    put_back: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it has brought a release, and proven it."""
        return self.outcome == "succeeded"

    @property
    def release(self) -> tuple[Live, ...]:
        """What was live, and verified, when it succeeded."""
        return self.live if self.succeeded else ()

    @property
    def failed_stage(self) -> str:
        """The first stage that has failed; empty: none did."""
        return next((each.stage for each in self.stages if each.status is StageStatus.FAILED), "")
