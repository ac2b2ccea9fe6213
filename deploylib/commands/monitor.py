"""Monitor an environment, and silence its alerts for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deploylib.environment import Environment
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import remedies
from deploylib.models.signals import Signal
from deploylib.models.units import age, seconds
from deploylib.monitoring import AlertSilence, MonitorRound, Silences, perform_round, watch_rounds

__all__ = ["monitor", "silence_alerts"]

LONGEST = 7 * 86400.0  # seconds: what nobody wants to hear of for longer is a rule


def monitor(env: Environment, *, watch: bool = False, rounds: int = 0) -> MonitorRound:
    """Look at everything once, and tell what has changed.

    Args:
        watch: again and again, until it is interrupted; each round is a line of progress.
        rounds: with *watch*: only so many; 0: without an end.

    Returns:
        What was seen, at last; its ``exit_code`` is 0 whatever is wrong, and that of `NotExamined` where nobody could see.

    Raises:
        SettingsError: nothing was ever deployed there from here.
        Unreachable: the store does not answer; with *watch*, that is told, and the next round finds it again.
    """
    if not watch:
        return perform_round(env)

    def show(done: MonitorRound) -> None:
        bad = [f"{key} {condition}" for key, condition in done.conditions.items() if condition not in {"ok", "unknown"}]
        seen = "blind: nobody answers" if done.blind else ", ".join(bad) or f"{len(done.readings)} looks, all well"
        told = [f"  told: {alert.state}: {alert.title}" for alert in done.told]
        env.progress.note(f"{done.at:%H:%M:%S} UTC  {seen}", *told, *(f"  {note}" for note in done.notes))

    def trouble(error: Unreachable) -> None:
        env.progress.note(
            f"{env.clock.now():%H:%M:%S} UTC  no round: {error.message}", f"  {remedies.about(env.name, error.remedy)}"
        )

    return watch_rounds(env, show, trouble, rounds=rounds)


def silence_alerts(
    env: Environment, *, reason: str, until: str = "", signals: Sequence[str] = (), services: Sequence[str] = ()
) -> AlertSilence:
    """Keep alerts from being told for a while.

    What is wrong at its end is told then.

    Args:
        until: how long from now, such as ``2h``; a week at most.
        signals: only these; empty: all.
        services: only of these services or databases; empty: of all.

    Raises:
        SettingsError: no reason, no end, or no such signal.
    """
    example = f'inv monitor.silence{env.flag} --reason "moving the database" --until 2h'
    if not reason.strip():
        raise SettingsError("a silence needs a reason", remedy=example)
    if not until.strip():
        raise SettingsError("a silence needs an end", remedy=example)
    lasts = seconds(until, "--until")
    if lasts > LONGEST:
        told = f"a silence of {age(lasts)} would be forgotten"
        raise SettingsError(told, remedy="a week at most; for good: on = false in [monitor.rules.SIGNAL]")
    if unknown := [name for name in signals if name not in list(Signal)]:
        raise SettingsError(f"there is no signal {unknown[0]!r}", remedy=f"one of: {', '.join(Signal)}")
    now = env.clock.now()
    silence = AlertSilence(
        id=f"{now:%Y%m%dT%H%M%S.%f}",
        at=now,
        until=now + timedelta(seconds=lasts),
        reason=reason.strip(),
        author=env.author,
        signals=tuple(Signal(name) for name in signals),
        subjects=tuple(services),
    )
    Silences(env.store, env.name).place(silence)
    return silence
