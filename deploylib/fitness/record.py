"""Keep what was measured last of each service.

It stands where the history is: ``fitness/<hash of its name>/<time>.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from deploylib.models.fitness import FitVerdict, ServiceFitness
from deploylib.store import Damaged, Store, read_document

__all__ = ["record_fitness", "remind"]


def record_fitness(store: Store, fitness: ServiceFitness) -> None:
    """Keep a result; what was found of the service before goes.

    Raises:
        Unreachable: the store did not answer, or refused.
    """
    before = list(store.list(_folder(fitness.service)))
    key = f"{_folder(fitness.service)}{fitness.at:%Y%m%dT%H%M%S.%f}.json"
    store.put_if_absent(key, msgspec.json.encode(fitness))
    for each in before:
        store.delete(each)


def remind(store: Store, commands: Mapping[str, str]) -> tuple[str, ...]:
    """Tell what was unfit and is started by the same command.

    Args:
        commands: the start command of each service, by its name.

    Raises:
        Unreachable: the store did not answer.
    """
    lines = []
    for service, command in commands.items():
        for key in list(store.list(_folder(service)))[-1:]:
            try:
                recorded = read_document(store, key, ServiceFitness)
            except KeyError:  # it was measured anew in this moment
                continue
            except Damaged as damaged:
                lines.append(f"{service}: its fitness is not known: {damaged.message}")
                continue
            unfit = ", ".join(row.question for row in recorded.of(FitVerdict.UNFIT))
            if unfit and recorded.start_command == command:
                reminder = f"unfit for a release without downtime at {recorded.commit[:7]}: {unfit}"
                lines.append(f"{service}: {reminder} (inv local.fitness --service {service})")
    return tuple(lines)


def _folder(service: str) -> str:
    return f"fitness/{hashlib.sha256(service.encode()).hexdigest()[:16]}/"  # a name may hold anything
