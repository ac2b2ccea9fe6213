"""One HTTP GET on a loopback port, as small as a health check is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus

import msgspec

from localrender import loopback

ALONE = "the program listens on 127.0.0.1 or localhost alone, where Render does not reach it: let it listen on 0.0.0.0"
_HEAD = 64 * 1024
_INTERIM = 16  # answers before the answer: 100 Continue, 103 Early Hints (RFC 9110, 15.2)


class NoWholeAnswerError(ConnectionError):
    """Something is there, and what it says is no HTTP answer."""


class Answer(msgspec.Struct, frozen=True):
    """A status and a body."""

    status: int
    body: bytes


async def get(port: int, path: str, *, host: str, patience: float, address: str = loopback.PLAIN) -> Answer:
    """Ask once.

    Args:
        address: Where the port is.

    Raises:
        OSError: No HTTP answer in time (a `TimeoutError` is one, too; and a `NoWholeAnswerError`).
    """
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_connection(address, port, limit=_HEAD)
        try:
            lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: Render/1.0", "Connection: close")
            writer.write("\r\n".join((*lines, "", "")).encode())
            head = await _head(reader)
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"")
            count = length.partition(b":")[2].strip()
            body = await (reader.readexactly(int(count)) if count.isdigit() else reader.read(_HEAD))
            return Answer(int(head.split(b" ", 2)[1]), body)
        except asyncio.IncompleteReadError as error:
            read = f"after {len(error.partial)} bytes" if error.partial else "without a word"
            raise NoWholeAnswerError(f"it ended {read}") from error
        except (asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise NoWholeAnswerError("it is of another form, or too long") from error
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The head of the answer itself: what goes before it is passed over, but for a change of protocol."""
    for _ in range(_INTERIM):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
            return head
    raise ValueError("nothing but interim answers")


async def check(port: int, path: str, host: str, patience: float = 5) -> str:
    """Check an instance as Render does: 2xx or 3xx within five seconds, or, without a path, an open port.

    Returns:
        What is wrong; empty when healthy.
    """
    address = loopback.address()
    try:
        if not path:
            async with asyncio.timeout(patience):
                _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return ""
        answer = await get(port, f"/{path.lstrip('/')}", host=host, patience=patience, address=address)
    except TimeoutError:
        return f"no answer within {patience:g} s"
    except NoWholeAnswerError as error:
        return f"what is on port {port} gave no whole HTTP answer: {error}"
    except OSError as error:
        if await _listens_alone(port, address):
            return ALONE
        return f"nothing answers on port {port}: {error.strerror or error}"
    healthy = HTTPStatus.OK <= answer.status < HTTPStatus.BAD_REQUEST
    return "" if healthy else f"GET {path} answered {answer.status}"


async def _listens_alone(port: int, address: str) -> bool:
    """Whether a program that does not answer there is at the address of its own machine."""
    for plain in (loopback.PLAIN, "::1") if address != loopback.PLAIN else ():
        with suppress(OSError):
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(plain, port)
            writer.close()
            return True
    return False
