"""Which code goes with which schema."""

from __future__ import annotations

import pytest

from deploylib.migrations import compatibility
from deploylib.models import Live, Migration, Revision
from tests.support.fakes import OLD


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
        ("1", database("1", "2", "3"), {"2": {("", "1")}, "3": {("", "1")}}, True),
        ("1", database("1", "2", "3"), {"2": {("", "1")}, "3": {("", "2"), ("api", "1")}}, True),
        ("1", database("1", "2", "3"), {"2": {("", "1")}, "3": {("", "2"), ("worker", "1")}}, False),
        ("1", database("1", "2", ("3", "1")), {}, True),
        ("1", database("1", ("2", "2")), {}, False),
        ("1", database("1", ("2", "2")), {"2": {("", "1")}}, False),
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
        "it served with both, although it was older than the one before",
        "only another service did",
        "the revision says so",
        "the revision says no",
        "it says no whatever served",
        "what it takes away is long gone",
        "one of those between says no",
        "newer than the database",
        "no schema at all",
    ],
)
def test_code_goes_with_a_schema(
    written: str, found: Migration, ran: dict[str, set[tuple[str, str]]], *, fits: bool
) -> None:
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
    found = compatibility.fit(
        code("1")[:1], Migration(current="2", applied=(Revision(id="1"), two)), {"2": {("", "1")}}
    )

    assert (found.misfits, bool(found.unknown)) == ((), doubted)
    assert not doubted or "2 took something away" in found.doubt
    assert compatibility.fit(code("2")[:1], Migration(current="2", applied=(Revision(id="1"), two)), {}).known


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("", database("1")),
        ("unknown", database("1")),
        ("9", Migration(current="1", applied=(Revision(id="1"),), unchecked=("its own",))),
    ],
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
