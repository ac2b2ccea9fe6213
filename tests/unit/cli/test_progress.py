"""What a person sees while a run goes on."""

from __future__ import annotations

import io
import re

import pytest

from deploylib.cli import progress
from deploylib.models import Commit
from deploylib.models.progress import Progress
from deploylib.models.results import StageResult, StageStatus
from tests.support.fakes import NEW, FakeClock

DONE = StageResult(stage="deploy", status=StageStatus.DONE, lines=("api  live", "web  live"), seconds=4)


class Stream(io.TextIOWrapper):
    """A stream in memory, a terminal or not."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether it is one."""
        return self._terminal

    def lines(self) -> list[str]:
        """What was written."""
        self.flush()
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode(self.encoding).splitlines()


def story(shown: Progress) -> None:
    """A short run."""
    shown.opened("x-7f3a", "local", Commit(id=NEW, subject="Add paging"))
    shown.note("Starting …", "ready")
    shown.began("check")
    shown.progress("api", "asked")
    shown.began("deploy")
    shown.progress("api", "building")
    shown.ended(DONE)


def test_plain_lines_tell_everything_that_ended_and_every_step_of_a_deploy() -> None:
    """In the order in which it happened; what one would not wait for is left out."""
    stream = Stream()

    story(progress.Plain(stream))

    assert stream.lines() == [
        'run 7f3a   local ← bbbbbbb "Add paging"',
        "  Starting …",
        "  ready",
        "  deploy: api building",
        "✓ deploy    api  live                                       4.0s",
        "            web  live",
    ]


def test_a_stream_that_knows_only_ascii_gets_ascii() -> None:
    """Nothing fails, and every line is there."""
    stream = Stream("ascii")

    story(progress.Plain(stream))

    assert stream.lines()[0] == 'run 7f3a   local < bbbbbbb "Add paging"'
    assert stream.lines()[4].startswith("+ deploy")


def test_quiet_says_nothing() -> None:
    """For scripts."""
    story(Progress())


@pytest.mark.parametrize(
    ("terminal", "environ", "plain"),
    [(False, {}, True), (True, {"TERM": "dumb"}, True), (True, {"CI": "1"}, True), (True, {"TERM": "xterm"}, False)],
    ids=["no terminal", "dumb terminal", "CI", "terminal"],
)
def test_a_live_view_needs_a_terminal_that_can_move_its_cursor(
    environ: dict[str, str], *, terminal: bool, plain: bool
) -> None:
    """Everywhere else lines are written that a log can keep."""
    with progress.choose_view(Stream(terminal=terminal), environ, FakeClock()) as shown:
        assert plain == (type(shown) is progress.Plain)


def test_a_terminal_keeps_what_has_ended() -> None:
    """The lines are the same, and none of them is cut."""
    stream = Stream(terminal=True)
    long = "a subject that is longer than any terminal is wide " * 5

    with progress.choose_view(stream, {"TERM": "xterm"}, FakeClock()) as shown:
        story(shown)
        shown.note(long)

    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "\n".join(stream.lines()))
    assert 'run 7f3a   local ← bbbbbbb "Add paging"' in written
    assert "✓ deploy    api  live" in written
    assert long.strip() in written


def test_what_is_transferred_is_shown_with_its_rate_and_what_is_left() -> None:
    """Where the sum is known; the next piece of work of the same stage begins from nothing."""
    clock = FakeClock()
    with progress.choose_view(Stream(terminal=True), {"TERM": "xterm"}, clock) as shown:

        def line(size: int, of: int, seconds: float = 2.0) -> str:
            shown.transferred(size, of)
            clock.seconds += seconds
            return str(shown.__rich__()).rpartition("s  ")[2]  # type: ignore[attr-defined]

        shown.began("backup")
        assert line(4_000_000, 0) == "4.0 MB · 2.0 MB/s"
        assert line(4_000_000, 16_000_000, 0.5) == "4.0 MB of 16.0 MB · 8.0 MB/s"
        assert line(4_000_000, 16_000_000, 1.5) == "8.0 MB of 16.0 MB · 4.0 MB/s · 2s left"
        assert line(8_000_000, 16_000_000) == "16.0 MB · 4.0 MB/s"
        assert line(2_000_000, 16_000_000) == "2.0 MB of 16.0 MB · 1.0 MB/s · 14s left", "it is read once more"
        assert line(20_000_000, 16_000_000) == "22.0 MB · 5.5 MB/s", "more than anybody thought"
