"""The words of a run's end, without a run."""

from __future__ import annotations

from typing import Any

from deploylib.models.results import Report
from deploylib.notifications import Message, message
from deploylib.notifications.slack_blocks import render
from tests.support.fakes import START

__all__ = ["outcome_of", "slack_blocks"]


def outcome_of(report: Report, previous: dict[str, str] | None = None, **more: Any) -> Message:
    """The message at the end of a run that has come to this."""
    notice = message.Notice(report.run, report.environment, START, report.commit, previous=previous or {}, **more)
    return message.outcome_message(notice, report)


def slack_blocks(told: Message) -> list[str]:
    """What Slack shows of a message, block by block."""
    return [block["text"]["text"] for block in render(told)["blocks"]]
