"""Rounds, one after the other, until somebody stops them."""

from __future__ import annotations

from collections.abc import Callable

from deploylib.environment import Environment
from deploylib.errors import Unreachable
from deploylib.models.units import seconds
from deploylib.monitoring.round import MonitorRound, perform_round

__all__ = ["watch_rounds"]


def watch_rounds(
    env: Environment, show: Callable[[MonitorRound], None], trouble: Callable[[Unreachable], None], *, rounds: int = 0
) -> MonitorRound:
    """Perform rounds as often as the settings say.

    A store that does not answer ends none of them: the next round may find it again.

    Args:
        show: is given each round.
        trouble: is told why there was none.
        rounds: how many; 0: until it is interrupted.

    Returns:
        the last round.
    """
    every, done = seconds(env.config.settings.monitor.every), 0
    while True:
        began = env.clock.monotonic()
        last = _perform(env, show, trouble)
        done += 1
        if done == rounds:
            return last
        env.clock.sleep(max(0.0, every - (env.clock.monotonic() - began)))


def _perform(
    env: Environment, show: Callable[[MonitorRound], None], trouble: Callable[[Unreachable], None]
) -> MonitorRound:
    try:
        done = perform_round(env)
    except Unreachable as error:
        trouble(error)
        return MonitorRound(environment=env.name, at=env.clock.now(), blind=True, notes=(error.message,))
    show(done)
    return done
