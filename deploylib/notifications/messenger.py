"""A messenger tells every channel, in order, within seconds, without an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from deploylib.errors import DeployError
from deploylib.models.alerts import Alert
from deploylib.notifications.interface import Channel, Delivery, Message, MessageKind
from deploylib.notifications.message import alert_message
from deploylib.notifications.outbox import Outbox
from deploylib.store import Damaged
from deploylib.system import Clock, Deadline, threads

__all__ = ["WITHIN", "Messenger"]

WITHIN = 5.0  # seconds for all that a command has to tell at once
KEPT_WITHIN = 5.0  # more, for the store
LATE = 60.0  # seconds after which a message is told with its time


@dataclass
class Messenger:
    """Tells every channel; one that fails is told later.

    Attributes:
        channels: none of them: nobody wants to know.
        outbox: where what could not be told waits.
        clean: strikes secrets out.
        find_sign: gives the sign of a run's message; empty: it has none.
        keep_sign: is given it, and keeps it with the run.
        has_told: what waits was told, or tried, since this was made.
    """

    channels: tuple[Channel, ...]
    outbox: Callable[[], Outbox]
    clock: Clock
    clean: Callable[[Message], Message] = lambda message: message
    find_sign: Callable[[str], str] = lambda _run: ""
    keep_sign: Callable[[str, str], None] = lambda _run, _sign: None
    has_told: bool = False
    _signs: dict[str, str] = field(default_factory=dict)

    @property
    def can_change(self) -> bool:
        """Whether a channel wants the progress of a run."""
        return any(channel.changes for channel in self.channels)

    def tell_alert(self, alert: Alert) -> tuple[Delivery, ...]:
        """Tell an alert.

        Whoever calls sees to it that each change of its state is told once.
        """
        return self.tell(alert_message(alert, self.clock.now()))

    def tell(self, *messages: Message, within: float = WITHIN) -> tuple[Delivery, ...]:
        """Tell messages of one moment, in order, to their channels.

        What cannot be told waits for the next command.

        Returns:
            one delivery for each message and channel.
        """
        cleaned = [_numbered(self.clean(message), number) for number, message in enumerate(messages)]
        deadline = Deadline.after(within, self.clock)
        return self._aside(lambda channel: self._tell_all(channel, cleaned, deadline), within)

    def tell_progress(self, message: Message) -> Delivery:
        """Change a run's message while it goes on; it never waits."""
        channel = next(channel for channel in self.channels if channel.changes)
        try:
            return self._deliver(channel, self.clean(message), Deadline.after(WITHIN, self.clock))
        except DeployError as error:
            return Delivery(delivered=False, channel=channel.name, reason=error.message)

    def try_out(self, *messages: Message, within: float = WITHIN) -> tuple[Delivery, ...]:
        """Tell messages of which none waits; somebody looks at the answer."""
        deadline = Deadline.after(within, self.clock)
        alone = dataclasses.replace(self, keep_sign=lambda _run, _sign: None, find_sign=lambda _run: "", _signs={})

        def send(channel: Channel) -> tuple[Delivery, ...]:
            wanted = (self.clean(message) for message in messages if _is_for(channel, message))
            return tuple(alone._deliver(channel, message, deadline) for message in wanted)  # noqa: SLF001 - itself

        return self._aside(send, within)

    def deliver_waiting(self) -> tuple[Delivery, ...]:
        """Tell the messages that wait."""
        deadline = Deadline.after(WITHIN, self.clock)
        return self._aside(lambda channel: self._tell_all(channel, (), deadline), WITHIN)

    def _aside(self, work: Callable[[Channel], tuple[Delivery, ...]], within: float) -> tuple[Delivery, ...]:
        """Call all channels at once, for a bounded time."""
        self.has_told = True
        if not self.channels:
            return ()
        try:
            doing = threads.start(lambda: threads.each(work, self.channels, at_once=len(self.channels)))
            return tuple(sent for each in doing.result(within + KEPT_WITHIN) for sent in each)
        except TimeoutError:
            return (Delivery(delivered=False, reason=f"the store gave no answer within {KEPT_WITHIN:g} s"),)
        except threads.NoThread:
            return (Delivery(delivered=False, reason="no thread could be started"),)

    def _tell_all(self, channel: Channel, messages: Sequence[Message], deadline: Deadline) -> tuple[Delivery, ...]:
        wanted = [message for message in messages if _is_for(channel, message)]
        deliveries = list[Delivery]()
        try:
            trouble = self._deliver_late(channel, deadline, deliveries)
        except DeployError as error:  # a store that does not answer keeps no message back
            deliveries.append(
                Delivery(delivered=False, channel=channel.name, reason=f"what waits is not known: {error.message}")
            )
            trouble = None
        for message in wanted:
            sent = trouble or self._deliver(channel, message, deadline)
            if not sent.delivered:
                trouble = None if sent.final else sent
                sent = self._keep(channel, message, sent)
            deliveries.append(sent)
        return tuple(deliveries)

    def _deliver_late(self, channel: Channel, deadline: Deadline, deliveries: list[Delivery]) -> Delivery | None:
        """Tell what waits, in order; return what has stopped that."""
        outbox = self.outbox()
        for place in outbox.list_places(channel.name):
            try:
                message = outbox.take(place)
            except Damaged as damaged:
                outbox.remove(place)
                deliveries.append(
                    Delivery(delivered=False, channel=channel.name, reason=f"lost: {damaged.message}", final=True)
                )
                continue
            if message is None:
                return Delivery(
                    delivered=False, channel=channel.name, reason="another command is telling what was before"
                )
            if outbox.is_too_old(message):
                self._drop(channel, message, place, "it waited for more than a day")
                deliveries.append(
                    Delivery(delivered=False, channel=channel.name, reason=f"dropped after a day: {message.title}")
                )
                continue
            sent = self._deliver(channel, self._marked(message), deadline)
            if not sent.delivered and not sent.final:
                outbox.give_back(place)
                return sent
            if sent.final and not sent.delivered:
                self._drop(channel, message, place, sent.reason)
                deliveries.append(sent)
            else:
                outbox.remove(place)
        return None

    def _drop(self, channel: Channel, message: Message, place: str, reason: str) -> None:
        self.outbox().drop(channel.name, message, reason)
        self.outbox().remove(place)

    def _marked(self, message: Message) -> Message:
        late = (self.clock.now() - message.at).total_seconds() > LATE
        return msgspec.structs.replace(message, late=message.at) if late else message

    def _deliver(self, channel: Channel, message: Message, deadline: Deadline) -> Delivery:
        """Send a message, as a change of the run's if possible."""
        left = deadline.left
        if left < 0.05:
            return Delivery(delivered=False, channel=channel.name, reason="no time was left for it")
        sign = self._sign(message.run) if message.run and channel.changes else ""
        place = "thread" if message.kind is MessageKind.DETAILS else "replaces"
        sent = channel.send(msgspec.structs.replace(message, **{place: sign}), within=left)
        if sent.delivered and sent.sign and message.run and place == "replaces" and sent.sign != sign:
            self._signs[message.run] = sent.sign
            try:
                self.keep_sign(message.run, sent.sign)
            except DeployError as error:  # another command will post one more
                return msgspec.structs.replace(sent, reason=f"its place is not recorded: {error.message}")
        return sent

    def _sign(self, run: str) -> str:
        """Find the sign of a run's message; none: it has one more."""
        if run not in self._signs:
            try:
                self._signs[run] = self.find_sign(run)
            except DeployError:
                return ""
        return self._signs[run]

    def _keep(self, channel: Channel, message: Message, sent: Delivery) -> Delivery:
        """Have a message wait, or record that it is never told."""
        try:
            if sent.final:
                self.outbox().drop(channel.name, message, sent.reason)
            else:
                self.outbox().put(channel.name, message)
        except DeployError as error:
            return msgspec.structs.replace(sent, reason=f"{sent.reason}; and it cannot wait: {error.message}")
        return sent


def _is_for(channel: Channel, message: Message) -> bool:
    """Tell whether the channel wants it."""
    only = message.channels
    return (channel.changes or message.kind not in {MessageKind.DETAILS, MessageKind.PROGRESS}) and (
        not only or channel.name in only
    )


def _numbered(message: Message, number: int) -> Message:
    """Give messages of one moment an order that stays."""
    return msgspec.structs.replace(message, at=message.at + timedelta(microseconds=number))
