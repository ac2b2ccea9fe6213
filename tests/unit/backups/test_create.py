"""Backups: streamed, read back, decoded, and only then believed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest

from deploylib import backups
from deploylib.backups import Edges, archive, repository, restore_test
from deploylib.backups.fingerprint import Contents, Table
from deploylib.backups.repository import Unproven
from deploylib.backups.snapshot import Snapshot
from deploylib.errors import BackupFailed, Interrupted, SettingsError
from deploylib.models import Backup, Facts, Secret
from deploylib.models.database import BackupOrder
from deploylib.postgres.binaries import Programs
from deploylib.store.folder import Folder
from deploylib.store.interface import Store
from deploylib.system import process
from tests.support.fakes import OLD, FakeClock, RecordingRunner

URL = Secret("postgresql://book:p4ss-w0rd@db.example:5433/book")
CLIENT = Programs(Path("/pg/bin"), "16.4")
FACTS = Facts(version="16.4", size=10**6, empty=False, revision="0002")
PIECES = [b"PGDMP", b"x" * 1000, b"end"]
LIST = b";\n1; 0 1 TABLE DATA public entries book\n2; 0 2 TABLE DATA public moods book\n3; 1 1 INDEX public i book\n"

CONTENTS = Contents(tables=tuple(Table(name=f"public.{name}", rows=1) for name in ("entries", "moods")))


class Still:
    """A snapshot of a database that does not exist."""

    id = "00000003-0000001B-1"

    def __init__(self, broken: Exception | None = None) -> None:
        self.broken = broken
        self.hashes: list[bool] = []

    def look(
        self, *, hashes: bool = True, like: Contents | None = None, progress: Callable[[int], None] | None = None
    ) -> Contents:
        """Two tables, or an error."""
        self.hashes.append(hashes)
        if self.broken:
            raise self.broken
        return CONTENTS

    def around(self) -> Contents:
        """Nothing is needed before."""
        return Contents()

    def reread_sequences(self, contents: Contents) -> Contents:
        """Nothing moves."""
        return contents

    def cancel(self) -> None:
        """Nobody is asking."""

    @contextmanager
    def exported(self, _url: Secret) -> Iterator[Snapshot]:
        """Itself."""
        yield self


class Broken(Folder):
    """A store that gives back other bytes than it was given."""

    def read(self, key: str) -> Iterator[bytes]:
        """One byte is different."""
        yield b"?" + b"".join(super().read(key))[1:]


def create(store: Store, runner: RecordingRunner, clock: FakeClock, still: Still | None = None) -> Backup:
    """Make a backup."""
    still = still or Still()
    edges = Edges(store, CLIENT, runner, clock, exporter=still.exported)
    return backups.create(URL, edges, BackupOrder("staging", "run-1", OLD, facts=FACTS, proof="decoded"))


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no zstd is installed, what pg_dump says is what is stored."""
    monkeypatch.setattr(archive, "_zstd", lambda: "")


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
    assert body in runner.fed
    assert [made] == repository.listing(store, "staging")
    assert list(store.list("")) == [made.key, f"backups/staging/{made.id}/manifest.json"]
    trial, dump, schema, decode, listed = runner.commands
    assert [command.name for command in runner.commands] == ["pg_dump"] * 3 + ["pg_restore"] * 2
    assert "--compress=zstd:3" in trial.args
    assert f"--snapshot={Still.id}" in {*dump.args} & {*schema.args}
    assert "--schema-only" in schema.args
    assert ("--file=/dev/null", "--list") == (decode.args[1], listed.args[1])


