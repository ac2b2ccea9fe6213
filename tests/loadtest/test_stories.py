"""A slower release on the local Render: noted, told, or put back, as its environment says."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.edges import has_ended, processes_of, until
from tests.support.trivial import SERVER, Trivial
from tests.support.webhooks import listen

pytestmark = pytest.mark.load

LOCUSTFILE = """
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def work(self):
        self.client.get("/work")
"""
QUICK, SLOW = 0.15, 0.3  # seconds that the service itself takes for its work


def server(takes: float) -> str:
    """The service, which needs so many seconds for its work."""
    return SERVER.replace(
        "        body =", f"        if self.path == '/work':\n            time.sleep({takes})\n        body ="
    ).replace("import json, os", "import json, os, time")


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Callable[..., Trivial]]:
    """Makes a product whose quick version is live, with these settings of a load test."""
    made: list[Trivial] = []

    def make(**settings: object) -> Trivial:
        product = Trivial(tmp_path / "product")
        made.append(product)
        chosen = {"rate": 20, "seconds": "3s", "service": "api"} | settings
        table = "\n[tool.deploylib.environments.local]\nslack_webhook_env = 'HOOK'\n"
        table += "[tool.deploylib.environments.local.loadtest]\n"
        table += "".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items())
        product.write("pyproject.toml", product.read("pyproject.toml") + table)
        product.write("loadtests/locustfile.py", LOCUSTFILE)
        product.change_all(server(QUICK))
        first = product.ok("deploy")
        assert "✓ loadtest" in first.err, first.said
        return product

    yield make
    for each in made:
        each.clean()


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and what was posted there."""
    with listen() as heard:
        yield heard


def test_a_slower_release_is_noted(product: Callable[..., Trivial], hook: tuple[str, list[str]]) -> None:
    """It stays; the report says by what it is slower, and that it was measured twice; nobody is alarmed."""
    made = product(policy="note")
    made.change_all(server(SLOW))
    done = made.inv("deploy", HOOK=hook[0])

    assert done.code == 0, done.said
    assert "degraded: 20/s for 3 s on api" in done.err
    assert "just before" in done.err
    assert "measured twice" in done.err
    assert made.one_commit == made.head
    (run,) = hook[1]  # of the release itself, as of any other
    assert "succeeded" in run
    assert "degraded" not in run
    assert len(made.ok("loadtest.history").out.splitlines()) == 3


def test_a_slower_release_is_told(product: Callable[..., Trivial], hook: tuple[str, list[str]]) -> None:
    """It stays, and whoever wants to know is told why it is slower."""
    made = product(policy="alert")
    made.change_all(server(SLOW))
    done = made.inv("deploy", HOOK=hook[0])

    assert done.code == 0, done.said
    assert made.one_commit == made.head
    (alert,) = [each for each in hook[1] if "degraded" in each]
    assert len(hook[1]) == 2  # and one of the release, which succeeded
    assert "api is degraded under 20 requests a second" in alert
    assert f"{made.head[:7]} stays live" in alert
    assert "typical time" in alert
    assert "just before" in alert
    assert "inv rollback" in alert

    same = made.inv("loadtest", HOOK=hook[0])
    assert same.code == 0, same.said  # there is nothing yet that would be usual


def test_a_slower_release_is_put_back(product: Callable[..., Trivial], hook: tuple[str, list[str]]) -> None:
    """Like one that does not prove itself: what was live is live again, the commit is held, and the history forgets its times."""
    made = product(policy="rollback")
    before = made.head
    made.change_all(server(SLOW))
    done = made.inv("deploy", HOOK=hook[0])

    assert done.code == 14, done.said
    assert "api is degraded under 20 requests a second" in done.out
    assert made.one_commit == before
    assert "put back" in done.err
    assert made.inv("deploy").code == 31
    assert len(made.ok("loadtest.history").out.splitlines()) == 2
    (told,) = hook[1]  # once, by the run that has put it back
    assert "api is degraded under 20 requests a second" in told
    assert "put back" in told

    made.change_all(server(QUICK))
    again = made.inv("deploy")
    assert again.code == 0, again.said
    assert "as fast as before" in again.err


def test_what_cannot_be_measured_changes_no_outcome(product: Callable[..., Trivial]) -> None:
    """A sender that is too small is invalid, a file that is none is not measured: a slow release stays either way."""
    made = product(policy="rollback")
    text = made.read("pyproject.toml")
    made.write("pyproject.toml", text.replace("rate = 20", "rate = 20\nin_flight = 2"))
    made.change_all(server(SLOW))
    invalid = made.inv("deploy")
    assert invalid.code == 0, invalid.said
    assert "invalid: 20/s for 3 s on api" in invalid.err
    assert "2 of 2 users were busy at once" in invalid.err

    asked = made.inv("loadtest")
    assert asked.code == 4, asked.said
    assert "a higher in_flight" in asked.said

    made.write("loadtests/locustfile.py", "import nothing_like_it\n")
    made.change_all(server(QUICK))
    unmeasured = made.inv("deploy")
    assert unmeasured.code == 0, unmeasured.said
    assert "– loadtest  not measured" in unmeasured.err.replace("skipped: ", "")
    assert made.one_commit == made.head


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_nobody_sends_after_a_command_that_was_stopped(product: Callable[..., Trivial], number: signal.Signals) -> None:
    """It ends with the code of an interruption, within seconds, and what sends ends with it."""
    made = product()

    def senders() -> list[psutil.Process]:
        sending = []
        for each in processes_of(made.folder):
            with suppress(psutil.NoSuchProcess):
                sending += [each] if "deploylib.loadtest.child" in each.cmdline() else []
        return sending

    with made.start("loadtest", "--seconds", "300s") as running:
        sending = until(senders, 120)[0]
        running.send_signal(number)
        _, said = running.communicate(timeout=60)

    assert running.returncode == (130 if number is signal.SIGINT else -number), said
    assert "Traceback" not in said
    until(lambda: has_ended(sending), 30)
