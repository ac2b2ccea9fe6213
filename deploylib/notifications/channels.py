"""The family of channels.

One more of them is one more file, and one more entry here.
"""

from __future__ import annotations

from collections.abc import Callable

from deploylib.notifications.interface import Channel
from deploylib.notifications.json_webhook import find_webhook
from deploylib.notifications.slack import find_slack
from deploylib.settings import Config

__all__ = ["CHANNELS", "find_channels"]

CHANNELS: tuple[Callable[[Config], Channel | None], ...] = (find_slack, find_webhook)


def find_channels(config: Config) -> tuple[Channel, ...]:
    """Find the channels that an environment's settings name."""
    return tuple(channel for make in CHANNELS if (channel := make(config)) is not None)
