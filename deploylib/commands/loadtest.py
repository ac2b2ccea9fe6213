"""A load test of what was released, and the trend."""

from __future__ import annotations

import msgspec

from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.loadtest import Trend
from deploylib.models.results import Report
from deploylib.models.units import seconds as read_seconds
from deploylib.release import aims

__all__ = ["load_test", "load_test_history"]


def load_test(env: Environment, *, rate: float = 0.0, seconds: str = "", write: bool = False) -> Report:
    """Send requests at a rate, and compare with the runs before.

    In a CI it is a stage of the run that its jobs share; elsewhere it puts nothing back.

    Args:
        rate: arrivals a second; 0: the settings' own.
        seconds: that are measured, such as ``30s``.
        write: users that write take part; never against production.
    """
    settings = env.config.environment.loadtest
    if seconds:
        read_seconds(seconds, "--seconds")
    try:
        chosen = msgspec.structs.replace(settings, rate=rate or settings.rate, seconds=seconds or settings.seconds)
    except ValueError as error:
        raise SettingsError(f"--rate, --seconds: {error}", remedy="--rate 20 --seconds 10s") from error
    return aims.assess_live(env, chosen, write=write)


def load_test_history(env: Environment, *, limit: int = 40) -> Trend:
    """Look back at the load tests that are like the last one.

    Raises:
        SettingsError: *limit* leaves none.
    """
    if limit < 1:
        raise SettingsError(f"--limit {limit} leaves nothing to show", remedy="inv loadtest.history --limit 40")
    return aims.look_back(env, limit)
