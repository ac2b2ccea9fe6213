"""Metrics that the platform has measured of services and databases."""

from __future__ import annotations

from datetime import datetime

import msgspec

from deploylib.models.value import Value

__all__ = ["MetricPoint", "MetricSeries"]


class MetricPoint(Value, frozen=True):
    """One figure, and when it was so."""

    at: datetime
    value: float


class MetricSeries(Value, frozen=True):
    """The figures of one instance or one label.

    Attributes:
        labels: what tells it from the others: ``resource``, ``instance``, ``statusCode``.
        unit: in the platform's words: ``bytes``, ``GB``; empty where it gives none.
        points: oldest first.
    """

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    unit: str = ""
    points: tuple[MetricPoint, ...] = ()

    @property
    def last(self) -> float | None:
        """The newest figure; None where there is none."""
        return self.points[-1].value if self.points else None
