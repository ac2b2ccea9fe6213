"""Databases: reachable as the API says, with their password only, and kept."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from tests.localrender.databases import setting, superuser, url
from tests.localrender.product import Local, Product, until

if TYPE_CHECKING:
    from collections.abc import Callable

EIGHTEEN = """
databases:
  - {name: plain, postgresMajorVersion: "16"}
  - {name: newer, postgresMajorVersion: "18", databaseName: letters, user: writer}
"""


def test_a_database_is_reached_with_its_password_only(shared: Local) -> None:
    """The connection string works, owns its database, and with another password is refused."""
    address = url(shared, "guestbook")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create table entry (name text)")
        row = connection.execute("select current_user, current_database(), usesuper from pg_user where usename = user")
        assert row.fetchone() == ("guestbook_user", "guestbook", False)
        assert connection.info.server_version // 10_000 == 16
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address.replace("@", "x@"))


def test_two_majors_run_side_by_side_and_keep_their_data(fresh: Callable[..., Local]) -> None:
    """Each major version is a server of its own; what was committed is there after down and up."""
    local = fresh(EIGHTEEN)
    local.up()
    with psycopg.connect(url(local, "newer"), autocommit=True) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert (connection.info.user, connection.info.dbname) == ("writer", "letters")
        connection.execute("create table kept ()")
    with psycopg.connect(url(local, "plain")) as connection:
        assert connection.info.server_version // 10_000 == 16
    address = url(local, "newer")
    assert local.run("down").code == 0
    assert local.processes() == []
    local.up()
    assert url(local, "newer") == address
    with psycopg.connect(address) as connection:
        connection.execute("select from kept")


def test_a_postgres_that_dies_comes_back(fresh: Callable[..., Local]) -> None:
    """Killed amid a query it is started again at its port, with what was committed; never empty where its data is gone."""
    local = fresh("databases: [{name: plain, postgresMajorVersion: '16'}]")
    local.up()
    address = url(local, "plain")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create table kept ()")
    place = Path(setting(local).get("postgres_folder") or local.state) / "postgres" / "16" / "data"
    with closing(psycopg.connect(address, autocommit=True)) as busy:
        busy.pgconn.send_query(
            b"select count(*) from (select generate_series(1, 1e11::bigint)) n"
        )  # it looks at nothing else
        postmaster(place).kill()
        until(lambda: answers(address), 60)
    with psycopg.connect(address) as connection:
        connection.execute("select from kept")
    assert [one["postgres"]["status"] for one in local.get("/postgres")] == ["available"]

    server = postmaster(place)
    server.suspend()  # so that it does not end by itself before its data is away
    place.rename(place.with_name("away"))
    server.kill()
    log = local.state / "server.log"
    until(lambda: f"{place} is gone" in log.read_text(encoding="utf-8"), 60)
    assert [one["postgres"]["status"] for one in local.get("/postgres")] == ["unavailable"]
    assert not place.exists(), "an empty server in its place would look like lost data"
    place.with_name("away").rename(place)
    until(lambda: answers(address), 60)
    assert local.run("down").code == 0
    assert local.processes() == []


def postmaster(data: Path) -> psutil.Process:
    """The server of a cluster."""
    return psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0]))


def answers(address: str) -> bool:
    """Whether a database is reached."""
    with suppress(psycopg.OperationalError):
        psycopg.connect(address, connect_timeout=5).close()
        return True
    return False


def test_a_named_server_gets_the_databases(shared: Local, fresh: Callable[..., Local]) -> None:
    """With --postgres the databases are made on that server, and none is started here."""
    shared_port = psycopg.conninfo.conninfo_to_dict(url(shared, "guestbook"))["port"]
    own = fresh("databases: [{name: elsewhere, postgresMajorVersion: '15'}]", "--postgres", superuser(shared))
    own.up()
    assert psycopg.conninfo.conninfo_to_dict(url(own, "elsewhere"))["port"] == shared_port
    with psycopg.connect(url(own, "elsewhere")) as connection:
        connection.execute("select 1")
    assert not (own.state / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_postgres_never_runs_as_root_and_opens_no_folder() -> None:
    """Started by root below a folder that others may not enter, Postgres moves elsewhere, and reset removes it."""
    home = Path(tempfile.mkdtemp(dir="/root"))
    try:
        local = Local(Product(home / "product", EIGHTEEN))
        try:
            local.up()
            with psycopg.connect(url(local, "plain")) as connection:
                connection.execute("select 1")
            servers = [one for one in local.processes() if one.name() == "postgres"]
            assert all(one.uids().real != 0 for one in servers)
            assert home.stat().st_mode & 0o777 == 0o700
            moved = Path(setting(local)["postgres_folder"])
            assert moved.is_dir()
        finally:
            local.clean()
        assert not moved.exists()
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is taken on by root only")
def test_an_ordinary_user_can_run_it() -> None:
    """An ordinary user starts, deploys and stops everything."""
    account = pwd.getpwnam("nobody")
    identity: Any = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    able = ["/bin/sh", "-c", f"cd / && {sys.executable} -c 'import localrender.server'"]
    if subprocess.run(able, capture_output=True, check=False, cwd="/", **identity).returncode:
        pytest.skip("the interpreter or the package lies where another user may not go")
    folder = Path(tempfile.mkdtemp())
    product = Product(folder / "product")
    subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(folder)], check=True)
    script = "python -m localrender up && python -m localrender status && python -m localrender down"
    environment = {"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=product.folder, env=environment,
            capture_output=True, text=True, check=False, timeout=100, **identity,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Postgres 16" in done.stdout
    finally:
        Local(product).clean()
        shutil.rmtree(folder)
