"""Which code goes with which schema."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploylib.models import Commit, Live, Migration, Opened, Revision
from deploylib.models.results import StageResult, StageStatus
from deploylib.release import compatibility
from deploylib.state.run_state import RunState
from tests.support.fakes import OLD, START, write


def database(*revisions: str | tuple[str, str]) -> Migration:
    """A database with these revisions, oldest first; a pair says what the second of them tolerates."""
    applied = tuple(
        Revision(id=one) if isinstance(one, str) else Revision(id=one[0], tolerates=one[1]) for one in revisions
    )
    return Migration(current=applied[-1].id, applied=applied)


def code(revision: str) -> list[Live]:
    """A release whose api was written for *revision*, and whose site for none."""
    return [Live(service="api", commit=OLD, schema=revision), Live(service="site", commit=OLD)]


@pytest.mark.parametrize(
    ("written", "found", "ran", "fits"),
    [
        ("2", database("1", "2"), {}, True),
        ("1", database("1", "2"), {}, True),
        ("1", database("1", "2", "3"), {}, False),
        ("1", database("1", "2", "3"), {"2": "1", "3": "1"}, True),
        ("1", database("1", "2", ("3", "1")), {}, True),
        ("1", database("1", ("2", "2")), {}, False),
        ("1", database("1", ("2", "2")), {"2": "1"}, False),
        ("2", database("1", ("2", "2"), "3"), {}, True),
        ("1", database("1", ("2", "2"), "3"), {}, False),
        ("3", database("1", "2"), {}, False),
        ("", database("1", ("2", "2")), {}, True),
    ],
    ids=[
        "the same",
        "one revision back",
        "two revisions back",
        "it served meanwhile",
        "the revision says so",
        "the revision says no",
        "it says no whatever served",
        "what it takes away is long gone",
        "one of those between says no",
        "newer than the database",
        "no schema at all",
    ],
)
def test_code_goes_with_a_schema(written: str, found: Migration, ran: dict[str, str], *, fits: bool) -> None:
    """What a revision says of itself comes first, then what served while it was applied, then one step back."""
    assert (compatibility.fit(code(written), found, ran).misfits == ()) is fits


def test_the_reason_names_service_revision_and_what_it_goes_with() -> None:
    """So that a person can decide."""
    assert compatibility.fit(code("1"), database("1", ("2", "2")), {}).misfits == (
        "api aaaaaaa is written for schema 1, and 2 goes only with code for 2 or newer",
    )
    assert compatibility.fit(code("9"), database("1"), {}).misfits == (
        "api aaaaaaa is written for schema 9; the database is at 1",
    )


@pytest.mark.parametrize(
    ("remark", "tolerates", "doubted"),
    [
        ("-- deploylib: allow renaming-column: it is small", "", True),
        ("# deploylib: allow contract-step: nobody reads it", "", True),
        ("# deploylib: allow contract-step: nobody reads it", "1", False),
        ("# deploylib: allow long-lock: at night", "", False),
        ("-- deploylib: allow renaming-column", "", False),
    ],
)
def test_what_was_allowed_to_take_something_away_may_have_taken_it_from_older_code(
    remark: str, tolerates: str, *, doubted: bool
) -> None:
    """It served meanwhile, and may have failed since: no misfit that is known, and no fit either."""
    two = Revision(id="2", remarks=(remark,), tolerates=tolerates)
    found = compatibility.fit(code("1")[:1], Migration(current="2", applied=(Revision(id="1"), two)), {"2": "1"})

    assert (found.misfits, bool(found.unknown)) == ((), doubted)
    assert not doubted or "2 took something away" in found.doubt
    assert compatibility.fit(code("2")[:1], Migration(current="2", applied=(Revision(id="1"), two)), {}).known


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
    applied = compatibility.list_recorded(history)
    return Migration(current=applied[-1].id if applied else "", applied=applied, unchecked=("its own",))


def test_another_tools_schema_is_what_the_history_last_applied() -> None:
    """Also after a run without a migration; one whose migrations were never applied adds nothing."""
    history = [run(), run(("3",), migrate=""), run(("2",), migrate="failed"), run(("1",))]

    assert tool(*history).current == "1"
    assert compatibility.fit(code("1"), tool(*history), {}, needless={"site"}).known
    assert [one.id for one in tool(run(("3",)), run(applied=("1", "2"))).applied] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("written", "found"), [("", database("1")), ("unknown", database("1")), ("9", tool(run(("1",))))]
)
def test_what_nobody_recorded_is_no_misfit_and_no_fit(written: str, found: Migration) -> None:
    """It keeps nobody from going back, is told in one line, and is never advised."""
    fit = compatibility.fit(code(written), found, {}, needless={"site"})

    assert (fit.misfits, fit.known) == ((), False)
    assert fit.doubt.startswith("not known whether it goes with the schema: ")
    assert "api aaaaaaa" in fit.doubt


def test_a_commit_that_does_not_know_the_database_tells_of_no_misfit() -> None:
    """The revisions of a database that is ahead of it are not those that it lists."""
    ahead = Migration(current="9", target="2", ahead=True)

    assert compatibility.fit(code("3"), ahead, {}, needless={"site"}).misfits == ()
    assert compatibility.fit(code("9"), ahead, {}, needless={"site"}).known


def test_a_command_that_failed_half_way_has_applied_what_it_no_longer_lists(tmp_path: Path) -> None:
    """Where its file is still there; what the commit has taken back was perhaps never applied."""
    write(tmp_path, {"db/2": "", "db/3": ""})
    history = [run(("2", "3", "4"), migrate="failed"), run(("1",))]

    found = compatibility.continue_migration(
        Migration(pending=named("3"), target="3", unchecked=("its own",)), history, tmp_path
    )

    assert ([one.id for one in found.applied], found.current, found.target) == (["1", "2"], "2", "3")
    nothing = compatibility.continue_migration(Migration(unchecked=("its own",)), [run(), *history], tmp_path)
    assert ([one.id for one in nothing.applied], nothing.target) == (["1", "2", "3"], "3")


def test_code_of_a_tool_that_nobody_has_watched_is_recorded_as_unknown() -> None:
    """Neither as code that needs no schema, nor as code for an empty one."""
    assert Migration(unchecked=("its own",)).written_for == "unknown"
    assert (Migration().written_for, Migration(target="2").written_for) == ("", "2")


def test_after_the_migrations() -> None:
    """What is pending is applied then."""
    before = Migration(current="1", target="2", applied=(Revision(id="1"),), pending=(Revision(id="2"),))

    assert compatibility.apply_pending(before) == Migration(
        current="2", target="2", applied=(Revision(id="1"), Revision(id="2")), pending=()
    )
