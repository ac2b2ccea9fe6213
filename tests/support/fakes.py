"""Stand-ins for the edges: a clock that nobody waits for, programs that are not started, a view that keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploylib.models import Commit, Kind, Secret, Target
from deploylib.models.progress import Progress
from deploylib.models.results import StageResult
from deploylib.render.endpoint import Endpoint
from deploylib.system import Clock, Deadline, process

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = "rnd_0123456789abcdefghij"
API = "https://api.example/v1"
OLD, NEW, THIRD = "a" * 40, "b" * 40, "c" * 40


@dataclass
class FakeClock(Clock):
    """Time that passes only when somebody sleeps; *each_sleep* is called then, for what happens meanwhile."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    each_sleep: Callable[[], object] = lambda: None

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let them pass at once."""
        self.slept.append(seconds)
        self.seconds += seconds
        self.each_sleep()

    def deadline(self, seconds: float) -> Deadline:
        """A deadline on this clock."""
        return Deadline.after(seconds, self)


@dataclass
class RecordingRunner:
    """Starts nothing: notes each command and answers as it was told.

    Attributes:
        answers: words of a command line → what comes of it: output, an exit code, or a function of the command.
        pieces: what a stream hands on; an exception in it is raised in its place.
        fed: what was written to each command's standard input.
    """

    answers: dict[str, bytes | int | Callable[[process.Command], process.Completed]] = field(default_factory=dict)
    pieces: Sequence[bytes | Exception] = ()
    commands: list[process.Command] = field(default_factory=list)
    fed: list[bytes] = field(default_factory=list)

    def run(self, command: process.Command, /) -> process.Completed:
        """Answer for the first words that fit."""
        self.commands.append(command)
        stdin = command.stdin
        self.fed.append(stdin if isinstance(stdin, bytes) else b"".join(stdin or ()))
        line = " ".join(str(word) for word in command.args)
        answer = next((answer for words, answer in self.answers.items() if words in line), b"")
        if callable(answer):
            done = answer(command)
        elif isinstance(answer, int):
            done = process.Completed(tuple(command.args), answer, b"", b"it went wrong")
        else:
            done = process.Completed(tuple(command.args), 0, answer)
        if command.check and done.returncode:
            raise process.ProgramFailed(
                f"{command.name} ended with code {done.returncode}", details=done.lines, remedy="look"
            )
        return done

    def stream(self, command: process.Command, /) -> Iterator[bytes]:
        """Hand on the pieces."""
        self.commands.append(command)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class CountingRunner(process.SystemRunner):
    """Really starts programs, and notes which."""

    def __init__(self) -> None:
        self.commands: list[process.Command] = []

    def run(self, command: process.Command, /) -> process.Completed:
        """Note it and start it."""
        self.commands.append(command)
        return super().run(command)


class RecordingView(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.results: list[StageResult] = []
        self.said: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.opens: list[str] = []
        self.each_stage: Callable[[str], None] = lambda _stage: None

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """Keep the run."""
        self.opens.append(run)

    def note(self, *lines: str) -> None:
        """Keep the lines."""
        self.notes += lines

    def began(self, stage: str) -> None:
        """Tell the test, which may interrupt here."""
        self.each_stage(stage)

    def progress(self, service: str, text: str) -> None:
        """Keep the state."""
        self.said.append((service, text))

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Keep the result."""
        self.results.append(result)


def endpoint() -> Endpoint:
    """Where the platform in memory would be."""
    return Endpoint(API, Secret(KEY))


def target(name: str, kind: Kind = Kind.WORKER, **more: Any) -> Target:
    """A target for the platform's service of that name."""
    return Target(name=name, service_id=f"srv-{name}", kind=kind, owner_id="tea-1", **more)


def write(root: Path, files: dict[str, str]) -> None:
    """Write files under *root*, with the folders they need."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
