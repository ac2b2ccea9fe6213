"""The edge to git.

What the working copy and its history say. Nothing here writes to the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from deploylib.errors import SettingsError
from deploylib.models import Commit, ids
from deploylib.models.release import AuthoredCommit
from deploylib.system.files import temporary_folder
from deploylib.system.process import Command, Completed, ProgramFailed, Runner

__all__ = ["Git"]

FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LAST = 253_402_300_799  # seconds: the end of the year 9999
GITLINK = "160000"  # the mode of a submodule in a tree
# ``git@github.com:o/n.git``, ``https://token@github.com/o/n``: without who asks.
WEB = re.compile(r"(?:(?:https|ssh|git)://)?(?:[^@/\s]*@)?([\w-]+(?:\.[\w-]+)+)(?::\d+)?[:/]([\w.~/-]+?)(?:\.git)?/?")
# A hook may lie among the product's files, and git has our variables. The others are settings of a person or a repository
# by which git answers something else: a signature before a commit, another encoding, the changes of one folder alone
# (``git help config``).
PLAIN = (
    f"core.hooksPath={os.devnull}",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
    "diff.relative=false",
)
NOWHERE = b"not a git repository (or any "  # of the parent directories, or up to a mount point
ABSENT = re.compile(rb"path '.*' (?:does not exist in|exists on disk, but not in) '", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Git:
    """A working copy.

    Attributes:
        root: the folder it is asked in.
        runner: how git is started.
    """

    root: Path
    runner: Runner

    REDIRECTING: ClassVar[tuple[str, ...]] = (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    )
    """Variables that git sets for a hook or an alias, and that lead elsewhere (``git rev-parse --local-env-vars``)."""

    def top(self) -> Path:
        """Find the top of the working copy.

        Raises:
            SettingsError: the folder is in no git repository, or git refuses the one that is there.
        """
        done = self._git("rev-parse", "--show-toplevel", check=False)
        if done.returncode == 0:
            return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
        if b"dubious ownership" in done.stderr:
            raise SettingsError(
                f"{self.root} belongs to another user, so git does not trust it",
                remedy=f"git config --global --add safe.directory {self.root}",
            )
        if b"must be run in a work tree" in done.stderr:
            raise SettingsError(
                f"{self.root} is a bare repository: it has no files, and so no working copy",
                remedy="git worktree add ../product, and the same there",
            )
        if NOWHERE in done.stderr and not any((each / ".git").exists() for each in (self.root, *self.root.parents)):
            raise SettingsError(
                f"{self.root} is not in a git repository; a release is a commit",
                remedy="git init && git add --all && git commit --message 'First version'",
            )
        # There is one, and git refuses it: for its format, its work tree, a part that is missing. To begin another in
        # its place would damage it.
        raise SettingsError(
            f"git cannot read the repository at {self.root}", details=done.lines, remedy="see what git says above"
        )

    def commit(self, ref: str) -> Commit:
        """Find the commit that *ref* names.

        Raises:
            SettingsError: there is none, or a short id is that of several.
        """
        if ref.startswith("-"):
            raise SettingsError(f"{ref!r} is not a commit", remedy="name a commit, a branch or a tag")
        done = self._git("log", "-1", "--format=%H%x00%s", f"{ref}^{{commit}}", "--", check=False)
        if done.returncode != 0:
            if len(several := self._abbreviated(ref)) > 1:
                raise ids.ambiguous(ref, several, kind="commit")
            remedy = "git commit first" if ref == "HEAD" else "git fetch, or name another commit"
            raise SettingsError(f"there is no commit {ref!r} here", remedy=remedy)
        full, _, subject = done.text.partition("\0")
        return Commit(id=full, subject=subject)

    def _abbreviated(self, text: str) -> list[str]:
        """Find the commits whose ids begin so.

        None, where it is nothing that begins one.
        """
        if not re.fullmatch(r"[0-9a-f]{4,39}", text):
            return []
        ids = self._git("rev-parse", f"--disambiguate={text}", check=False).text.split()
        return [one for one in ids if self._git("cat-file", "-t", one, check=False).text == "commit"]

    def author(self) -> str:
        """Read what git calls the one who commits here.

        Empty where git was not told, or there is no git to ask.
        """
        try:
            return self._git("config", "--get", "user.name", check=False).text.strip()
        except (ProgramFailed, SettingsError):
            return ""

    def list_changed(self) -> tuple[str, ...]:
        """List tracked files that differ from the commit checked out."""
        look = ("--untracked-files=no", "--no-renames", "--ignore-submodules=untracked")
        done = self._git("status", "--porcelain=v1", "-z", *look)
        return tuple(entry[3:] for entry in done.text.split("\0") if len(entry) > len("XY "))

    def list_untracked(self) -> tuple[str, ...]:
        """List files that git neither tracks nor ignores."""
        done = self._git("ls-files", "--others", "--exclude-standard", "-z")
        return tuple(name for name in done.text.split("\0") if name)

    def shallow(self) -> bool:
        """Tell whether the history is cut off.

        What is not here may be before or after what is.
        """
        return self._git("rev-parse", "--is-shallow-repository").text == "true"

    def has(self, commit: str) -> bool:
        """Tell whether the commit is in this clone."""
        return self._git("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether *older* is in the history of *newer*, or the same.

        Raises:
            SettingsError: git does not know one of them, which is no answer.
        """
        done = self._git("merge-base", "--is-ancestor", older, newer, check=False)
        if done.returncode not in {0, 1}:
            message = f"git cannot compare {older[:7]} with {newer[:7]}"
            raise SettingsError(message, details=done.lines, remedy="git fetch --unshallow, or see what git says above")
        return done.returncode == 0

    def recent(self, commit: str, limit: int) -> tuple[str, ...]:
        """List *commit* and those before it, newest first, at most *limit*."""
        return tuple(self._git("rev-list", f"--max-count={limit}", commit, "--").text.split())

    def commits_since(self, head: str, bases: Iterable[str], limit: int) -> tuple[AuthoredCommit, ...]:
        """List the commits of *head* that none of the *bases* has.

        Newest first, at most *limit*.

        Raises:
            SettingsError: git does not know one of them, which is no answer.
        """
        form = "--format=%H%x00%s%x00%aN%x00%aE%x00%ct"
        done = self._git("log", f"--max-count={limit}", form, head, *(f"^{base}" for base in bases), "--")
        return tuple(_authored(line) for line in done.text.split("\n") if line)

    def ancestry(self, commits: Iterable[str], limit: int) -> dict[str, tuple[datetime, tuple[str, ...]]]:
        """Read the time and the parents of *commits* and those before.

        At most *limit*. One that this clone does not have is in none.
        """
        tips = [each for each in dict.fromkeys(commits) if FULL.fullmatch(each)]
        shape = ("--timestamp", "--parents", "--ignore-missing", f"--max-count={limit}")
        lines = self._git("rev-list", *shape, *tips, "--").text.splitlines() if tips else ()
        words = (line.split() for line in lines)
        return {commit: (_moment(at), tuple(parents)) for at, commit, *parents in words}

    def files_between(self, base: str, head: str) -> tuple[str, ...]:
        """List the files that differ between two commits.

        A renamed file counts under both names, a submodule under its folder's.
        """
        return tuple(path for path, _ in self._between(base, head))

    def submodules_between(self, base: str, head: str) -> tuple[str, ...]:
        """List the submodules' folders that differ between two commits.

        Whatever ``.gitmodules`` says of them.
        """
        return tuple(path for path, modes in self._between(base, head) if GITLINK in modes)

    def _between(self, base: str, head: str) -> Iterator[tuple[str, tuple[str, str]]]:
        """List each path that differs, and its mode before and after."""
        done = self._git("diff", "--raw", "--no-renames", "--ignore-submodules=none", "-z", base, head, "--")
        parts = iter(done.text.split("\0"))
        for about, path in zip(parts, parts, strict=False):
            before, after, *_ = about.removeprefix(":").split()
            yield path, (before, after)

    def files(self, commit: str) -> tuple[str, ...]:
        """List every file of *commit*; of a submodule the folder."""
        done = self._git("ls-tree", "-r", "--name-only", "-z", commit, "--")
        return tuple(name for name in done.text.split("\0") if name)

    def lying(self) -> tuple[str, ...]:
        """List every file that lies here and is not ignored."""
        done = self._git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
        return tuple(name for name in done.text.split("\0") if name)

    def submodules(self, commit: str) -> dict[str, str]:
        """List the submodules of *commit*.

        Folder → the commit of it that is wanted.
        """
        done = self._git("ls-tree", "-r", "-z", commit, "--")
        lines = (line.partition("\t") for line in done.text.split("\0") if line.startswith(GITLINK))
        return {path: about.split()[2] for about, _, path in lines}

    def read(self, commit: str, path: str) -> str | None:
        """Read *path* at *commit*; None where it is not.

        Raises:
            SettingsError: git cannot say, which is not the same.
        """
        done = self._git("show", f"{commit}:{path}", check=False)
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        if ABSENT.search(done.stderr) and self.has(commit):  # git says the same of a commit that it does not have
            return None
        raise SettingsError(
            f"git cannot read {path} of {commit[:7]}", details=done.lines, remedy="git fsck, or see what git says above"
        )

    def remotes(self) -> dict[str, str]:
        """List the addresses of the remotes, each with a name."""
        done = self._git("remote", "--verbose", check=False)
        named = [line.split()[:2] for line in done.text.splitlines() if len(line.split()) > 1]
        return {address: name for name, address in reversed(named)}

    def web(self) -> str:
        """Find the repository's page for a browser; empty: none is known."""
        remotes = sorted(self.remotes().items(), key=lambda one: (one[1] != "origin", one))
        matches = (WEB.fullmatch(address) for address, _ in remotes)
        return next((f"https://{one[1]}/{one[2]}" for one in matches if one), "")

    def branch(self) -> str:
        """Name the branch that is checked out; empty: none is."""
        return self._git("branch", "--show-current", check=False).text

    def is_pushed(self, commit: str, branch: str) -> bool:
        """Tell whether the remote branch, as last fetched, holds the commit."""
        done = self._git("for-each-ref", "--contains", commit, "--format=%(refname)", "refs/remotes", check=False)
        return any(name.split("/", 3)[-1] == branch for name in done.text.splitlines())

    def tips(self) -> tuple[str, ...]:
        """List the newest commit of each branch, as this clone knows."""
        done = self._git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", check=False)
        return tuple(dict.fromkeys(done.text.splitlines()))

    def tips_of(self, branch: str, *, here: bool) -> tuple[str, ...]:
        """List a branch's newest commits at the remotes, as last fetched.

        Args:
            here: for a platform that builds from this folder: the branch of this clone, where it has it.
        """
        form = "--format=%(objectname) %(refname)"
        done = self._git("for-each-ref", form, *(("refs/heads",) if here else ()), "refs/remotes", check=False)
        named = [line.split(" ", 1) for line in done.text.splitlines()]
        mine = [commit for commit, name in named if name == f"refs/heads/{branch}"]
        others = [
            commit for commit, name in named if name.startswith("refs/remotes/") and name.split("/", 3)[-1] == branch
        ]
        return tuple(dict.fromkeys(mine or others))

    @contextmanager
    def export(self, commit: str, *, foreign: bool = False) -> Iterator[Path]:
        """Write the files of *commit* into a temporary folder.

        An index of its own keeps the repository untouched, and unlike ``git archive`` leaves nothing out for an
        ``export-ignore``. A submodule is there as far as this clone has its commit; else its folder is empty.

        Args:
            foreign: of somebody whom nobody knows yet: a link is a file that says where it leads, and no filter that
                this machine has (Git LFS) is started for an attribute of theirs.
        """
        with temporary_folder() as folder:
            files = folder / "files"
            self._export(commit, files, folder / "index", self._list_inert() if foreign else ())
            files.mkdir(exist_ok=True)
            yield files

    def _list_inert(self) -> tuple[str, ...]:
        """List the settings by which files become nothing but files."""
        names = self._git("config", "--null", "--name-only", "--get-regexp", r"^filter\..", check=False).text.split(
            "\0"
        )
        filters = dict.fromkeys(name.rpartition(".")[0] for name in names if name)
        off = ("smudge=", "process=", "required=false")
        return ("core.symlinks=false", *(f"{each}.{setting}" for each in filters for setting in off))

    def _export(self, commit: str, files: Path, index: Path, options: tuple[str, ...]) -> None:
        env = {"GIT_INDEX_FILE": str(index)}
        self._git("read-tree", commit, env=env)
        self._git("checkout-index", "--all", f"--prefix={files}{os.sep}", env=env, timeout=300, options=options)
        for number, (path, wanted) in enumerate(self.submodules(commit).items()):
            inner = Git(self.root / self._git("rev-parse", "--show-cdup").text / path, self.runner)
            if inner.is_own() and inner.has(wanted):
                inner._export(wanted, files / path, index.with_name(f"{index.name}-{number}"), options)

    def is_own(self) -> bool:
        """Tell whether the folder is a repository by itself.

        A submodule that was fetched is one.
        """
        return (self.root / ".git").exists()

    def _git(
        self,
        *args: str,
        check: bool = True,
        env: dict[str, str] | None = None,
        timeout: float = 60,
        options: tuple[str, ...] = (),
    ) -> Completed:
        plain = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
        try:
            given = (word for option in (*PLAIN, *options) for word in ("-c", option))
            command = Command(
                ["git", *given, *args], cwd=self.root, check=check, env=plain, drops=self.REDIRECTING, timeout=timeout
            )
            return self.runner.run(command)
        except ProgramFailed as error:
            raise SettingsError(
                f"git {args[0]} failed", details=error.details, remedy="see what git says above"
            ) from error


def _authored(line: str) -> AuthoredCommit:
    commit, subject, author, email, at = line.split("\0", 4)
    return AuthoredCommit(id=commit, subject=subject, author=author, email=email, at=_moment(at))


def _moment(seconds: str) -> datetime:
    """Read a time of git's, as far as Python can tell it.

    Somebody may have committed in the year 292277026596.
    """
    return datetime.fromtimestamp(min(int(seconds), LAST), UTC)
