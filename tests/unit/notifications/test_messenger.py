"""What cannot be told waits, in order and once, in the store; and nothing of that is ever an error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from deploylib.errors import Unreachable
from deploylib.models.alerts import Alert, AlertState
from deploylib.notifications import Delivery, Message, MessageKind, Messenger, Outbox
from deploylib.notifications.interface import Channel
from deploylib.store import Store
from deploylib.store.folder import Folder
from tests.support.fakes import START, FakeClock

FAILED = Delivery(delivered=False, channel="room", reason="it is down")


@dataclass
class Room:
    """A channel that keeps what it was told, and fails as long as it has answers for that."""

    name: str = "room"
    changes: bool = False
    failing: list[Delivery] = field(default_factory=list)
    down: bool = False
    takes: float = 0.0  # seconds
    told: list[Message] = field(default_factory=list)

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Keep it, unless something else was ordered."""
        assert within > 0
        if self.failing:
            return self.failing.pop(0)
        if self.down:
            return FAILED
        time.sleep(self.takes)
        self.told.append(message)
        return Delivery(delivered=True, channel=self.name, sign=f"sign-{len(self.told)}" if self.changes else "")

    @property
    def titles(self) -> list[str]:
        """What it was told."""
        return [message.title for message in self.told]


def text(title: str, clock: FakeClock, **more: object) -> Message:
    """A message of this moment."""
    clock.seconds += 1
    told = Message(id=title, kind=MessageKind.TEXT, environment="staging", at=clock.now(), title=title)
    return msgspec.structs.replace(told, **more)


class World:
    """A store, a clock, and a messenger for each command."""

    def __init__(self, folder: Path, *rooms: Channel) -> None:
        self.clock, self.store, self.rooms = FakeClock(), Folder(folder), rooms
        self.signs: dict[str, str] = {}

    def messenger(self, store: Store | None = None) -> Messenger:
        """That of a command."""
        return Messenger(
            self.rooms,
            lambda: Outbox(store or self.store, "staging", self.clock),
            self.clock,
            find_sign=lambda run: self.signs.get(run, ""),
            keep_sign=self.signs.__setitem__,
        )

    def tell(self, *titles: str) -> tuple[Delivery, ...]:
        """Tell these texts by one command."""
        return self.messenger().tell(*(text(title, self.clock) for title in titles))

    @property
    def waiting(self) -> list[str]:
        """The titles of what waits."""
        return [one.message.title for one in Outbox(self.store, "staging", self.clock).read_waiting()]

    @property
    def dropped(self) -> list[str]:
        """The reasons for which something was given up."""
        keys = self.store.list("dropped/")
        return [msgspec.json.decode(b"".join(self.store.read(key)))["reason"] for key in keys]


def test_what_cannot_be_told_goes_out_with_the_next_command_in_order_and_once(tmp_path: Path) -> None:
    """Marked with its time, where that is long ago; and nothing stays behind."""
    room = Room(down=True)
    world = World(tmp_path, room)
    assert [sent.delivered for sent in world.tell("one", "two")] == [False, False]
    assert world.waiting == ["one", "two"]
    world.tell("three")
    room.down = False
    world.clock.seconds += 3600

    assert [sent.delivered for sent in world.tell("four")] == [True]
    assert room.titles == ["one", "two", "three", "four"]
    assert [message.late is not None for message in room.told] == [True, True, True, False]
    assert room.told[0].late == START + timedelta(seconds=1)

    world.messenger().deliver_waiting()
    assert len(room.told) == 4
    assert [*world.store.list("outbox/")] == []


def test_what_waits_for_one_channel_keeps_no_other_from_hearing(tmp_path: Path) -> None:
    """Each has a line of its own."""
    deaf, room = Room(name="deaf", down=True), Room()
    world = World(tmp_path, deaf, room)
    world.tell("one")
    world.tell("two")

    assert room.titles == ["one", "two"]
    assert world.waiting == ["one", "two"]


