"""A restore in place holds the environment like a release: nobody deploys onto a database that is being replaced."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from deploylib.postgres.connection import LOCK
from deploylib.state.lease import Holder, Leases
from deploylib.store.folder import Folder
from tests.support.edges import until
from tests.support.product import Product

IN_PLACE = ("backup.restore", "--into", "database", "--confirm", "local", "--force")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product with a guest and a backup."""
    with Product(tmp_path_factory.mktemp("holding") / "product") as product:
        product.ok("deploy")
        product.sign("Ann")
        product.ok("backup")
        yield product


def leases(product: Product) -> Leases:
    """Those of the environment."""
    return Leases(Folder(product.folder / ".deploylib"), "local")


@contextmanager
def restoring(product: Product) -> Iterator[subprocess.Popen[str]]:
    """A restore in place that is at work, and waits for somebody who has the database's lock."""
    with psycopg.connect(product.database_url(), autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (LOCK,))
        with product.start(*IN_PLACE) as process:
            try:
                until(lambda: (now := leases(product).read()) and now.taken and now.holder.operation == "restore", 60)
                yield process
                other.execute("select pg_advisory_unlock_all()")
                process.communicate(timeout=300)
            finally:
                process.kill()


def state(product: Product) -> str:
    """What became of the newest lease."""
    now = leases(product).read()
    assert now is not None
    return now.state


def test_a_restore_in_place_keeps_releases_and_restores_out(product: Product) -> None:
    """Both name it and are refused, with nothing touched; afterwards the lease is given back."""
    with restoring(product) as process:
        for words in (("deploy",), IN_PLACE):
            refused = product.inv(*words)
            assert refused.code == 30, refused.said
            assert "restore 20" in refused.said
            assert "holds local" in refused.said
        assert "local is held by restore 20" in product.ok("lease").out
        assert "lease        restore " in product.ok("status").out
    assert (process.returncode, state(product)) == (0, "released")
    assert product.query("select name from entries") == [("Ann",)]


@pytest.mark.parametrize(
    ("number", "left"), [pytest.param(signal.SIGTERM, "abandoned", marks=pytest.mark.load), (signal.SIGKILL, "dead")]
)
def test_a_restore_that_is_stopped_keeps_nobody_out(product: Product, number: int, left: str) -> None:
    """The next command takes the environment at once."""
    with restoring(product) as process:
        process.send_signal(number)
        process.wait(timeout=120)

    assert process.returncode == (130 if left == "abandoned" else -number)
    assert state(product) == left
    assert product.ok("deploy").code == 0
    assert product.ok(*IN_PLACE).code == 0


@pytest.mark.load
def test_a_restore_that_fails_gives_the_environment_back(product: Product) -> None:
    """Here one that nobody has insisted on."""
    refused = product.inv(*IN_PLACE[:-1])
    assert refused.code == 2, refused.said
    assert (state(product), "not empty" in refused.said) == ("released", True)


def test_a_run_keeps_a_restore_in_place_out_and_none_beside(product: Product) -> None:
    """It is refused before anything is recorded or backed up; one beside is in nobody's way."""
    store = Folder(product.folder / ".deploylib")
    held = leases(product)
    number = held.try_acquire(Holder(run="20260301T120000-aaaa", author="Ann", host="another", pid=1), held.read())
    try:
        before = sorted(store.list("operations/")), sorted(store.list("backups/"))
        refused = product.inv(*IN_PLACE)
        assert refused.code == 30, refused.said
        assert "run 20260301T120000-aaaa of Ann holds local" in refused.said
        assert (sorted(store.list("operations/")), sorted(store.list("backups/"))) == before
        name = product.ok("backup.restore").out.partition("in the new database ")[2].partition(";")[0]
        product.query(f"drop database {name}")
    finally:
        held.release(number)


@pytest.mark.load
def test_a_release_that_was_left_half_way_is_ended_before_a_restore(product: Product) -> None:
    """As before any run: it must not go on by itself over another database later."""
    commit = product.change_backend()
    with product.start("deploy") as process:
        until(lambda: any(one["kind"] == "intent" for one in product.events()), 60)
        process.kill()
    run = product.events()[0]["data"]["run"]
    assert product.outcome() == "open"

    done = product.ok(*IN_PLACE)

    assert f"run {run[-4:]} of {commit[:7]} was left half-way: it is ended first" in done.said
    assert product.events(run)[-1]["kind"] == "closed"
    assert product.inv("finish").out.count("no run is open") == 1
