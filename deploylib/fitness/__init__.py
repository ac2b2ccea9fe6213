"""Fitness of a program for releases without downtime, measured, not guessed.

`ServiceSubject` is a service and how it is asked; `examine_services` puts each through its shutdown, a stopped database and twenty
keep-alive connections, on the `Instances` of a local Render, and says what is fit, unfit or could not be measured, with the
line to change. `record_fitness` keeps a result; `remind` tells what was unfit and is started by the same command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.fitness.examination import examine_services
    from deploylib.fitness.instances import Instances
    from deploylib.fitness.measurement import ServiceSubject
    from deploylib.fitness.record import record_fitness, remind

__all__ = ["Instances", "ServiceSubject", "examine_services", "record_fitness", "remind"]

__getattr__ = look_up_in(
    __name__,
    {
        "Instances": "instances",
        "ServiceSubject": "measurement",
        "examine_services": "examination",
        "record_fitness": "record",
        "remind": "record",
    },
)