def test_a_message_that_waited_for_a_day_is_dropped_with_a_record(tmp_path: Path) -> None:
    """It is no news any more; the one after it is."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("old")
    world.clock.seconds += 23 * 3600
    world.tell("young")
    world.clock.seconds += 3600
    room.down = False

    (dropped,) = world.messenger().deliver_waiting()

    assert (dropped.delivered, dropped.reason) == (False, "dropped after a day: old")
    assert room.titles == ["young"]
    assert world.dropped == ["it waited for more than a day"]
    assert world.waiting == []


def test_what_a_channel_never_takes_stands_in_nobodys_way(tmp_path: Path) -> None:
    """It leaves a record, at once as well as after it has waited."""
    never = Delivery(delivered=False, channel="room", reason="invalid_blocks", final=True)
    room = Room(failing=[never])
    world = World(tmp_path, room)
    world.tell("bad", "good")
    room.failing = [FAILED]
    world.tell("later")
    room.failing = [never]
    world.tell("last")

    assert room.titles == ["good", "last"]
    assert world.dropped == ["invalid_blocks", "invalid_blocks"]
    assert world.waiting == []


def test_of_two_commands_one_tells_what_waits(tmp_path: Path) -> None:
    """The other one's own message waits behind it, so that the order stays; a command that was killed keeps it a minute."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("one")
    outbox = Outbox(world.store, "staging", world.clock)
    (place,) = outbox.list_places("room")
    assert outbox.take(place) is not None  # and then it is killed
    room.down = False

    (second,) = world.tell("two")
    assert (second.delivered, second.reason) == (False, "another command is telling what was before")
    assert room.titles == []

    outbox.give_back(place)  # as the minute does
    world.tell("three")
    assert room.titles == ["one", "two", "three"]


def test_a_claim_ends_after_a_minute_of_the_stores_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was killed is not waited for."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("one")
    outbox = Outbox(world.store, "staging", world.clock)
    (place,) = outbox.list_places("room")
    outbox.take(place)
    monkeypatch.setattr("deploylib.notifications.outbox.CLAIMED_FOR", -1.0)
    room.down = False

    world.messenger().deliver_waiting()

    assert room.titles == ["one"]


def test_a_claim_from_the_future_is_nobodys(tmp_path: Path) -> None:
    """A clock was wrong when it was made: no message waits a day for that."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("one")
    outbox = Outbox(world.store, "staging", world.clock)
    (place,) = outbox.list_places("room")
    assert outbox.take(place) is not None
    assert outbox.take(place) is None
    for claim in tmp_path.rglob("claim-*"):
        os.utime(claim, (time.time() + 86400,) * 2)

    assert outbox.take(place) is not None


@dataclass(frozen=True)
class Crowded(Folder):
    """A store in which all who want a message have seen that nobody has it, before the first one takes it."""

    crowd: threading.Barrier = field(default_factory=lambda: threading.Barrier(16))
    has_come: threading.local = field(default_factory=threading.local)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write it, once all have come as far."""
        if not hasattr(self.has_come, "once"):
            self.has_come.once = True
            self.crowd.wait(30)
        return super().put_if_absent(key, body)


