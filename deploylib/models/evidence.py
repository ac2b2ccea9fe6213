"""Evidence: what a probe has seen of a service."""

from __future__ import annotations

from enum import StrEnum

from deploylib.models.value import Value

__all__ = ["Evidence", "Judgement"]


class Judgement(StrEnum):
    """What an observation means; only a *fail* puts a release back."""

    PASS = "pass"  # noqa: S105 - no password
    NOTE = "note"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "not examined"


class Evidence(Value, frozen=True):
    """One observation of one service.

    Attributes:
        probe: what was looked at: ``smoke``, ``certificate``, ``instances``, …
        text: what was seen, in words; never what an answer holds.
    """

    probe: str
    judgement: Judgement
    text: str
