"""The log of a run's services, shown and kept with it.

It is what builds and programs write while the run goes on. It changes no outcome, and nobody waits for it: what goes wrong with it is one line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import msgspec

from deploylib.environment import Environment
from deploylib.errors import DeployError
from deploylib.models import LogLine, Target
from deploylib.render import Refused, rollout
from deploylib.system import Deadline, threads

__all__ = ["LiveLog"]

AT_ITS_END, AT_MOST = 2.5, 6.0  # seconds for the next line that is on its way when the run ends; for all of them
INTERRUPTED = 0.5  # seconds, for who has ten for everything
BEFORE = timedelta(seconds=5)  # clocks differ
KEPT_EVERY, KEPT_AT_ONCE, PIECE = 5.0, 500, 1 << 20  # seconds, lines, bytes: the store reads no record of 32 MB
MOST, MOST_BYTES = 20_000, 32 << 20  # lines, bytes that are kept of a run; the platform has the rest
LONGEST = 8 << 10  # characters of a line
FEW = 10  # services of which it is asked which programs ran before


@dataclass
class LiveLog:
    """Follows the logs of a run's services, from `start` to `stop`.

    Attributes:
        most_bytes: so many are kept.
    """

    env: Environment
    run: str
    most_bytes: int = MOST_BYTES
    _over: threading.Event = field(default_factory=threading.Event)
    _following: list[Future[None]] = field(default_factory=list)
    _shows: bool = True
    _lines: int = 0
    _kept: int = 0
    _bytes: int = 0
    _running: bool = False

    def start(self, targets: Iterable[Target], *, running: bool = False) -> None:
        """Begin, where the settings want it.

        Args:
            running: what runs by now is of this run, and its lines until now were followed by another job.
        """
        if not self.env.config.settings.follow_logs or self._following:
            return
        owners: dict[str, list[Target]] = {}
        for target in targets:
            owners.setdefault(target.owner_id, []).append(target)
        self._running = running
        for of_one in owners.values():
            self._begin(of_one)

    def stop(self, *, interrupted: bool = False) -> None:
        """End; take along what has come by now.

        It waits as long as lines come. What comes later is kept, and not shown below the result.
        """
        if not self._following:
            return
        self._over.set()
        allowed = Deadline.after(INTERRUPTED if interrupted else AT_MOST)
        late, lines = set(self._following), -1
        while late and lines < self._lines and not allowed.has_passed():
            lines = self._lines
            _, late = wait(late, min(AT_ITS_END, allowed.left))
        self._shows = False
        if late and not interrupted:
            self.env.progress.note("the log of the services was not read to its end: the platform does not give it")

    def _begin(self, targets: list[Target]) -> None:
        follow = partial(self._carefully, partial(self._follow, targets))
        self._carefully(lambda: self._following.append(threads.start(follow, name="log")))

    def _carefully(self, work: Callable[[], None]) -> None:
        """Do a part of the work; its trouble is no failure."""
        try:
            work()
        except DeployError as error:
            self.env.progress.note(f"the log of the services is not followed any more: {error.message}")

    def _follow(self, targets: list[Target]) -> None:
        since = self.env.clock.now() - (timedelta(0) if self._running else BEFORE)
        names = {target.service_id: target.name for target in targets}
        asked = () if self._running else targets[:FEW]
        before = {each for target in asked for each in self.env.render.instances(target.service_id)}
        waiting: list[LogLine] = []
        size = 0
        late = Deadline.after(KEPT_EVERY)
        try:
            for line in rollout.LogStream(self.env.render, targets[0].owner_id, names, since, self._over).lines():
                if line is not None and line.instance not in before:
                    short = self._cut(line)
                    if self._shows:
                        self.env.progress.wrote(short)
                    waiting.append(short)
                    size += _size(short)
                    self._lines += 1
                if len(waiting) >= KEPT_AT_ONCE or size >= PIECE or (waiting and late.has_passed()):
                    self._keep(waiting)
                    size, late = 0, Deadline.after(KEPT_EVERY)
        except Refused:
            if len(targets) == 1:
                raise
            for target in targets:  # of several regions, which are not given together
                self._begin([target])
        finally:
            self._keep(waiting)

    def _cut(self, line: LogLine) -> LogLine:
        """Cut a line that is too long; its end says so.

        Its secrets are struck out first: half of one would not be known again.
        """
        if len(line.text) <= LONGEST:
            return line
        text = self.env.struck.text(line.text)
        return msgspec.structs.replace(line, text=f"{text[:LONGEST]} … (cut: it has {len(line.text)} characters)")

    def _keep(self, waiting: list[LogLine]) -> None:
        """Keep the lines that wait, as many as may be kept."""
        lines = []
        for line in waiting:
            if self._is_full():
                break
            lines.append(line)
            self._kept += 1
            self._bytes += _size(line)
            if self._is_full():
                self.env.progress.note(
                    f"no more of the log is kept with the run than these {self._kept} lines, {self._bytes / 1e6:.0f} MB: "
                    "the platform has the rest"
                )
        waiting.clear()
        if lines:
            self.env.history.keep_lines(self.run, lines)

    def _is_full(self) -> bool:
        return self._kept >= MOST or self._bytes >= self.most_bytes


def _size(line: LogLine) -> int:
    return len(line.text.encode(errors="replace"))
