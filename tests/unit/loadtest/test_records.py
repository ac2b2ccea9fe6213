"""Runs of load tests in the store."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from deploylib.loadtest.measurement import Measurement, Workload
from deploylib.loadtest.records import Key, Records, Subject
from deploylib.loadtest.report import Trend
from deploylib.store import Damaged
from deploylib.store import open as open_store
from deploylib.system import ci
from tests.support.measurements import KEY, measured, record


def test_the_newest_of_the_same_key_are_read_oldest_first(tmp_path: Path) -> None:
    """Others are not; each has its raw times beside it."""
    store = open_store(tmp_path)
    records = Records(store)
    for number in range(1, 5):
        records.add(record(number), measured(number))
    records.add(record(9, key=msgspec.structs.replace(KEY, rate=50.0)), measured(9))

    assert [each.run for each in records.read(KEY, 3)] == ["r2", "r3", "r4"]
    (raw, *_) = [key for key in store.list("loadtests/staging/") if key.endswith("-r1.times.gz")]
    packed = b"".join(store.read(raw))
    assert msgspec.json.decode(gzip.decompress(packed), type=Measurement) == measured(1)
    assert len(packed) < 30 * 1000  # bytes for a thousand requests


def test_every_part_of_a_key_keeps_runs_apart(tmp_path: Path) -> None:
    """A change of any of them is another history."""
    records = Records(open_store(tmp_path))
    records.add(record(1), measured())

    for name in KEY.__struct_fields__:
        value = getattr(KEY, name)
        other = msgspec.structs.replace(KEY, **{name: f"{value}x" if isinstance(value, str) else value + 1})
        assert records.read(other, 10) == (), name


def test_what_another_machine_has_sent_is_counted_and_not_compared(tmp_path: Path) -> None:
    """So that it can be told apart from nothing."""
    records = Records(open_store(tmp_path))
    records.add(record(1, key=msgspec.structs.replace(KEY, machine="there")), measured())
    records.add(record(2, key=msgspec.structs.replace(KEY, rate=50.0)), measured())

    assert records.read(KEY, 10) == ()
    assert records.count_elsewhere(KEY) == 1


def test_a_release_that_was_put_back_is_not_held_against_later_ones(tmp_path: Path) -> None:
    """It never became what is usual."""
    records = Records(open_store(tmp_path))
    records.add(record(1), measured())
    records.add(record(2, put_back=True), measured())

    assert [each.run for each in records.read(KEY, 10)] == ["r1"]


def test_a_damaged_record_is_told_and_passed_over(tmp_path: Path) -> None:
    """It is one fewer to compare with."""
    store, told = open_store(tmp_path), list[Damaged]()
    records = Records(store, told.append)
    records.add(record(1), measured())
    store.put(f"{KEY.folder}20260401T000000-r2.json", [b"{"])

    assert [each.run for each in records.read(KEY, 10)] == ["r1"]
    assert len(told) == 1


def test_the_runs_like_the_last_one_are_read_for_a_look_back(tmp_path: Path) -> None:
    """Drawn a line each; of nothing it is said that there is nothing."""
    records = Records(open_store(tmp_path))
    assert Trend.of(records.read_newest("staging", 10)).lines == ("no load test was recorded: inv loadtest",)
    records.add(record(1, key=msgspec.structs.replace(KEY, rate=50.0)), measured())
    for number in (2, 3):
        records.add(record(number), measured())

    lines = Trend.of(records.read_newest("staging", 10)).lines

    assert len(lines) == 3
    assert lines[0].startswith("2026-03-04")
    assert "█" in lines[0]
    assert lines[-1] == "no drift"


def test_another_locustfile_is_another_key(tmp_path: Path) -> None:
    """And so is one whose users write."""
    file = tmp_path / "locustfile.py"
    subject = Subject(
        environment="staging", service="api", plan="", instances=1, machine="here", run="r", commit="c", at=record(1).at
    )

    def key(text: str, *, write: bool = False) -> Key:
        file.write_text(text)
        return Key.of(Workload(file=str(file), hosts=("http://a",), rate=5, write=write), subject, "locust 2")

    assert key("a") == key("a")
    assert len({key("a").folder, key("b").folder, key("a", write=True).folder}) == 3


def test_a_hosted_runner_is_a_machine_of_a_kind() -> None:
    """Each bears another name; any other machine is itself."""
    hosted = {"RUNNER_ENVIRONMENT": "github-hosted", "RUNNER_OS": "Linux"}

    assert ci.name_machine(hosted).startswith("github-hosted Linux, ")
    assert ci.name_machine({}) != ci.name_machine(hosted)