def test_sixteen_commands_at_once_tell_each_message_once(tmp_path: Path) -> None:
    """A claim has one winner."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("one", "two", "three")
    room.down, room.takes = False, 0.2
    store = Crowded(tmp_path)
    threads = [threading.Thread(target=lambda: world.messenger(store).deliver_waiting()) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.messenger().deliver_waiting()

    assert room.titles == ["one", "two", "three"]


def test_a_run_is_one_message_where_a_channel_can_change_it(tmp_path: Path) -> None:
    """Also for a command of the next day, which finds its sign with the run; the details stand under it."""
    bot, room = Room(changes=True), Room(name="webhook")
    world = World(tmp_path, bot, room)
    progress = text("going on", world.clock, kind=MessageKind.PROGRESS, run="r-1")
    assert world.messenger().tell_progress(progress).delivered
    assert world.signs == {"r-1": "sign-1"}

    outcome = text("done", world.clock, kind=MessageKind.OUTCOME, run="r-1")
    details = text("why", world.clock, kind=MessageKind.DETAILS, run="r-1")
    world.messenger().tell(outcome, details)

    assert [(message.replaces, message.thread) for message in bot.told] == [("", ""), ("sign-1", ""), ("", "sign-2")]
    assert room.titles == ["done"]


def test_progress_never_waits(tmp_path: Path) -> None:
    """More is to come."""
    world = World(tmp_path, Room(changes=True, down=True))
    sent = world.messenger().tell_progress(text("going on", world.clock, kind=MessageKind.PROGRESS, run="r-1"))

    assert not sent.delivered
    assert world.waiting == []


def test_an_alert_is_told_to_its_channels(tmp_path: Path) -> None:
    """All of them, where it names none; firing and resolved bear one id."""
    room, pager = Room(), Room(name="pager")
    world = World(tmp_path, room, pager)
    firing = Alert(id="backend-503", environment="staging", state=AlertState.FIRING, title="backend answers 503")
    messenger = world.messenger()
    messenger.tell_alert(firing)
    messenger.tell_alert(msgspec.structs.replace(firing, state=AlertState.RESOLVED, channels=("pager",)))

    assert room.titles == ["🟠 WARNING: backend answers 503"]
    assert pager.titles == ["🟠 WARNING: backend answers 503", "✓ RESOLVED: backend answers 503"]
    assert {message.alert.id for message in pager.told if message.alert} == {"backend-503"}


class Gone(Folder):
    """A store that does not answer."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Nothing."""
        raise Unreachable("the bucket does not answer", remedy="wait")

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Nothing."""
        raise Unreachable("the bucket does not answer", remedy="wait")


def test_a_store_that_does_not_answer_keeps_no_message_back(tmp_path: Path) -> None:
    """It is told all the same; what cannot be told then is said to be lost."""
    room = Room()
    world = World(tmp_path, room)
    messenger = world.messenger(Gone(tmp_path))
    first = messenger.tell(text("one", world.clock))
    assert room.titles == ["one"]
    assert [sent.delivered for sent in first] == [False, True]

    room.down = True
    (_, second) = messenger.tell(text("two", world.clock))
    assert second.reason == "it is down; and it cannot wait: the bucket does not answer"


def test_a_message_in_the_store_that_cannot_be_read_is_lost_and_said(tmp_path: Path) -> None:
    """The one after it is told."""
    room = Room(down=True)
    world = World(tmp_path, room)
    world.tell("one", "two")
    place = Outbox(world.store, "staging", world.clock).list_places("room")[0]
    (tmp_path / place / "message.json").write_text("{")
    room.down = False

    (lost,) = world.messenger().deliver_waiting()

    assert lost.reason.startswith("lost: ")
    assert room.titles == ["two"]
    assert world.waiting == []


def test_all_of_it_takes_seconds_at_most(tmp_path: Path) -> None:
    """What there was no time for waits."""
    world = World(tmp_path, Room())

    class Slow(Room):
        """It takes all the time there is."""

        def send(self, message: Message, /, *, within: float) -> Delivery:
            """Late."""
            world.clock.seconds += within
            return super().send(message, within=within)

    slow = Slow()
    world.rooms = (slow,)
    sent = world.messenger().tell(text("one", world.clock), text("two", world.clock))

    assert [(each.delivered, each.reason) for each in sent] == [(True, ""), (False, "no time was left for it")]
    assert world.waiting == ["two"]


def test_whoever_has_no_channel_asks_no_store(tmp_path: Path) -> None:
    """Nor anybody else."""
    assert World(tmp_path).messenger(Gone(tmp_path)).tell(text("one", FakeClock())) == ()
