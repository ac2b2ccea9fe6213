"""Real refusals of a real Postgres, and the next step that each is told with."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploylib.backups import scratch_server, snapshot
from deploylib.backups.edges import Place
from deploylib.backups.repository import Unproven
from deploylib.backups.snapshot import Snapshot
from deploylib.errors import BackupFailed, Unreachable
from deploylib.migrations import server_roles
from deploylib.models import Secret
from deploylib.postgres import sqlstates
from deploylib.postgres.connection import REMEDIES, alter_url, connect, facts, refusals
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.support.scratch import left
from tests.support.servers import Base, Servers, programs_of

ALL_LOCKS = "select pg_advisory_lock(n) from generate_series(1, 200000) n"


@contextmanager
def every_lock_taken(base: Base) -> Iterator[None]:
    """The server's table of locks has room for a session or two, and for no more, as long as the block takes."""
    with psycopg.connect(base.server.reveal(), autocommit=True) as greedy:
        with pytest.raises(psycopg.errors.OutOfMemory):
            greedy.execute(ALL_LOCKS)
        greedy.execute("select pg_advisory_unlock(n) from generate_series(1, 60) n")
        yield


def refused(url: Secret, *statements: str) -> BackupFailed:
    """What the library makes of it."""

    def asking() -> None:
        rights = refusals(BackupFailed, "it was refused", "read it as its owner")
        with connect(url) as connection, rights:
            for statement in statements:
                connection.execute(statement)

    with pytest.raises(BackupFailed) as raised:
        asking()
    return raised.value


@pytest.mark.parametrize(
    ("statements", "step"),
    [
        (("select * from pg_authid",), "read it as its owner"),
        (("set statement_timeout = '20ms'", "select pg_sleep(9)"), sqlstates.REMEDIES["57014"]),
        (("set default_transaction_read_only = on", "create table t (id int)"), sqlstates.REMEDIES["25006"]),
        (("select * from nowhere",), sqlstates.REMEDIES["42P01"]),
        (("select 1 / 0",), sqlstates.DEFAULT),
        (("select 'x'::int",), sqlstates.DEFAULT),
        (("do $$ begin raise 'no, by a trigger of yours'; end $$",), sqlstates.DEFAULT),
        (("do $$ begin raise sqlstate '53100'; end $$",), sqlstates.REMEDIES["53100"]),
        (("do $$ begin raise sqlstate '53400'; end $$",), sqlstates.REMEDIES["53"]),
        (("do $$ begin raise sqlstate 'XX001'; end $$",), sqlstates.REMEDIES["XX001"]),
        (("do $$ begin raise sqlstate '40001'; end $$",), sqlstates.REMEDIES["40001"]),
        (("do $$ begin raise sqlstate '40P01'; end $$",), sqlstates.REMEDIES["40P01"]),
    ],
)
def test_each_refusal_is_told_with_the_step_that_fits(servers: Servers, statements: tuple[str, ...], step: str) -> None:
    """Rights are blamed for what is a matter of rights; of what nobody knows nothing is claimed."""
    assert step == refused(servers.fresh(16).url, *statements).remedy


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "EUC_TW", "LATIN1"])
def test_a_database_without_an_encoding_is_read(servers: Servers, encoding: str) -> None:
    """The driver would give bytes, or know nothing of it; a name that is no text is told, and is not our fault."""
    base = servers.fresh(16)
    with psycopg.connect(base.server.reveal(), autocommit=True) as server:
        name = f"encoded_{encoding.lower()}"
        server.execute(f"create database {name} template template0 encoding '{encoding}' locale 'C'")
    url = alter_url(base.server, dbname=name)

    assert facts(url).major == 16
    assert server_roles.read_surroundings(url).name == name
    with snapshot.take_snapshot(url) as moment:
        assert moment.look().tables == ()
    if encoding == "SQL_ASCII":
        with psycopg.connect(url.reveal(), autocommit=True, client_encoding="SQL_ASCII") as odd:
            odd.execute(b'create table "\xe9t\xe9" (id int)')
        with pytest.raises(BackupFailed, match="invalid byte sequence"), snapshot.take_snapshot(url) as moment:
            moment.look()


