"""What is told, and where; a message never changes an outcome.

A `Messenger` tells a `Message` (of a `MessageKind`) to every channel of an environment (`find_channels`), each of which
answers with a `Delivery`; it tells an alert of a monitor as well (`deploylib.models.alerts`). What could not be told waits
in the `Outbox`. The module `message` has the words, and `LiveMessage` is the one of a run that goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.notifications import message
    from deploylib.notifications.channels import find_channels
    from deploylib.notifications.interface import Delivery, Message, MessageKind
    from deploylib.notifications.live_message import LiveMessage
    from deploylib.notifications.messenger import Messenger
    from deploylib.notifications.outbox import Outbox

__all__ = ["Delivery", "LiveMessage", "Message", "MessageKind", "Messenger", "Outbox", "find_channels", "message"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Delivery": "interface",
            "LiveMessage": "live_message",
            "Message": "interface",
            "MessageKind": "interface",
            "Messenger": "messenger",
            "Outbox": "outbox",
            "find_channels": "channels",
            "message": "message",
        },
    )
