"""What a person sees while a run goes on."""

from __future__ import annotations

import io
import re
import sys
import threading
from contextlib import suppress

import pytest
from rich.text import Text

from deploylib.cli import progress
from deploylib.cli.outlet import Outlet
from deploylib.cli.session import clean_line
from deploylib.models import Commit, LogLine
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

    story(progress.Plain(Outlet(stream)))

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

    story(progress.Plain(Outlet(stream)))

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
    with progress.choose_view(Outlet(Stream(terminal=terminal)), environ, FakeClock()) as shown:
        assert plain == (type(shown) in {progress.Plain, progress.InCI})


def test_a_terminal_keeps_what_has_ended() -> None:
    """The lines are the same, and none of them is cut."""
    stream = Stream(terminal=True)
    long = "a subject that is longer than any terminal is wide " * 5

    with progress.choose_view(Outlet(stream), {"TERM": "xterm"}, FakeClock()) as shown:
        story(shown)
        shown.note(long)

    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "\n".join(stream.lines()))
    assert 'run 7f3a   local ← bbbbbbb "Add paging"' in written
    assert "✓ deploy    api  live" in written
    assert long.strip() in written


def test_between_stages_the_terminal_is_whose_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn over a question, nor are its brackets read as a style."""
    stream = Stream(terminal=True)
    monkeypatch.setattr(sys, "stderr", stream)
    before = set(threading.enumerate())

    with progress.choose_view(Outlet(stream), {"TERM": "xterm"}, FakeClock()) as shown:
        assert not set(threading.enumerate()) - before
        assert not stream.lines()
        story(shown)
        assert sys.stderr is stream
        sys.stderr.write("\nwrite it? [y/N]\n")

    assert stream.lines()[-1] == "write it? [y/N]"


def test_what_is_transferred_is_shown_with_its_rate_and_what_is_left() -> None:
    """Where the sum is known; the next piece of work of the same stage begins from nothing."""
    clock = FakeClock()
    with progress.choose_view(Outlet(Stream(terminal=True)), {"TERM": "xterm"}, clock) as shown:

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


def lines_of(service: str, count: int) -> list[LogLine]:
    """Lines of a build."""
    return [
        LogLine(at="2026-03-01T12:00:01Z", text=f"step {n}", service=service, kind="build", id=str(n))
        for n in range(count)
    ]


def test_in_ci_a_stage_bears_its_time_and_logs_are_folded() -> None:
    """Who began it stands at the head; the lines of a build stand in a group before what its service does next."""
    stream = Stream()
    shown = progress.InCI(Outlet(stream), FakeClock())

    shown.opened("x-7f3a", "production", Commit(id=NEW, subject="Add paging"))
    shown.credit("ada", FakeClock().now(), "https://ci.example/1")
    shown.began("deploy")
    for line in [*lines_of("api", 2), LogLine(at="2026-03-01T12:00:02Z", text="::stop", service="api", kind="build")]:
        shown.wrote(line)
    shown.progress("web", "building")
    shown.progress("api", "live")
    shown.ended(DONE)

    assert stream.lines() == [
        'run 7f3a   production ← bbbbbbb "Add paging"',
        "by ada · 2026-03-01 12:00:00Z · https://ci.example/1",
        "  deploy: web building",
        "::group::api build · 3 lines",
        "  12:00:01  step 0",
        "  12:00:01  step 1",
        "  12:00:02  ::stop",
        "::endgroup::",
        "  deploy: api live",
        "12:00:00Z ✓ deploy    api  live                                       4.0s",
        "                      web  live",
    ]


def test_in_ci_a_line_that_comes_after_the_last_stage_is_shown_however_the_command_ends() -> None:
    """A log is read to its end when the run ends, which is after the last stage."""
    stream = Stream()
    with (
        suppress(KeyboardInterrupt),
        progress.choose_view(Outlet(stream), {"CI": "true", "GITHUB_ACTIONS": "true"}, FakeClock()) as shown,
    ):
        shown.ended(DONE)
        for line in lines_of("api", 1):
            shown.wrote(line)
        raise KeyboardInterrupt

    assert stream.lines()[-3:] == ["::group::api build · 1 line", "  12:00:01  step 0", "::endgroup::"]


def test_a_service_cannot_close_its_group_or_command_the_runner() -> None:
    """Its lines are never at the beginning of one, whatever is in them."""
    stream = Stream()
    shown = progress.InCI(Outlet(stream), FakeClock(), clean_line)

    for text in ("::endgroup::", "\r::error::x", "##[error]x"):
        shown.wrote(LogLine(at="", text=text, service="api\n::error::y", kind="build"))
    shown.ended(DONE)

    commands = [line for line in stream.lines() if re.match(r"\s*(::|##\[)", line)]
    assert commands == [r"::group::api\n::error::y build · 3 lines", "::endgroup::"]


@pytest.mark.parametrize("environ", [{}, {"CI": "true", "GITHUB_ACTIONS": "true"}], ids=["plain", "in CI"])
def test_verbose_shows_every_line_at_once(environ: dict[str, str]) -> None:
    """In CI without groups, elsewhere in place of nothing."""
    stream = Stream()
    with progress.choose_view(Outlet(stream), environ, FakeClock(), verbose=True) as shown:
        for line in lines_of("api", 3):
            shown.wrote(line)

        assert [f"  12:00:01  api build  step {n}" for n in range(3)] == stream.lines()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_sign_that_a_stream_does_not_know_ends_no_command(*, terminal: bool) -> None:
    """A terminal of another encoding gets another sign."""
    stream = Stream("latin-1", terminal=terminal)
    with progress.choose_view(Outlet(stream), {"TERM": "xterm"}, FakeClock()) as shown:
        story(shown)

    assert any(re.search(r"\+.* deploy ", line) for line in stream.lines())


def test_a_terminal_shows_the_newest_lines_below_the_services() -> None:
    """A few of them; the next stage begins without any."""
    stream = Stream(terminal=True)
    with progress.choose_view(Outlet(stream), {"TERM": "xterm"}, FakeClock()) as shown:
        shown.began("deploy")
        for line in lines_of("api", 20):
            shown.wrote(line)
        assert isinstance(drawn := shown.__rich__(), Text)  # type: ignore[attr-defined]
        assert [f"step {n}\n" in f"{drawn.plain}\n" for n in range(20)] == [False] * 15 + [True] * 5
        shown.began("verify")
        assert "step" not in shown.__rich__().plain  # type: ignore[attr-defined]