def test_a_lock_that_is_not_given_is_told_as_a_lock(servers: Servers) -> None:
    """Whoever holds it can be found."""
    base = servers.fresh(16)
    base.run("create table t (id int)")
    with psycopg.connect(base.url.reveal()) as holder:
        holder.execute("lock table t")

        error = refused(base.url, "set lock_timeout = '20ms'", "select * from t")

    assert sqlstates.REMEDIES["55P03"] == error.remedy


def test_a_full_table_of_locks_is_told_as_that(servers: Servers, tmp_path: Path) -> None:
    """By the driver's code, and by the sentence of pg_dump, which has no code: never as a matter of rights."""
    base = servers.fresh(16)
    base.run("do $$ begin for n in 1..300 loop execute format('create table t%s ()', n); end loop; end $$")

    with every_lock_taken(base):
        asked = refused(base.url, "begin", *(f"lock table t{n} in access share mode" for n in range(1, 301)))
        with pytest.raises(BackupFailed) as dumped:
            base.back_up(Folder(tmp_path), exporter=unseen)

    assert sqlstates.LOCKS == asked.remedy
    assert sqlstates.LOCKS in dumped.value.remedy
    assert "out of shared memory" in " ".join(dumped.value.details)
    assert "pg_dump locks 300 tables and sequences at once" in dumped.value.details[-1]


@contextmanager
def unseen(url: Secret) -> Iterator[Snapshot]:
    """A snapshot whose look never fails, so that pg_dump does."""
    with snapshot.take_snapshot(url) as real:
        waiting = threading.Event()

        class Patient:
            id = real.id

            def __getattr__(self, name: str) -> Any:
                return (lambda **_: waiting.wait(30)) if name == "look" else waiting.set

        yield Patient()


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        ("alter role {role} connection limit 0", REMEDIES["full"]),
        ("alter role {role} nologin", REMEDIES["auth"]),
        ("alter role {role} password 'other'", REMEDIES["auth"]),
        ("revoke connect on database {name} from public, {role}", REMEDIES["rights"]),
        ("alter database {name} allow_connections false", REMEDIES["rights"]),
        ("alter database {name} rename to another", REMEDIES["no such database"]),
    ],
)
def test_a_connection_that_is_refused_is_told_with_the_step_that_fits(servers: Servers, spoil: str, step: str) -> None:
    """The sentences are those of a real server: too many connections are no wrong password."""
    base = servers.fresh(16)
    name = base.one("select current_database()")
    root = Base(base.server, base.server, base.client)
    root.run(spoil.format(role=name, name=name))
    try:
        with pytest.raises(Unreachable) as raised:
            facts(base.url)
    finally:
        with suppress(psycopg.Error):
            root.run(f"alter database another rename to {name}")

    assert step == raised.value.remedy


def test_a_session_that_is_ended_is_no_refusal(servers: Servers) -> None:
    """The server is gone, or somebody has ended us: unreachable, and not a backup that failed."""
    base = servers.fresh(16)

    def asking() -> None:
        with connect(base.url) as connection, refusals(BackupFailed, "refused", "x"):
            base.as_root().run(f"select pg_terminate_backend({connection.info.backend_pid})")
            connection.execute("select 1")

    with pytest.raises(Unreachable) as raised:
        asking()

    assert sqlstates.REMEDIES["57P01"] == raised.value.remedy


def test_what_is_refused_outside_of_any_block_is_no_bug(servers: Servers) -> None:
    """A database whose tables we may not read, at the first look: unreachable, with the right that is lacking."""
    base = servers.fresh(16)
    base.as_root().run("create table alembic_version (version_num text)")

    with pytest.raises(Unreachable, match="permission denied for table alembic_version") as raised:
        facts(base.url)

    assert sqlstates.REMEDIES["42501"] == raised.value.remedy


