"""Single connections: what is whole, what is cut, what was closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from deploylib.fitness.keep_alive import Connection, HttpRequest, Peer, has_open_port

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
Serve = Callable[[bytes, str], Peer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that reads one request of a connection, gives these bytes, and closes or keeps it."""
    with ExitStack() as ends:

        def start(answer: bytes, then: str) -> Peer:
            listening = ends.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                taken, _ = listening.accept()
                ends.callback(taken.close)
                taken.recv(65536)
                taken.sendall(answer)
                if then == "close":
                    taken.close()

            threading.Thread(target=run, daemon=True).start()
            return Peer("127.0.0.1", listening.getsockname()[1], "shop.example")

        yield start


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (WHOLE, 200),
        (WHOLE[:-2], 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n", 0),
        (b"", 0),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 0),
        (b"HTTP/1.1 abc\r\n\r\n", 0),
    ],
    ids=["whole", "cut", "cut in chunks", "none", "not HTTP", "no status"],
)
def test_only_a_whole_answer_is_one(serve: Serve, answer: bytes, status: int) -> None:
    """A body that is cut where its length was told raises nothing in the standard library; here it counts as none."""
    with closing(Connection(serve(answer, "close"))) as connection:
        assert connection.ask("/") == status


def test_nobody_there_is_no_answer() -> None:
    """And a port on which nobody listens is not open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        peer = Peer("127.0.0.1", taken.getsockname()[1], "shop.example")
        assert has_open_port(peer, 1)

    assert Connection(peer).ask("/") == 0
    assert not has_open_port(peer, 1)


@pytest.mark.parametrize("then", ["keep", "close"])
def test_a_connection_that_was_closed_is_not_open(serve: Serve, then: str) -> None:
    """Though nothing was asked on it meanwhile."""
    with closing(Connection(serve(WHOLE, then))) as connection:
        assert connection.ask("/") == 200
        connection.hears(0.5)

        assert connection.is_open is (then == "keep")


def test_a_body_is_sent_in_two_halves(serve: Serve) -> None:
    """What hears of nothing after the first is in flight; here the server answers at once."""
    connection = Connection(serve(WHOLE, "keep"))
    connection.begin(HttpRequest.of("post /entries?token=1"))

    assert connection.hears(2)
    assert connection.read_answer() == 200
    assert not connection.is_open


@pytest.mark.parametrize(
    ("text", "line"), [("/slow?token=1", "GET /slow"), ("slow", "GET /slow"), ("POST /entries", "POST /entries")]
)
def test_a_request_is_told_without_its_query(text: str, line: str) -> None:
    """Which may be a secret."""
    assert HttpRequest.of(text).line == line
