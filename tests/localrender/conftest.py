"""A running local Render that tests share, and a maker of fresh ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.localrender.product import BLUEPRINT, Local, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A local Render that runs the whole Blueprint."""
    local = Local(Product(tmp_path_factory.mktemp("shared") / "product"))
    try:
        local.up()
        yield local
    finally:
        local.clean()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Local]]:
    """Makes a local Render of its own for a test; it is not started."""
    made: list[Local] = []

    def make(blueprint: str = BLUEPRINT, *options: str) -> Local:
        made.append(Local(Product(tmp_path / f"product{len(made)}", blueprint), *options))
        return made[-1]

    yield make
    for local in made:
        local.clean()
