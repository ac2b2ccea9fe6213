"""Fitness as values: what was asked of a program, and was seen."""

from __future__ import annotations

from enum import StrEnum

from deploylib.models.value import Moment, Value

__all__ = ["FitVerdict", "Fitness", "FitnessRow", "Question", "ServiceFitness"]


class FitVerdict(StrEnum):
    """The verdict on one question.

    What could not be measured is neither good nor bad.
    """

    FIT = "fit"
    UNFIT = "unfit"
    UNMEASURED = "could not measure"


class Question(StrEnum):
    """A question to a program, in few words; see ``docs/fitness.md``."""

    SIGNAL = "signal"
    FLIGHT = "in flight"
    EXIT = "exit"
    IDLE = "idle"
    DATABASE = "database"
    ADDRESS = "address"
    CONNECTIONS = "connections"


class FitnessRow(Value, frozen=True):
    """One question, and its answer.

    Attributes:
        text: what was seen.
        remedy: the line to change, or the setting to add; empty where it is fit.
    """

    question: Question
    fit: FitVerdict
    text: str
    remedy: str = ""


class ServiceFitness(Value, frozen=True):
    """One service as it was measured.

    Attributes:
        start_command: of the Blueprint: another one is another program.
    """

    service: str
    runtime: str
    start_command: str
    commit: str
    at: Moment
    rows: tuple[FitnessRow, ...]

    def of(self, fit: FitVerdict) -> tuple[FitnessRow, ...]:
        """List the rows of one verdict."""
        return tuple(row for row in self.rows if row.fit is fit)


class Fitness(Value, frozen=True):
    """All services that were measured.

    Attributes:
        outcome: in words, see `deploylib.errors`, or ``succeeded``.
        left_out: the services that were not, and why, a line each.
    """

    commit: str
    outcome: str
    exit_code: int
    services: tuple[ServiceFitness, ...] = ()
    left_out: tuple[str, ...] = ()
