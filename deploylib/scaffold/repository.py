"""A repository as it is found, and what is proposed for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from deploylib.errors import SettingsError
from deploylib.models import decoding
from deploylib.render import blueprints

__all__ = ["Inference", "InitOptions", "Member", "Proposal", "Purpose", "Repository", "Tree", "path_in"]


LARGEST = 4 << 20  # bytes: what is longer is no program of a person


class Purpose(StrEnum):
    """How a proposal meets a file that is there."""

    FILE = "file"  # the whole file: one that is there is left as it is
    SETTINGS = "settings"  # tables of TOML, at the end of a file that has none of them
    SCRIPTS = "scripts"  # npm scripts, in a package.json that has none of these names


@dataclass(frozen=True)
class Inference:
    """What was concluded, and the file that says so."""

    text: str
    file: str


@dataclass(frozen=True)
class Proposal:
    """A file of a repository, as it would be written.

    Attributes:
        path: from the repository's top, with slashes.
        text: of the file, or of what is added to it.
    """

    path: str
    text: str
    purpose: Purpose = Purpose.FILE


@dataclass(frozen=True)
class InitOptions:
    """What a person wants beside the files that every repository gets."""

    staging: bool = False
    parallel: bool = False
    health: bool = False
    status: bool = False
    npm: bool = False


@dataclass(frozen=True)
class Tree:
    """The files of a repository that git does not ignore."""

    root: Path
    names: frozenset[str]

    def read(self, name: str) -> str:
        """Read a file; empty where there is none.

        Raises:
            SettingsError: it cannot be read.
        """
        if name not in self.names:
            return ""
        try:
            with (self.root / name).open("rb") as file:
                return decoding.decode_text(file.read(LARGEST))
        except OSError as error:
            message = f"{name} cannot be read: {error.strerror or error}"
            raise SettingsError(message, remedy=f"see what it is, and who may read it: ls -l {name}") from error

    def read_package(self, name: str) -> dict[str, Any]:
        """Read a package.json.

        Raises:
            SettingsError: it is none.
        """
        try:
            return decoding.json(self.read(name).encode(), dict[str, Any])
        except decoding.Undecodable as error:
            raise SettingsError(f"{name}: {error}", remedy=f"correct {name}") from error

    def first(self, folder: str, *names: str) -> str:
        """Find the first of some files in a folder; empty: none."""
        return next((path for name in names if (path := path_in(folder, name)) in self.names), "")

    def within(self, folder: str, ending: str, deepest: int = 3) -> list[str]:
        """List a folder's files with an ending, the nearest first."""
        prefix = f"{folder}/" if folder else ""
        names = [name for name in self.names if name.startswith(prefix) and name.endswith(ending)]
        depth = {name: name.removeprefix(prefix).count("/") for name in names}
        return sorted((name for name in names if depth[name] < deepest), key=lambda name: (depth[name], name))


@dataclass(frozen=True)
class Repository:
    """What a repository holds.

    Attributes:
        branch: that is released.
        blueprint: what its Blueprint says, or would say.
        blueprint_file: the name of that file.
        document: the Blueprint as data.
        first: whether the Blueprint is one that we propose.
        tests: the command that tests it; empty: none was found.
        settings_file: where its settings are, or belong.
        conclusions: what was concluded, and from which files.
        environments: where it is released, the first choice first.
        prisma: the folder whose Prisma has migrations; None: none has.
    """

    branch: str
    blueprint: blueprints.Blueprint
    blueprint_file: str
    document: dict[str, Any]
    first: bool
    tests: str
    settings_file: str
    conclusions: tuple[Inference, ...]
    environments: tuple[str, ...]
    asked: InitOptions
    prisma: str | None = None

    @property
    def has_staging(self) -> bool:
        """Whether the Blueprint itself has an environment of that name."""
        return any(one.environment.lower() == "staging" for one in self.blueprint.services)

    @property
    def web(self) -> blueprints.BlueprintService | None:
        """The service that visitors ask, a program before a site.

        None where there is none.
        """
        every = [one for one in self.blueprint.deployable if one.type == "web"]
        return next((one for one in every if one.runtime != "static"), every[0] if every else None)


class Member(ABC):
    """One kind of file that a repository gets."""

    @abstractmethod
    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:
        """Propose the files of a product; none where it needs none."""


def path_in(folder: str, name: str) -> str:
    """Join the path of a file in a folder of the repository."""
    return str(PurePosixPath(folder) / name) if folder else name
