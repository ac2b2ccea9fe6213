"""Show a run while it goes on.

On a terminal it is live, elsewhere in lines.

Both write to standard error; results go to standard output and are not their business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, cast

from deploylib.cli import text
from deploylib.cli.outlet import Outlet
from deploylib.models import Commit, LogLine
from deploylib.models.progress import Progress
from deploylib.models.redaction import harmless
from deploylib.models.results import StageResult
from deploylib.models.units import count, volume
from deploylib.system import Clock

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["InCI", "Plain", "choose_view"]

SOON = 1.0  # seconds before which a rate tells nothing of what is to come
TOLD = {"deploy", "rollback", "put back"}
NEWEST = 5  # lines of the services' logs, on a terminal
TOGETHER = (
    200  # lines of a group in CI, at most; it is written when it is that long, or its service does something else
)


class Plain(Progress):
    """Writes a line when something ends, and at each deploy step."""

    def __init__(self, stream: Outlet, clean: Callable[[str], str] = harmless, *, verbose: bool = False) -> None:
        """Write to a stream.

        *clean* makes a line of anybody fit to be shown; *verbose* shows what builds and programs write.
        """
        self._stream, self._clean, self._verbose = stream, clean, verbose
        self._stage = ""

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """Write the first line."""
        self.say(text.format_header(run, environment, commit))

    def note(self, *lines: str) -> None:
        """Write indented lines."""
        for line in lines:
            self.say(f"  {line}")

    def began(self, stage: str) -> None:
        """Remember the stage for `progress`."""
        self._stage = stage

    def progress(self, service: str, text: str) -> None:
        """Write a line, in stages in which one would wait for it."""
        if self._stage in TOLD:
            self.say(f"  {self._stage}: {service} {text}")

    def wrote(self, line: LogLine) -> None:
        """Show a line of a service, where everything is wanted.

        What a run has kept is shown by ``inv logs``.
        """
        if self._verbose:
            self.say(f"  {text.format_log_line(line)}")

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Write the stage's lines."""
        for line in text.format_stage(result, ago):
            self.say(line)

    def say(self, line: str) -> None:
        """Write one line."""
        self._stream.write(f"{self._clean(line)}\n")


class InCI(Plain):
    """Writes the time of each stage, and folds the log.

    In groups, as GitHub knows them ("Workflow commands").
    """

    def __init__(
        self,
        stream: Outlet,
        clock: Clock,
        clean: Callable[[str], str] = harmless,
        *,
        verbose: bool = False,
        folds: bool = True,
    ) -> None:
        """Write to a stream; *folds*: it knows groups."""
        super().__init__(stream, clean, verbose=verbose)
        self._clock, self._folds = clock, folds
        self._waiting: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    def credit(self, by: str, at: datetime, url: str) -> None:
        """Write the second line."""
        self.say(text.format_beginning(by, at, url))

    def progress(self, service: str, text: str) -> None:
        """Write a line, after what the service has written until now."""
        self._fold(service)
        super().progress(service, text)

    def wrote(self, line: LogLine) -> None:
        """Gather a line with those of the same build or program."""
        if self._verbose or not self._folds:
            super().wrote(line)
            return
        with self._lock:
            lines = self._waiting.setdefault((line.service, line.kind), [])
            lines.append(f"{line.at[11:19]}  {line.text}")
            full = len(lines) >= TOGETHER
        if full:
            self._fold(line.service)

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Write the stage's lines; the first bears the time in UTC."""
        self._fold()
        first, *rest = text.format_stage(result, ago)
        self.say(f"{self._clock.now():%H:%M:%SZ} {first}")
        for line in rest:
            self.say(f"{'':{len('00:00:00Z')}} {line}")

    def close(self) -> None:
        """Write what has come after the last stage.

        A log is read to its end when the run ends.
        """
        self._fold()

    def _fold(self, service: str = "") -> None:
        """Write the groups of a service, or of all."""
        with self._lock:
            due = {name: lines for name, lines in self._waiting.items() if not service or name[0] == service}
            self._waiting = {name: lines for name, lines in self._waiting.items() if name not in due}
            for (owner, kind), lines in due.items():
                self._stream.write(f"::group::{self._clean(f'{owner} {kind}')} · {count(len(lines), 'line')}\n")
                for line in lines:
                    self.say(f"  {line}")
                self._stream.write("::endgroup::\n")


