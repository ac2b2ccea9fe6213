"""The tree of a commit, as a build gets it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from localrender import source
from tests.support.fakes import write

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always")


def git(folder: Path, *args: str) -> str:
    """Run git in a folder."""
    done = subprocess.run(["git", *IDENTITY, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A repository with one commit."""
    write(folder, files)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A repository with a submodule in ``libs/shared``."""
    library = repository(tmp_path / "library", {"inner/f": "1\n"})
    made = repository(tmp_path / "product", {"api/a": "1\n"})
    git(made, "submodule", "--quiet", "add", str(library), "libs/shared")
    git(made, "commit", "--quiet", "--message", "library")
    return made


@pytest.mark.parametrize("root", ["", "libs", "libs/shared", "libs/shared/inner"])
def test_a_service_gets_its_submodules(product: Path, tmp_path: Path, root: str) -> None:
    """Wherever its root directory is."""
    problem = asyncio.run(source.checkout(str(product), git(product, "rev-parse", "HEAD"), tmp_path / "src", root))

    assert problem is None
    assert (tmp_path / "src/libs/shared/inner/f").read_text() == "1\n"


def test_a_submodule_that_was_not_fetched_is_no_empty_folder(product: Path, tmp_path: Path) -> None:
    """It is named with the command that fetches it; a service that has nothing of it does not need it."""
    git(product, "clone", "--quiet", str(product), str(tmp_path / "clone"))
    head = git(product, "rev-parse", "HEAD")

    said = asyncio.run(source.checkout(str(tmp_path / "clone"), head, tmp_path / "src", ""))

    assert said == "submodule libs/shared is not in this clone: git submodule update --init --recursive"
    assert asyncio.run(source.checkout(str(tmp_path / "clone"), head, tmp_path / "api", "api")) is None


def test_names_that_no_encoding_has_are_names(tmp_path: Path) -> None:
    """Of a file and of a commit: a build gets the one as it is, and the platform tells the other as far as it can be read."""
    made = repository(tmp_path / "product", {"api/a": "1\n"})
    odd = Path(os.fsdecode(os.fsencode(made) + b"/api/Gr\xfc\xdfe"))
    try:
        odd.write_text("1\n")
    except OSError:
        pytest.skip("this file system takes no such name")
    git(made, "add", "--all")
    command = ["git", *IDENTITY, "-c", "i18n.commitEncoding=none", "commit", "--quiet", "--file=-"]
    subprocess.run(command, input=b"Gr\xfc\xdfe\n", cwd=made, check=True)

    found = source.find(str(made), "main", git(made, "rev-parse", "HEAD"))
    problem = asyncio.run(source.checkout(str(made), found.id, tmp_path / "src", "api"))

    assert problem is None
    assert (tmp_path / "src/api" / odd.name).exists()
    assert msgspec.json.encode(found)


@pytest.mark.parametrize("name", ["two words", "two\nlines", '"quoted"', "ü"])
def test_a_repository_lies_anywhere(tmp_path: Path, name: str) -> None:
    """Also where a name a line is no list of names."""
    made = repository(tmp_path / name, {"api/a": "1\n"})

    assert asyncio.run(source.checkout(str(made), git(made, "rev-parse", "HEAD"), tmp_path / "src", "")) is None
    assert (tmp_path / "src/api/a").read_text() == "1\n"
