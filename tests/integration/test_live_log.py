"""The log of a run at its end: whoever waits for it does so as long as lines come, and nothing is shown below the result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from deploylib.environment import Environment
from deploylib.models import Kind, LogLine, Target
from deploylib.models.progress import Progress
from deploylib.release import live_log
from deploylib.release.live_log import LiveLog
from deploylib.render import Client
from deploylib.settings import Config, EnvironmentSettings
from deploylib.system import Clock
from tests.support.edges import until
from tests.support.log_platform import SINCE, LogPlatform

TARGET = Target(name="api", service_id="srv-api", kind=Kind.WEB, owner_id="tea-1")


class AtThatTime(Clock):
    """When the lines of the platform came."""

    def now(self) -> datetime:
        """The moment."""
        return SINCE


@dataclass
class View(Progress):
    """Remembers what it is told."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrote(self, line: LogLine) -> None:
        """A line is shown."""
        self.lines.append(line.id)

    def note(self, *lines: str) -> None:
        """Something is said."""
        self.notes += lines


@dataclass(frozen=True, kw_only=True)
class ElsewhereEnvironment(Environment):
    """Its platform is at an address of the test's."""

    url: str

    @cached_property
    def render(self) -> Client:
        """A client of it."""
        return Client("rnd_key", self.url)


def environment(folder: Path, url: str, view: View) -> ElsewhereEnvironment:
    """An environment of that platform."""
    config = Config(root=folder, name="staging", environment=EnvironmentSettings(), environ={})
    return ElsewhereEnvironment(config=config, url=url, clock=AtThatTime(), progress=view)


def test_all_that_came_by_the_end_is_shown_and_kept_although_it_takes_longer_than_one_line_may(tmp_path: Path) -> None:
    """Seven pages, each of them slow, are not cut off in the middle."""
    view = View()
    with LogPlatform(650, before=650, page_seconds=live_log.AT_ITS_END / 6).serving() as url:
        log = LiveLog(env := environment(tmp_path, url, view), "r1")
        log.start([TARGET], running=True)
        log.stop()
    assert (len(view.lines), len(env.history.read_lines("r1")), view.notes) == (650, 650, [])


def test_what_comes_after_the_wait_is_kept_and_not_shown(tmp_path: Path) -> None:
    """A page that takes too long is told in one line."""
    view = View()
    with LogPlatform(50, before=50, page_seconds=live_log.AT_ITS_END + 1.5).serving() as url:
        log = LiveLog(env := environment(tmp_path, url, view), "r1")
        log.start([TARGET], running=True)
        began = time.monotonic()
        log.stop()
        assert time.monotonic() - began < live_log.AT_MOST
        assert until(lambda: len(env.history.read_lines("r1"))) == 50
    assert view.lines == []
    assert [note.partition(":")[0] for note in view.notes] == ["the log of the services was not read to its end"]


def test_lines_that_are_too_long_are_cut_and_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    """Forty megabytes in four hundred lines are no record that the store refuses to read."""
    view = View()
    with LogPlatform(400, before=400, text="{:06}" + 99_994 * "y").serving() as url:
        log = LiveLog(env := environment(tmp_path, url, view), "r1")
        log.start([TARGET], running=True)
        assert until(lambda: len(view.lines) == 400)
        log.stop()
        kept = until(lambda: len(lines := env.history.read_lines("r1")) == 400 and lines)
    assert {len(line.text) for line in kept} == {len(kept[0].text)}
    assert kept[0].text.endswith("yyy … (cut: it has 100000 characters)")
    assert max(path.stat().st_size for path in tmp_path.rglob("*.json")) < 2 * live_log.PIECE


def test_a_run_keeps_so_many_bytes_and_says_so(tmp_path: Path) -> None:
    """Once."""
    view = View()
    with LogPlatform(50, before=50, text="{:06}" + 9_994 * "y").serving() as url:
        log = LiveLog(env := environment(tmp_path, url, view), "r1", most_bytes=100_000)
        log.start([TARGET], running=True)
        log.stop()
        assert until(lambda: len(env.history.read_lines("r1"))) == 13
    assert view.notes == [
        "no more of the log is kept with the run than these 13 lines, 0 MB: the platform has the rest"
    ]
