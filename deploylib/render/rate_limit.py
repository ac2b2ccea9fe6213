"""Pace requests to the platform: arithmetic only.

It knows no clock and no network.

Render counts reads per user in fixed windows of a minute, and says on every answer how many are left
(https://api-docs.render.com/reference/rate-limiting). Its page calls ``Ratelimit-Reset`` an epoch second; every recorded
answer has whole seconds left. Both are understood.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST", "QUICK", "SLOW", "Budget", "Left", "seconds_ahead", "seconds_to_next_look", "seconds_to_wait"]

EPOCH = 1_000_000_000
LONGEST = 61.0  # seconds: no window that we meet is longer than a minute, and its end is told in whole seconds
QUICK, SLOW = 0.25, 5.0
UNKNOWN_WAIT = 5.0
# What it usually took was seen a little late, so the look comes a little earlier: each release is then seen sooner than
# the one before, until a look comes too early.
EARLIER, AGAIN = 0.98, 0.04


@dataclass(frozen=True, slots=True)
class Left:
    """What a window still allows.

    Attributes:
        requests: how many may still be sent in it.
        seconds: until it ends, at the latest.
    """

    requests: int
    seconds: float


class Budget:
    """One window of the platform, from its own words.

    Safe to use from several threads.

    A request is taken before it is sent, so that those on their way are counted. Moments are monotonic seconds. As long
    as the platform has said nothing, everything is allowed.

    Args:
        keep: requests that are never taken, for others who use the same key.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._limit = self._remaining = 0
        self._ends: tuple[float, float] | None = None  # the end is between these, the first excluded

    def take(self, now: float) -> float:
        """Take one request.

        0 when it may be sent, else the seconds after which to ask again, at most `LONGEST`.
        """
        with self._lock:
            self._pass(now)
            if self._ends is not None and self._remaining <= self._keep:
                return min(LONGEST, self._ends[1] - now)
            self._remaining -= 1
            return 0.0

    def learn_from(self, headers: Mapping[str, str], *, sent: float, received: float, at: datetime) -> None:
        """Learn from the headers of an answer.

        Without the three that are needed nothing is learned.

        Args:
            headers: by names in lower case, or a mapping that does not mind.
            sent: when its request was sent.
            received: when it came.
            at: the time of day then, for a ``Ratelimit-Reset`` that is an epoch second.
        """
        limit, remaining = _number(headers.get("ratelimit-limit")), _number(headers.get("ratelimit-remaining"))
        reset = _seconds(headers.get("ratelimit-reset"), at)
        if limit is None or remaining is None or reset is None:
            return
        reset = min(reset, LONGEST - 1)  # no window is longer, whatever a header says
        # Seconds left are rounded down, and they were counted at some moment between sending and receiving.
        earliest, latest = sent + reset, received + reset + 1
        with self._lock:
            self._pass(received)
            if self._ends is not None and latest <= self._ends[0]:
                return  # a late answer, of the window before
            if self._ends is not None and earliest >= self._ends[1]:
                self._remaining, self._ends = limit, None
            if self._ends is not None:  # the same: others take from it, nobody gives back
                self._remaining = min(self._remaining, remaining)
                self._ends = max(self._ends[0], earliest), min(self._ends[1], latest)
            else:
                if self._limit:  # those that were taken since the last window ended are not all counted there yet
                    remaining = min(remaining, self._remaining)
                self._remaining, self._ends = remaining, (earliest, latest)
            self._limit = limit

    def compute_left(self, now: float) -> Left | None:
        """Say what may still be sent, and in how many seconds.

        None while the platform has not said.
        """
        with self._lock:
            self._pass(now)
            if self._ends is None:
                return None
            return Left(max(0, self._remaining - self._keep), self._ends[1] - now)

    def _pass(self, now: float) -> None:
        """Begin the next window when this one has certainly ended.

        Where it ends, its first answer tells.
        """
        if self._ends is not None and now >= self._ends[1]:
            self._remaining, self._ends = self._limit, None


def seconds_ahead(headers: Mapping[str, str], at: datetime) -> float | None:
    """Seconds that a clock is ahead of the one of an answer.

    None where the answer does not tell its ``Date``, which is in whole seconds.
    """
    try:
        date = parsedate_to_datetime(headers.get("date") or "")
    except (ValueError, OverflowError):
        return None
    return (at - (date if date.tzinfo else date.replace(tzinfo=UTC))).total_seconds()


def seconds_to_wait(headers: Mapping[str, str], at: datetime) -> float:
    """Choose the seconds to wait after a refusal.

    ``Retry-After`` (seconds or a date), else ``Ratelimit-Reset``, else 5.
    """
    for name in ("retry-after", "ratelimit-reset"):
        wait = _seconds(headers.get(name), at)
        if wait is not None:
            return min(LONGEST, wait + 0.5)
    return UNKNOWN_WAIT


def seconds_to_next_look(elapsed: float, expected: float = 0.0, watching: int = 1, left: Left | None = None) -> float:
    """Choose the seconds until the next look at a deploy.

    Four times a second at first and around its expected end, every five seconds at the slowest, so that what fails
    early is seen soon; less often only where the window does not allow that for everything that is watched.

    Args:
        elapsed: seconds since the deploy was asked for.
        expected: seconds that it usually takes; 0: unknown.
        watching: how many deploys are watched.
        left: the looks that may still be spent in this window; None: as many as one likes.
    """
    if expected <= 0:
        wanted = elapsed / 24
    elif elapsed < expected:
        wanted = min(elapsed / 12, (expected - elapsed) / 4)
    else:
        wanted = (elapsed - expected) / 12
    wanted = min(SLOW, max(QUICK, wanted))
    if left is None:
        return wanted
    if not left.requests:
        return max(wanted, left.seconds)  # the next window is a new budget
    scarce = max(wanted, min(left.seconds, left.seconds * watching / left.requests))
    if expected <= 0 or scarce == wanted:
        return scarce
    # The look that is worth most is the one at its end; when that came too early, the next one follows soon.
    until_end = expected * EARLIER - elapsed
    if until_end <= 0:
        return min(scarce, max(2 * QUICK, expected * AGAIN, -until_end))
    return max(QUICK, until_end) if until_end < 1.5 * scarce else scarce


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 20 else None


def _seconds(text: str | None, at: datetime) -> float | None:
    """Read a header that is seconds, an epoch second or a date.

    None where it is none of them.
    """
    value = _number(text)
    if value is not None:
        return float(value) if value < EPOCH else max(0.0, value - at.timestamp())
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # of a year, or an offset, with twenty digits
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - at).total_seconds())
