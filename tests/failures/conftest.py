"""A product of trivial services with two releases, on a local Render that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.trivial import Trivial


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
    """It is well before and after each story; where that has left a mix, one command must mend it."""
    yield shared
    assert shared.ask("/local/faults", method="DELETE").status == 200
    store = shared.folder / ".deploylib"
    for hold in store.glob("holds/local/*"):
        if not (hold / "lifted.json").exists():
            shared.ok("hold.lift", f"--hold={hold.name}")
    if len(set(shared.served().values())) > 1:
        commit = shared.change_all()
        shared.ok("deploy")
        assert set(shared.served().values()) == {commit}
    last = max((store / "leases" / "local").iterdir())
    assert {"released", "abandoned"} & {one.name for one in last.iterdir()}, "the lease was not given back"
