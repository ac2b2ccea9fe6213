"""A channel tells a message, and says whether that arrived."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from deploylib.models import Moment, Value
from deploylib.models.alerts import Alert

__all__ = ["Channel", "Delivery", "Message", "MessageKind", "TextLine"]


class MessageKind(StrEnum):
    """The subject of a message."""

    PROGRESS = "progress"  # of a run that goes on
    OUTCOME = "outcome"  # of a run
    DETAILS = "details"  # of that outcome
    OPERATION = "operation"  # a hold, its end, a lease given back, …
    ALERT = "alert"
    TEXT = "text"


class TextLine(Value, frozen=True):
    """One line of plain text; whoever renders it makes it harmless.

    Attributes:
        label: in front of the text; a link where there is a *url*.
    """

    text: str = ""
    label: str = ""
    url: str = ""


class Message(Value, frozen=True):
    """One thing to be told, in words that fit every channel.

    Attributes:
        id: by which a repetition is known.
        title: what happened, in a few words, with its sign.
        text: where, what and by whom, in a line.
        sections: groups of lines, none of them empty.
        mentions: ids of the people of Slack who are called; only after a failure.
        run: the run that it is about: its messages are one, where a channel can change what it has sent.
        alert: that it tells.
        channels: the names of the only channels that are told; empty: all.
        late: when it should have been told, where that is long ago.
        replaces: what a channel gave as the sign of the message that this one takes the place of.
        thread: the same, of the message that this one belongs under.
    """

    id: str
    kind: MessageKind
    environment: str
    at: Moment
    title: str
    text: str = ""
    sections: tuple[tuple[TextLine, ...], ...] = ()
    mentions: tuple[str, ...] = ()
    run: str = ""
    alert: Alert | None = None
    channels: tuple[str, ...] = ()
    late: Moment | None = None
    replaces: str = ""
    thread: str = ""


class Delivery(Value, frozen=True):
    """A delivery: whether a message arrived, and why not, without secrets.

    Attributes:
        remedy: what a person can do about it; empty: nothing, it may arrive later.
        final: the same will not arrive by being sent again.
        after: seconds for which the channel wants to be left alone.
        sign: of the message, where the channel can change it: Slack's ``ts``.
    """

    delivered: bool
    channel: str = ""
    reason: str = ""
    remedy: str = ""
    final: bool = False
    after: float = 0.0
    sign: str = ""


class Channel(Protocol):
    """A channel tells messages to one place.

    Attributes:
        name: as people call it.
        changes: it can change what it has sent, and so wants a run's progress and details.
    """

    @property
    def name(self) -> str:
        """Its name, as people call it."""
        ...

    @property
    def changes(self) -> bool:
        """Whether it can change what it has sent."""
        ...

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Tell a message in time; a failure is a reason, no error."""
        ...
