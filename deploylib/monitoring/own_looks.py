"""A monitor calls a team's own signals, each for a bounded time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as TooLate

from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted
from deploylib.models.units import seconds, words
from deploylib.monitoring.own_signals import RegisteredSignal, SignalLook
from deploylib.monitoring.readings import Reading, make_unknown
from deploylib.monitoring.rules import AlertRule
from deploylib.monitoring.states import Look
from deploylib.system import Deadline, process, threads

__all__ = ["look_at_own"]

LONGEST = 200  # characters of what a function has raised


def look_at_own(env: Environment, own: RegisteredSignal, rule: AlertRule) -> Reading:
    """Call a team's function, and judge the figure that it gives."""
    if any(not call.done() for call in own.under_way):  # no thread more each round
        return make_unknown(own.name, "", f"{own.body.__name__} has not come back from the round before")
    deadline = Deadline.after(seconds(own.deadline), env.clock)
    look = SignalLook(env.name, _starter(env, own, deadline))
    own.under_way[:] = [call := threads.start(lambda: own.body(look), own.name)]
    try:
        figure = call.result(seconds(own.deadline))
    except Interrupted:
        raise
    except TooLate:
        return make_unknown(own.name, "", f"{own.body.__name__} gave no figure within {own.deadline}")
    except DeployError as error:
        return make_unknown(own.name, "", _first_line(error.message))
    except Exception as error:  # noqa: BLE001 - a function of others: whatever it raises, nobody could look
        return make_unknown(own.name, "", _first_line(f"{type(error).__name__}: {error}"))
    if not _is_figure(figure):
        return make_unknown(own.name, "", f"{own.body.__name__} gave {_first_line(repr(figure))}, which is no figure")
    return _judge(own, rule, figure)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _judge(own: RegisteredSignal, rule: AlertRule, figure: float) -> Reading:
    """Compare a figure with its bound."""
    bad, side = (figure > rule.limit, "above") if own.below is None else (figure < rule.limit, "below")
    text = f"{figure:g} {own.unit}".rstrip()
    if not bad:
        return Reading(signal=own.name, subject="", look=Look.GOOD, text=text)
    title = own.title or f"{own.name} is {side} {rule.limit:g} {own.unit}".rstrip()
    return Reading(signal=own.name, subject="", look=Look.BAD, text=text, title=title, remedy=own.remedy)


def _starter(
    env: Environment, own: RegisteredSignal, deadline: Deadline
) -> Callable[[str | Sequence[str], Sequence[str]], str]:
    """Make what starts a program for the function, without our secrets."""

    def start(command: str | Sequence[str], secrets: Sequence[str]) -> str:
        args = words(command, own.name) if isinstance(command, str) else tuple(command)
        drops = tuple(name for name in env.config.secrets if name not in secrets)
        left = max(0.1, deadline.left)
        return env.runner.run(
            process.Command(args, cwd=env.config.root, drops=drops, timeout=left, shown=True, tree=True)
        ).text

    return start


def _first_line(text: str) -> str:
    first = next(iter(text.splitlines()), "")
    return first if len(first) <= LONGEST else f"{first[: LONGEST - 1]}…"
