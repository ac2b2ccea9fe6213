"""What every unit test stands on: retries that do not wait, git that knows nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from tests.support.fakes import FakeClock, RecordingView
from tests.support.in_memory import Platform
from tests.support.repository import Repository


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> Iterator[None]:
    """As many attempts as in earnest, no pause between them."""
    with stamina.set_testing(True, attempts=6):
        yield


@pytest.fixture(autouse=True)
def _nothing_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine ends here, so that the system may write when it likes."""
    monkeypatch.setattr("os.fsync", lambda _number: None)


@pytest.fixture(autouse=True)
def _nobodys_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine, and an author."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for number, (name, value) in enumerate({"gc.auto": "0", "maintenance.auto": "false", "core.fsync": "none"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
        monkeypatch.setenv("GIT_CONFIG_COUNT", str(number + 1))
    for name in ("RENDER_API_KEY", "RENDER_HOST", "CI", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository with a remote that is never asked."""
    return Repository.make(tmp_path / "product")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that nobody waits for."""
    return FakeClock()


@pytest.fixture
def platform() -> Platform:
    """A platform without services."""
    return Platform()


@pytest.fixture
def view() -> RecordingView:
    """A view that keeps what it is told."""
    return RecordingView()
