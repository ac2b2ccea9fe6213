"""All small programs, and the guest book: what each is unfit in is named, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fitness.programs import LATER, WITH_DATABASE, Program
from tests.support.edges import Completed
from tests.support.product import Product

pytestmark = [pytest.mark.load, pytest.mark.timeout(1200)]
WITHIN = 900.0  # seconds


@pytest.fixture(scope="module", params=[LATER, WITH_DATABASE], ids=["alone", "with a database"])
def measured(request: pytest.FixtureRequest, make: Callable[..., Product]) -> tuple[tuple[Program, ...], Completed]:
    """A product of many services, measured at once."""
    return request.param, make(*request.param).inv("local.fitness", "--json", timeout=WITHIN)


def test_each_is_unfit_in_one_way(measured: tuple[tuple[Program, ...], Completed]) -> None:
    """By the question, with the line to change; one that is fit is fit in everything that could be measured."""
    programs, done = measured
    wanted = {one.name: [one.unfit] if one.unfit else [] for one in programs}
    found: dict[str, list[dict[str, Any]]] = {one["service"]: one["rows"] for one in done.json["services"]}

    unfit = {name: [row["question"] for row in rows if row["fit"] == "unfit"] for name, rows in found.items()}
    assert unfit == wanted, done.said
    assert [row for rows in found.values() for row in rows if row["fit"] != "fit" and not row["remedy"]] == []
    for one in programs:
        assert one.unfit or {row["fit"] for row in found[one.name]} == {"fit"}, found[one.name]


@pytest.fixture
def guest_book(tmp_path: Path) -> Iterator[Product]:
    """The product of this repository."""
    made = Product(tmp_path / "product")
    yield made
    made.clean()


def test_the_guest_book_is_fit(guest_book: Product) -> None:
    """In everything: exit code 0."""
    done = guest_book.inv("local.fitness", "--json", timeout=WITHIN)

    assert done.code == 0, done.said
    assert {row["question"] for one in done.json["services"] for row in one["rows"]} == {
        *("signal", "in flight", "exit", "idle", "database", "address", "connections")
    }
