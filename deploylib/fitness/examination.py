"""Examine the services of a product, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deploylib.fitness.instances import Instances
from deploylib.fitness.judgement import judge_connections, judge_service
from deploylib.fitness.measurement import Measured, ServiceSubject, measure_service
from deploylib.models.connection_limits import DEFAULT, connection_limit
from deploylib.models.fitness import ServiceFitness
from deploylib.system import Clock

__all__ = ["examine_services"]


def examine_services(
    subjects: Sequence[ServiceSubject],
    instances: Instances,
    *,
    commit: str,
    plan: str,
    troubles: Mapping[str, str],
    clock: Clock,
    tell: Callable[[str], None],
) -> tuple[ServiceFitness, ...]:
    """Measure and judge services of which a deploy is live.

    Args:
        plan: of their database; empty: what a Blueprint without one gets.
        troubles: why a service did not go live, by its name.
        tell: is told what is being done.

    Raises:
        Unreachable: the local Render stopped answering.
    """
    seen: dict[str, Measured] = {}
    for subject in subjects:
        if trouble := troubles.get(subject.name):
            seen[subject.name] = Measured(trouble=trouble, failed=instances.read_failed(subject.name))
        else:
            seen[subject.name] = measure_service(subject, instances, clock=clock, tell=tell)
    held = {one.name: burst.held * one.instances for one in subjects if (burst := seen[one.name].burst) is not None}
    limit, now, services = connection_limit(plan), clock.now(), []
    for subject in subjects:
        fits = judge_connections(subject, seen[subject.name], held, limit, plan or DEFAULT)
        services.append(
            ServiceFitness(
                service=subject.name,
                runtime=subject.runtime,
                start_command=subject.start_command,
                commit=commit,
                at=now,
                rows=(*judge_service(subject, seen[subject.name]), *(() if fits is None else (fits,))),
            )
        )
    return tuple(services)
