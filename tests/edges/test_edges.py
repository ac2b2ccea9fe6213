"""The tables of the edges and the code say the same: no place that reads from outside is without a row, and a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edges import places

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent
WHY = re.compile(r"cannot happen(?!: \S)|^(?:\?|-|–|)$")


def rows(name: str) -> list[list[str]]:
    """The rows of a table, cell by cell, without the marks around names."""
    lines = [line for line in (FOLDER / name).read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip().removeprefix("`").removesuffix("`") for cell in line[1:-1].split(" | ")] for line in lines]


OUTSIDE, ABSENCE = rows("outside.md"), rows("absence.md")


def unlike(found: dict[str, str], table: list[list[str]]) -> list[str]:
    """What the code has and the table has not, or the other way round."""
    named = {row[0]: row[1] for row in table}
    told = [f"no row: {place} ({kinds})" for place, kinds in found.items() if place not in named]
    told += [f"no such place: {place}" for place in named if place not in found]
    return told + [
        f"{place} reads {kinds}, not {named[place]}"
        for place, kinds in found.items()
        if named.get(place, kinds) != kinds
    ]


def newly(finds: Callable[[dict[str, str]], dict[str, str]], table: list[list[str]], **more: str) -> list[str]:
    """What is told of a copy of the modules, to some of which something was added, and not of themselves."""
    modules = places.sources()
    before = unlike(finds(modules), table)
    changed = modules | {
        name.replace("__", "/"): modules[name.replace("__", "/")] + text for name, text in more.items()
    }
    return [told for told in unlike(finds(changed), table) if told not in before]


def reading(modules: dict[str, str]) -> dict[str, str]:
    """The places that read, and the kinds of what they read, as the table writes them."""
    return {place: ", ".join(sorted(kinds)) for place, kinds in places.read(modules).items()}


def deciding(modules: dict[str, str]) -> dict[str, str]:
    """The places that decide on absence; what it means there the code does not say."""
    meant = {row[0]: row[1] for row in ABSENCE}
    return {place: meant.get(place, "?") for place in places.absent(modules)}


def test_every_place_that_reads_from_outside_has_its_row() -> None:
    """With what is read there: another kind of it is another question."""
    assert unlike(reading(places.sources()), OUTSIDE) == []


def test_every_place_that_decides_on_absence_has_its_row() -> None:
    """Where a function gives back nothing, or passes over an error."""
    assert unlike(deciding(places.sources()), ABSENCE) == []


@pytest.mark.parametrize("table", [OUTSIDE, ABSENCE], ids=["outside", "absence"])
def test_every_row_is_filled_in_once_and_names_a_test(table: list[list[str]]) -> None:
    """What cannot happen has a reason; the test is there."""
    files: dict[str, str] = {}
    assert len({row[0] for row in table}) == len(table) > 100
    for row in table:
        assert not [cell for cell in row if WHY.search(cell)], row
        file, _, test = row[-1].partition("::")
        text = files.setdefault(file, (TESTS / file).read_text())
        assert f"def {test}(" in text, row


NEW = {
    "http": 'session.request("GET", url)',
    "program": "self.runner.run(command)",
    "postgres": 'connection.execute("select 1").fetchone()',
    "bucket": 'self._calls.call("head_bucket", None)',
    "store": "self.store.read(key)",
    "file": 'Path("x").read_text()',
    "text": "json.loads(body)",
    "machine": 'os.environ["HOME"]',
}


def test_each_kind_of_reading_has_an_example() -> None:
    """Or it would not be known that it is seen."""
    assert NEW.keys() == places.CALLS.keys()


@pytest.mark.parametrize("kind", NEW)
def test_a_new_place_without_a_row_is_found(kind: str) -> None:
    """In a copy of a module: in a function, and on its top."""
    assert newly(reading, OUTSIDE, models__units=f"\n\ndef told(*_):\n    return {NEW[kind]}\n") == [
        f"no row: models/units.told ({kind})"
    ]
    assert newly(reading, OUTSIDE, render__rate_limit=f"\n\nSAID = {NEW[kind]}\n") == [
        f"no row: render/rate_limit ({kind})"
    ]


@pytest.mark.parametrize("kind", sorted(NEW.keys() - {"text"}))
def test_another_kind_of_reading_at_a_place_that_has_its_row_is_found(kind: str) -> None:
    """What is unknown, unreadable and unreachable is asked of each kind anew."""
    told = newly(reading, OUTSIDE, models__units=f"\n\ndef words(*_):\n    return {NEW[kind]}\n")
    assert told == [f"models/units.words reads {', '.join(sorted({kind, 'text'}))}, not text"]


@pytest.mark.parametrize(
    "body",
    [
        "return ()", "return None", "return []", "return {}", 'return ""', "return False", "return text if text else None",
        "return next(iter(text), None)", "return text or ()",
    ],
)  # fmt: skip
def test_a_new_absence_without_a_row_is_found(body: str) -> None:
    """At an edge; a module that reads nothing from outside decides of values alone."""
    added = f"\n\ndef told(text):\n    {body}\n"
    assert newly(deciding, ABSENCE, render__rate_limit=added, models__database=added) == [
        "no row: render/rate_limit.told (?)"
    ]


@pytest.mark.parametrize(
    "passing", ["try:\n        work()\n    except OSError:\n        pass", "with suppress(OSError):\n        work()"]
)
def test_an_error_that_is_newly_passed_over_is_found(passing: str) -> None:
    """It makes nothing of something."""
    assert newly(deciding, ABSENCE, render__rate_limit=f"\n\ndef told():\n    {passing}\n") == [
        "no row: render/rate_limit.told (?)"
    ]


def test_a_row_without_its_place_is_found() -> None:
    """What is gone from the code goes from the table."""
    modules = places.sources()
    del modules["render/rate_limit"]

    gone = [told for told in unlike(reading(modules), OUTSIDE) if told.startswith("no such place: render/rate_limit.")]
    assert sorted(gone) == [f"no such place: render/rate_limit.{name}" for name in ("_seconds", "seconds_ahead")]


def test_what_a_module_reads_as_text_goes_through_one_place() -> None:
    """JSON and TOML of others are read by `deploylib.models.decoding`, which has one error for all that can be wrong with them."""
    bare = re.compile(r"\b(?:json|tomllib)\.(?:loads?|decode)\(|msgspec\.json\.decode\(")
    programs = {"models/decoding", "migrations/alembic_child/__main__"}
    own = {name: text for name, text in places.sources().items() if not name.startswith("localrender/")}

    assert [name for name, text in own.items() if bare.search(text) and name not in programs] == []
