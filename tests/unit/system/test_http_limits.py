"""What a server may do to whoever asks it: no more than a few megabytes, and no longer than a request may take."""

from __future__ import annotations

import gzip
import signal
import socket
import time
import zlib
from collections.abc import Iterator

import httpx
import pytest

from deploylib.system import http
from tests.support.ends import WAYS, listening
from tests.support.measured import peak_of

MIB = 1 << 20


def packed(body: bytes, coding: str, unpacked: str = "application/json") -> http.Session:
    """A session with a server that sends *body* as it is, and says that it is packed so."""
    headers = {"Content-Type": unpacked, "Content-Encoding": coding}

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 1000] for at in range(0, len(body), 1000))

    return http.Session(transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=pieces())))


@pytest.mark.parametrize("way", ["endless", "dripping", "dripping_head", "stalled", "bomb"])
def test_a_body_without_an_end_is_no_answer(way: str) -> None:
    """In time, and without keeping much of it."""
    imports = """
        from deploylib.system.http import Limit
        from deploylib.system.http import NoAnswer
        from deploylib.system.http import Session
    """
    asked = """
        with Session(timeout=1.0) as asking:
            try:
                asking.request("GET", sys.argv[1], limit=Limit(1 << 20, 4 << 20))
            except NoAnswer:
                pass
            else:
                raise SystemExit("that was taken for an answer")
    """
    with listening(lambda to: WAYS[way](to, "application/json")) as there:
        assert peak_of(asked, there, imports=imports) < 16 * MIB


@pytest.mark.parametrize("way", ["deep", "wide"])
def test_json_that_explodes_is_no_json(way: str) -> None:
    """A million lists in each other, or ten million objects: none that is meant for us has so many values."""
    with listening(lambda to: WAYS[way](to, "application/json")) as there, http.Session() as asking:
        assert asking.request("GET", there).json() is None


def test_the_limits_are_what_the_documentation_says() -> None:
    """32 MB of an answer of the platform; of a page and of an asset one is kept, and an asset is not read further."""
    assert (http.Limit(32 * MIB, 32 * MIB), http.Limit(MIB, 32 * MIB), http.Limit(MIB, 0)) == (
        http.API,
        http.PAGE,
        http.ASSET,
    )


@pytest.mark.parametrize("limit", [http.PAGE, http.ASSET], ids=["page", "asset"])
def test_what_is_large_and_ends_is_an_answer(limit: http.Limit) -> None:
    """A page or a picture of three megabytes is as good as a browser finds it; its beginning is kept."""
    body = b"<html>" + b"x" * 3 * MIB
    server = listening(lambda to: to.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body))
    with server as there, http.Session(timeout=5) as asking:
        answer = asking.request("GET", there, limit=limit)
    assert (answer.ok, answer.whole, len(answer.body), answer.json()) == (True, False, MIB, None)


def test_an_asset_without_an_end_is_not_waited_for() -> None:
    """Its status, its type and its beginning are all that is asked of it."""
    with listening(lambda to: WAYS["endless"](to, "video/mp4")) as there, http.Session(timeout=5) as asking:
        answer = asking.request("GET", there, limit=http.ASSET)
    assert (answer.ok, answer.content_type, answer.whole) == (True, "video/mp4", False)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b'{"a": 1}')),
        ("x-gzip", gzip.compress(b'{"a": 1}' + b" " * 300_000)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}')[2:-4]),
        ("identity", b'{"a": 1}'),
    ],
    ids=["gzip", "x-gzip", "deflate", "bare deflate", "identity"],
)
def test_what_is_packed_as_we_asked_for_is_unpacked(coding: str, body: bytes) -> None:
    """Also deflate without its head, as some servers send it."""
    with packed(body, coding) as asking:
        assert asking.request("GET", "http://a.example/").json() == {"a": 1}


@pytest.mark.parametrize(
    "body", [gzip.compress(b'{"a": 1}' * 500)[:-12], b"\x1f\x8b" + b"\xff" * 3000], ids=["cut", "garbage"]
)
def test_what_cannot_be_unpacked_to_its_end_is_no_answer(body: bytes) -> None:
    """Half of it, or something else."""
    with packed(body, "gzip") as asking, pytest.raises(http.NoAnswer):
        asking.request("GET", "http://a.example/")


def test_what_is_packed_otherwise_is_an_answer_that_nobody_can_read() -> None:
    """A browser could: so its status counts, and its words are unknown."""
    with packed(b"\x0b\x02\x80\x03", "br") as asking:
        answer = asking.request("GET", "http://a.example/")
    assert (answer.ok, answer.json()) == (True, None)


def test_a_download_that_drips_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower than a megabyte in a minute, here than one in a fifth of a second."""
    monkeypatch.setattr(http, "EVERY", 0.2)
    server = listening(lambda to: WAYS["dripping"](to, "application/gzip"))
    with server as there, http.Session() as asking, pytest.raises(http.NoAnswer, match="too slowly"):
        list(asking.pieces(there))


def test_a_name_that_is_looked_up_for_ever_was_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver has no time-out, so that it is asked aside, and a signal need not wait for it."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: time.sleep(60))
    with http.Session(timeout=0.5) as asking, pytest.raises(http.NotSent):
        asking.request("GET", "http://slow.example/")

    def late(*_: object) -> None:
        raise InterruptedError("heeded")

    before = signal.signal(signal.SIGALRM, late)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with http.Session(timeout=30) as asking, pytest.raises(InterruptedError, match="heeded"):
            asking.request("GET", "http://slow.example/")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
