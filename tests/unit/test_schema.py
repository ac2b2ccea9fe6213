"""Which code goes with which schema."""

from __future__ import annotations

import pytest

from deploylib import schema
from deploylib.models import Live, Migration, Revision
from tests.unit.fakes import OLD


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
    assert (schema.gaps(code(written), found, ran) == []) is fits


def test_the_reason_names_service_revision_and_what_it_goes_with() -> None:
    """So that a person can decide."""
    assert schema.gaps(code("1"), database("1", ("2", "2")), {}) == [
        "api aaaaaaa is written for schema 1, and 2 goes only with code for 2 or newer"
    ]
    assert schema.gaps(code("9"), database("1"), {}) == ["api aaaaaaa is written for schema 9; the database is at 1"]


def test_after_the_migrations() -> None:
    """What is pending is applied then."""
    before = Migration(current="1", target="2", applied=(Revision(id="1"),), pending=(Revision(id="2"),))

    assert schema.after(before) == Migration(
        current="2", target="2", applied=(Revision(id="1"), Revision(id="2")), pending=()
    )
