"""What is told at the end of a run, and where; a message never changes an outcome.

A `Channel` is one place that wants to know: it is sent a `Notice` and answers with a `Delivery`. `find_channels` gives those
of an environment; `Slack` is one of them, a webhook that needs no settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.notifications.channels import find_channels
    from deploylib.notifications.interface import Channel, Delivery, Notice
    from deploylib.notifications.slack import Slack

__all__ = ["Channel", "Delivery", "Notice", "Slack", "find_channels"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Channel": "interface",
            "Delivery": "interface",
            "Notice": "interface",
            "Slack": "slack",
            "find_channels": "channels",
        },
    )
