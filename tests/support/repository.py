"""A real git repository for tests."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploylib.system import Git, process
from tests.support.fakes import write

ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@dataclass(frozen=True)
class Repository:
    """A real git repository."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Self:
        """An empty one, with a remote that is never asked."""
        (root / ".git/objects").mkdir(parents=True)
        config = '[core]\nbare = false\n[remote "origin"]\nurl = git@github.com:Example/product.git\n'
        write(root / ".git", {"HEAD": "ref: refs/heads/main\n", "config": config, "refs/heads/.keep": ""})
        (root / ".git/refs/heads/.keep").unlink()
        return cls(root)

    @property
    def git(self) -> Git:
        """Our edge to it."""
        return Git(self.root, process.SYSTEM)

    def run(self, *args: str) -> str:
        """Run git; on a new machine nobody has told it a name."""
        done = subprocess.run(["git", *ADA, *args], cwd=self.root, check=True, capture_output=True, text=True)
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
