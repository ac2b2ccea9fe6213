"""The Postgres to throw away: private, and gone afterwards."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from deploylib.backups import scratch_database, scratch_server
from deploylib.backups.fingerprint import Contents
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.models import Secret
from deploylib.postgres import connection
from deploylib.system import files, process
from tests.support.edges import has_ended
from tests.support.scratch import left
from tests.support.servers import MAJORS, Base, Servers, programs_of


def one(url: Secret, query: str) -> object:
    """The first value."""
    with psycopg.connect(url.reveal()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("major", MAJORS)
def test_it_is_private_and_gone_afterwards(major: int) -> None:
    """No port, a socket that only its account reaches, a password; and no process, no folder after an exception."""
    before = left()
    with pytest.raises(ZeroDivisionError), scratch_server.server(programs_of(major), runner=process.SYSTEM) as url:  # noqa: PT012
        assert str(one(url, "show server_version")).startswith(str(major))
        assert one(url, "show listen_addresses") == ""
        assert one(url, "show fsync") == "off"
        sockets = Path(str(one(url, "show unix_socket_directories")))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        server = psutil.Process(int((sockets.parent / "data/postmaster.pid").read_text().split()[0]))
        assert server.uids().real != 0
        assert not (sockets.parent / "password").exists()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(connection.alter_url(url, password="guessed").reveal())
        raise ZeroDivisionError

    assert has_ended(server)
    assert before == left()


@pytest.mark.parametrize("major", MAJORS)
def test_at_a_port_nobody_comes_in_without_the_password(major: int) -> None:
    """Where other programs are to find it; as whatever role, and from nowhere but this machine."""
    with scratch_server.server(programs_of(major), runner=process.SYSTEM, listens=True) as url:
        address = connection.alter_url(url, host="127.0.0.1")
        parts = psycopg.conninfo.conninfo_to_dict(address.reveal())
        assert "?" not in address.reveal()
        assert one(address, "select host(inet_server_addr())") == "127.0.0.1"
        assert one(url, "show listen_addresses") == "127.0.0.1"
        ways = "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256' or error is not null"
        assert one(url, ways) == 0
        for role in ("postgres", "nobody"):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(connection.alter_url(address, user=role, password="guessed").reveal())
            with pytest.raises(psycopg.OperationalError, match="no password supplied"):
                psycopg.connect(connection.alter_url(address, user=role, password="", passfile="/nowhere").reveal())
        sockets = Path(str(one(url, "show unix_socket_directories")))
        server = psutil.Process(int((sockets.parent / "data/postmaster.pid").read_text().split()[0]))
        shown = " ".join([*server.cmdline(), (sockets.parent / "data/log").read_text()])
        assert str(parts["password"]) not in shown


def test_a_port_that_somebody_takes_meanwhile_is_left_to_them() -> None:
    """Between the look and the start; another one is taken, and nobody is given what is theirs."""
    theirs: list[socket.socket] = []

    class Taking(process.SystemRunner):
        def run(self, command: process.Command, /) -> process.Completed:
            port = next((word.split()[-1] for word in command.args if word.startswith("--options=-p ")), "")
            if port and not theirs:
                theirs.append(socket.create_server(("127.0.0.1", int(port))))
            return super().run(command)

    with scratch_server.server(programs_of(16), runner=Taking(), listens=True) as url, theirs[0] as taken:
        port = psycopg.conninfo.conninfo_to_dict(url.reveal())["port"]
        assert str(port) != str(taken.getsockname()[1])
        assert one(connection.alter_url(url, host="127.0.0.1"), "select 1") == 1


def test_no_secret_is_in_an_argument_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the password nor what our own environment holds, which others of its account could read."""
    monkeypatch.setenv("RENDER_API_KEY", "rnd_secret")
    seen: list[process.Command] = []

    class Noting(process.SystemRunner):
        def run(self, command: process.Command, /) -> process.Completed:
            seen.append(command)
            return super().run(command)

    with scratch_server.server(programs_of(16), runner=Noting()) as url:
        password = psycopg.conninfo.conninfo_to_dict(url.reveal())["password"]
        data = next(word for command in seen for word in command.args if "--pgdata=" in word).partition("=")[2]
        server = psutil.Process(int(Path(data, "postmaster.pid").read_text().split()[0]))
        shown = " ".join([*server.cmdline(), *server.environ().values()])
        assert not [word for word in (str(password), "rnd_secret") if word in shown]

    assert str(password) not in repr([(*command.args, *command.env.values()) for command in seen])


