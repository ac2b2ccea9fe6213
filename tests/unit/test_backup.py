"""Backups: streamed, read back, decoded, and only then believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploylib import backup
from deploylib.backup import Client
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.postgres import Facts
from deploylib.process import Command, Completed, ProgramFailed
from deploylib.store import Folder, Store
from tests.unit.fakes import OLD, FakeClock, RecordingRunner, write

URL = Secret("postgresql://book:p4ss-w0rd@db.example:5433/book")
FACTS = Facts(version="16.4", size=10**6, empty=False, revision="0002")
PIECES = [b"PGDMP", b"x" * 1000, b"end"]
LIST = b";\n1; 0 1 TABLE DATA public entries book\n2; 0 2 TABLE DATA public moods book\n3; 1 1 INDEX public i book\n"


class Broken(Folder):
    """A store that gives back other bytes than it was given."""

    def read(self, key: str) -> Iterator[bytes]:
        """One byte is different."""
        yield b"?" + b"".join(super().read(key))[1:]


def create(store: Store, runner: RecordingRunner, clock: FakeClock) -> Backup:
    """Make a backup."""
    return backup.create(
        URL,
        facts=FACTS,
        client=Client(Path("/pg/bin"), "16.4"),
        store=store,
        environment="staging",
        run="run-1",
        commit=OLD,
        runner=runner,
        clock=clock,
    )


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """An empty store."""
    return Folder(tmp_path)


@pytest.fixture
def runner() -> RecordingRunner:
    """Programs that do what they should."""
    return RecordingRunner(answers={"--list": LIST}, pieces=PIECES)


def test_a_backup_is_streamed_read_back_and_described(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """Its manifest says what it holds and how it was proven; every byte of it was decoded."""
    made = create(store, runner, clock)

    body = b"".join(PIECES)
    assert (len(body), hashlib.sha256(body).hexdigest()) == (made.size, made.sha256)
    assert ("decoded", 2, "0002", "16.4", "16.4") == (
        made.proof, made.tables, made.revision, made.server_version, made.client_version
    )  # fmt: skip
    assert runner.fed[0] == body
    assert [made] == backup.listing(store, "staging")
    assert list(store.list("")) == [made.key, f"backups/staging/{made.id}/manifest.json"]
    assert [Path(command.args[0]).name for command in runner.commands] == ["pg_dump", "pg_restore", "pg_restore"]
    assert runner.commands[1].args[1] == "--file=/dev/null"


def test_a_dump_that_dies_midway_leaves_nothing(store: Folder, clock: FakeClock) -> None:
    """Neither an object nor a manifest, and the program's last words are told."""
    died = ProgramFailed("pg_dump ended with code 1", details=("server closed the connection",), remedy="look")
    runner = RecordingRunner(pieces=[b"half", died])

    with pytest.raises(BackupFailed, match="pg_dump ended with code 1") as raised:
        create(store, runner, clock)

    assert raised.value.details == ("server closed the connection",)
    assert list(store.list("")) == []


