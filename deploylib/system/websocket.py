"""The edge to websockets.

Messages of text, one after the other; the one place that knows which library speaks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from deploylib.system.trust import find_trusted

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["Websocket", "WebsocketError", "open_websocket"]

LONGEST = 1 << 20  # bytes of a message
WAITING = 1000  # messages that are kept before the server has to wait
OPEN_WITHIN, CLOSE_WITHIN, SIGN_OF_LIFE = 10.0, 1.0, 20.0  # seconds


class WebsocketError(Exception):
    """There is no websocket, or none any more.

    Attributes:
        status: of the answer that refused it; 0: there was none.
        headers: of that answer, by names in lower case.
    """

    def __init__(self, reason: str, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


class Websocket:
    """An open websocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def receive(self, within: float) -> str | None:
        """Take the next message; None: none came *within* seconds.

        Raises:
            WebsocketError: it is closed, by whomever, or the message is no text.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            message = self._connection.recv(within)
        except TimeoutError:
            return None
        except (ConnectionClosed, UnicodeDecodeError) as error:
            raise WebsocketError("it was closed") from error
        if not isinstance(message, str):
            raise WebsocketError("a message that is no text")
        return message


@contextmanager
def open_websocket(url: str, headers: Mapping[str, str]) -> Iterator[Websocket]:
    """Open a websocket, and close it at the end.

    Where a redirect leads elsewhere the library takes the key out. A server that gives no sign of life is gone.

    Args:
        url: ``ws://`` or ``wss://``.

    Raises:
        WebsocketError: it cannot be had.
        ImportError: the library is not installed.
    """
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.sync.client import connect as dial

    with ExitStack() as stack:
        try:
            opening = dial(
                url,
                additional_headers=dict(headers),
                user_agent_header="deploylib",
                compression=None,
                ssl=find_trusted() if url.startswith("wss:") else None,
                proxy=True if url.startswith("wss:") else None,
                open_timeout=OPEN_WITHIN,
                close_timeout=CLOSE_WITHIN,
                ping_interval=SIGN_OF_LIFE,
                max_size=LONGEST,
                max_queue=WAITING,
            )
            connection = stack.enter_context(opening)
        except InvalidStatus as error:
            answer = error.response
            names = {name.lower(): value for name, value in answer.headers.raw_items()}
            raise WebsocketError(f"status {answer.status_code}", answer.status_code, names) from error
        except (WebSocketException, OSError, EOFError, ValueError) as error:
            raise WebsocketError("it cannot be opened") from error
        yield Websocket(connection)
