"""Steps of a team's own in the sequence of a release.

`stage` registers them, on a function in ``tasks.py``.

Imports nothing heavy, so that ``inv --list`` stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from deploylib.errors import SettingsError

__all__ = ["OwnStep", "Registration", "StepService", "check_steps", "stage"]

Body = Callable[["OwnStep"], "str | Iterable[str] | None"]


@dataclass(frozen=True)
class StepService:
    """A service of the release.

    The commit that it served, and the one that it serves after it.
    """

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class OwnStep:
    """What an own step works with.

    Attributes:
        commit: the full id of the commit that is released.
        services: those of the release, as far as it has been decided.
    """

    environment: str
    commit: str
    services: tuple[StepService, ...]
    _run: Callable[[str | Sequence[str], Sequence[str]], str] = field(repr=False)
    _note: Callable[[str], None] = field(repr=False)

    def run(self, command: str | Sequence[str], *, secrets: Sequence[str] = ()) -> str:
        """Start a program in the product's folder, and return what it prints.

        Args:
            command: the program and its arguments; there is no shell.
            secrets: variables of the settings that it may see all the same, such as ``RENDER_API_KEY``.

        Raises:
            DeployError: it ended with another code than 0, or not before the step's deadline.
        """
        return self._run(command, secrets)

    def note(self, line: str) -> None:
        """Tell a line while the step is at work."""
        self._note(line)


@dataclass(frozen=True)
class Registration:
    """A function that was registered, and where it stands."""

    name: str
    body: Body
    after: str
    before: str
    deadline: str


REGISTERED: dict[tuple[str, str], Registration] = {}


def stage(*, after: str = "", before: str = "", deadline: str = "5m") -> Callable[[Body], Body]:
    """Add a step to every release.

    The function that this decorates, called with an `OwnStep`.

    It is done once per run and recorded; it returns None, a line or lines; what it raises fails the run. Its name is the
    function's, with dashes. Of a run that has nothing to do, and of a rollback, it is no part.

    Args:
        after: the stage that it comes after: check, tests, scan, changes, backup, migrate, deploy, verify, or another step.
        before: the stage that it comes before, in the place of *after*.
        deadline: how long it may take.
    """

    def register(body: Body) -> Body:
        step = Registration(body.__name__.strip("_").replace("_", "-"), body, after, before, deadline)
        REGISTERED[body.__module__, body.__qualname__] = step
        return body

    return register


def check_steps(stages: Sequence[str]) -> tuple[Registration, ...]:
    """Check and return what is registered.

    Raises:
        SettingsError: a step bears a name that is taken, or has no place among *stages*.
    """
    names = set(stages) | {"rollback", "schema"}
    for step in REGISTERED.values():
        if step.name in names:
            raise SettingsError(
                f"the step {step.name!r} bears the name of another stage", remedy="give its function another name"
            )
        if bool(step.after) == bool(step.before) or (step.after or step.before) not in names - {"rollback", "schema"}:
            raise SettingsError(
                f"the step {step.name!r} needs one place in the sequence",
                remedy=f"@deploylib.stage(after=…) or before=…, with one of: {', '.join(stages)}",
            )
        names.add(step.name)
    return tuple(REGISTERED.values())
