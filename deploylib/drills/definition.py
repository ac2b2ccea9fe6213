"""A drill is a situation, and a check of its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from deploylib.drills.scene import Scene
from deploylib.models import Value

__all__ = ["Drill", "DrillStep", "DrillSummary", "find_section"]


@dataclass(frozen=True)
class DrillStep:
    """A right command, as it is typed in the shop.

    Attributes:
        code: the exit code that it ends with.
    """

    line: str
    code: int = 0


class DrillSummary(Value, frozen=True):
    """A drill as the list tells it.

    Attributes:
        learns: what somebody learns who does it.
        minutes: that it takes.
        runbook: the section of the runbook that it practises, as a link.
        place: where it is done.
    """

    name: str
    learns: str
    minutes: int
    runbook: str
    place: str


@dataclass(frozen=True)
class Drill:
    """One situation of the runbook.

    Attributes:
        learns: what somebody learns who does it.
        section: of the runbook.
        situation: what the person is told.
        begin: makes it, in a scene whose first release is well.
        find_fault: what is not well yet, as customers and the platform see it; empty: nothing.
        steps: the right commands, in their order.
        cures: the tasks of which the first that is typed is the first right command.
        meanwhile: what happens beside the person, again and again.
        database: the shop has one.
    """

    name: str
    learns: str
    minutes: int
    section: str
    situation: str
    begin: Callable[[Scene], None]
    find_fault: Callable[[Scene], str]
    steps: tuple[DrillStep, ...]
    cures: tuple[str, ...]
    meanwhile: Callable[[Scene], None] = lambda _: None
    database: bool = False

    @property
    def summary(self) -> DrillSummary:
        """It as the list tells it."""
        return DrillSummary(
            name=self.name,
            learns=self.learns,
            minutes=self.minutes,
            runbook=find_section(self),
            place="a local Render of its own",
        )


def find_section(drill: Drill) -> str:
    """Make a link to the runbook's section that a drill practises."""
    name = re.sub(r"[^\w\- ]", "", drill.section.lower()).replace(" ", "-")
    return f"docs/runbook.md#{name}"
