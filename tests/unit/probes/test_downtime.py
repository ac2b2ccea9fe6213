"""What visitors meet while traffic is switched."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploylib.models.results import Visitors
from deploylib.probes import DowntimeWatch
from deploylib.system import Clock
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import BLUEPRINT, Product
from tests.support.repository import Repository


@contextmanager
def server(codes: Iterator[int], enough: threading.Event, number: int = 5) -> Iterator[str]:
    """A loopback server that answers these codes, hangs up at 0, and tells when it was asked often enough."""
    seen = [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen[0] += 1
            if seen[0] >= number:
                enough.set()
            code = next(codes)
            self.close_connection = not code
            if code:
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}/"
        finally:
            serving.shutdown()
            thread.join()


def watch(codes: list[int]) -> Visitors:
    """What visitors met who got these answers, and then only good ones."""

    def answers() -> Iterator[int]:
        yield from codes
        while True:
            yield 200

    enough = threading.Event()
    with server(answers(), enough) as address:
        visitors = DowntimeWatch(Clock(), every=0.002, timeout=2)
        visitors.start([address])
        assert enough.wait(5)
        return visitors.stop()


@pytest.mark.parametrize(
    ("codes", "failed"),
    [([200, 204, 304], 0), ([404, 403], 0), ([500, 200, 503], 2), ([302], 0)],
    ids=["fine", "an answer all the same", "errors of the server", "a redirect"],
)
def test_an_error_of_the_server_is_a_failure_and_nothing_else_is(codes: list[int], failed: int) -> None:
    """A 404 is an answer: the address serves."""
    found = watch(codes)

    assert failed == found.failed
    assert found.requests >= 5
    assert found.longest_gap > 0


def test_no_answer_is_a_failure() -> None:
    """A connection that breaks is what a visitor would have met, too; the good answers around it are not."""
    found = watch([200, 0, 200, 0])

    assert found.failed == 2
    assert found.requests >= 5


def test_without_addresses_nothing_is_met() -> None:
    """And stopping twice is no error."""
    visitors = DowntimeWatch(Clock())
    visitors.start([])

    assert [Visitors(), Visitors()] == [visitors.stop(), visitors.stop()]


def test_a_gap_that_never_ends_is_told_as_that() -> None:
    """An address that gives no good answer any more has no gap between two; what has ended is none."""
    enough, codes = threading.Event(), iter([200, *[503] * 10_000])
    with server(codes, enough) as address:
        visitors = DowntimeWatch(Clock(), every=0.002, timeout=2)
        visitors.start([address])
        assert enough.wait(5)
        found = visitors.stop()

    assert 0 < found.open_gap <= found.longest_gap
    assert "; one had not ended, after 0." in found.text
    assert watch([500]).open_gap == 0


def test_visitors_ask_only_what_is_public(
    repository: Repository, platform: Platform, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private service has an address, which nobody outside can ask."""
    product = Product(repository, platform, clock)
    kinds = (("type: worker, name: api", "type: pserv, name: api"), ("type: worker, name: web", "type: web, name: web"))
    blueprint = BLUEPRINT
    for old, new in kinds:
        blueprint = blueprint.replace(old, new)
    product.commit({"render.yaml": blueprint})
    for name, kind in (("api", "private_service"), ("web", "web_service")):
        known = platform.services[f"srv-{name}"]
        known |= {"type": kind, "serviceDetails": {"url": f"http://{name}.invalid:10000"}}
    platform.begin("srv-api", product.first, "live")
    platform.begin("srv-web", product.first, "live")
    product.change("2")
    asked = list[str]()

    def start(_watch: DowntimeWatch, addresses: Iterable[str]) -> None:
        asked.extend(addresses)

    monkeypatch.setattr(DowntimeWatch, "start", start)

    product.deploy("deploy")

    assert asked == ["http://web.invalid:10000/"]
