"""What must be so after each block of the training, which are typed one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.product import Product

TRAINING = Path(__file__).resolve().parents[2] / "docs" / "training.md"
# The blocks of the recording that the page shows, in its order.
RECORDED = ("a first release", "a live deployment", "rollback practice", "a program that ends")


def _serves_the_head(product: Product) -> None:
    assert product.head in product.served().values()


def _serves_the_one_before(product: Product) -> None:
    served = set(product.served().values())
    assert product.head not in served
    assert product.git("rev-parse", "HEAD~1") in served


def _is_whole(product: Product) -> None:
    assert product.outcome() != "open"
    assert product.ok("verify").code == 0


def _has_guests(product: Product) -> None:
    assert product.query("select name from entries") == [("Ann",)]
    assert "held         nothing" in product.ok("status").out


def _is_empty(product: Product) -> None:
    assert product.query("select name from entries") == []


def _is_gone(product: Product) -> None:
    assert product.processes() == []


LESSONS: dict[str, Callable[[Product], None]] = {
    "a first release": _serves_the_head,
    "a live deployment": _serves_the_head,
    "a release of the backend": _serves_the_head,
    "rollback practice": _serves_the_one_before,
    "the cure": _serves_the_head,
    "lunch": _serves_the_head,
    "a build that fails": _serves_the_head,
    "a program that ends": _serves_the_head,
    "a lost answer": _serves_the_head,
    "the platform is down": _serves_the_head,
    "somebody pulls the plug": _is_whole,
    "a backup": _has_guests,
    "an accident": _is_empty,
    "a restore": _has_guests,
    "the end": _is_gone,
    "the drills": _is_gone,
    "a drill that a program does": _is_gone,
}
