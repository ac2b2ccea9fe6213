"""Servers for the whole session, a store for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploylib.store.folder import Folder
from tests.support.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Started when first asked for, ended with the session."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """An empty store."""
    return Folder(tmp_path / "store")
