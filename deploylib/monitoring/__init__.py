"""A monitor looks at an environment, and tells what is wrong, once.

`perform_round` looks at everything once, moves every state on by the rules, wins that in the store, and tells it: a
`MonitorRound`. `watch_rounds` does so again and again. `Silences` keep alerts from being told for a while, each an `AlertSilence`.
`read_open_alerts` gives the `OpenAlerts` that were told and have not ended; `read_last_drill` says when somebody has practised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.monitoring.open_alerts import OpenAlerts, read_last_drill, read_open_alerts
    from deploylib.monitoring.round import MonitorRound, perform_round
    from deploylib.monitoring.schedule import watch_rounds
    from deploylib.monitoring.silences import AlertSilence, Silences

__all__ = [
    "AlertSilence",
    "MonitorRound",
    "OpenAlerts",
    "Silences",
    "perform_round",
    "read_last_drill",
    "read_open_alerts",
    "watch_rounds",
]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "AlertSilence": "silences",
            "MonitorRound": "round",
            "OpenAlerts": "open_alerts",
            "Silences": "silences",
            "perform_round": "round",
            "read_last_drill": "open_alerts",
            "read_open_alerts": "open_alerts",
            "watch_rounds": "schedule",
        },
    )
