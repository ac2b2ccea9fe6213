"""A crash of a small release between acceptance and answer, and three of the real product's that a seed has chosen.

``nox -s crash`` does both, and each boundary of the small one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.boundaries import Boundary, died, watched
from tests.support import afterwards
from tests.support.product import Product
from tests.support.trivial import Trivial

SEED = 16
KILLS = 3


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """The sample product, deployed."""
    with Product(tmp_path / "product") as product:
        product.ok("deploy")
        yield product


def _change(product: Product) -> str:
    product.change_backend()
    return product.change_frontend()


def _chosen(boundaries: list[Boundary]) -> list[Boundary]:
    """Some of those at which the environment was held and the run not over; one between acceptance and answer."""
    chance = random.Random(SEED)  # noqa: S311 - the same ones each time
    begun = next(number for number, one in enumerate(boundaries) if one.what == "stage changes")
    last = next(number for number, one in enumerate(boundaries) if one.what == "closed")
    others = [one for one in boundaries[begun:last] if one.when != "accepted"]
    accepted = [one for one in boundaries if one.when == "accepted"]
    found = [chance.choice(accepted), *chance.sample(others, KILLS - 1)]
    chance.shuffle(found)
    return found


def test_a_crash_before_the_answer_is_settled(tmp_path: Path) -> None:
    """The platform has accepted a deploy that nobody knows of: `inv finish` finds it, and the run is over."""
    with Trivial(tmp_path / "product") as product:
        product.change_all()
        product.ok("deploy")
        before, commit = afterwards.look(product), product.change_all()

        died(product, Boundary("accepted", 1, "deploys"), "deploy")
        settled = product.inv("finish", "--json")

        outcome, wrong = afterwards.decided(product, before, commit)
        wrong += afterwards.complaints(product, before, settled)
        assert not wrong, (outcome, wrong)


@pytest.mark.load
@pytest.mark.timeout(900)
def test_three_crashes_are_settled(product: Product) -> None:
    """`inv finish`, and `inv deploy` in its place: one release live, asked for once, recorded, nobody in the way."""
    _change(product)
    done, boundaries = watched(product, "deploy")
    assert done.code == 0, done.said
    wrong: list[str] = []
    for number, boundary in enumerate(_chosen(boundaries)):
        before, commit = afterwards.look(product), _change(product)
        died(product, boundary, "deploy")
        words = ("deploy", "finish")[number % 2]
        settled = product.inv(words, "--json")
        outcome, found = afterwards.decided(product, before, commit)
        found += afterwards.complaints(product, before, settled)
        if words == "deploy":
            found += afterwards.serves(product, commit)
        wrong += [f"{boundary}, then inv {words}, {outcome}: {one}" for one in found]
        print(f"{boundary}: inv {words}: {outcome}")
    assert not wrong, "\n".join(wrong)
    product.ok("deploy")
    assert set(product.served().values()) == {product.head}
