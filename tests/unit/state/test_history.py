"""The history of runs: appended to, never changed, and folded into what a run has done."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from deploylib.errors import SettingsError
from deploylib.models import LogLine, Secret
from deploylib.models.redaction import Struck
from deploylib.state.history import History
from deploylib.state.run_state import Event
from deploylib.store.folder import Folder
from deploylib.store.interface import Damaged
from tests.support.fakes import NEW, FakeClock
from tests.support.run_events import ended, opened, write


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


def test_a_piece_of_a_log_that_cannot_be_read_is_passed_over_and_told(history: History) -> None:
    """The other lines are there."""
    told: list[Damaged] = []
    history = dataclasses.replace(history, damaged=told.append)
    history.keep_lines("x-1111", [LogLine(at="2026-03-01T12:00:01Z", text="hello", id="1")])
    history.store.put_if_absent("logs/x-1111/20260301T120000.0-aaaa.json", b"[{")
    history.store.put("logs/x-1111/20260301T120009.0-aaaa.json", [b" " * (33 << 20)])

    assert [line.text for line in history.read_lines("x-1111")] == ["hello"]
    assert len(told) == 2


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


@pytest.mark.parametrize("wrong", [86_400, -86_400, 3600])
def test_runs_are_in_the_order_in_which_they_began_whatever_a_clock_said(history: History, wrong: int) -> None:
    """One machine's may be wrong, or was set right meanwhile: what is live, and where a rollback goes, hangs on that."""
    for run, shift in (("one", 0), ("two", wrong), ("three", -wrong), ("four", 0)):
        clock = FakeClock()
        clock.sleep(200_000 + shift)
        at_hand = dataclasses.replace(history, clock=clock)
        at_hand.begin(opened(run))

    order = ["four", "three", "two", "one"]
    assert order == history.list_ids("staging")
    assert order == [state.id for state in history.read_runs("staging")]
    assert order == [summary.id for summary in history.read_summaries("staging")[0]]


def test_a_key_that_somebody_has_made_up_keeps_no_run_from_being_recorded(history: History) -> None:
    """Of the last moment that there is, or of none."""
    for name in ("99991231T235959.999999-made", "20269931T235959.999999-up", "20260101T000000.1-short"):
        history.store.put_if_absent(f"history/staging/{name}", b"")

    history.begin(opened("run"))

    assert "run" in history.list_ids("staging")
