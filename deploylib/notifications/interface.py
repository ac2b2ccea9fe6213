"""What every channel does: it tells the end of a run, and says whether that arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from deploylib.models import Value
from deploylib.models.results import Report

__all__ = ["Channel", "Delivery", "Notice"]


@dataclass(frozen=True)
class Notice:
    """The end of a run.

    Attributes:
        previous: the commits that its services served before, by name.
        url: its page in CI, where it has one.
    """

    report: Report
    previous: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


class Delivery(Value, frozen=True):
    """Whether the notice arrived, and if not, why: no secret is in it."""

    delivered: bool
    reason: str = ""


class Channel(Protocol):
    """One place that wants to know.

    Attributes:
        name: as people call it.
    """

    @property
    def name(self) -> str:
        """As people call it."""
        ...

    def send(self, notice: Notice, /) -> Delivery:
        """Tell it within a few seconds; every failure is a reason, never an error."""
        ...
