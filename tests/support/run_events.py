"""The events of small runs, for tests of what remembers them."""

from __future__ import annotations

from deploylib.models import Commit, Live, Opened
from deploylib.models.results import Report, StageResult, StageStatus
from deploylib.state import History
from tests.support.fakes import NEW


def opened(run: str = "20260301T120000-aaaa", environment: str = "staging") -> Opened:
    """The beginning of a run."""
    return Opened(run=run, environment=environment, commit=Commit(id=NEW, subject="Add paging"))


def ended(stage: str, status: StageStatus = StageStatus.DONE, **data: object) -> StageResult:
    """The end of a stage."""
    return StageResult(stage=stage, status=status, lines=("fine",), data=data)


def report(run: str, outcome: str = "succeeded", commit: str = NEW) -> Report:
    """The end of a run."""
    live = (Live(service="api", commit=commit),)
    return Report(run=run, environment="staging", outcome=outcome, exit_code=0, live=live)


def write(history: History, run: str, *, environment: str = "staging", outcome: str = "succeeded") -> None:
    """A whole run."""
    history.begin(opened(run, environment))
    history.append(run, "closed", report(run, outcome))
