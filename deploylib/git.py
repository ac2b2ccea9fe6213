"""The edge to git: what the working copy and its history say. Nothing here writes to the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploylib import temporary
from deploylib.errors import SettingsError
from deploylib.models import Commit
from deploylib.process import Command, Completed, ProgramFailed, Runner

__all__ = ["Git"]


@dataclass(frozen=True, slots=True)
class Git:
    """A working copy.

    Attributes:
        root: the folder it is asked in.
        runner: how git is started.
    """

    root: Path
    runner: Runner

    def top(self) -> Path:
        """The top of the working copy.

        Raises:
            SettingsError: the folder is in no git repository, or has no commit yet.
        """
        done = self._git("rev-parse", "--show-toplevel", check=False)
        if done.returncode != 0:
            reason = "is not in a git repository"
            if b"dubious ownership" in done.stderr:
                reason = "belongs to another user, so git does not trust it"
                raise SettingsError(
                    f"{self.root} {reason}", remedy=f"git config --global --add safe.directory {self.root}"
                )
            raise SettingsError(
                f"{self.root} {reason}; a release is a commit",
                remedy="git init && git add --all && git commit --message 'First version'",
            )
        return Path(done.text)

    def commit(self, ref: str) -> Commit:
        """The commit that *ref* names.

        Raises:
            SettingsError: there is none.
        """
        if ref.startswith("-"):
            raise SettingsError(f"{ref!r} is not a commit", remedy="name a commit, a branch or a tag")
        done = self._git("log", "-1", "--format=%H%x00%s", f"{ref}^{{commit}}", "--", check=False)
        if done.returncode != 0:
            remedy = "git commit first" if ref == "HEAD" else "git fetch, or name another commit"
            raise SettingsError(f"there is no commit {ref!r} here", remedy=remedy)
        full, _, subject = done.text.partition("\0")
        return Commit(id=full, subject=subject)

    def changed(self) -> tuple[str, ...]:
        """Tracked files that differ from the commit that is checked out."""
        done = self._git("status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames")
        return tuple(entry[3:] for entry in done.text.split("\0") if len(entry) > len("XY "))

    def untracked(self) -> tuple[str, ...]:
        """Files that git neither tracks nor ignores."""
        done = self._git("ls-files", "--others", "--exclude-standard", "-z")
        return tuple(name for name in done.text.split("\0") if name)

    def has(self, commit: str) -> bool:
        """Whether the commit is in this clone."""
        return self._git("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether *older* is in the history of *newer*, or the same."""
        return self._git("merge-base", "--is-ancestor", older, newer, check=False).returncode == 0

    def recent(self, commit: str, limit: int) -> tuple[str, ...]:
        """The ids of *commit* and of those before it, newest first, at most *limit*."""
        return tuple(self._git("rev-list", f"--max-count={limit}", commit, "--").text.split())

    def files_between(self, base: str, head: str) -> tuple[str, ...]:
        """The files that differ between two commits; a renamed file counts under both names."""
        done = self._git("diff", "--name-only", "--no-renames", "-z", base, head, "--")
        return tuple(name for name in done.text.split("\0") if name)

    def read(self, commit: str, path: str) -> str | None:
        """The content of *path* at *commit*; None where it is not."""
        done = self._git("show", f"{commit}:{path}", check=False)
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def remotes(self) -> tuple[str, ...]:
        """The addresses of the remotes."""
        done = self._git("remote", "--verbose", check=False)
        return tuple(dict.fromkeys(line.split()[1] for line in done.text.splitlines() if len(line.split()) > 1))

    def is_pushed(self, commit: str, branch: str) -> bool:
        """Whether the remote branch, as last fetched, holds the commit."""
        done = self._git("for-each-ref", "--contains", commit, "--format=%(refname)", "refs/remotes", check=False)
        return any(name.split("/", 3)[-1] == branch for name in done.text.splitlines())

    @contextmanager
    def exported(self, commit: str) -> Iterator[Path]:
        """The files of *commit* in a temporary folder.

        An index of its own keeps the repository untouched, and unlike ``git archive`` leaves nothing out for an
        ``export-ignore``.
        """
        with temporary.folder() as folder:
            index, files = {"GIT_INDEX_FILE": str(folder / "index")}, folder / "files"
            self._git("read-tree", commit, env=index)
            self._git("checkout-index", "--all", f"--prefix={files}{os.sep}", env=index, timeout=300)
            files.mkdir(exist_ok=True)
            yield files

    def _git(self, *args: str, check: bool = True, env: dict[str, str] | None = None, timeout: float = 60) -> Completed:
        plain = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
        try:
            # A hook may lie among the product's files (core.hooksPath), and git has our variables.
            command = Command(
                ["git", "-c", f"core.hooksPath={os.devnull}", *args],
                cwd=self.root,
                check=check,
                env=plain,
                timeout=timeout,
            )
            return self.runner.run(command)
        except ProgramFailed as error:
            raise SettingsError(
                f"git {args[0]} failed", details=error.details, remedy="see what git says above"
            ) from error
