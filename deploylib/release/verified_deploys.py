"""Which deploys have proven themselves.

What is live, and was never verified, is nothing to build on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploylib.models import Live
from deploylib.state import RunState

__all__ = ["find_unproven", "last_shipped"]


def find_unproven(history: Iterable[RunState], live: Mapping[str, Live]) -> tuple[str, ...]:
    """Name the services whose live deploy no run has verified.

    A lost answer, a put-back that failed, a run that nobody ended, a deploy by hand, or a product that was released without
    this library so far.

    Args:
        history: the runs of the environment, newest first.
        live: what each service serves, by name.
    """
    left = {name: one.deploy_id for name, one in live.items() if one.commit}
    for state in history:
        if not left:
            break
        proven = {one.service: one.deploy_id for one in state.release}
        back = {one.service: state.back_triggered[one.service].deploy_id for one in _put_back(state)}
        left = {name: deploy for name, deploy in left.items() if deploy not in {proven.get(name), back.get(name)}}
    return tuple(name for name in live if name in left)


def _put_back(state: RunState) -> list[Live]:
    return [Live(service=one.service) for one in state.put_back if one.ok and one.service in state.back_triggered]


def last_shipped(history: Iterable[RunState], service: str, service_id: str) -> str:
    """Find the newest deploy of a service by our records.

    Empty: none.

    Args:
        service_id: a service that was made anew has another one, and nothing of it was shipped yet.
    """
    for state in history:
        ids = {one.name: one.service_id for one in state.checked.targets}
        if ids.get(service) != service_id:
            continue
        if service in state.back_triggered and any(one.service == service for one in _put_back(state)):
            return state.back_triggered[service].deploy_id
        if service in state.shipped:
            return state.shipped[service].deploy_id
    return ""
