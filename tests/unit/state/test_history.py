"""The history of runs: appended to, never changed, and folded into what a run has done."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploylib.errors import SettingsError
from deploylib.models import Commit, Intent, Live, LogLine, Opened, PathFilter, Secret, Shipped
from deploylib.models.redaction import Struck
from deploylib.models.release import Triggered
from deploylib.models.results import PutBack, Report, StageResult, StageStatus
from deploylib.state.history import Event, History, Journal, RunState
from deploylib.store.folder import Folder
from deploylib.store.interface import Damaged
from tests.support.fakes import NEW, OLD, FakeClock


@pytest.fixture
def history(tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> History:
    """An empty one."""
    return History(Folder(tmp_path_factory.mktemp("store")), clock)


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


def test_an_event_is_an_object_of_its_own_with_the_next_number(history: History) -> None:
    """Numbers go up by one and an object is never written twice."""
    for kind in ("opened", "stage", "stage"):
        history.append("1", kind, opened())

    assert list(history.store.list("runs/")) == [
        "runs/1/0001-opened.json",
        "runs/1/0002-stage.json",
        "runs/1/0003-stage.json",
    ]


def test_an_event_of_another_machine_is_not_overwritten(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """When a number is taken between looking and writing, the next one is."""

    class Raced(Folder):
        def put_if_absent(self, key: str, body: bytes) -> bool:
            if key.endswith("0002-stage.json"):
                Folder(self.root).put_if_absent(key, b"theirs")
            return Folder(self.root).put_if_absent(key, body)

    folder = tmp_path_factory.mktemp("store")
    History(Folder(folder), FakeClock()).append("1", "opened", opened("1"))
    History(Raced(folder), FakeClock()).append("1", "stage", ended("check"))

    assert list(Folder(folder).list("runs/1/")) == [
        f"runs/1/000{n}" for n in ("1-opened.json", "2-stage.json", "3-stage.json")
    ]
    assert b"".join(Folder(folder).read("runs/1/0002-stage.json")) == b"theirs"


def test_an_event_is_json_with_its_moment(history: History, clock: FakeClock) -> None:
    """A person can read the history without us."""
    clock.sleep(5)
    history.append("1", "opened", opened("1"))

    [event] = history.read_events("1")
    assert (clock.now(), "opened", NEW) == (event.at, event.kind, event.data["commit"]["id"])
    [key] = history.store.list("")
    assert msgspec.json.decode(b"".join(history.store.read(key)), type=Event) == event


def test_a_run_without_a_beginning_is_none(history: History) -> None:
    """An unknown id is no run; events that do not begin with ``opened`` are one that cannot be read."""
    history.append("1", "stage", ended("check"))

    with pytest.raises(KeyError, match="2"):
        history.read("2")
    with pytest.raises(Damaged, match="its first event is not there"):
        history.read("1")


def test_a_history_is_of_one_environment_newest_first(history: History) -> None:
    """At most as many as asked for; other environments do not count."""
    for run, environment in (("1", "staging"), ("2", "production"), ("3", "staging"), ("4", "staging")):
        write(history, run, environment=environment)

    assert ["4", "3", "1"] == [state.id for state in history.read_runs("staging")]
    assert ["4", "3"] == [state.id for state in history.read_runs("staging", 2)]
    assert list(history.read_runs("staging", 0)) == []


def test_a_run_is_found_by_the_end_of_its_id(history: History) -> None:
    """As people read it; none where nothing fits, and without a name."""
    for run in ("20260301T120000-aaaa", "20260301T130000-bbbb"):
        write(history, run)

    found = [history.find("staging", text) for text in ("aaaa", "", "cccc")]
    assert ["20260301T120000-aaaa", None, None] == [state.id if state else None for state in found]


def test_an_end_that_several_runs_have_is_refused_with_all_of_them(history: History) -> None:
    """The newest would be a guess; a whole id, and the short one that we print, are meant as they stand."""
    for run in ("20260301T120000-aaaa", "20260301T130000-aaaa", "staging-1-1", "staging-21-1"):
        write(history, run)

    with pytest.raises(SettingsError, match="'aaaa' may be any of 2 runs: 20260301T130000-aaaa, 20260301T120000-aaaa"):
        history.find("staging", "aaaa")
    whole = ("20260301T120000-aaaa", "1-1", "staging-21-1")
    found = [history.find("staging", text) for text in whole]
    assert ["20260301T120000-aaaa", "staging-1-1", "staging-21-1"] == [state.id if state else None for state in found]


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


def test_the_newest_event_of_a_kind_is_read_whatever_came_after(history: History) -> None:
    """Also of a run that is closed; one that is no such event is damage."""
    write(history, "r-1")
    assert history.read_last("r-1", "message", str) is None

    history.append("r-1", "message", "C1/1")
    history.append("r-1", "message", "C1/2")
    history.append("r-1", "undelivered", {"reason": "why"})
    assert history.read_last("r-1", "message", str) == "C1/2"
    with pytest.raises(Damaged, match="no such event"):
        history.read_last("r-1", "undelivered", str)


def test_lines_are_kept_with_a_run_once_each_and_without_a_secret(history: History) -> None:
    """By whichever machine; in the order in which they were received."""
    struck = Struck([Secret("hunter2-hunter2")])
    history = dataclasses.replace(history, clean=struck.value)
    late = LogLine(at="2026-03-01T12:00:02Z", text="password is hunter2-hunter2", service="api", kind="build", id="2")
    early = LogLine(at="2026-03-01T12:00:01Z", text="hello", service="api", kind="build", id="1")

    history.keep_lines("x-1111", [late])
    history.keep_lines("x-1111", [early, late])
    history.keep_lines("x-2222", [early])

    assert [line.text for line in history.read_lines("x-1111")] == ["hello", "password is •••"]
    assert history.read_lines("x-3333") == ()
    assert list(history.read_runs("staging", 5)) == []
