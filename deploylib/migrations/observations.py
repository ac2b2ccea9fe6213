"""A rehearsal's observations, revision by revision; `rehearsal` tells what they mean."""

from __future__ import annotations

import msgspec

from deploylib.models import Value

__all__ = ["HeldLock", "RehearsalReport", "Rehearsed", "Step"]


class Step(Value, frozen=True):
    """One statement, and what it did to tables older than its revision.

    Attributes:
        transaction: it ran in one; else its locks cannot be seen.
        locks: the strongest lock of its transaction on each table, after it.
        rewritten: tables that are in a new file.
        emptied: tables that had rows and have none any more.
        scanned: tables that were read whole.
        changed: rows updated or deleted, by table; ``?`` where that is not known.
        rows: of each table named here, before the revision.
        passed: the error that it failed with, and was passed over for; nothing of it was done.
        lacks: what the database has and the copy has not, for want of which that was.
    """

    text: str
    seconds: float
    transaction: bool = True
    locks: dict[str, str] = msgspec.field(default_factory=dict)
    rewritten: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    changed: dict[str, int] = msgspec.field(default_factory=dict)
    rows: dict[str, int] = msgspec.field(default_factory=dict)
    passed: str = ""
    state: str = ""
    lacks: str = ""

    @property
    def short(self) -> str:
        """The step in one line."""
        return self.text if len(self.text) < 121 else f"{self.text[:119]} …"


class HeldLock(Value, frozen=True):
    """A lock that others notice, until its transaction ended."""

    table: str
    mode: str
    rows: int
    seconds: float


class Rehearsed(Value, frozen=True):
    """One revision on the copy.

    Attributes:
        id: of several at once, which only another tool does: their names with commas.
        statements: what each did; of another tool, one for all.
        heard: each statement by itself, so that what was changed was changed in one transaction.
        gone: what code can do no more: name a column, leave one out of an INSERT, take a new number, read what was granted.
        lifted: statements after which the limits for locks were off, or longer; they were set again.
    """

    id: str
    statements: tuple[Step, ...] = ()
    heard: bool = True
    held: tuple[HeldLock, ...] = ()
    gone: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing of it was passed over."""
        return not any(step.passed for step in self.statements)


class RehearsalReport(Value, frozen=True):
    """The revisions of a rehearsal, as far as it came.

    Attributes:
        failed: the revision that failed, *error* the database's words, and *state* its code.
    """

    revisions: tuple[Rehearsed, ...] = ()
    failed: str = ""
    error: str = ""
    state: str = ""
    unchecked: tuple[str, ...] = ()
