"""A running local Render that tests share, and a maker of fresh ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.localrender.product import BLUEPRINT, DRILLED, Local, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A local Render that runs the whole Blueprint."""
    local = Local(Product(tmp_path_factory.mktemp("shared") / "product"))
    try:
        local.up(pip=True)
        yield local
    finally:
        local.clean()


@pytest.fixture(scope="session")
def _with_faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    local = Local(Product(tmp_path_factory.mktemp("faulty") / "product", DRILLED), "--faults", "--time-scale", "300")
    try:
        local.up()
        for name in ("backend", "site", "worker"):
            local.live(name)
        yield local
    finally:
        local.clean()


@pytest.fixture
def faulty(_with_faults: Local) -> Iterator[Local]:
    """A local Render with fault switches; the faults of a test end with it."""
    yield _with_faults
    _with_faults.clear_faults()


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
