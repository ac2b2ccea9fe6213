"""Behind a pooler neither locks nor limits hold: it is refused before anything."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Secret
from deploylib.postgres import connection
from deploylib.system import Clock
from tests.migrations.pooler import pooled
from tests.migrations.world import World
from tests.support.edges import until
from tests.support.seaweed import free_ports


def test_the_pooler_of_these_tests_is_one(world: World) -> None:
    """Two clients that rest between two transactions share a session, and a lock of one is everybody's."""
    with (
        pooled(world.url.reveal(), 1) as address,
        psycopg.connect(address, autocommit=True) as first,
        psycopg.connect(address, autocommit=True) as second,
    ):
        pids = {one.execute("select pg_backend_pid()").fetchone() for one in (first, second)}

    assert len(pids) == 1


@pytest.mark.parametrize("sessions", [2, 5])
def test_a_pooler_is_refused_before_anything(world: World, sessions: int) -> None:
    """However many sessions it has; the remedy names the other address."""
    with pooled(world.url.reveal(), sessions) as address:
        began = time.monotonic()
        with (
            pytest.raises(SettingsError, match="leads to a pooler") as raised,
            connection.lock_database(Secret(address), clock=Clock(), within=5),
        ):
            pytest.fail("it was taken for a session")

    assert "direct connection string" in raised.value.remedy
    assert time.monotonic() - began < 10
    assert world.query("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_a_pooler_with_one_session_is_not_waited_for(world: World) -> None:
    """It has none left while a transaction is open: that is answer enough."""
    with pooled(world.url.reveal(), 1) as address, pytest.raises(SettingsError, match="leads to a pooler"):
        connection.require_direct(Secret(address), timeout=1)


def test_a_direct_connection_is_taken(world: World) -> None:
    """It is the same session all the time."""
    connection.require_direct(world.url)


@contextmanager
def bouncer(url: str, *, mode: str, sessions: int, ignored: str = ",options") -> Iterator[str]:
    """The real one, where the machine has it; gives its address."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer here: apt-get install pgbouncer")
    parts = conninfo_to_dict(url)
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="bouncer-", dir="/tmp") as name:  # where another account can enter
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text(f'"{parts["user"]}" "{parts["password"]}"\n')
        (folder / "bouncer.ini").write_text(
            f"[databases]\n* = host={parts['host']} port={parts['port']}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nauth_type = plain\nauth_file = {folder}/users\npool_mode = {mode}\n"
            f"default_pool_size = {sessions}\nunix_socket_dir =\n"
            f"ignore_startup_parameters = extra_float_digits{ignored}\n"
        )
        user = "nobody" if os.geteuid() == 0 else None
        words = [program, "--quiet", str(folder / "bouncer.ini")]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user) as running:
            try:
                until(lambda: answers(port))
                yield make_conninfo(url, host="127.0.0.1", port=port)
            finally:
                running.kill()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("sessions", [1, 2, 20])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pgbouncer_itself_is_refused(world: World, mode: str, sessions: int) -> None:
    """In the modes in which a session is nobody's."""
    with bouncer(world.url.reveal(), mode=mode, sessions=sessions) as address:
        with pytest.raises((SettingsError, Unreachable)) as raised:
            connection.require_direct(Secret(address), timeout=1)

        assert "pooler" in f"{raised.value.message} {raised.value.remedy}"


def test_pgbouncer_that_does_not_take_our_limits_is_named(world: World) -> None:
    """As it is set up when new."""
    with (
        bouncer(world.url.reveal(), mode="session", sessions=2, ignored="") as address,
        pytest.raises(Unreachable, match="pooler"),
    ):
        connection.require_direct(Secret(address), timeout=1)


def test_a_pooler_that_refuses_our_limits_is_named() -> None:
    """As PgBouncer answers without `ignore_startup_parameters`."""
    assert connection._code("FATAL:  unsupported startup parameter: options") == "pooler"  # noqa: SLF001
