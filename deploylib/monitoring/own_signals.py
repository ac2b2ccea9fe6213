"""A team adds its own signals to every round of a monitor.

`signal` registers them, on a function in ``tasks.py`` that gives a figure. Imports nothing heavy, so that ``inv --list`` stays quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from deploylib.errors import SettingsError
from deploylib.models.signals import Signal

__all__ = ["RegisteredSignal", "SignalLook", "check_signals", "signal"]

NAMED = re.compile(r"[a-z][a-z0-9_]{0,39}")

Body = Callable[["SignalLook"], float]


@dataclass(frozen=True)
class SignalLook:
    """What a signal of a team's own works with."""

    environment: str
    _run: Callable[[str | Sequence[str], Sequence[str]], str] = field(repr=False)

    def run(self, command: str | Sequence[str], *, secrets: Sequence[str] = ()) -> str:
        """Start a program in the product's folder, and return what it prints.

        Args:
            command: the program and its arguments; there is no shell.
            secrets: variables of the settings that it may see all the same, such as ``RENDER_API_KEY``.

        Raises:
            DeployError: it ended with another code than 0, or not before the signal's deadline.
        """
        return self._run(command, secrets)


@dataclass(frozen=True)
class RegisteredSignal:
    """A function that was registered, and when its figure is bad.

    Attributes:
        under_way: the call of it that has not come back; None: there is none.
    """

    name: str
    body: Body
    above: float | None
    below: float | None
    unit: str
    title: str
    remedy: str
    lasts: str
    severity: str
    reminder: str
    deadline: str
    under_way: list[Future[float]] = field(default_factory=list, compare=False, repr=False)


SIGNALS: dict[tuple[str, str], RegisteredSignal] = {}


def signal(
    name: str,
    *,
    above: float | None = None,
    below: float | None = None,
    unit: str = "",
    title: str = "",
    remedy: str = "",
    lasts: str = "1m",
    severity: str = "warning",
    reminder: str = "4h",
    deadline: str = "10s",
) -> Callable[[Body], Body]:
    """Add a signal to every round of the monitor.

    The function that this decorates, called with a `SignalLook`, returns a figure. What it raises is *not examined*, and told to nobody;
    of yes and no it returns 1 and 0.

    Args:
        name: of the signal, as settings and silences have it: ``queue``.
        above: the figure is bad above this bound.
        below: it is bad below this one, in the place of *above*.
        unit: of the figure, for who reads it: ``jobs``.
        title: what is wrong then, in a line; default: the name, and the bound.
        remedy: what a person does about it.
        lasts: how long it must be bad before it is told, and good before its end is.
        severity: ``critical``, ``warning`` or ``note``.
        reminder: after how long it is told again; ``never``.
        deadline: how long it may take.
    """

    def register(body: Body) -> Body:
        SIGNALS[body.__module__, body.__qualname__] = RegisteredSignal(
            name, body, above, below, unit, title, remedy, lasts, severity, reminder, deadline
        )
        return body

    return register


def check_signals() -> dict[str, RegisteredSignal]:
    """Check and return what is registered, by name.

    Raises:
        SettingsError: a signal bears a name that is taken or none, or has no bound.
    """
    places = dict[str, RegisteredSignal]()
    for own in SIGNALS.values():
        if own.name in {*Signal, *places} or not NAMED.fullmatch(own.name):
            raise SettingsError(
                f"{own.name!r} cannot be the name of a signal of your own",
                remedy=f"another one in tasks.py, of a-z, 0-9 and _, and none of: {', '.join((*Signal, *places))}",
            )
        if (own.above is None) == (own.below is None):
            raise SettingsError(
                f"the signal {own.name!r} needs one bound",
                remedy=f'@deploylib.signal("{own.name}", above=…) or below=…',
            )
        places[own.name] = own
    return places
