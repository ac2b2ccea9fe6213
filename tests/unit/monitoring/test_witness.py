"""Witnesses, the heartbeat and own requests, on servers of loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Kind, Target
from deploylib.monitoring.addresses import ask_address, judge_uptime
from deploylib.monitoring.readings import Reading
from deploylib.monitoring.round import perform_round
from deploylib.monitoring.states import Look
from deploylib.monitoring.witness import ask_platform, ask_store, can_see
from deploylib.render import Client
from deploylib.settings import Config
from deploylib.store import StoreRefused
from deploylib.system import Clock
from tests.support.fakes import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.monitored import Receiver, answer, make_environment, record_release, silent, web
from tests.support.standing import Quiet, serving


class Server(Quiet):
    """Answers by the path's last part, and keeps what it was asked."""

    paths: list[str] = []  # noqa: RUF012 - of one test

    def do_GET(self) -> None:  # noqa: N802 - as the server calls it
        """Answer."""
        self.paths.append(self.path)
        status = int(self.path.rpartition("/")[2].partition("?")[0] or 200)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def port() -> Iterator[int]:
    """A server of a test."""
    Server.paths = []

    class Platform(Server):
        def do_GET(self) -> None:  # noqa: N802 - as the server calls it
            if "/services" in self.path:
                self.path = "/401"
            super().do_GET()

    with serving(Platform) as found:
        yield found


@pytest.fixture
def closed() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def target(port: int, status: int = 200, health: str = "") -> Target:
    """A web service at a port, that answers with one status."""
    path = health or f"/{status}"
    return Target(name="shop", service_id="srv-1", kind=Kind.WEB, url=f"http://127.0.0.1:{port}", health_path=path)


@pytest.mark.parametrize(("status", "up"), [(200, True), (204, True), (302, False), (404, False), (500, False)])
def test_a_health_path_is_up_by_a_success_alone(port: int, status: int, *, up: bool) -> None:
    """As Render sees it; each request of the round is counted."""
    asked = ask_address(target(port, status), 3, Clock())

    assert (asked.is_up, asked.status, len(asked.samples)) == (up, status, 3)
    assert judge_uptime(asked).look is (Look.GOOD if up else Look.BAD)


def test_who_does_not_answer_is_bad_as_far_as_we_can_see(closed: int) -> None:
    """It may be us, so that a witness is asked."""
    reading = judge_uptime(ask_address(target(closed), 1, Clock()))

    assert (reading.look, reading.unanswered) == (Look.BAD, True)
    assert reading.title == "shop does not answer"


def test_a_platform_that_refuses_is_a_witness(port: int, closed: int) -> None:
    """Any answer shows that the network is there."""
    assert ask_platform(f"http://127.0.0.1:{port}/v1")
    assert not ask_platform(f"http://127.0.0.1:{closed}/v1")


def test_a_store_that_refuses_is_a_witness() -> None:
    """One that does not answer is none."""
    store = MemoryStore(FakeClock())
    assert ask_store(store, "monitor/")
    store.cut = True
    assert not ask_store(store, "monitor/")

    class Refusing(MemoryStore):
        def list(self, prefix: str, after: str = "") -> Iterator[str]:
            raise StoreRefused(f"no right to list {prefix}{after}", remedy="a right")

    assert ask_store(Refusing(FakeClock()), "monitor/")


def test_no_witness_is_asked_where_a_service_has_answered() -> None:
    """And one that does not know where to ask is none."""
    clock = FakeClock()
    silent, speaking = answer(web("a"), 1, clock, status=0), answer(web("b"), 1, clock, status=503)

    def fails() -> bool:
        raise Unreachable("the local Render is not running", remedy="inv local.up")

    assert can_see([silent, speaking], [fails])
    assert not can_see([silent], [fails])
    assert can_see([silent], [fails, lambda: True])
    assert can_see([], [fails])


@pytest.mark.parametrize(
    ("status", "note"), [(200, ()), (404, ("heartbeat: it answered 404",)), (0, ("heartbeat: no answer",))]
)
def test_somebody_outside_is_told_of_each_round(port: int, closed: int, status: int, note: tuple[str, ...]) -> None:
    """Whose silence then says that the monitor is gone; its trouble is a note."""
    clock = FakeClock()
    store, receiver = MemoryStore(clock), Receiver()
    record_release(store, clock, "20260301T110000-aaaa", web("backend"))
    url = f"http://127.0.0.1:{port if status else closed}/{status}"

    done = perform_round(make_environment(store, receiver, heartbeat_url=url), ask=answer, witnesses=[])

    assert tuple(text.partition(" (")[0] for text in done.notes) == note
    assert Server.paths == ([f"/{status}"] if status else [])


def test_nobody_outside_is_told_of_a_round_that_saw_nothing(port: int) -> None:
    """It is as if there had been none."""
    clock = FakeClock()
    store = MemoryStore(clock)
    record_release(store, clock, "20260301T110000-aaaa", web("backend"))

    done = perform_round(
        make_environment(store, Receiver(), heartbeat_url=f"http://127.0.0.1:{port}/200"),
        ask=silent,
        witnesses=[lambda: False],
    )

    assert done.blind
    assert not Server.paths
    assert {type(reading) for reading in done.readings} == {Reading}


def test_where_the_platform_is_needs_no_key() -> None:
    """Of the settings, of ``RENDER_HOST``, or Render's own; what is no address is refused."""
    where = Config(root=Path("/nowhere"), name="staging", environ={})

    assert Client.find_address(where) == "https://api.render.com/v1"
    assert Client.find_address(msgspec.structs.replace(where, environ={"RENDER_HOST": "https://a.example/v1/"})) == (
        "https://a.example/v1"
    )
    with pytest.raises(SettingsError, match="RENDER_HOST: it is no address"):
        Client.find_address(msgspec.structs.replace(where, environ={"RENDER_HOST": "nowhere"}))