def test_a_signal_while_the_cause_is_looked_for_is_heeded(
    store: Folder, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the server then only explains a failure; whoever ends the command waits for no explanation."""

    def stop(*_: object, **__: object) -> None:
        raise Interrupted("stopped by SIGTERM", remedy="inv backup")

    monkeypatch.setattr(psycopg, "connect", stop)
    words = ("pg_dump: error: query failed: ERROR:  out of shared memory",)
    runner = RecordingRunner(pieces=[b"half", process.ProgramFailed("pg_dump ended", details=words, remedy="look")])

    with pytest.raises(Interrupted):
        create(store, runner, clock)

    assert list(store.list("")) == []


def test_a_dump_that_dies_midway_leaves_nothing(store: Folder, clock: FakeClock) -> None:
    """Neither an object nor a manifest, and the program's last words are told."""
    died = process.ProgramFailed("pg_dump ended with code 1", details=("server closed the connection",), remedy="look")
    runner = RecordingRunner(pieces=[b"half", died])

    with pytest.raises(BackupFailed, match="pg_dump ended with code 1") as raised:
        create(store, runner, clock)

    assert raised.value.details == ("server closed the connection",)
    assert list(store.list("")) == []


def test_a_dump_that_does_not_decode_is_kept_and_not_counted(
    store: Folder, runner: RecordingRunner, clock: FakeClock
) -> None:
    """Its bytes are those that pg_dump wrote, and there may be no better ones: marked with the cause, proven by none."""
    runner.answers = {"--file=/dev/null": 1, **runner.answers}

    with pytest.raises(Unproven, match="pg_restore ended with code 1") as raised:
        create(store, runner, clock)

    assert [raised.value.kept] == repository.listing(store, "staging")
    assert ("unproven", False) == (raised.value.kept.proof, raised.value.kept.proven)
    assert "pg_restore ended with code 1" in raised.value.kept.cause
    assert repository.latest(store, "staging") is None
    with pytest.raises(SettingsError, match="no proven backup of staging"):
        repository.find(store, "staging", "")


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

    def interrupted(_command: process.Command) -> process.Completed:
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

    def look(command: process.Command) -> process.Completed:
        assert repository.latest(store, "staging") is None
        return process.Completed(tuple(command.args), 0, LIST)

    create(store, RecordingRunner(answers={"pg_restore": look}, pieces=PIECES), clock)

    assert repository.latest(store, "staging") is not None


def test_the_password_is_in_no_argument(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It travels in the environment, and is struck out of what the program says, alone and in the address."""
    create(store, runner, clock)

    dump = runner.commands[1]
    assert not [word for command in runner.commands for word in command.args if "p4ss" in word or "db.example" in word]
    assert (dump.env["PGPASSWORD"], dump.env["PGHOST"], dump.env["PGPORT"]) == ("p4ss-w0rd", "db.example", "5433")
    assert {URL, Secret("p4ss-w0rd")} <= set(dump.secrets)
    assert "p4ss" not in repr(runner.commands)


def test_a_dump_is_refused_in_a_dry_run(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It is marked as a program that writes."""
    create(store, runner, clock)

    assert [False, True, False, False, False] == [command.writes for command in runner.commands]


def test_a_dump_that_lacks_a_table_is_found_out(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It decodes, and holds fewer tables than the database has."""
    runner.answers = {"--list": LIST.replace(b"2; 0 2 TABLE DATA", b"2; 0 2 VIEW")}

    with pytest.raises(Unproven, match="rows of 1 table, the database has 2") as raised:
        create(store, runner, clock)

    assert raised.value.kept.cause == "the dump holds the rows of 1 table, the database has 2"


def test_a_snapshot_that_cannot_be_read_whole_ends_the_dump(
    store: Folder, runner: RecordingRunner, clock: FakeClock
) -> None:
    """What could not be counted could not be proven."""
    with pytest.raises(BackupFailed, match="permission denied"):
        create(store, runner, clock, Still(BackupFailed("permission denied for table x", remedy="grant it")))

    assert list(store.list("")) == []


@pytest.mark.parametrize(("size", "hashes"), [(10**6, True), (restore_test.HASHES_BELOW, False)])
def test_a_large_database_is_counted_and_not_hashed(
    store: Folder, runner: RecordingRunner, clock: FakeClock, size: int, *, hashes: bool
) -> None:
    """So that a release is not held up by it."""
    still = Still()

    order = BackupOrder("staging", "run-1", OLD, "decoded", msgspec.structs.replace(FACTS, size=size))
    backups.create(URL, Edges(store, CLIENT, runner, clock, exporter=still.exported), order)

    assert still.hashes == [hashes]


def test_where_nothing_can_be_restored_the_proof_says_so(
    store: Folder, runner: RecordingRunner, clock: FakeClock
) -> None:
    """A good dump is kept with the proof that could be had, and with why it is not a better one."""
    edges = Edges(store, Programs(Path("/pg/bin"), "99.1"), runner, clock, exporter=Still().exported)
    order = BackupOrder("staging", "run-1", OLD, facts=msgspec.structs.replace(FACTS, version="99.1"))
    made = backups.create(URL, edges, order)

    assert made.proof == "decoded"
    assert "no Postgres 99 here" in made.notes[0]
    assert [made] == repository.listing(store, "staging")


def test_a_checksum_is_a_proof_of_its_own_kind(store: Folder, runner: RecordingRunner, clock: FakeClock) -> None:
    """It is read back, not decoded, and does not count as proven."""
    edges = Edges(store, CLIENT, runner, clock, exporter=Still().exported)
    made = backups.create(URL, edges, BackupOrder("staging", "run-1", OLD, "checksum", FACTS))

    assert (made.proof, made.proven) == ("checksum", False)
    assert "pg_restore" not in [command.name for command in runner.commands]


def earlier(proof: str, seconds: float, size: int) -> Backup:
    """A backup of a database of that size."""
    return Backup(
        id="b", key="k", environment="staging", run="r", commit=OLD, created_at=FakeClock().now(), revision="",
        server_version="16", client_version="16", format="custom", size=1, sha256="", proof=proof, tables=1,
        seconds=seconds, database_size=size,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "left", "history", "strongest"),
    [
        (10**7, 60, [], "restored"),
        (10**9, 60, [], "decoded"),
        (10**9, 10, [], "checksum"),
        (10**9, 60, [earlier("restored", 30, 10**9)], "restored"),
        (10**7, 60, [earlier("restored", 50, 10**7)], "decoded"),
        (2 * 10**9, 80, [earlier("restored", 30, 10**9)], "decoded"),
        (10**6, 60, [earlier("restored", 30, 10**9)], "restored"),
    ],
)
def test_the_strongest_proof_that_fits_is_chosen(size: int, left: float, history: list[Backup], strongest: str) -> None:
    """By what earlier ones took, by experience where there are none."""
    assert strongest == restore_test.choose_proof(size, left, history)


@pytest.mark.parametrize(
    ("history", "expected"), [([], 0), ([earlier("restored", 1, 2 * 10**6)], 500), ([earlier("restored", 1, 0)], 0)]
)
def test_how_large_a_dump_becomes_is_told_by_the_last_one(
    store: Folder, runner: RecordingRunner, clock: FakeClock, history: list[Backup], expected: int
) -> None:
    """In proportion to the database; nothing where there is none of the same kind."""
    told: list[int] = []
    edges = Edges(store, CLIENT, runner, clock, lambda _size, of: told.append(of), exporter=Still().exported)
    likes = [msgspec.structs.replace(one, size=1000, format=archive.form(edges)) for one in history]
    backups.create(URL, edges, BackupOrder("staging", "run-1", OLD, "checksum", FACTS, history=likes))

    assert told[0] == expected