class _Terminal(Plain):
    """Shows the current stage below what has ended.

    Its services stand there with the seconds; what has ended scrolls by. Between stages nothing is drawn: a question that
    a command asks would be wiped off the screen at the next refresh, and its brackets be read as a style.
    """

    def __init__(
        self, stream: Outlet, console: Console, clock: Clock, clean: Callable[[str], str], *, verbose: bool
    ) -> None:
        super().__init__(stream, clean, verbose=verbose)
        self._newest: deque[str] = deque(maxlen=NEWEST)
        self._console, self._clock = console, clock
        self._live: Live | None = None  # each a new one: one that was stopped no longer cuts what is too high
        self._began = clock.monotonic()
        self._services: dict[str, tuple[str, float]] = {}
        self._bytes, self._all, self._first = 0, 0, 0.0

    def began(self, stage: str) -> None:
        """Show the stage."""
        self._stage, self._began = stage, self._clock.monotonic()
        self._services, self._bytes, self._all = {}, 0, 0
        self._newest.clear()
        if self._live is None:
            from rich.live import Live

            self._live = Live(self, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        self._live.refresh()

    def progress(self, service: str, text: str) -> None:
        """Show what a service does, with its own seconds."""
        service, text = self._clean(service), self._clean(text)
        if self._services.get(service, ("", 0.0))[0] != text:
            self._services[service] = (text, self._clock.monotonic())

    def wrote(self, line: LogLine) -> None:
        """Show the newest few lines below the services.

        All of them stand above, where that is wanted.
        """
        super().wrote(line)
        if not self._verbose:
            self._newest.append(self._clean(text.format_log_line(line)))

    def transferred(self, size: int, of: int) -> None:
        """Count bytes, and show the rate and an estimate.

        The next piece of work begins from nothing.
        """
        if of != self._all or self._bytes in {0, of}:
            self._bytes, self._all, self._first = 0, of, self._clock.monotonic()
        self._bytes += size

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Let the lines scroll by."""
        self._stage = ""
        super().ended(result, ago)
        self.close()

    def close(self) -> None:
        """Leave the terminal to whoever asks or prints next."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def say(self, line: str) -> None:
        """Write a line above the live part.

        It is never cut, and marked by its sign as well as by its colour.
        """
        from rich.text import Text  # only on a terminal

        text = Text(line := self._clean(line))
        text.stylize({"✓": "green", "✗": "bold red", "–": "dim", "↩": "yellow"}.get(line[:1], ""), 0, 1)
        self._console.print(text, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        if not self._stage:
            return Text("")
        now = self._clock.monotonic()
        lines = [f"◌ {self._stage:<{text.NAME}} {now - self._began:.0f}s"]
        if self._bytes:
            rate = self._bytes / max(0.1, now - self._first)
            left = self._all - self._bytes
            lines[0] += (
                f"  {volume(self._bytes)}{f' of {volume(self._all)}' if left > 0 else ''} · {volume(int(rate))}/s"
            )
            if left > 0 and now - self._first >= SOON:
                lines[0] += f" · {left / rate:.0f}s left"
        lines += [f"    {name}  {text} {now - since:.0f}s" for name, (text, since) in self._services.items()]
        lines += [f"    │ {line}" for line in tuple(self._newest)]
        return Text("\n".join(lines), overflow="ellipsis", no_wrap=True)


@contextmanager
def choose_view(
    stream: Outlet,
    environ: Mapping[str, str],
    clock: Clock,
    clean: Callable[[str], str] = harmless,
    *,
    verbose: bool = False,
) -> Iterator[Progress]:
    """Choose the view that fits the stream.

    Live on a terminal that can move its cursor, with times in CI, else plain lines.
    """
    if environ.get("CI"):
        in_ci = InCI(stream, clock, clean, verbose=verbose, folds=environ.get("GITHUB_ACTIONS") == "true")
        try:
            yield in_ci
        finally:
            in_ci.close()
        return
    if not stream.isatty() or environ.get("TERM") == "dumb":
        yield Plain(stream, clean, verbose=verbose)
        return
    from rich.console import Console

    view = _Terminal(stream, Console(file=cast("IO[str]", stream)), clock, clean, verbose=verbose)
    try:
        yield view
    finally:
        view.close()
