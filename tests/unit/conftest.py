"""What every unit test stands on: retries that do not wait, git that knows nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import stamina

from deploylib.git import Git
from deploylib.process import SYSTEM
from tests.unit.fakes import FakeClock, RecordingView, write
from tests.unit.in_memory import Platform


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> Iterator[None]:
    """As many attempts as in earnest, no pause between them."""
    with stamina.set_testing(True, attempts=6):
        yield


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


@dataclass(frozen=True)
class Repository:
    """A real git repository."""

    root: Path

    @property
    def git(self) -> Git:
        """Our edge to it."""
        return Git(self.root, SYSTEM)

    def run(self, *args: str) -> str:
        """Run git."""
        done = subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str] | None = None, subject: str = "change") -> str:
        """Write files and commit everything; returns the id."""
        write(self.root, files or {})
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "--message", subject)
        branch = (self.root / ".git/HEAD").read_text().split()[-1]
        return (self.root / ".git" / branch).read_text().strip()

    def push(self) -> None:
        """Let the remote branch main be where we are, without a remote."""
        write(self.root / ".git", {"refs/remotes/origin/main": (self.root / ".git/refs/heads/main").read_text()})


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository with a remote that is never asked."""
    root = tmp_path / "product"
    (root / ".git/objects").mkdir(parents=True)
    config = '[core]\nbare = false\n[remote "origin"]\nurl = git@github.com:Example/product.git\n'
    write(root / ".git", {"HEAD": "ref: refs/heads/main\n", "config": config, "refs/heads/.keep": ""})
    (root / ".git/refs/heads/.keep").unlink()
    return Repository(root)


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
