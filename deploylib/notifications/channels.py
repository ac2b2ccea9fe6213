"""The family of channels: one more of them is one more file, and one more entry here."""

from __future__ import annotations

from collections.abc import Callable

from deploylib.notifications.interface import Channel
from deploylib.notifications.slack import Slack
from deploylib.settings import Config

__all__ = ["CHANNELS", "find_channels"]

CHANNELS: tuple[Callable[[Config], Channel | None], ...] = (Slack.of,)


def find_channels(config: Config) -> tuple[Channel, ...]:
    """Find the channels that an environment's settings name."""
    return tuple(channel for make in CHANNELS if (channel := make(config)) is not None)
