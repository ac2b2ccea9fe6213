"""What the health check makes of an answer, however a program gives it."""

from __future__ import annotations

import asyncio

import pytest

from localrender import health, loopback

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
CUT = "what is on port {} gave no whole HTTP answer: it "


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (WELL, ""),
        (HINTS + WELL, ""),
        (GO_ON + HINTS + HINTS + WELL, ""),
        (HINTS + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "GET /health answered 500"),
        (b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n", "GET /health answered 101"),
        (HINTS * 20 + WELL, f"{CUT}is of another form, or too long"),
        (HINTS, f"{CUT}ended without a word"),
        (b"HTTP/1.1 200 OK\r\n", f"{CUT}ended after 17 bytes"),
        (b"", f"{CUT}ended without a word"),
        (b"220 mail.example ESMTP\r\n\r\n", f"{CUT}is of another form, or too long"),
    ],
    ids=["200", "103", "100, 103", "103, 500", "101", "no end", "103 alone", "cut", "closed", "no HTTP"],
)
def test_an_answer_counts_once_it_is_there(answer: bytes, wrong: str) -> None:
    """Interim ones go before it; what is no whole answer is not said to be nothing."""

    async def ask() -> tuple[str, int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, loopback.address(), 0)
        port = int(server.sockets[0].getsockname()[1])
        async with server:
            return await health.check(port, "/health", "127.0.0.1"), port

    said, port = asyncio.run(ask())
    assert said == wrong.format(port)
