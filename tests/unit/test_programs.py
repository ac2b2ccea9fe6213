"""Which of Postgres' programs fit a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib import programs
from deploylib.errors import SettingsError
from deploylib.programs import Client
from tests.unit.fakes import RecordingRunner, write


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
    assert fits == Client(Path(), client).fits(server)


def there(folder: Path, version: str, *, restore: bool = True) -> str:
    """A folder with client programs; returns what finds its version."""
    write(folder, {"pg_dump": "", **({"pg_restore": ""} if restore else {})})
    return version


def test_the_clients_of_the_configured_folder_are_taken_when_they_fit(tmp_path: Path) -> None:
    """By their own word of which version they are."""
    there(tmp_path, "16.4")
    runner = RecordingRunner(answers={"--version": b"pg_dump (PostgreSQL) 16.4 (Debian 16.4-1)"})

    assert Client(tmp_path, "16.4") == programs.client_for(16, str(tmp_path), runner=runner)


@pytest.mark.parametrize(
    ("server", "version", "restore"), [(16, b"17.1", True), (17, b"16.4", True), (16, b"16.4", False), (16, b"", True)]
)
def test_without_a_client_that_fits_nothing_begins(
    tmp_path: Path, server: int, version: bytes, *, restore: bool
) -> None:
    """A newer one whose dump could not be restored, an older one, half of them, or none: with what to install."""
    there(tmp_path, "", restore=restore)

    with pytest.raises(SettingsError, match=f"fits a Postgres {server} server") as raised:
        programs.client_for(server, str(tmp_path), runner=RecordingRunner(answers={"--version": version}))

    assert f"postgresql-client-{server}" in raised.value.remedy
    assert "postgres_bin" in raised.value.remedy


def test_a_server_to_restore_into_is_no_older_than_the_dump_and_no_newer_than_its_programs(tmp_path: Path) -> None:
    """Each rules out what would refuse: an older server the dump, a newer one pg_dump."""
    write(tmp_path, dict.fromkeys(("pg_dump", "pg_restore", "postgres", "initdb", "pg_ctl"), ""))
    client = Client(tmp_path, "16.4")

    assert client == programs.server_for(16, client, runner=RecordingRunner())
    assert client == programs.server_for(15, client, runner=RecordingRunner())
    with pytest.raises(SettingsError, match="no Postgres 17 here"):
        programs.server_for(17, client, runner=RecordingRunner())
