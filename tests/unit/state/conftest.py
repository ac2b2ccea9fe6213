"""A history of its own for each test."""

from __future__ import annotations

import pytest

from deploylib.state import History
from deploylib.store.folder import Folder
from tests.support.fakes import FakeClock


@pytest.fixture
def history(tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> History:
    """An empty one."""
    return History(Folder(tmp_path_factory.mktemp("store")), clock)
