"""A witness is asked before a service is called down.

Where nobody at all answers, it is our own network that is gone: then nothing is known, and nothing is told until it is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from deploylib.errors import DeployError, Interrupted, Unreachable
from deploylib.monitoring.addresses import Asked
from deploylib.monitoring.readings import Reading
from deploylib.monitoring.states import Look
from deploylib.store import Store, StoreRefused
from deploylib.system import http

__all__ = ["Witness", "ask_platform", "ask_store", "can_see", "doubt"]

WITHIN = 10.0  # seconds for a witness to answer

Witness = Callable[[], bool]
"""Whether somebody outside answers; what it says is of no matter."""


def ask_platform(url: str) -> bool:
    """Ask the platform without a key; a refusal is an answer."""
    try:
        with http.Session(timeout=WITHIN) as session:
            session.request("GET", f"{url}/services?limit=1", limit=http.PAGE)
    except http.HttpError:
        return False
    return True


def ask_store(store: Store, prefix: str) -> bool:
    """Ask a store across the network; a refusal is an answer."""
    try:
        next(iter(store.list(prefix)), None)
    except StoreRefused:
        return True
    except Unreachable:
        return False
    return True


def can_see(asked: Iterable[Asked], witnesses: Sequence[Witness]) -> bool:
    """Tell whether anybody answers: a service, or else a witness.

    Nobody is asked where a service has answered, or none was asked.
    """
    every = list(asked)
    return not every or any(one.status for one in every) or any(_answers(witness) for witness in witnesses)


def doubt(readings: Iterable[Reading], *, seeing: bool) -> list[Reading]:
    """Take back what is bad only because nobody answered."""
    if seeing:
        return list(readings)
    return [_unknown(reading) if reading.unanswered else reading for reading in readings]


def _unknown(reading: Reading) -> Reading:
    return Reading(
        signal=reading.signal,
        subject=reading.subject,
        look=Look.UNKNOWN,
        text="neither it nor the platform nor the store answers: the network here is gone",
    )


def _answers(witness: Witness) -> bool:
    try:
        return witness()
    except Interrupted:
        raise
    except DeployError:  # it does not know where to ask
        return False
