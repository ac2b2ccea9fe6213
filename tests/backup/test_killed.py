"""Whatever dies while a backup is made: no false backup, and the last good one is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deploylib.backups import archive, repository, scratch_server
from deploylib.backups.edges import Place
from deploylib.errors import BackupFailed, DeployError
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.backup.dying import MOMENTS
from tests.support.edges import has_ended
from tests.support.servers import Base, Servers

PROGRAM = Path(__file__).with_name("dying.py")


@pytest.fixture(scope="module")
def base(servers: Servers) -> Base:
    """A database whose dump has several pieces."""
    base = servers.fresh(16)
    base.run(
        "create table entries (id serial primary key, text text)",
        "insert into entries (text) select md5(n::text) from generate_series(1, 120000) n",
    )
    return base


def run(base: Base, store: Folder, moment: str, server: str) -> int:
    """A process that makes a backup and dies at that moment; returns how it ended."""
    words = [sys.executable, str(PROGRAM), moment, base.url.reveal(), server, str(store.root)]
    root = str(PROGRAM.parents[2])
    return subprocess.run(words, env={**os.environ, "PYTHONPATH": root}, check=False, timeout=60).returncode


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(one, marks=() if one in {"first piece", "manifest", "written"} else pytest.mark.load)
        for one in MOMENTS
    ],
)
def test_a_kill_at_any_moment_leaves_the_last_good_backup(base: Base, store: Folder, moment: str) -> None:
    """Either the new one is whole, or there is none; it can be proven, and the next one is made as if nothing was."""
    good = base.back_up(store, proof="decoded")

    assert run(base, store, moment, base.server.reveal()) == -signal.SIGKILL

    left = repository.listing(store, "test")
    assert ["dying"] * (moment == "written") + ["run"] == [one.run for one in left]
    assert [base.prove(one, store).proof for one in left] == ["restored"] * len(left)
    assert good == repository.latest(store, "test") or moment == "written" or left[-1].id == good.id
    assert base.back_up(store, run="next", proof="decoded").run == repository.listing(store, "test")[0].run


def test_a_server_that_a_killed_run_left_is_ended_by_the_next(
    base: Base, store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scratch Postgres outlives whoever started it, until somebody starts another one."""
    folder = Path(tempfile.mkdtemp(prefix="left-", dir="/tmp"))  # a folder that another account can enter
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    try:
        assert run(base, store, "read back", "") == -signal.SIGKILL
        [left] = folder.glob("deploylib-scratch-*")
        server = psutil.Process(int((left / "data/postmaster.pid").read_text().split()[0]))

        with scratch_server.server(base.client, runner=process.SYSTEM):
            assert not left.exists()
            assert has_ended(server)
        assert [*folder.iterdir()] == []
    finally:
        folder.rmdir()


def test_a_dump_whose_server_dies_is_no_backup(servers: Servers, store: Folder) -> None:
    """The connection goes in the middle of it."""
    base = servers.fresh(16)
    base.run("create table t as select md5(n::text) as text from generate_series(1, 300000) n")
    name = base.one("select current_database()")
    ended: list[bool] = []

    def end(_size: int, _of: int) -> None:
        """Once, when the first piece has come."""
        if not ended:
            query = f"select bool_and(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'"  # noqa: S608
            ended.append(bool(Base(base.server, base.server, base.client).one(query)))

    with pytest.raises(DeployError) as raised:
        base.back_up(store, progress=end)

    assert raised.value.exit_code in {5, 40}
    assert list(store.list("")) == []


def test_a_pg_dump_that_is_killed_is_no_backup(base: Base, store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is not taken for the end of the dump."""
    monkeypatch.setattr(archive, "_zstd", lambda: "")  # which would give its pieces on only when it has ended
    us = psutil.Process()

    def kill(_size: int, _of: int) -> None:
        """The running pg_dump, which is the only one of ours."""
        for child in us.children():
            if child.name() == "pg_dump":
                child.kill()

    with pytest.raises(BackupFailed, match="pg_dump ended with code -9"):
        base.back_up(store, progress=kill)

    assert list(store.list("")) == []


def test_an_interruption_removes_what_was_written(base: Base, store: Folder) -> None:
    """Ctrl-C while the scratch Postgres of our own is at work: it is gone too."""
    seen: list[str] = []

    def interrupt(_size: int, _of: int) -> None:
        """While it is restored."""
        if any((Path(tempfile.gettempdir())).glob(f"deploylib-scratch-{os.getpid()}-*/data/postmaster.pid")):
            seen.append("running")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        base.back_up(store, place=Place(), progress=interrupt)

    assert seen
    assert list(store.list("")) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 400 MB."""
    folder = Path(tempfile.mkdtemp(prefix="small-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_leaves_a_weaker_proof_and_says_so(base: Base, store: Folder, small_disk: Path) -> None:
    """The disk of the scratch Postgres says nothing of the backup, which is decoded then."""

    def fill(_size: int, _of: int) -> None:
        """Take the room away while it is restored."""
        if any(small_disk.glob("*/data/postmaster.pid")) and not (small_disk / "ballast").exists():
            room = os.statvfs(small_disk)
            with (small_disk / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize - 200_000)

    made = base.back_up(store, place=Place(folder=small_disk), progress=fill)

    assert (small_disk / "ballast").exists()
    assert made.proof == "decoded"
    assert "the disk of the scratch Postgres is full" in made.notes[0]
    assert [small_disk / "ballast"] == [*small_disk.iterdir()]


def test_no_restore_begins_without_room(base: Base, store: Folder, small_disk: Path) -> None:
    """It is refused before anything is started, with how much it needs."""
    made = base.back_up(store, proof="decoded")
    with (small_disk / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 300_000_000)

    with pytest.raises(scratch_server.ScratchUnfit, match="a restore needs"):
        base.prove(made, store, place=Place(folder=small_disk))


@pytest.mark.load
def test_a_snapshot_waits_for_no_one(base: Base, store: Folder) -> None:
    """A lock that an unfinished migration holds ends the backup soon, instead of holding it up."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(base.url.reveal()) as connection:
            connection.execute("lock table entries in access exclusive mode")
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    began = time.monotonic()
    try:
        with pytest.raises(BackupFailed) as raised:
            base.back_up(store)
    finally:
        done.set()
        thread.join()

    assert "lock timeout" in " ".join([raised.value.message, *raised.value.details])
    assert time.monotonic() - began < 20
    assert list(store.list("")) == []
