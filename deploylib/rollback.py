"""Which release to go back to, and what that means for each service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from deploylib.errors import SettingsError
from deploylib.ledger import RunState
from deploylib.models import Live, Order, Target
from deploylib.outcome import short

__all__ = ["Restored", "candidates", "choose", "orders"]


class Restored(msgspec.Struct, frozen=True):
    """What a rollback leaves in the ledger: the run whose release it restored."""

    run: str = ""


def candidates(history: Iterable[RunState], live: Mapping[str, Live], *, left_too: bool = False) -> list[RunState]:
    """The verified releases that differ from what is live now, newest first.

    What was once rolled back from is none of them: behind a rollback the search goes on at the release it restored.

    Args:
        history: the runs of the environment, newest first.
        live: what each service serves, by name.
        left_too: those that were rolled back from as well, for somebody who names one.
    """
    now = {name: one.commit for name, one in live.items()}
    found, until = [], ""
    for state in history:
        if until and state.id != until:
            continue
        passed_over = state.opened.back and state.release and not left_too
        until = state.data("rollback", Restored).run if passed_over else ""
        if state.release and {one.service: one.commit for one in state.release} != now:
            found.append(state)
    return found


def choose(history: Iterable[RunState], live: Mapping[str, Live], to: str = "") -> RunState:
    """The release to go back to: the newest candidate, or the newest one that *to* (run or commit) names.

    Raises:
        SettingsError: there is none.
    """
    found = candidates(history, live, left_too=bool(to))
    if not found:
        raise SettingsError(
            "there is no earlier release that was verified: nothing to go back to",
            remedy="inv history shows every run; fix, commit, inv deploy",
        )
    if not to:
        return found[0]
    for state in found:
        if state.id.endswith(to) or (len(to) >= 7 and state.commit.id.startswith(to)):
            return state
    known = ", ".join(f"{short(state.id)} ({state.commit.short})" for state in found[:5])
    raise SettingsError(f"no verified release {to!r}; there are: {known}", remedy="inv rollback --to RUN")


def orders(targets: Sequence[Target], release: Iterable[Live], live: Mapping[str, Live]) -> list[Order]:
    """What each service has to do so that *release* is live again; services that serve it already are left alone."""
    wanted = {one.service: one for one in release}
    return [
        Order(
            target=target,
            commit=wanted[target.name].commit,
            previous=live[target.name],
            from_deploy=wanted[target.name].deploy_id,
        )
        for target in targets
        if target.name in wanted
        and wanted[target.name].commit
        and wanted[target.name].commit != live[target.name].commit
    ]
