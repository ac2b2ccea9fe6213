"""Monitor an environment, and silence its alerts for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deploylib.environment import Environment
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import remedies
from deploylib.models.units import age, seconds
from deploylib.monitoring import AlertSilence, MonitorRound, Silences, perform_round, watch_rounds

__all__ = ["end_silences", "monitor", "silence_alerts"]

SHORTEST = 60.0  # seconds: what ends before the next round silences nothing
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
        lines = [f"  told: {alert.state}: {alert.title}" for alert in done.told]
        env.progress.note(f"{done.at:%H:%M:%S} UTC  {seen}", *lines, *(f"  {note}" for note in done.notes))

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
        until: how long from now, such as ``2h``; a minute at least, a week at most.
        signals: only these; empty: all.
        services: only of these services or databases; empty: of all.

    Raises:
        SettingsError: no reason, no end, no such signal, or no such service.
    """
    example = f'inv monitor.silence{env.flag} --reason "moving the database" --until 2h'
    if not reason.strip():
        raise SettingsError("a silence needs a reason", remedy=example)
    if not until.strip():
        raise SettingsError("a silence needs an end", remedy=example)
    lasts = seconds(until, "--until")
    if lasts < SHORTEST:
        raise SettingsError(f"--until {until.strip()} is over before anybody looks", remedy=example)
    if lasts > LONGEST:
        message = f"a silence of {age(lasts)} would be forgotten"
        raise SettingsError(message, remedy="a week at most; for good: on = false in [monitor.rules.SIGNAL]")
    if unknown := _strangers(env, services):
        raise SettingsError(
            f"nobody watches {unknown[0]!r}", remedy="leave --service out, or name what inv monitor names"
        )
    now = env.clock.now()
    silence = AlertSilence(
        id=f"{now:%Y%m%dT%H%M%S.%f}",
        at=now,
        until=now + timedelta(seconds=lasts),
        reason=reason.strip(),
        author=env.author,
        signals=tuple(signals),
        subjects=tuple(services),
    )
    Silences(env.store, env.name).place(silence)
    return silence


def _strangers(env: Environment, services: Sequence[str]) -> list[str]:
    """Find the names that no alert can be about."""
    if not services:
        return []
    known = env.history.find_newest(env.name, lambda state: state.has_done("check"))
    if known is None:
        return []
    checked = known.checked
    watched = {target.name for target in checked.targets} | {checked.database or "database"}
    return [name for name in services if name not in watched]


def end_silences(env: Environment, *, name: str = "") -> tuple[AlertSilence, ...]:
    """End silences early; what is wrong is told by the next round.

    Args:
        name: the id of one, or the end of it; empty: every one that lasts.

    Raises:
        SettingsError: there is none, or several are meant.
    """
    silences = Silences(env.store, env.name)
    lasting = silences.read(env.clock.now())
    chosen = tuple(one for one in lasting if one.id.endswith(name.strip()))
    if not chosen or (name and len(chosen) > 1):
        message = (
            "no silence lasts" if not lasting else f"{'several silences are' if chosen else 'no silence is'} {name!r}"
        )
        names = ", ".join(one.id for one in lasting)
        raise SettingsError(message, remedy=f"one of: {names}" if names else "inv status tells the silences that last")
    for silence in chosen:
        silences.end(silence, env.author, env.clock.now())
    return chosen
