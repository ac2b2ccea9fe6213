"""Every operation is judged as Postgres shows it to be: by the linter beforehand, or by the rehearsal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploylib.migrations import lint_revisions, read_catalog, rehearsal
from deploylib.migrations.alembic_child.__main__ import main
from deploylib.migrations.observations import RehearsalReport
from deploylib.models import Revision, Secret
from deploylib.models.findings import Examined
from deploylib.settings import MigrationSettings
from deploylib.system import process
from tests.migrations.operation import Operation
from tests.migrations.operations import HELD_OUT, NAMES, OPERATIONS, SHORT
from tests.migrations.truth import observed
from tests.migrations.world import World

SEEN: dict[str, tuple[Operation, bool, bool]] = {}


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=1000")


def asked(world: World, command: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the program that runs alembic answers; here in this process, as it would be started two hundred times."""
    monkeypatch.setenv("DATABASE_URL", world.url.reveal())
    target = f"{len(list((world.files / 'migrations/versions').glob('r*.py'))):04}"
    request = {"command": command, "path": str(world.files / "migrations"), "config": "", "target": target, "within": 1}
    return main(request)


def judged(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Examined, Examined]:
    """What the linter says, and what the rehearsal says."""
    found = asked(world, "status", monkeypatch)
    pending = msgspec.convert(found["pending"], tuple[Revision, ...])
    linted = lint_revisions(pending, read_catalog(world.url), runner=process.SYSTEM)
    report = msgspec.convert(asked(world, "rehearse", monkeypatch), RehearsalReport)
    return linted, rehearsal.judge(report, pending, MigrationSettings(longest_lock="10s"))


@pytest.mark.parametrize(
    "operation",
    # The ordinary suite judges some of those that were held back; `nox -s verdicts` all of them.
    [pytest.param(one, id=one.name, marks=() if one.name in SHORT else pytest.mark.load) for one in OPERATIONS],
)
def test_an_operation_is_judged_as_postgres_shows_it(
    operation: Operation, fresh: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hazard that the table tells is the one that the database shows; and it is refused exactly then."""
    world = World(Secret(fresh()), tmp_path / "files")
    world.write(*operation.bodies, more=operation.more)
    if operation.before:
        world.query(operation.before.replace("{database}", world.url.reveal().rpartition("/")[2]))
        world.query("analyze")
    again = len(operation.bodies) > 1 or any("autocommit" in body for body in operation.bodies)
    seen = observed(fresh() if again and not operation.before else world.url.reveal(), operation)

    world.query("vacuum nothing")  # of what serving code tried there, no page is left
    linted, rehearsed = judged(world, monkeypatch)

    refused = [f"{one.tool} {one.rule}" for one in (*linted.blocking, *rehearsed.blocking)]
    SEEN[operation.name] = (operation, bool(linted.blocking), bool(rehearsed.blocking))
    known = read_catalog(world.url).major >= 18 and operation.name.endswith(" before 18")
    assert seen == (set() if known else operation.truth)
    assert ("rehearsal rehearsal-failed" in refused) <= ("fails" in seen), rehearsed
    assert bool(refused) == (operation.hazardous and not known), (refused, linted, rehearsed)


def test_the_operations_are_many_and_stand_for_every_hazard() -> None:
    """All rows of the table; 52 is no operation but the limit itself, of which `test_busy` tells."""
    rows = {re.sub(r"\D", "", operation.row) for operation in OPERATIONS}
    hazardous = sum(operation.hazardous for operation in OPERATIONS)

    assert rows == {str(number) for number in range(1, 60)} - {"52"}
    assert (hazardous >= 60, len(OPERATIONS) - hazardous >= 40, len(NAMES) == len(set(NAMES))) == (True, True, True)


def test_what_the_rules_are_worth_on_the_third_that_was_held_back() -> None:
    """At least 95 of 100 hazards are refused, and no harmless operation is; told for each part of the examination."""
    if len(SEEN) != len(OPERATIONS):
        pytest.skip("only where all of them were judged")
    for name, chosen in (("all", set(NAMES)), ("held back", set(HELD_OUT))):
        some = [SEEN[one] for one in chosen]
        bad, good = [one for one in some if one[0].hazardous], [one for one in some if not one[0].hazardous]
        both = sum(one[1] or one[2] for one in bad), sum(one[1] or one[2] for one in good)
        linted = sum(one[1] for one in bad), sum(one[1] for one in good)
        rehearsed = sum(one[2] for one in bad), sum(one[2] for one in good)
        print(f"\n{name}: {len(bad)} hazardous, {len(good)} harmless; refused of each: together {both}, by the linter")
        print(f"alone {linted}, by the rehearsal alone {rehearsed}")
        assert (both[0] >= 0.95 * len(bad), both[1]) == (True, 0)
