"""One operation of a migration, and short ways to write it down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One of them.

    Attributes:
        row: of the table of hazards.
        truth: the hazards that Postgres shows: ``work``, ``fails``, ``contract``, ``destroys``, ``bulk``; none: harmless.
        bodies: of ``upgrade()``, one for each revision.
        before: SQL that is there already.
        more: lines of the revision's head.
    """

    row: str
    name: str
    truth: frozenset[str]
    bodies: tuple[str, ...]
    before: str = ""
    more: str = ""

    @property
    def hazardous(self) -> bool:
        """Whether a release must be refused; one that says what it tolerates was thought about."""
        return bool(self.truth) and "tolerates" not in self.more


def does(truth: str) -> Maker:
    """A maker of operations with these hazards."""
    return Maker(frozenset(truth.split()))


class Maker:
    """Makes operations that have the same hazards."""

    def __init__(self, truth: frozenset[str]) -> None:
        self.truth = truth

    def __call__(self, row: str, name: str, *bodies: str, before: str = "", more: str = "") -> Operation:
        """One, of a row of the table."""
        return Operation(row, name, self.truth, bodies, before, more)


def sql(text: str) -> str:
    """A statement as it stands."""
    return f"op.execute({text!r})"


def alone(text: str) -> str:
    """A line in an autocommit_block."""
    return f"with op.get_context().autocommit_block():\n    {text}"


def column(text: str) -> str:
    """A new column of people."""
    return f"op.add_column('people', sa.Column({text}))"


def kind(name: str, to: str, was: str = "sa.Text()", more: str = "") -> str:
    """Another type of a column of people."""
    return f"op.alter_column('people', {name!r}, type_={to}, existing_type={was}{more})"
