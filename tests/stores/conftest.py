"""Both stores behind one fixture, the bucket on a real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploylib.store import Store
from deploylib.store import open as open_store
from deploylib.store.stores import KINDS
from tests.support import bucket

# Fixtures
impatient, proxy, s3, server = bucket.impatient, bucket.proxy, bucket.s3, bucket.server

PLACES = {"Folder": "{path}/store", "Bucket": "s3://deploys/{path.name}"}
"""Where a kind of store is tried; one that is not here fails every test of the contract."""


@pytest.fixture(params=[kind.__name__ for kind in KINDS])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a store that is empty."""
    place = PLACES[request.param].format(path=tmp_path)
    if place.startswith("s3:"):
        request.getfixturevalue("s3")
    return place


@pytest.fixture
def make(address: str) -> Callable[[], Store]:
    """Makes stores of the same place, as several machines would."""
    return lambda: open_store(address)


@pytest.fixture
def store(make: Callable[[], Store]) -> Store:
    """One of them."""
    return make()
