"""A damaged store, and a newer one, through the commands that an operator types; the matrix is in ``tests/unit``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.trivial import Trivial

HELD = '{"run": "r", "author": "ada", "ttl": 60.0}'


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """One release, and nothing that serves any more: what is asked here, the store alone can answer."""
    with Trivial(tmp_path_factory.mktemp("stored") / "product") as product:
        product.ok("deploy")
        product.ok("local.down")
        yield product


@pytest.fixture
def store(product: Trivial) -> Iterator[Path]:
    """Its folder, to be damaged."""
    folder, kept = product.folder / ".deploylib", product.folder / ".kept"
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    kept.rename(folder)


def test_a_run_that_cannot_be_read_is_named_and_passed_over(product: Trivial, store: Path) -> None:
    """With the object and what to do about it; a damaged cache of it costs nothing."""
    (state,) = (store / "states").iterdir()
    state.write_bytes(state.read_bytes()[:100])
    assert state.stem[-4:] in product.ok("history").out

    event = sorted((store / "runs" / state.stem).iterdir())[1]
    event.write_bytes(b"\0")
    shown = product.ok("history")
    assert f"passed over: runs/{state.stem}/{event.name}" in shown.said
    assert f"move runs/{state.stem} out of the store" in shown.said
    assert "passed over" in product.ok("status").said
    assert product.inv("rollback", "--dry-run").code in {2, 40}


@pytest.mark.load
def test_a_lease_that_cannot_be_read_is_given_back(product: Trivial, store: Path) -> None:
    """It holds as if somebody did, until a person says that nobody does."""
    place = store / "leases/local/00000009"
    place.mkdir()
    (place / "lease.json").write_text(HELD[:-9])
    assert "unknown (its record cannot be read)" in product.ok("lease").out

    refused = product.inv("deploy")
    assert refused.code == 30, refused.said
    assert "inv lease.release" in refused.said

    product.ok("lease.release", "--reason", "its record is damaged")
    assert "nobody holds local" in product.ok("lease").out


@pytest.mark.load
def test_a_hold_that_cannot_be_read_is_lifted(product: Trivial, store: Path) -> None:
    """Nobody knows what it refuses, so it refuses every release, and says how it is ended."""
    place = store / "holds/local/20260301T120000.000000"
    place.mkdir(parents=True)
    (place / "hold.json").write_text("")

    refused = product.inv("deploy")
    assert refused.code == 31, refused.said
    assert "inv hold.lift" in refused.said

    product.ok("hold.lift")
    assert "cannot be read" not in product.ok("status").said


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_a_newer_store_names_the_version_to_install(product: Trivial, store: Path, command: str) -> None:
    """An older program would read less than is there: exit code 2, whatever it was to do."""
    (store / "format/2-0.9.0").write_text("")

    refused = product.inv(command)

    assert refused.code == 2, refused.said
    assert "install deploylib 0.9.0 or newer" in refused.said


def test_a_store_that_is_a_file_is_told(product: Trivial, store: Path) -> None:
    """And not taken for an empty one."""
    shutil.rmtree(store)
    store.write_text("")

    for command in ("status", "rollback"):
        refused = product.inv(command)
        assert refused.code == 40, refused.said
        assert "must be a folder" in refused.said
