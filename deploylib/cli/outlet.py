"""Write to a stream that perhaps nobody can read any more.

A pipe whose reader has gone, a full disk, a terminal that was closed: none of it changes what a command does.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import IO

from deploylib.cli.text import ascii_only

__all__ = ["Outlet"]


class Outlet:
    """Standard output or standard error of a command.

    What could not be written is not tried again, neither by us nor by Python, which writes the rest when it ends.

    Attributes:
        lost: why it could not be written; None: it could.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        """Write to a stream; None: it was closed before the program began."""
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "ascii"
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text at once, in signs that the stream knows."""
        if self._stream is None:
            return 0
        try:
            self._stream.write(text if "utf" in self.encoding.lower() else ascii_only(text))
            self._stream.flush()
        except OSError as error:
            self.lost = error
            self._lead_nowhere(self._stream)
        return len(text)

    def flush(self) -> None:
        """Do nothing: all is written."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    @property
    def has_no_reader(self) -> bool:
        """Tell whether its reader has gone, as after ``| head``."""
        return self.lost is not None and self.lost.errno == errno.EPIPE

    def _lead_nowhere(self, stream: IO[str]) -> None:
        """Let it lead to the null device (Python's "Note on SIGPIPE")."""
        with suppress(OSError):  # a stream in memory has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
