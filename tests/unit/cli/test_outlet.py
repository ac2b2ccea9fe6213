"""A stream of a command that may have lost its reader."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from deploylib.cli.outlet import Outlet


def unread() -> io.TextIOWrapper:
    """The end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", encoding="utf-8")


def full() -> io.TextIOWrapper:
    """A file on a disk without room."""
    return Path("/dev/full").open("w", encoding="utf-8")


def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    """Who follows a file sees each line."""
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        Outlet(stream).write("→ a\n")
        assert (tmp_path / "log").read_text(encoding="utf-8") == "→ a\n"


@pytest.mark.parametrize(("stream", "why"), [(unread(), errno.EPIPE), (full(), errno.ENOSPC)], ids=["unread", "full"])
def test_a_stream_that_cannot_be_written_leads_nowhere(stream: io.TextIOWrapper, why: int) -> None:
    """Why is known; what comes then is written by nobody, also when the program ends."""
    outlet = Outlet(stream)

    outlet.write("a\n")

    assert outlet.lost is not None
    assert outlet.lost.errno == why
    assert outlet.has_no_reader is (why == errno.EPIPE)
    outlet.write("b\n")
    assert outlet.lost.errno == why
    stream.write("of Python itself")
    stream.close()


def test_a_stream_in_memory_may_fail_as_well() -> None:
    """It has no descriptor that could lead elsewhere."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    outlet = Outlet(Full())
    outlet.write("a")
    assert outlet.lost is not None


def test_a_stream_that_was_closed_before_is_no_terminal_and_takes_nothing() -> None:
    """Python has None for it."""
    outlet = Outlet(None)
    outlet.write("a")
    assert (outlet.lost, outlet.has_no_reader, outlet.isatty()) == (None, False, False)
