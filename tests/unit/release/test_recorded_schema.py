"""What the runs of the history tell of the schema."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploylib.migrations import compatibility
from deploylib.models import Commit, Live, Migration, Opened, Revision
from deploylib.models.results import Report, StageResult, StageStatus
from deploylib.release import recorded_schema
from deploylib.release.schema_fit import compare_schema
from deploylib.state import RunState
from tests.support.fakes import NEW, OLD, START, target, write


def named(*ids: str) -> tuple[Revision, ...]:
    """Revisions of another tool, each with its file."""
    return tuple(Revision(id=one, path=f"db/{one}") for one in ids)


def run(pending: tuple[str, ...] = (), applied: tuple[str, ...] = (), migrate: str = "done") -> RunState:
    """A run of a product with another tool: what was pending, what it knew of, and what came of the stage."""
    found = Migration(pending=named(*pending), applied=named(*applied), unchecked=("its own",))
    planned = {"migration": msgspec.to_builtins(found)}
    stages = {"changes": StageResult(stage="changes", status=StageStatus.DONE, lines=("",), data=planned)}
    if migrate:
        stages["migrate"] = StageResult(stage="migrate", status=StageStatus(migrate), lines=("",))
    opened = Opened(run="r", environment="e", commit=Commit(id=OLD))
    return RunState(opened=opened, at=START, last=START, stages=stages)


def tool(*history: RunState) -> Migration:
    """The database, by the history of another tool's runs, newest first."""
    applied = recorded_schema.list_recorded(history)
    return Migration(current=applied[-1].id if applied else "", applied=applied, unchecked=("its own",))


def test_another_tools_schema_is_what_the_history_last_applied() -> None:
    """Also after a run without a migration; one whose migrations were never applied adds nothing."""
    history = [run(), run(("3",), migrate=""), run(("2",), migrate="failed"), run(("1",))]

    assert tool(*history).current == "1"
    assert compatibility.fit([Live(service="api", commit=OLD, schema="1")], tool(*history), {}).known
    assert [one.id for one in tool(run(("3",)), run(applied=("1", "2"))).applied] == ["1", "2", "3"]


def test_a_command_that_failed_half_way_has_applied_what_it_no_longer_lists(tmp_path: Path) -> None:
    """Where its file is still there; what the commit has taken back was perhaps never applied."""
    write(tmp_path, {"db/2": "", "db/3": ""})
    history = [run(("2", "3", "4"), migrate="failed"), run(("1",))]

    found = recorded_schema.continue_migration(
        Migration(pending=named("3"), target="3", unchecked=("its own",)), history, tmp_path
    )

    assert ([one.id for one in found.applied], found.current, found.target) == (["1", "2"], "2", "3")
    nothing = recorded_schema.continue_migration(Migration(unchecked=("its own",)), [run(), *history], tmp_path)
    assert ([one.id for one in nothing.applied], nothing.target) == (["1", "2", "3"], "3")


@pytest.mark.parametrize(
    ("at", "pending", "migrate", "doubted"),
    [
        ("3", (), "", False),  # it served with what is there now
        ("2", ("3",), "done", False),  # it brought it there
        ("2", ("3",), "failed", True),
        ("2", (), "", True),  # something was applied since
        ("", (), "", True),  # nobody looked
    ],
)
def test_code_that_was_verified_with_this_very_schema_goes_with_it(
    at: str, pending: tuple[str, ...], migrate: str, *, doubted: bool
) -> None:
    """Although what it is written for is not recorded, because it was released before anybody looked at migrations."""
    before = run(pending, tuple("123"[: int(at or 0)]), migrate)
    planned = msgspec.structs.replace(before.planned.migration, current=at, target=pending[-1] if pending else at)
    changes = msgspec.structs.replace(before.stages["changes"], data={"migration": msgspec.to_builtins(planned)})
    live = (Live(service="api", commit=OLD),)
    report = Report(run="r", environment="e", outcome="succeeded", exit_code=0, live=live)
    release = msgspec.structs.replace(before, stages={**before.stages, "changes": changes}, report=report)
    database = Migration(current="3", applied=named("1", "2", "3"), unchecked=("its own",))

    fit = compare_schema([target("api")], release, [release], database, {"api": Live(service="api", commit=NEW)})

    assert (bool(fit.doubt), fit.misfits) == (doubted, ())


def served(run: RunState, **schemas: str) -> RunState:
    """A run that was verified, with the schemas that the code of its services was written for."""
    live = tuple(Live(service=name, commit=OLD, schema=schema) for name, schema in schemas.items())
    report = Report(run="r", environment="e", outcome="succeeded", exit_code=0, live=live)
    return msgspec.structs.replace(run, report=report)


def test_code_goes_with_every_migration_that_it_has_served_with() -> None:
    """However old it was by then; what another service did says nothing of it."""
    first = served(run(("1",)), api="1", worker="1")
    second = served(run(("2",), ("1",)), api="2", worker="1")
    third = served(run(("3",), ("1", "2")), api="3", worker="1")
    history = [third, second, first]
    database = Migration(current="3", applied=named("1", "2", "3"))

    ran = recorded_schema.find_served_schemas(history)

    assert compatibility.fit([Live(service="worker", commit=OLD, schema="1")], database, ran).known
    assert compatibility.fit([Live(service="api", commit=OLD, schema="1")], database, ran).known is False
    assert compatibility.fit([Live(service="api", commit=OLD, schema="2")], database, ran).known
    assert recorded_schema.find_served_schemas([third])["3"] >= {("worker", "1"), ("", "")}
