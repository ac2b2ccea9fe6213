"""What the events of a run add up to, wherever it was killed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploylib.models import Commit, Intent, Live, PathFilter, Shipped
from deploylib.models.release import Triggered
from deploylib.models.results import PutBack, StageStatus
from deploylib.state import History, Journal, RunState
from deploylib.store.folder import Folder
from tests.support.fakes import NEW, OLD, FakeClock
from tests.support.run_events import ended, opened, report, write

EVENTS = st.one_of(
    st.builds(lambda n: ("stage", ended(n)), st.sampled_from(["check", "changes", "deploy"])),
    st.builds(
        lambda s: ("intent", Intent(service=s, commit=NEW, existing=(), previous=Live(service=s, commit=OLD))),
        st.sampled_from(["api", "web"]),
    ),
    st.builds(lambda s: ("triggered", Triggered(service=s, deploy_id="dep-1")), st.sampled_from(["api", "web"])),
    st.builds(
        lambda s: ("shipped", Shipped(service=s, deploy_id="dep-1", commit=NEW, previous=Live(service=s))),
        st.sampled_from(["api", "web"]),
    ),
    st.just(("put-back", PutBack(service="api", commit=OLD, text="→ aaaaaaa"))),
    st.just(("closed", report("1"))),
    st.just(("from-the-future", {"what": "a later version writes"})),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=6))
def test_every_prefix_of_a_run_is_a_state(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, object]]
) -> None:
    """Wherever a run is killed, what it has written folds, and is what the journal knew then."""
    history = History(Folder(tmp_path_factory.mktemp("store")), FakeClock())
    journal = Journal.open(history, opened())
    journal.record("stage", ended("check"))
    assert journal.state == history.read(journal.state.id)
    for kind, value in events:
        journal.record(kind, value)
        assert journal.state == history.read(journal.state.id)


@pytest.mark.parametrize(("outcome", "commits"), [("succeeded", [NEW]), ("nothing to do", []), ("build failed", [])])
def test_a_release_is_what_a_run_that_succeeded_left_live(history: History, outcome: str, commits: list[str]) -> None:
    """Nothing else was verified."""
    write(history, "1", outcome=outcome)

    assert commits == [one.commit for one in history.read("1").release]


def test_an_open_run_has_no_release(history: History) -> None:
    """It may still fail."""
    history.append("1", "opened", opened("1"))

    assert (None, ()) == (history.read("1").report, history.read("1").release)


@pytest.mark.parametrize(
    ("status", "done"),
    [(StageStatus.DONE, True), (StageStatus.SKIPPED, True), (StageStatus.FAILED, False), (StageStatus.PLANNED, False)],
)
def test_a_stage_is_done_when_it_ended_well_or_was_left_out(
    history: History, status: StageStatus, *, done: bool
) -> None:
    """One that failed, or was only planned, has to be done again."""
    history.append("1", "opened", opened("1"))
    history.append("1", "stage", ended("check", status))

    assert (done, False) == (history.read("1").has_done("check"), history.read("1").has_done("deploy"))


def test_a_stage_leaves_typed_data_for_later_ones(history: History) -> None:
    """On whichever machine; the empty value where it has not run."""
    history.append("1", "opened", opened("1"))
    history.append("1", "stage", ended("changes", id=OLD))
    state: RunState = history.read("1")

    assert Commit(id=OLD) == state.read_data("changes", Commit)
    assert PathFilter() == state.read_data("check", PathFilter)


@pytest.mark.parametrize(("note", "made"), [("intent", "triggered"), ("back-intent", "back_triggered")])
def test_a_deploy_that_is_asked_for_again_is_forgotten(history: History, note: str, made: str) -> None:
    """A note that knows it to be there already is about another one; each service is on its own."""
    journal = Journal.open(history, opened(), since=None)
    for service in ("api", "web"):
        journal.record(note, Intent(service=service, commit=NEW, existing=("dep-1",), previous=Live(service=service)))
        journal.record(note.replace("intent", "triggered"), Triggered(service=service, deploy_id=f"dep-{service}"))
    again = Intent(service="api", commit=NEW, existing=("dep-api", "dep-1"), previous=Live(service="api"))

    journal.record(note, again)

    assert list(getattr(journal.state, made)) == ["web"]
    assert journal.state == history.read(journal.state.id)