Killing = Callable[[Path], None]


def the_postmaster(data: Path) -> None:
    """The machine has ended it."""
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def a_session(data: Path) -> None:
    """The machine has ended the process that used most memory."""
    server = int((data / "postmaster.pid").read_text().split()[0])
    for line in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = line.read_text().rpartition(")")[2].split()
            if int(fields[1]) == server and b"checkpointer" in (line.parent / "cmdline").read_bytes():
                os.kill(int(line.parent.name), signal.SIGKILL)


@pytest.mark.parametrize(
    ("kill", "when"),
    [
        (the_postmaster, "rehearsed"),
        (a_session, "compared"),
        pytest.param(the_postmaster, "compared", marks=pytest.mark.load),
        pytest.param(a_session, "rehearsed", marks=pytest.mark.load),
    ],
)
def test_a_scratch_server_that_dies_is_no_fault_of_the_backup(
    servers: Servers, store: Folder, kill: Killing, when: str
) -> None:
    """Exit code 5 with the server's last words, whatever the step made of it; the dump is kept, unproven."""
    if not Path("/proc").is_dir():
        pytest.skip("looks for processes in /proc")
    base = servers.fresh(16)
    base.run("create table t (id int)", "insert into t values (1)")
    before = set(left())
    looks: list[Secret] = []

    def dies() -> None:
        [own] = set(left()) - before
        kill(own / "data")

    def exporter(url: Secret) -> AbstractContextManager[Snapshot]:
        looks.append(url)
        if len(looks) == 2 and when == "compared":
            dies()
        return snapshot.take_snapshot(url)

    with pytest.raises(Unproven, match="scratch Postgres died") as raised:
        base.back_up(
            store, place=Place(), exporter=exporter, also=lambda _copy: dies() if when == "rehearsed" else None
        )

    assert raised.value.exit_code == 5
    assert "scratch Postgres died" in raised.value.kept.cause
    assert raised.value.kept.proof == "unproven"
    if kill is a_session:
        assert "terminated by signal 9" in raised.value.message
    assert before == set(left())
    assert base.prove(raised.value.kept, store).proven


def test_a_database_of_many_tables_is_read_within_its_locks() -> None:
    """Tables, indexes and sequences are more than there is room for, and each look is of the same moment."""
    room = {"max_locks_per_transaction": "10", "max_connections": "10"}
    with scratch_server.server(programs_of(16), runner=process.SYSTEM, settings=room) as server:
        with psycopg.connect(server.reveal(), autocommit=True) as connection:
            columns = "id int primary key, name text unique, more int unique generated always as identity"
            for number in range(300):
                connection.execute(f"create table t{number} ({columns})".encode())
        with snapshot.take_snapshot(server) as moment:
            with psycopg.connect(server.reveal(), autocommit=True) as connection:
                connection.execute("insert into t1 (id) values (1)")
            contents = moment.look()

        assert (300, 300) == (len(contents.tables), len(contents.sequences))
        assert {0} == {table.rows for table in contents.tables}, "a later row is not of that moment"
        together = b" union all ".join(b"select name from " + table.name.encode() for table in contents.tables)
        with psycopg.connect(server.reveal()) as connection, pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute(together)


@pytest.mark.parametrize(
    ("weights", "share", "sizes"),
    [
        ([], 64, []),
        ([1, 1], 64, [2]),
        ([3] * 50, 64, [21, 21, 8]),
        ([100, 1, 100], 64, [1, 1, 1]),
        ([1] * 3, 1, [1] * 3),
    ],
)
def test_a_batch_takes_its_share_of_locks(weights: list[int], share: int, sizes: list[int]) -> None:
    """And what is heavier than a share is read alone."""
    found = [*snapshot.batches([(n, weight) for n, weight in enumerate(weights)], share)]

    assert sizes == [len(batch) for batch in found]
    assert [*range(len(weights))] == [n for batch in found for n in batch]
