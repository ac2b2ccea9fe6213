"""The log of services as it comes.

No line is lost, none comes twice, and they come in order.

Render's websocket of logs drops now and then (render-oss/cli#17), and one that is opened anew begins with what comes then.
So after each cut the lines since the last one are asked for, and those that come twice are told apart by their ids. Where
no websocket can be had, asking alone does.

A release goes on beside it, and reads logs by the same window of thirty requests a minute: a part of it is left alone.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from deploylib.errors import Unreachable
from deploylib.models import LogLine
from deploylib.render import decode, rate_limit
from deploylib.render.client import Client
from deploylib.render.rate_limit import Left
from deploylib.system import Deadline, http

__all__ = ["LogStream"]

KINDS = ("build", "app")
NO_WEBSOCKET = {400, 401, 403, 404, 405, 426, 501}  # asking again will not help
LAST_PAGES = 10  # of what is read once it is over
SPARED, SPARED_AT_THE_END = 12, 3  # of thirty reads of logs in a minute
REMEMBERED = 50_000  # ids
OVERLAP = timedelta(milliseconds=100)  # lines of several instances come a little out of order
OVERLAP_MOST = 100  # lines that are asked for again
TICK = 0.2  # seconds after which somebody is told that nothing came
SWEEP = 30.0  # seconds between two questions while the websocket is open: it may be silent and dead
POLL, POLL_HERE = 4.0, 0.3  # seconds between two questions where there is none; of a loopback server
FIRST_PAUSE, LAST_PAUSE = 0.2, 15.0  # seconds between two attempts
GIVE_UP = 300.0  # seconds without any answer


@dataclass
class LogStream:
    """The lines of some services of one workspace, and of one region.

    Attributes:
        names: of the services, by their ids.
        since: the first moment; from then on, up to when nothing is missing.
        over: is set when nobody wants to know any more.
    """

    client: Client
    owner_id: str
    names: Mapping[str, str]
    since: datetime
    over: threading.Event
    kinds: tuple[str, ...] = KINDS
    _seen: dict[object, None] = field(default_factory=dict)
    _newest: deque[datetime] = field(default_factory=lambda: deque(maxlen=OVERLAP_MOST))
    _whole: bool = False  # nothing is missing up to the last line
    _heard: bool = False  # the websocket that is open, or was, has given something
    _asked: float = -SWEEP
    _answered: Deadline | None = None

    def lines(self) -> Iterator[LogLine | None]:
        """Give each line once, until it is over.

        None: nothing came for a moment.

        Raises:
            Refused: the platform does not give these logs together.
            Unreachable: it has not answered for `GIVE_UP` seconds, or never.
        """
        yield from self._follow()
        yield from self._last()

    def _follow(self) -> Iterator[LogLine | None]:
        pause = FIRST_PAUSE
        while not self.over.is_set():
            self._heard = False
            try:
                self._pace()
                with self.client.subscribe_logs(self._query) as socket:
                    yield from self._listen(socket)
            except ImportError:
                yield from self._poll()
            except http.WebsocketError as error:
                self._whole = False
                if error.status in NO_WEBSOCKET:
                    yield from self._poll()
                    return
                pause = FIRST_PAUSE if self._heard else min(LAST_PAUSE, 2 * pause)
                asked = rate_limit.seconds_to_wait(error.headers, self.client.clock.now()) if error.status else 0.0
                if self.client.clock.monotonic() - self._asked > POLL:
                    yield from self._try_catching_up()
                self.over.wait(max(asked, pause * random.uniform(0.5, 1)))  # noqa: S311 - no secret

    def _last(self) -> Iterator[LogLine]:
        """Read what has come by the end.

        So many pages that whoever waits for it does not wait long.
        """
        pages = iter(range(LAST_PAGES))
        yield from self._catch_up(lambda: next(pages, None) is not None and self._may_ask(SPARED_AT_THE_END))

    @property
    def _query(self) -> dict[str, Any]:
        return {"ownerId": self.owner_id, "resource": list(self.names), "type": list(self.kinds)}

    def _listen(self, socket: http.Websocket) -> Iterator[LogLine | None]:
        """Give what came before a websocket, then what it brings."""
        yield from self._try_catching_up()
        while not self.over.is_set():
            message = socket.receive(TICK)
            if message is None:
                if self.client.clock.monotonic() - self._asked > (SWEEP if self._whole else POLL):
                    yield from self._try_catching_up()
                yield None
                continue
            try:
                line = decode.read_log_message(message, self.names)
            except decode.Unreadable as error:
                raise http.WebsocketError("a message that is no line") from error
            self._heard = True
            yield from self._new(line)
            if self._whole:
                self._advance(line)

    def _poll(self) -> Iterator[LogLine | None]:
        while not self.over.is_set():
            yield from self._try_catching_up()
            yield None
            self.over.wait(POLL_HERE if self.client.is_local else POLL)

    def _try_catching_up(self) -> Iterator[LogLine]:
        """Read the lines since the last one.

        What cannot be read now, and could before, is asked for again later.
        """
        try:
            yield from self._catch_up(self._pace)
        except Unreachable:
            if self._answered is None or self._answered.has_passed():
                raise

    def _catch_up(self, may_go_on: Callable[[], bool]) -> Iterator[LogLine]:
        # A build may write a thousand lines in that tenth of a second: all of them anew after each cut use the reads up.
        start = (
            max(self.since - OVERLAP, self._newest[0]) if len(self._newest) == OVERLAP_MOST else self.since - OVERLAP
        )
        times, self._whole = {"startTime": start.isoformat()}, False
        while may_go_on():
            page = self.client.log_page(self._query | times)
            self._asked = self.client.clock.monotonic()
            self._answered = Deadline.after(GIVE_UP, self.client.clock)
            for line in page.lines:
                yield from self._new(line)
                self._advance(line)
            following = {"startTime": page.start, "endTime": page.end}
            if not page.more or following == times:
                self._whole = True
                return
            times = following

    def _advance(self, line: LogLine) -> None:
        self.since = max(self.since, line.moment)
        self._newest.append(line.moment)

    def _new(self, line: LogLine) -> Iterator[LogLine]:
        name: object = line.id or (line.at, line.instance, line.text)
        if name in self._seen:
            return
        self._seen[name] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        yield msgspec.structs.replace(line, service=self.names.get(line.service, line.service))

    def _pace(self) -> bool:
        """Leave a part of the window to those who need it.

        Returns:
            Whether it is not over meanwhile.
        """
        while not self.over.is_set():
            if self._may_ask(SPARED):
                return True
            left = self._left
            self.over.wait(min(left.seconds, 5.0) if left else 0.0)
        return False

    def _may_ask(self, spared: int) -> bool:
        left = self._left
        return left is None or left.requests > spared

    @property
    def _left(self) -> Left | None:
        return self.client.log_reads.compute_left(self.client.clock.monotonic())
