"""The message of a run that changes: now and then, the newest alone, the last one always, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from deploylib.errors import Unreachable
from deploylib.notifications import Delivery, LiveMessage, Message, MessageKind
from tests.support.fakes import START

OK = Delivery(delivered=True)


def number(which: int) -> Callable[[], Message]:
    """The writer of a message."""
    return lambda: Message(id=str(which), kind=MessageKind.PROGRESS, environment="staging", at=START, title=str(which))


class Seen:
    """What was sent, and when; it takes as long as *hold* says."""

    def __init__(self, *answers: Delivery) -> None:
        self.answers, self.ids, self.moments = [*answers], list[int](), list[float]()
        self.hold = threading.Event()
        self.hold.set()

    def send(self, message: Message) -> Delivery:
        """Take it."""
        self.hold.wait(10)
        self.ids.append(int(message.id))
        self.moments.append(time.monotonic())
        return self.answers.pop(0) if self.answers else OK


def test_a_hundred_changes_are_a_few_edits_of_which_the_last_is_the_newest() -> None:
    """At least so long apart."""
    seen = Seen()
    live = LiveMessage(seen.send, every=0.1)
    for which in range(100):
        live.show(number(which))
        time.sleep(0.003)
    live.stop(5, flush=True)

    assert seen.ids == sorted(set(seen.ids))
    assert seen.ids[-1] == 99
    between = [after - before for before, after in zip(seen.moments, seen.moments[1:-1], strict=False)]
    assert all(pause >= 0.09 for pause in between)  # the last one, at the end of a job, does not wait
    assert len(seen.ids) <= 2 + (seen.moments[-1] - seen.moments[0]) / 0.09


def test_nobody_waits_for_a_channel_that_hangs() -> None:
    """Neither while it goes on, nor for long at the end."""
    seen = Seen()
    seen.hold.clear()
    live = LiveMessage(seen.send, every=0.01)
    began = time.monotonic()
    live.show(number(1))
    live.show(number(2))
    live.stop(0.1)
    assert time.monotonic() - began < 5
    seen.hold.set()


def test_after_the_end_nothing_is_sent() -> None:
    """What tells the outcome comes after it."""
    seen = Seen()
    live = LiveMessage(seen.send, every=60)
    live.show(number(1))
    while not seen.ids:
        time.sleep(0.001)
    live.show(number(2))
    live.stop(5)
    live.show(number(3))
    time.sleep(0.05)

    assert seen.ids == [1]


def test_a_final_answer_ends_it_and_one_that_is_asked_to_wait_waits() -> None:
    """Nothing is edited that cannot be."""
    seen = Seen(Delivery(delivered=False, final=True))
    live = LiveMessage(seen.send, every=0.0)
    live.show(number(1))
    while not seen.ids:
        time.sleep(0.001)
    live.stop(5, flush=True)
    assert seen.ids == [1]

    later = Seen(Delivery(delivered=False, after=0.3))
    live = LiveMessage(later.send, every=0.0)
    live.show(number(1))
    while not later.ids:
        time.sleep(0.001)
    live.show(number(2))
    while len(later.ids) < 2:
        time.sleep(0.001)
    live.stop(5)
    assert later.moments[1] - later.moments[0] >= 0.25


def test_what_cannot_be_read_now_is_told_by_the_next_change_and_a_mistake_of_ours_is_seen() -> None:
    """A store may not answer; a bug is none of that."""
    seen = Seen()
    live = LiveMessage(seen.send, every=0.0)

    def unreadable() -> Message:
        raise Unreachable("the store does not answer", remedy="wait")

    live.show(unreadable)
    live.show(number(2))
    live.stop(5, flush=True)
    assert seen.ids == [2]

    def wrong() -> Message:
        raise AssertionError

    broken = LiveMessage(seen.send, every=0.0)
    broken.show(wrong)
    with pytest.raises(AssertionError):
        broken.stop(5, flush=True)


def test_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome is told all the same, by somebody else."""

    def full(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    seen = Seen()
    live = LiveMessage(seen.send)
    live.show(number(1))
    live.stop(5, flush=True)
    assert seen.ids == []
