"""Signals and crashes: what was done is known, the next command goes on, and nothing is done twice."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.support.edges import until
from tests.support.product import GUEST_BOOK, Product, migration
from tests.support.visitors import visiting

MIGRATION = migration("A place.", 'op.execute("alter table entries add column place text")')


@pytest.fixture
def slow(deployed: Product) -> Product:
    """A commit that changes both services, and whose frontend takes two seconds to build."""
    deployed.change_backend("Slowly")
    text = deployed.read("sample/frontend/build.py").replace("    time.sleep(2)\n", "").replace("import time\n", "")
    text = text.replace(
        '    """Build what is beside this file', '    time.sleep(2)\n    """Build what is beside this file'
    )
    deployed.write("sample/frontend/build.py", text.replace("import sys\n", "import sys\nimport time\n"))
    deployed.change_frontend("Slowly, too")
    return deployed


def deploying(product: Product) -> Iterator[subprocess.Popen[str]]:
    """An `inv deploy` that has just had its deploys accepted."""
    with product.start("deploy") as running:
        said = ""
        while "deploy: frontend building" not in said:
            assert running.stderr is not None
            line = running.stderr.readline()
            assert line, f"it ended before it deployed: {said}"
            said += line
        try:
            yield running
        finally:
            running.kill()


def check_that_it_goes_on(product: Product, run: str) -> None:
    """The next command ends the same run, with one deploy of each service."""
    done = product.ok("deploy")
    assert "by this run" in done.err, done.said
    assert product.outcome() == "succeeded"
    assert product.events()[0]["data"]["run"] == run
    for service in ("backend", "frontend"):
        assert [one["status"] for one in product.deploys(service, product.head)] == ["live"]
    assert product.served() == {"backend": product.head, "frontend": product.head}


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.load)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_the_command_and_leaves_the_run_open(slow: Product, number: signal.Signals) -> None:
    """Exit code 130 well within ten seconds, nothing rolled back; the next command ends what was begun."""
    for running in deploying(slow):
        sent = time.monotonic()
        running.send_signal(number)
        out, err = running.communicate(timeout=10)
        assert time.monotonic() - sent < 10
        assert running.returncode == 130, (out, err)
        assert "interrupted (exit code 130)" in out, (out, err)
        assert f"stopped by {number.name}" in out
        assert "inv deploy goes on where this stopped" in out
        assert "Traceback" not in out + err
    assert slow.outcome() == "open"
    run = slow.events()[0]["data"]["run"]
    assert "open: inv deploy goes on" in slow.ok("status").out
    check_that_it_goes_on(slow, run)


@pytest.mark.load  # tests/crash kills it where it is at work
def test_kill_9_of_the_command_is_gone_on_with(slow: Product) -> None:
    """A command that could say nothing any more has left enough for the next one."""
    for running in deploying(slow):
        running.kill()
        running.wait(5)
    assert slow.outcome() == "open"
    check_that_it_goes_on(slow, slow.events()[0]["data"]["run"])


@pytest.mark.load
def test_a_run_of_another_commit_is_not_gone_on_with(slow: Product) -> None:
    """Who commits after a crash releases that commit: the run before is ended first, and its deploys are stopped."""
    for running in deploying(slow):
        running.kill()
        running.wait(5)
    left, run = slow.head, slow.events()[0]["data"]["run"]
    slow.change_frontend("Better")
    slow.ok("deploy")
    served = slow.served()
    assert served["frontend"] == slow.head
    assert served["backend"] in (left, slow.head), "it went live before it could be stopped, or was stopped"
    assert slow.events(run)[-1]["data"]["outcome"] == "interrupted"
    assert slow.events()[0]["data"]["run"] != run
    assert {one["status"] for one in slow.deploys("frontend", left)} <= {"canceled", "deactivated"}


def test_kill_9_of_the_local_render_loses_nothing(deployed: Product) -> None:
    """`inv deploy` brings back what was live, at the same addresses, with every row."""
    deployed.sign("Ann")
    served, addresses = deployed.served(), deployed.endpoint["urls"]
    rows = deployed.query("select * from entries order by id")
    writes = deployed.writes()
    server = psutil.Process(deployed.endpoint["pid"])
    server.kill()
    server.wait(5)
    done = deployed.ok("deploy")
    assert "NOTHING TO DO" in done.out, done.said
    assert deployed.endpoint["pid"] != server.pid
    assert deployed.endpoint["urls"] == addresses
    assert deployed.served() == served
    assert deployed.query("select * from entries order by id") == rows
    assert deployed.writes() == writes


def test_local_down_and_up_keep_what_was_live(deployed: Product) -> None:
    """A machine that was switched off has the same product at the same addresses afterwards."""
    served, addresses = deployed.served(), deployed.endpoint["urls"]
    deployed.ok("local.down")
    assert not deployed.processes()
    deployed.ok("local.up")
    assert deployed.endpoint["urls"] == addresses
    until(lambda: deployed.served() == served)


def test_a_dry_run_changes_nothing(deployed: Product) -> None:
    """It shows services, migrations with their SQL, backup and the way back, and sends no write at all."""
    head = deployed.head
    deployed.write("migrations/versions/0003_place.py", MIGRATION)
    deployed.replace(f"{GUEST_BOOK}/__init__.py", '"""', '"""Now with places. ')
    deployed.change_frontend("Places")
    before, revision = deployed.snapshot(), deployed.revision()
    with visiting(deployed.url("frontend")) as seen:
        done = deployed.ok("deploy", "--dry-run")
    assert deployed.snapshot() == before
    assert deployed.revision() == revision
    assert "PLANNED     nothing was changed" in done.out, done.said
    assert "ALTER TABLE entries ADD COLUMN place" in done.err.replace("alter table", "ALTER TABLE").replace(
        "add column", "ADD COLUMN"
    )
    for line in ("→ backup    before 1 migration", "→ migrate   0002 → 0003", "→ deploy    backend", "→ verify"):
        assert line in done.err, done.err
    assert f"would be put back to {deployed.served()['backend'][:7]}" in done.err
    assert not seen.failures
    deployed.git("reset", "--quiet", "--hard", head)
