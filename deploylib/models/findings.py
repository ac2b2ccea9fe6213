"""What a scan says, and what the settings tell it.

Frozen values, none of which ever holds a secret or its text.

Three verdicts, because a tool that could not look has not found anything either: *clean* is said only of what was
examined whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Literal

import msgspec

from deploylib.models.globs import matches
from deploylib.models.services import PathFilter
from deploylib.models.units import count
from deploylib.models.value import SettingsTable, Value

__all__ = ["AcceptedFinding", "Examined", "Finding", "Gap", "Scanned", "Verdict", "join"]

ADVISORY = re.compile(r"(?:PYSEC|GHSA|CVE|OSV|MAL)-")


class Verdict(StrEnum):
    """The verdict of a scan.

    Findings beat a gap, and a gap beats clean.
    """

    FINDINGS = "findings"
    NOT_EXAMINED = "not examined"
    CLEAN = "clean"


class Finding(Value, frozen=True):
    """Something that was found.

    Attributes:
        tool: who found it.
        rule: its id there, which the settings accept it by.
        where: file and line, package and version, or service and variable.
        text: one sentence; never a value.
        blocks: a release waits for it; else it is told, and that is all.
        path: the file it is in, for the settings.
        note: good to know, and nothing to do about it; of no meaning where it blocks.
    """

    tool: str
    rule: str
    where: str
    text: str
    remedy: str
    blocks: bool = True
    path: str = ""
    also: tuple[str, ...] = ()
    note: bool = False

    @property
    def level(self) -> Literal["refuse", "warn", "note"]:
        """What it means for a release."""
        return "refuse" if self.blocks else "note" if self.note else "warn"


class Gap(Value, frozen=True):
    """Something that could not be examined, why, and how it could be.

    Attributes:
        rule: what the settings answer for it by; empty where they cannot.
        path: the file that it is in, for the settings.
    """

    what: str
    reason: str
    remedy: str
    rule: str = ""
    path: str = ""


class Examined(Value, frozen=True):
    """The findings and gaps of one examiner.

    Attributes:
        counted: what it really looked at: ``{"package": 42}``.
        accepted: findings that the settings accept, with the reason.
        seconds: how long it took.
    """

    name: str
    counted: dict[str, int] = msgspec.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    accepted: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that a release waits for."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def verdict(self) -> Verdict:
        """Findings, else gaps, else clean."""
        if self.blocking:
            return Verdict.FINDINGS
        return Verdict.NOT_EXAMINED if self.gaps else Verdict.CLEAN

    def judge(self, accepted: Collection[AcceptedFinding], today: date) -> Examined:
        """Leave out the findings and gaps that the settings accept.

        An acceptance that has run out is none any more, and the finding says so.
        """
        stand, lines = [], []
        for finding in self.findings:
            fits = [one for one in accepted if one.covers(finding)]
            good = next((one for one in fits if one.until is None or today <= one.until), None)
            if good is not None:
                lines.append(f"{finding.where}: {finding.rule} accepted: {good.reason}")
            elif fits:
                stand.append(msgspec.structs.replace(finding, text=f"{finding.text} (accepted until {fits[0].until})"))
            else:
                stand.append(finding)
        left = []
        for gap in self.gaps:
            good = next(
                (one for one in accepted if one.covers(gap) and (one.until is None or today <= one.until)), None
            )
            if good is None:
                left.append(gap)
            else:
                lines.append(f"{gap.what}: not examined, and accepted: {good.reason}")
        return msgspec.structs.replace(self, findings=tuple(stand), gaps=tuple(left), accepted=tuple(lines))


class Scanned(Value, frozen=True):
    """The findings and gaps of all examiners."""

    examined: tuple[Examined, ...] = ()
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the examiners."""
        verdicts = {one.verdict for one in self.examined}
        return next((verdict for verdict in Verdict if verdict in verdicts), Verdict.NOT_EXAMINED)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that a release waits for."""
        return tuple(finding for one in self.examined for finding in one.blocking)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The findings that are only told."""
        return tuple(finding for one in self.examined for finding in one.findings if not finding.blocks)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be examined."""
        return tuple(gap for one in self.examined for gap in one.gaps)

    @property
    def line(self) -> str:
        """All of it in one line.

        ``42 packages, 118 files, 3 variables: clean``.
        """
        counted: dict[str, int] = {}
        for examined in self.examined:
            for thing, number in examined.counted.items():
                counted[thing] = max(counted.get(thing, 0), number)
        looked = ", ".join(count(number, thing) for thing, number in counted.items() if number)
        parts = {
            Verdict.CLEAN: "clean",
            Verdict.FINDINGS: count(len(self.blocking), "finding"),
            Verdict.NOT_EXAMINED: f"not examined: {', '.join(one.name for one in self.examined if one.gaps)}",
        }
        notes = f" · {count(len(self.notes), 'note')}" if self.notes else ""
        return f"{looked or 'nothing to look at'}: {parts[self.verdict]}{notes}"


class AcceptedFinding(SettingsTable, frozen=True):
    """``[[scan.accepted]]``: a finding or gap that somebody answers for.

    Attributes:
        rule: its id, or another name of the same advisory; ``brings:NAME`` of a package that a command brings.
        path: glob of the files; default: wherever it is found.
        until: the last day; an advisory needs one, because what is known of it changes.
    """

    rule: str
    reason: str
    path: str = "**"
    until: date | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError(f"{self.rule} is accepted without a reason")
        if self.until is None and ADVISORY.match(self.rule):
            raise ValueError(f"{self.rule} is accepted without an end: until = 2027-01-31")

    def covers(self, item: Finding | Gap) -> bool:
        """Tell whether it is about this finding or gap, on whatever day."""
        rules = {item.rule} | set(item.also if isinstance(item, Finding) else ())
        return self.rule in rules and matches(item.path, PathFilter(paths=(self.path,)))


def join(first: Examined, *more: Examined) -> Examined:
    """Join what was said of several parts into one."""
    parts = (first, *more)
    counted: Counter[str] = Counter()
    for part in parts:
        counted.update(part.counted)
    return Examined(
        name=first.name,
        counted=dict(counted),
        findings=tuple(finding for one in parts for finding in one.findings),
        gaps=tuple(gap for one in parts for gap in one.gaps),
    )
