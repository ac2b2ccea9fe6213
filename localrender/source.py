"""The git repository that holds the Blueprint: its branch, its commits, and a tree of any of them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

import msgspec

from localrender.errors import ApiError, bad_input
from localrender.model import Commit, stamp

# Whoever runs this may not own the repository (root in a container); git honours these on the command line.
# A person's own settings must not make it answer something else, such as a signature before a commit.
_PLAIN = ("log.showSignature=false", "i18n.logOutputEncoding=UTF-8")
_GIVEN = ("safe.directory=*", "core.hooksPath=/dev/null", "advice.detachedHead=false", *_PLAIN)
_GIT = ("git", *(word for setting in _GIVEN for word in ("-c", setting)))


class Repository(msgspec.Struct, frozen=True):
    """A work tree: its top folder and its current branch."""

    path: str
    branch: str


def _environment() -> dict[str, str]:
    """The caller's, without what git sets for hooks: it would redirect every command to that repository."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


def _git(folder: str, *arguments: str) -> str | None:
    done = subprocess.run(  # noqa: S603
        [*_GIT, "-C", folder, *arguments], env=_environment(), capture_output=True, check=False
    )
    return os.fsdecode(done.stdout) if done.returncode == 0 else None  # names of files are bytes, of any encoding


def is_of(repository: Repository, address: str) -> bool:
    """Whether an address is of this repository: its folder, or one of its remotes, however that is written."""
    remotes = (_git(repository.path, "config", "--get-regexp", r"^remote\..*\.url$") or "").splitlines()
    known = {_plain(line.partition(" ")[2]) for line in remotes} | {_plain(repository.path)}
    return _plain(address) in known


def is_tracked(path: Path) -> bool:
    """Whether git tracks a file."""
    return _git(str(path.resolve().parent), "ls-files", "--error-unmatch", "--", path.name) is not None


def is_ignored(path: Path) -> bool:
    """Whether git is told to leave a file alone."""
    return _git(str(path.resolve().parent), "check-ignore", "--quiet", "--", path.name) is not None


def _plain(address: str) -> str:
    """`git@github.com:o/n.git` and `https://github.com/o/n` are the same."""
    bare = re.sub(r"^(?:\w+://)?(?:[^@/]*@)?", "", address.strip()).replace(":", "/", 1)
    return bare.removesuffix("/").removesuffix(".git").lower()


def repository_of(path: Path) -> Repository:
    """The repository that holds a file.

    Raises:
        LocalRenderError: There is none, or no git.
    """
    folder = str(path.resolve().parent)
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
    except FileNotFoundError as error:
        raise bad_input("git_missing", "git is not on PATH", "install git") from error
    if not top:
        raise bad_input(
            "not_a_repository",
            f"{folder} is not in a git repository, and Render deploys commits",
            f"git -C {folder} init, then commit",
        )
    branch = _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD")
    return Repository(top.rstrip("\n"), (branch or "HEAD").strip())


def find(repository: str, branch: str, wanted: str | None) -> Commit:
    """A commit by its SHA, or the tip of a branch.

    Raises:
        ApiError: 400, when there is no such commit or branch.
    """
    if wanted is None:
        candidates = [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", *(["HEAD"] if branch == "HEAD" else [])]
    elif re.fullmatch(r"[0-9a-fA-F]{7,64}", wanted):
        candidates = [wanted]
    else:
        raise ApiError(400, f"invalid commit: {wanted}")
    for name in candidates:
        found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        shown = found and _git(repository, "show", "--no-patch", "--format=%H%x00%cI%x00%B", found.strip())
        if shown:
            sha, moment, message = shown.split("\0", 2)
            message = os.fsencode(message).decode(errors="replace")  # a commit may be of no encoding at all
            return Commit(id=sha, message=message.strip(), created_at=stamp(datetime.fromisoformat(moment)))
    raise ApiError(400, f"commit not found: {wanted}" if wanted else f"branch not found: {branch}")


async def checkout(repository: str, commit: str, folder: Path, root_dir: str) -> str | None:
    """Put the tree of a commit into a new folder; with a root directory, only that part of it.

    The new repository borrows the objects of the old one, so any commit that is there can be had at once: not
    pushed, on no branch, from a shallow clone or a linked work tree. Submodules are part of the tree, as they are at
    Render; what this clone has not fetched of them is no reason to build without.

    Returns:
        What is wrong, or None.
    """
    common = await asyncio.to_thread(_git, repository, "rev-parse", "--path-format=absolute", "--git-common-dir")
    if not common:
        return f"{repository} is no longer a git repository"
    shared = Path(common.rstrip("\n"))
    inside = await asyncio.to_thread(_submodules, repository, commit, root_dir)
    wanted = next((path for path in inside if f"{root_dir}/".startswith(f"{path}/")), root_dir)
    steps: list[tuple[str, ...]] = [("init", "--quiet", str(folder))]
    place = ("-C", str(folder))
    if root_dir:
        steps += [(*place, "update-ref", "--no-deref", "HEAD", commit)]
        steps += [(*place, "checkout", "--quiet", commit, "--", f":(top,literal){wanted}")]
    else:
        steps += [(*place, "checkout", "--quiet", "--detach", commit)]
    for index, step in enumerate(steps):
        process = await asyncio.create_subprocess_exec(
            *_GIT, *step, env=_environment(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, problem = await process.communicate()
        if process.returncode:
            return f"git {step[-1] if index else 'init'}: {problem.decode(errors='replace').strip()}"
        if not index:
            _borrow(shared, folder / ".git")
    for path, pinned in inside.items():
        if not (Path(repository) / path / ".git").exists():
            return f"submodule {path} is not in this clone: git submodule update --init --recursive"
        if problem_inside := await checkout(str(Path(repository) / path), pinned, folder / path, ""):
            return f"submodule {path}: {problem_inside}"
    if root_dir and not (folder / root_dir).is_dir():
        return f"the root directory {root_dir} is missing in commit {commit}"
    return None


def _submodules(repository: str, commit: str, root_dir: str) -> dict[str, str]:
    """The submodules in a root directory, or that it is in: their folders, and the commit of each."""
    listed = (_git(repository, "ls-tree", "-r", "-z", "--full-tree", commit) or "").split("\0")
    found = {line.partition("\t")[2]: line.split()[2] for line in listed if line.startswith("160000 ")}
    near = {path: pinned for path, pinned in found.items() if f"{root_dir}/".startswith(f"{path}/")}
    return near | {path: pinned for path, pinned in found.items() if not root_dir or path.startswith(f"{root_dir}/")}


def _borrow(shared: Path, git_folder: Path) -> None:
    (git_folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
    place = os.fsencode(shared / "objects")
    if b"\n" in place or place.startswith(b'"'):  # a name a line, or as a string of C (gitrepository-layout)
        quoted = place.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
        place = b'"' + quoted + b'"'
    (git_folder / "objects" / "info" / "alternates").write_bytes(place + b"\n")
    if (shared / "shallow").is_file():
        (git_folder / "shallow").write_bytes((shared / "shallow").read_bytes())
