"""A product of trivial services with two releases, on a local Render that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.failures.trivial import Trivial


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """It serves the stories of a module, one after the other."""
    made = Trivial(tmp_path_factory.mktemp("failures") / "product")
    try:
        made.ok("local.up", "--faults")
        made.change_all()
        made.ok("deploy")
        made.change_all()
        made.ok("deploy")
        yield made
    finally:
        made.clean()


@pytest.fixture
def product(shared: Trivial) -> Iterator[Trivial]:
    """It is well before and after each story: whatever happened, the next good commit is released by one command."""
    yield shared
    shared.ok("local.fault", "--clear")
    shared.inv("hold.lift")
    commit = shared.change_all()
    shared.ok("deploy")
    assert set(shared.served().values()) == {commit}
    lease = shared.ok("lease", "--json").json
    assert lease["state"] != "held"
