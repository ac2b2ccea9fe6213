"""Keep messages that could not be sent, a day at most.

One object a message, ``outbox/<environment>/<channel>/<time>-<id>/message.json``. Whoever sends one takes it first, by a claim
under it which is good for a minute: of two commands one sends, and what a killed one had taken is told by the next. What is
dropped leaves a record under ``dropped/<environment>/``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from deploylib.models import Moment, Value
from deploylib.notifications.interface import Message
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock

__all__ = ["LONGEST_WAIT", "Dropped", "Outbox", "Waiting"]

LONGEST_WAIT = 24 * 3600.0  # seconds: what is older is no news
CLAIMED_FOR = 60.0  # seconds, by the store's clock: many times what a message may take


class Waiting(Value, frozen=True):
    """A message that waits, and the place where it does."""

    place: str
    message: Message


class Dropped(Value, frozen=True):
    """The record of a message that was never told."""

    at: Moment
    channel: str
    reason: str
    message: Message


@dataclass(frozen=True)
class Outbox:
    """The messages of an environment that wait."""

    store: Store
    environment: str
    clock: Clock

    def put(self, channel: str, message: Message) -> None:
        """Have a message wait; the same one waits once."""
        kept = msgspec.json.encode(msgspec.structs.replace(message, replaces="", thread=""))
        self.store.put_if_absent(f"{self._place(channel, message)}/message.json", kept)

    def list_places(self, channel: str) -> list[str]:
        """List where messages to a channel wait, oldest first."""
        folder = f"outbox/{self.environment}/{_slug(channel)}/"
        return [key.removesuffix("/message.json") for key in self.store.list(folder) if key.endswith("/message.json")]

    def take(self, place: str) -> Message | None:
        """Take a message for oneself; None: somebody else has.

        Raises:
            Damaged: it cannot be read.
        """
        claims = list(self.store.list(f"{place}/claim-"))
        if claims and self._is_taken(claims[-1]):
            return None
        if not self.store.put_if_absent(f"{place}/claim-{len(claims) + 1:04d}", b""):
            return None
        try:
            return read_document(self.store, f"{place}/message.json", Message)
        except KeyError:  # somebody has told it since it was listed
            self._clear(place)
            return None

    def give_back(self, place: str) -> None:
        """Let the next command try at once."""
        for key in self.store.list(f"{place}/claim-"):
            self.store.delete(key)

    def remove(self, place: str) -> None:
        """Forget a message that has been told: first of all the message."""
        self.store.delete(f"{place}/message.json")
        self._clear(place)

    def drop(self, channel: str, message: Message, reason: str) -> None:
        """Record that a message is not told any more."""
        record = Dropped(at=self.clock.now(), channel=channel, reason=reason, message=message)
        name = self._place(channel, message).rpartition("/")[2]
        key = f"dropped/{self.environment}/{name}-{_slug(channel)}.json"
        self.store.put_if_absent(key, msgspec.json.encode(record))

    def read_waiting(self) -> Iterator[Waiting]:
        """Read what waits, of every channel.

        What cannot be read is passed over, and dropped by who would send it.
        """
        for key in self.store.list(f"outbox/{self.environment}/"):
            if key.endswith("/message.json"):
                try:
                    message = read_document(self.store, key, Message)
                except (KeyError, Damaged):
                    continue
                yield Waiting(place=key.removesuffix("/message.json"), message=message)

    def is_too_old(self, message: Message) -> bool:
        """Tell whether a message is no news any more."""
        return (self.clock.now() - message.at).total_seconds() > LONGEST_WAIT

    def _is_taken(self, claim: str) -> bool:
        """Tell whether somebody sends a message, or did just now."""
        try:
            return abs(self.store.age(claim)) < CLAIMED_FOR  # one from the future was made by a clock that was wrong
        except KeyError:
            return True

    def _place(self, channel: str, message: Message) -> str:
        name = hashlib.sha256(f"{message.kind} {message.id}".encode()).hexdigest()[:12]
        return f"outbox/{self.environment}/{_slug(channel)}/{message.at:%Y%m%dT%H%M%S.%f}-{name}"

    def _clear(self, place: str) -> None:
        for key in self.store.list(f"{place}/"):
            self.store.delete(key)


def _slug(channel: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", channel.lower()).strip("-")
