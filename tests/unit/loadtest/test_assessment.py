"""A whole load test, with a sender that says what it was told to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from deploylib.errors import NotExamined, SettingsError
from deploylib.loadtest import Assessment, Measurement, Records, Subject, Workload, assess
from deploylib.loadtest.degradation import Conclusion
from deploylib.loadtest.records import Key
from deploylib.store import Stored, StoreRefused
from deploylib.store import open as open_store
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.support.fakes import RecordingRunner
from tests.support.measurements import MONDAY, measured

SUBJECT = Subject(
    environment="staging",
    service="api",
    plan="starter",
    instances=1,
    machine="here",
    run="r1",
    commit="c" * 40,
    at=MONDAY,
)
QUICK, SLOW = measured(1), measured(2, typical=45.0)
INVALID = measured(3, processor=0.9)


class Refusing(Folder):
    """A store that takes nothing more."""

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Refuse it."""
        raise StoreRefused("the bucket is full", remedy="a larger one")


class Room:
    """A store, a locustfile, and a sender."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "locustfile.py").write_text("")
        self.records = Records(open_store(folder / "store"))
        self.workload = Workload(file=str(folder / "locustfile.py"), hosts=("http://a",), rate=100, seed=7)
        self.runner = RecordingRunner()

    def assess(
        self, *said: Measurement, before: Measurement | None = None, subject: Subject = SUBJECT, has_time: bool = True
    ) -> Assessment:
        """Assess what the sender says, one measurement after the other."""
        answers = iter(said)

        def send(command: process.Command) -> process.Completed:
            return process.Completed(tuple(command.args), 0, msgspec.json.encode(next(answers)))

        self.runner = RecordingRunner({"loadtest.child": send})
        return assess(
            self.workload, subject, self.records, before=before, has_time=lambda: has_time, runner=self.runner
        )

    def baseline(self, runs: Iterable[int] = range(6)) -> None:
        """Six quick runs."""
        for number in runs:
            self.assess(measured(10 + number), subject=msgspec.structs.replace(SUBJECT, run=f"b{number}"))

    @property
    def kept(self) -> list[str]:
        """The runs whose records later ones are compared with."""
        key = Key.of(self.workload, SUBJECT, QUICK.generator)
        return [each.run for each in self.records.read(key, 99)]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """Nothing was measured yet."""
    return Room(tmp_path)


def test_what_is_as_fast_as_before_is_measured_once(room: Room) -> None:
    """And is a record for those that come."""
    room.baseline()
    found = room.assess(QUICK)

    assert found.ruling.conclusion is Conclusion.STEADY
    assert len(room.runner.commands) == 1
    assert room.kept[-1] == "r1"


def test_what_is_suspected_is_measured_once_more(room: Room) -> None:
    """By another schedule, and by a third where the two do not agree: what most of them say, and one that says it is kept."""
    room.baseline()
    cleared = room.assess(SLOW, QUICK, QUICK)
    sent = [msgspec.json.decode(body, type=Workload).seed for body in room.runner.fed]

    assert cleared.ruling.conclusion is Conclusion.STEADY
    assert cleared.figures.typical < 35
    assert sent == [7, 8, 9]
    assert "measured 3 times" in " ".join(cleared.lines)
    assert room.assess(SLOW, SLOW).is_degraded
    assert "measured twice" in " ".join(room.assess(SLOW, SLOW).lines)
    assert room.assess(SLOW, QUICK, SLOW).figures.typical > 35


def test_a_third_measurement_needs_time(room: Room) -> None:
    """Without, what only one of two says is no degradation."""
    room.baseline()

    assert room.assess(SLOW, QUICK, has_time=False).ruling.conclusion is Conclusion.STEADY
    assert len(room.runner.commands) == 2
    assert room.assess(SLOW, SLOW, has_time=False).is_degraded


def test_an_invalid_run_concludes_nothing_and_is_not_kept(room: Room) -> None:
    """Neither as the first measurement nor as the second, however slow the release looks in it."""
    room.baseline()
    before = room.kept

    assert room.assess(INVALID).ruling.conclusion is Conclusion.INVALID
    assert room.assess(SLOW, INVALID).ruling.conclusion is Conclusion.INVALID
    assert room.kept == before


def test_a_release_that_is_put_back_is_not_what_is_usual(room: Room) -> None:
    """Its record says so; the next one is compared with those before."""
    room.baseline()
    room.assess(SLOW, SLOW, subject=msgspec.structs.replace(SUBJECT, puts_back=True))

    assert "r1" not in room.kept


def test_a_verdict_that_cannot_be_kept_is_one(room: Room) -> None:
    """A slower release is put back all the same, and it is told that no later one is compared with it."""
    room.baseline()
    room.records = Records(Refusing(room.folder / "store"))
    found = room.assess(SLOW, SLOW)

    assert found.is_degraded
    assert "could not be kept: the bucket is full" in " ".join(found.lines)


def test_a_pair_needs_a_valid_first_half(room: Room) -> None:
    """Of which one that is invalid says nothing."""
    assert room.assess(SLOW, SLOW, before=QUICK).is_degraded
    assert room.assess(SLOW, before=INVALID).ruling.conclusion is Conclusion.NO_BASELINE


def test_a_sender_that_is_none_or_refuses_is_an_error(room: Room) -> None:
    """With what to do; a program that prints something else is no measurement."""
    with pytest.raises(SettingsError, match="no such file") as refused:
        room.assess(Measurement(refused="there is no such file"))
    assert refused.value.remedy.startswith("correct it")

    room.runner = RecordingRunner({"loadtest.child": b"hello"})
    with pytest.raises(NotExamined):
        assess(room.workload, SUBJECT, room.records, runner=room.runner)