def test_programs_that_another_account_cannot_reach_are_copied(tmp_path: Path) -> None:
    """As root from a private folder; the folder's rights stay as they are."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another account")
    found = programs_of(16)
    if "site-packages" not in str(found.folder):
        pytest.skip("programs of the system cannot be moved")
    package = found.folder.parents[1]
    hidden = tmp_path / "hidden"
    (hidden / package.name).mkdir(parents=True)
    for name, target in (
        (f"{package.name}/{found.folder.parent.name}", found.folder.parent),
        (f"{package.name}.libs", package.with_name(f"{package.name}.libs")),
    ):
        process.SYSTEM.run(process.Command(["cp", "-a", str(target), str(hidden / name)]))
    hidden.chmod(0o700)
    moved = type(found)(hidden / package.name / found.folder.parent.name / "bin", found.version)

    with scratch_server.server(moved, runner=process.SYSTEM) as url:
        assert str(one(url, "show server_version")).startswith("16")

    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """And leaves nothing."""
    found = programs_of(16)
    folder = tmp_path / "package" / "install" / "bin"
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres", "pg_ctl"):
        program = folder / name
        program.write_text("#!/bin/sh\necho 'no such library' >&2; exit 1\n")
        program.chmod(0o755)
    before = left()

    with (
        pytest.raises(ScratchUnfit, match="does not start") as raised,
        scratch_server.server(type(found)(folder, "16.1"), runner=process.SYSTEM),
    ):
        pytest.fail("it started")

    assert "no such library" in " ".join(raised.value.details)
    assert before == left()


def test_only_what_nobody_uses_is_swept() -> None:
    """A number that is no process here may be one of a container that shares the folder: its lock tells that it lives."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    with tempfile.TemporaryDirectory(prefix="shared-") as name:
        base = Path(name)
        base.chmod(0o711)
        theirs = base / f"{scratch_server.NAME}-{ended.pid}-theirs"
        theirs.mkdir()
        with files.keep_in_use(theirs), scratch_server.server(programs_of(16), runner=process.SYSTEM, folder=base):
            assert theirs.is_dir()
        with scratch_server.server(programs_of(16), runner=process.SYSTEM, folder=base):
            assert not theirs.exists()


def test_what_is_restored_runs_without_rights(servers: Servers) -> None:
    """A function in an index was written by whoever may write to the database: it must not reach this machine."""
    base = servers.fresh(16)

    with scratch_database.database(base.server, Contents()) as (url, _), psycopg.connect(url.reveal()) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("copy (select 1) to program 'touch /tmp/never'")
        connection.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select pg_read_file('/etc/passwd')")


def test_a_vessel_has_the_locale_and_leaves_nothing(servers: Servers) -> None:
    """Its database and its role are gone; a locale that is not here is replaced, which is remarked."""
    base = servers.fresh(16)
    root = Base(base.server, base.server, base.client)
    count = "select (select count(*) from pg_database) + (select count(*) from pg_roles)"
    before = root.one(count)
    known = {"encoding": "8", "datcollate": "C", "datctype": "C", "datlocprovider": "c"}
    unknown = {"encoding": "6", "datcollate": "tlh_QO.UTF-8", "datctype": "tlh_QO.UTF-8", "datlocprovider": "c"}

    with scratch_database.database(base.server, Contents(locale=known, roles=("night reader",))) as (url, remarks):
        assert (one(url, "show server_encoding"), remarks) == ("LATIN1", ())
    with scratch_database.database(base.server, Contents(locale=unknown)) as (url, remarks):
        assert one(url, "show server_encoding") == "UTF8"
        assert "locale is not known here" in remarks[0]
    with pytest.raises(ZeroDivisionError), scratch_database.database(base.server, Contents()):
        raise ZeroDivisionError

    assert before == root.one(count)


def test_a_role_that_may_only_make_databases_is_enough(servers: Servers) -> None:
    """As on a platform that gives nobody a superuser."""
    base = servers.fresh(16)
    role = base.one("select current_user")
    Base(base.server, base.server, base.client).run(f"alter role {role} createdb")

    with scratch_database.database(base.url, Contents(extensions={"plpgsql": "1.0"})) as (url, _):
        assert one(url, "select current_user") == role
        assert one(url, "select current_database()") != base.one("select current_database()")