def test_a_dump_that_does_not_decode_leaves_nothing(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It was written whole and cannot be read: it is no backup."""
    runner.answers = {"--file=/dev/null": 1, **runner.answers}

    with pytest.raises(BackupFailed, match="pg_restore ended with code 1"):
        create(store, runner, clock)

    assert list(store.list("")) == []


def test_a_store_that_gives_back_other_bytes_is_found_out(
    tmp_path: Path, runner: RecordingRunner, clock: FakeClock
) -> None:
    """Also when the program can decode them; nothing is left that could be taken for a backup."""
    store = Broken(tmp_path)

    with pytest.raises(BackupFailed, match="gave back other bytes"):
        create(store, runner, clock)

    assert list(store.list("")) == []


def test_an_interruption_leaves_nothing(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """Ctrl-C between dump and proof."""

    def interrupted(_command: Command) -> Completed:
        raise KeyboardInterrupt

    runner.answers = {"--file=/dev/null": interrupted}

    with pytest.raises(KeyboardInterrupt):
        create(store, runner, clock)

    assert list(store.list("")) == []


def test_a_manifest_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, runner: RecordingRunner, clock: FakeClock
) -> None:
    """A dump that nobody will find again only takes room."""

    class Full(Folder):
        def put_if_absent(self, key: str, body: bytes) -> bool:
            raise SettingsError(f"{key} {len(body)}", remedy="make room")

    with pytest.raises(SettingsError):
        create(Full(tmp_path), runner, clock)

    assert list(Folder(tmp_path).list("")) == []


def test_the_manifest_is_written_last(tmp_path: Path, clock: FakeClock) -> None:
    """While it is dumped and proven, there is no backup yet."""
    store = Folder(tmp_path)

    def look(command: Command) -> Completed:
        assert backup.latest(store, "staging") is None
        return Completed(tuple(command.args), 0, LIST)

    create(store, RecordingRunner(answers={"pg_restore": look}, pieces=PIECES), clock)

    assert backup.latest(store, "staging") is not None


def test_the_password_is_in_no_argument(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It travels in the environment, and is struck out of what the program says, alone and in the address."""
    create(store, runner, clock)

    dump = runner.commands[0]
    assert not [word for command in runner.commands for word in command.args if "p4ss" in word or "db.example" in word]
    assert (dump.env["PGPASSWORD"], dump.env["PGHOST"], dump.env["PGPORT"]) == ("p4ss-w0rd", "db.example", "5433")
    assert {URL, Secret("p4ss-w0rd")} <= set(dump.secrets)
    assert "p4ss" not in repr(runner.commands)


def test_a_dump_is_refused_in_a_dry_run(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It is marked as a program that writes."""
    create(store, runner, clock)

    assert [True, False, False] == [command.writes for command in runner.commands]


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


def programs(folder: Path, version: str, *, restore: bool = True) -> str:
    """A folder with client programs; returns what finds its version."""
    write(folder, {"pg_dump": "", **({"pg_restore": ""} if restore else {})})
    return version


def test_the_clients_of_the_configured_folder_are_taken_when_they_fit(tmp_path: Path) -> None:
    """By their own word of which version they are."""
    programs(tmp_path, "16.4")
    runner = RecordingRunner(answers={"--version": b"pg_dump (PostgreSQL) 16.4 (Debian 16.4-1)"})

    assert Client(tmp_path, "16.4") == backup.client_for(16, str(tmp_path), runner=runner)


@pytest.mark.parametrize(
    ("server", "version", "restore"), [(16, b"17.1", True), (17, b"16.4", True), (16, b"16.4", False), (16, b"", True)]
)
def test_without_a_client_that_fits_nothing_begins(
    tmp_path: Path, server: int, version: bytes, *, restore: bool
) -> None:
    """A newer one whose dump could not be restored, an older one, half of them, or none: with what to install."""
    programs(tmp_path, "", restore=restore)

    with pytest.raises(SettingsError, match=f"fits a Postgres {server} server") as raised:
        backup.client_for(server, str(tmp_path), runner=RecordingRunner(answers={"--version": version}))

    assert f"postgresql-client-{server}" in raised.value.remedy
    assert "postgres_bin" in raised.value.remedy


def fill(store: Folder, number: int, environment: str = "staging") -> list[str]:
    """Backups, oldest first."""
    names = [f"2026030{n + 1}T120000Z-run" for n in range(number)]
    for name in names:
        key = f"backups/{environment}/{name}/dump"
        store.put(key, [b"x"])
        made = Backup(
            id=name, key=key, environment=environment, run="run", commit=OLD, created_at=FakeClock().now(), revision="",
            server_version="16", client_version="16", format="custom", size=1, sha256="", proof="decoded", tables=1,
            seconds=1,
        )  # fmt: skip
        store.put_if_absent(f"backups/{environment}/{name}/manifest.json", msgspec.json.encode(made))
    return names


@pytest.mark.parametrize(("keep", "left"), [(5, 3), (3, 3), (2, 2), (1, 1), (0, 1), (-1, 1)])
def test_the_newest_are_kept_and_never_none(store: Folder, keep: int, left: int) -> None:
    """As many as the settings say, and at least the last one, whatever they say."""
    names = fill(store, 3)

    removed = backup.prune(store, "staging", keep)

    assert names[::-1][:left] == [one.id for one in backup.listing(store, "staging")]
    assert names[::-1][left:] == [one.id for one in removed]
    assert len(list(store.list("backups/"))) == 2 * left


def test_the_backups_of_another_environment_are_left_alone(store: Folder) -> None:
    """Also of one whose name begins the same."""
    fill(store, 3)
    fill(store, 2, "staging-2")

    backup.prune(store, "staging", 1)

    assert (1, 2) == (len(backup.listing(store, "staging")), len(backup.listing(store, "staging-2")))


def test_the_manifest_goes_before_the_dump(tmp_path: Path) -> None:
    """An interrupted clean-up leaves no manifest that promises a missing dump."""

    class Noting(Folder):
        def delete(self, key: str) -> None:
            gone.append(key.rpartition("/")[2])

    gone: list[str] = []
    fill(Folder(tmp_path), 2)

    backup.prune(Noting(tmp_path), "staging", 1)

    assert gone == ["manifest.json", "dump"]


def test_a_dump_without_a_manifest_is_no_backup(store: Folder) -> None:
    """Left by a machine that died; the newest proven one is another."""
    names = fill(store, 1)
    store.put("backups/staging/20270101T000000Z-run/dump", [b"half"])

    latest = backup.latest(store, "staging")
    assert latest is not None
    assert names[0] == latest.id
    assert backup.latest(store, "production") is None
