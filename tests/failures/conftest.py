"""A product of trivial services with two releases, on a local Render that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.trivial import Trivial


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """It serves the stories of a module, one after the other."""
    with Trivial(tmp_path_factory.mktemp("failures") / "product") as product:
        product.release_twice()
        yield product


@pytest.fixture
def product(shared: Trivial) -> Iterator[Trivial]:
    """It is well before and after each story; where that has left a mix, one command must mend it."""
    yield shared
    shared.mend()
    last = max((shared.folder / ".deploylib" / "leases" / "local").iterdir())
    assert {"released", "abandoned"} & {one.name for one in last.iterdir()}, "the lease was not given back"
