"""What was measured last, kept and told again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploylib.fitness import record_fitness, remind
from deploylib.models.fitness import FitnessRow, FitVerdict, Question, ServiceFitness
from deploylib.store import Store
from deploylib.store import open as open_store

START = datetime(2030, 1, 1, tzinfo=UTC)


def found(fit: FitVerdict, command: str = "node app.js", after: int = 0, service: str = "api") -> ServiceFitness:
    """A service with one row."""
    row = FitnessRow(question=Question.FLIGHT, fit=fit, text="seen", remedy="change it")
    at = START + timedelta(seconds=after)
    return ServiceFitness(service=service, runtime="node", start_command=command, commit="a" * 40, at=at, rows=(row,))


def keys(store: Store) -> list[str]:
    """The records there are."""
    return list(store.list("fitness/"))


def test_what_is_unfit_is_told_for_the_same_start_command_alone(tmp_path: Path) -> None:
    """Another command is another program; of what was never measured nothing is said."""
    store = open_store(tmp_path / "store")
    record_fitness(store, found(FitVerdict.UNFIT))

    (line,) = remind(store, {"api": "node app.js", "web": "node app.js"})
    assert line.startswith("api: unfit for a release without downtime at aaaaaaa: in flight (inv local.fitness")
    assert remind(store, {"api": "node other.js"}) == ()


def test_the_last_result_counts(tmp_path: Path) -> None:
    """The one before is gone."""
    store = open_store(tmp_path / "store")
    record_fitness(store, found(FitVerdict.UNFIT))
    record_fitness(store, found(FitVerdict.FIT, after=60))

    assert len(keys(store)) == 1
    assert remind(store, {"api": "node app.js"}) == ()


def test_what_could_not_be_measured_is_no_reminder(tmp_path: Path) -> None:
    """It is neither fit nor unfit."""
    store = open_store(tmp_path / "store")
    record_fitness(store, found(FitVerdict.UNMEASURED))

    assert remind(store, {"api": "node app.js"}) == ()


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """And not taken for a program that is fit."""
    store = open_store(tmp_path / "store")
    record_fitness(store, found(FitVerdict.UNFIT))
    (tmp_path / "store" / keys(store)[0]).write_text("{")

    (line,) = remind(store, {"api": "node app.js"})
    assert line.startswith("api: its fitness is not known")


def test_a_name_leads_nowhere(tmp_path: Path) -> None:
    """Whatever a service is called, its record stays in its place."""
    store = open_store(tmp_path / "store")
    record_fitness(store, found(FitVerdict.UNFIT, service="../../holds"))

    assert keys(store)[0].startswith("fitness/")
    assert len(remind(store, {"../../holds": "node app.js"})) == 1
