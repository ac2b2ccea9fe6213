"""What is told at the end of a run, and where; a message never changes an outcome.

A `Channel` is one place that wants to know: it is sent a `Notice` and answers with a `Delivery`. `find_channels` gives those
of an environment; `Slack` is one of them, a webhook that needs no settings.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.notifications.channels import find_channels
    from deploylib.notifications.interface import Channel, Delivery, Notice
    from deploylib.notifications.slack import Slack

_FACE = {
    "Channel": "interface",
    "Delivery": "interface",
    "Notice": "interface",
    "Slack": "slack",
    "find_channels": "channels",
}

__all__ = ["Channel", "Delivery", "Notice", "Slack", "find_channels"]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FACE[name]}"), name)
