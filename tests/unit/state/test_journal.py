"""The journal of a run: what it writes, and from when on."""

from __future__ import annotations

import pytest

from deploylib.models.release import Triggered
from deploylib.models.results import StageStatus
from deploylib.state import History, Journal
from deploylib.store.folder import Folder
from tests.support.run_events import ended, opened, report


def test_nothing_is_written_until_the_check_has_passed(history: History) -> None:
    """A run that was refused has touched nothing; then everything that was held back is written in order."""
    journal = Journal.open(history, opened())
    journal.record("stage", ended("check", StageStatus.FAILED))
    journal.record("closed", report("1", "usage or settings"))
    assert list(history.store.list("")) == []

    journal = Journal.open(history, opened())
    journal.record("stage", ended("before"))
    journal.record("stage", ended("check"))
    journal.record("stage", ended("changes"))

    assert ["opened", "stage", "stage", "stage"] == [event.kind for event in history.read_events(journal.state.id)]
    assert ["before", "check", "changes"] == list(history.read(journal.state.id).stages)


def test_a_dry_run_writes_nothing(history: History) -> None:
    """What it finds is in its own state and nowhere else."""
    journal = Journal.open(history, opened(), dry=True)
    journal.record("stage", ended("check"))
    journal.record("closed", report("1"))

    assert list(history.store.list("")) == []
    assert journal.state.has_done("check")
    assert journal.state.report is not None


def test_what_is_recorded_is_on_the_disk_before_it_is_known(history: History) -> None:
    """When the store refuses, the state does not claim it."""
    journal = Journal.open(history, opened())
    journal.record("stage", ended("check"))
    journal.history = History(Folder(history.store.root / "runs" / "x\0"), history.clock)  # type: ignore[attr-defined]

    with pytest.raises(ValueError, match=r"null (byte|character)"):
        journal.record("triggered", Triggered(service="api", deploy_id="dep-1"))

    assert journal.state.triggered == {}
