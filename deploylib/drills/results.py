"""What came of drills."""

from __future__ import annotations

from deploylib.errors import Blocked
from deploylib.models import Value

__all__ = ["DrillResult", "DrillResults", "describe_time"]


class DrillResult(Value, frozen=True, omit_defaults=False):
    """What came of a drill.

    Attributes:
        seconds: from when the situation was told to the end.
        noticed: seconds until the first command was typed; None: none was.
        first_right: until the first command that mends something; None: there was none.
        restored: until all was well again; None: it never was.
        fault: what was not well at the end, after clean-up; empty: nothing.
        typed: the commands that were.
        steps: the right ones, as the runbook has them.
        runbook: the section that says so.
        attended: by a person.
        code: the exit code where it was not passed.
    """

    drill: str
    passed: bool
    seconds: float
    noticed: float | None = None
    first_right: float | None = None
    restored: float | None = None
    fault: str = ""
    typed: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    runbook: str = ""
    attended: bool = True
    code: int = Blocked.exit_code

    @property
    def exit_code(self) -> int:
        """0 where it was passed."""
        return 0 if self.passed else self.code

    @property
    def line(self) -> str:
        """It in a line."""
        if not self.passed:
            return f"{self.drill}: not passed: {self.fault}"
        times = (("noticed", self.noticed), ("first right command", self.first_right), ("restored", self.restored))
        words = ", ".join(f"{word} {describe_time(at)}" for word, at in times if at is not None)
        return f"{self.drill}: passed; {words}"

    @property
    def record(self) -> dict[str, object]:
        """What the history keeps of it, under the operation ``drill``."""
        kept = ("drill", "passed", "seconds", "noticed", "first_right", "restored")
        return {name: getattr(self, name) for name in kept}


class DrillResults(Value, frozen=True):
    """What came of all of them."""

    results: tuple[DrillResult, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the first which was not passed, or 0."""
        return next((one.exit_code for one in self.results if not one.passed), 0)


def describe_time(seconds: float) -> str:
    """Minutes and seconds, as on a stopwatch."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
