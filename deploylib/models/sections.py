"""Tell a report as one list of sections.

A terminal, a summary in Markdown and a message to Slack render the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from deploylib.models import remedies
from deploylib.models.results import Report, StageStatus
from deploylib.models.units import age
from deploylib.models.value import Value

__all__ = ["Line", "Section", "Topic", "by_topic", "sections"]


class Topic(StrEnum):
    """The sections, in the order in which a person reads them."""

    WHY = "Why"
    PUT_BACK = "Put back"
    LIVE = "Live"
    SLOW = "Slow"
    WAIVED = "Waived"
    VISITORS = "Visitors"
    FIRST_WEEK = "First week"
    NEXT = "Next"


class Line(Value, frozen=True):
    """One line of a section.

    Attributes:
        name: the service or stage that it is about; empty: none of them.
        text: what is told; of what is live the whole commit, empty where there is none.
        ok: it came out well.
        url: the public address of what is live.
        by: who has left the stage out, for *reason*.
    """

    name: str = ""
    text: str = ""
    ok: bool = True
    url: str = ""
    by: str = ""
    reason: str = ""


class Section(Value, frozen=True):
    """What is told of one topic."""

    topic: Topic
    lines: tuple[Line, ...]


def sections(report: Report) -> tuple[Section, ...]:
    """Split a report into its sections; none of them is empty."""
    every = {
        Topic.WHY: [Line(text=report.error)] if report.error else [],
        Topic.PUT_BACK: [Line(name=each.service, text=each.text, ok=each.ok) for each in report.put_back],
        Topic.LIVE: list(_live(report)),
        Topic.SLOW: list(_slow(report)),
        Topic.WAIVED: list(_waived(report)),
        Topic.VISITORS: [Line(text=report.visitors.text)] if report.visitors.text else [],
        Topic.FIRST_WEEK: [Line(text=line) for line in report.first_week],
        Topic.NEXT: [Line(text=step) for step in report.next],
    }
    return tuple(Section(topic=topic, lines=tuple(lines)) for topic, lines in every.items() if lines)


def by_topic(report: Report) -> dict[Topic, tuple[Line, ...]]:
    """Give the lines of every topic, for an order of one's own."""
    return dict.fromkeys(Topic, ()) | {section.topic: section.lines for section in sections(report)}


def _live(report: Report) -> Iterator[Line]:
    """Tell what each service serves; after a failure also "unknown"."""
    yield from (Line(name=each.service, text=each.commit, url=each.url) for each in report.live)
    if report.exit_code and not report.live:
        yield Line(text=remedies.about(report.environment, "unknown: inv status"))


def _slow(report: Report) -> Iterator[Line]:
    if report.outcome == "succeeded" and 0 < report.target < report.seconds:
        yield Line(text=f"it took {age(report.seconds)}; the target is {age(report.target)}")


def _waived(report: Report) -> Iterator[Line]:
    for result in report.stages:
        if (waived := result.waived) is not None:
            by = waived.skipped_by if result.status is StageStatus.SKIPPED else ""
            for text in result.lines:
                yield Line(name=result.stage, text=text, by=by, reason=waived.reason)
