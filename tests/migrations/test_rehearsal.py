"""A rehearsal in a program of its own, on a copy; and what its report means."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploylib.errors import MigrationFailed
from deploylib.migrations import rehearsal
from deploylib.migrations.observations import HeldLock, RehearsalReport, Rehearsed
from deploylib.models import Revision, Secret
from deploylib.settings import MigrationSettings
from tests.migrations.world import World
from tests.support.fakes import write


def rehearsed(world: World, copy: str) -> RehearsalReport:
    """What a rehearsal on this copy tells."""
    return rehearsal.rehearse(world.tool, Secret(copy), world.status())


def test_the_report_tells_of_each_statement_what_it_did(world: World, fresh: Callable[[], str]) -> None:
    """Locks, rewrites, rows and time, by revision; the database itself is untouched."""
    world.write(
        "op.add_column('people', sa.Column('x', sa.Text()))\nop.alter_column('people', 'age', type_=sa.BigInteger())",
        "op.execute('update small set n = 0 where id <= 100')\nop.drop_column('orders', 'amount')",
    )

    report = rehearsed(world, fresh())

    first, second = report.revisions
    column, kind = (one for one in first.statements if "people" in one.text)
    assert (column.locks["people"], column.rewritten, column.scanned) == ("AccessExclusiveLock", (), ())
    assert (kind.rewritten, kind.rows["people"]) == (("people",), 12_000)
    assert 0 < kind.seconds < 60
    [held] = [one for one in first.held if one.table == "people" and one.mode == "AccessExclusiveLock"]
    assert held.seconds >= kind.seconds
    [update] = [one for one in second.statements if one.text.startswith("update small")]
    assert update.changed == {"small": 100}
    assert second.gone == ("public.orders.amount",)
    assert (report.failed, world.status().current) == ("", "")
    assert world.query("select 1 from information_schema.columns where column_name = 'x'") == []


def test_alembic_of_a_pyproject_is_rehearsed(world: World, fresh: Callable[[], str]) -> None:
    """By its table alone, as by an ini."""
    world.write("op.add_column('people', sa.Column('x', sa.Text()))")
    (world.files / "migrations").rename(world.files / "scripts")
    write(world.files, {"pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/scripts"\n'})

    report = rehearsed(world, fresh())

    assert (report.failed, [one.id for one in report.revisions]) == ("", ["0001"])
    assert [one.id for one in world.upgrade("0001")] == ["0001"]


def test_a_copy_that_was_never_analyzed_is_measured_first(world: World, fresh: Callable[[], str]) -> None:
    """A restored dump says of no table how large it is."""
    copy = fresh()
    World(Secret(copy), world.files).query("create table loaded as select n from generate_series(1, 12345) n")
    world.query("create table loaded (n integer)")
    world.write("op.execute('create index i on loaded (n)')")

    report = rehearsed(world, copy)

    [step] = [one for one in report.revisions[0].statements if "loaded" in one.text]
    assert (step.scanned, step.rows["loaded"]) == (("loaded",), 12_345)


def test_a_copy_of_another_time_is_refused(world: World, fresh: Callable[[], str]) -> None:
    """What is rehearsed must be what is pending."""
    copy = fresh()
    world.write("pass", "pass")
    World(Secret(copy), world.files).upgrade("0002")

    with pytest.raises(MigrationFailed, match="at another revision"):
        rehearsed(world, copy)


def test_a_revision_that_fails_on_the_copy_is_refused_with_the_database_s_words(
    world: World, fresh: Callable[[], str]
) -> None:
    """And what came before it is told all the same."""
    world.write("pass", "op.execute('alter table people add constraint k check (age > 5)')")

    report = rehearsed(world, fresh())
    found = rehearsal.judge(report, world.status().pending, MigrationSettings())

    assert (report.failed, len(report.revisions)) == ("0002", 2)
    [finding] = found.blocking
    assert (finding.rule, "is violated by some row" in finding.where) == ("rehearsal-failed", True)


@pytest.mark.parametrize(
    ("mode", "rows", "seconds", "refused"),
    [
        ("AccessExclusiveLock", 5, 1.2, True),
        ("ShareLock", 5, 1.2, True),
        ("AccessExclusiveLock", 0, 9.0, False),
        ("AccessExclusiveLock", 5, 0.9, False),
    ],
)
def test_a_lock_that_others_notice_must_be_short(mode: str, rows: int, seconds: float, *, refused: bool) -> None:
    """On a table that has rows, longer than the setting."""
    report = RehearsalReport(
        revisions=(Rehearsed(id="1", held=(HeldLock(table="t", mode=mode, rows=rows, seconds=seconds),)),)
    )

    found = rehearsal.judge(report, (Revision(id="1"),), MigrationSettings(longest_lock="1s"))

    assert bool(found.blocking) is refused
    if refused:
        assert "t (5 rows) for 1.2 s" in found.blocking[0].text


def test_several_tables_in_one_transaction_are_a_warning() -> None:
    """They wait for each other's users, and can deadlock with them."""
    held = tuple(HeldLock(table=name, mode="AccessExclusiveLock", rows=5, seconds=0.1) for name in "ab")

    found = rehearsal.judge(RehearsalReport(revisions=(Rehearsed(id="1", held=held),)), (), MigrationSettings())

    assert [(one.rule, one.level) for one in found.findings] == [("several-tables", "warn")]


@pytest.mark.parametrize(("tolerates", "level"), [("", "refuse"), ("0000", "note")])
@pytest.mark.parametrize("number", [1, 2])
def test_a_contract_step_that_says_what_it_tolerates_is_let_through(number: int, tolerates: str, level: str) -> None:
    """Alone, and with another one beside it."""
    pending = tuple(Revision(id=f"000{one}", tolerates=tolerates) for one in range(1, number + 1))
    report = RehearsalReport(revisions=(Rehearsed(id="0001", gone=("public.people.note",)),))

    found = rehearsal.judge(report, pending, MigrationSettings())

    assert [(one.rule, one.level) for one in found.findings] == [("contract-step", level)]
