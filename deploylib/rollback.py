"""Which release to go back to, and what that means for each service and its environment variables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from deploylib.errors import SettingsError
from deploylib.ledger import RunState
from deploylib.models import Intent, Live, Order, Target
from deploylib.outcome import short

__all__ = ["candidates", "choose", "orders", "variables"]


def candidates(
    history: Iterable[RunState], live: Mapping[str, Live], *, bad: Collection[str] = (), named: bool = False
) -> list[RunState]:
    """The verified releases that differ from what is live now, newest first.

    What was once rolled back from is none of them: behind a rollback the search goes on at the release it restored.

    Args:
        history: the runs of the environment, newest first.
        live: what each service serves, by name.
        bad: commits that the environment refuses; a release with one of them is passed over.
        named: somebody names the release, and so means it: also one that was rolled back from, or that is refused.
    """
    now = {name: one.commit for name, one in live.items()}
    found, until = [], ""
    for state in history:
        if until and state.id != until:
            continue
        until = state.restoring.run if state.restoring and state.release and not named else ""
        commits = {one.service: one.commit for one in state.release}
        if state.release and commits != now and (named or not set(commits.values()) & set(bad)):
            found.append(state)
    return found


def choose(
    history: Iterable[RunState], live: Mapping[str, Live], to: str = "", *, bad: Collection[str] = ()
) -> RunState:
    """The release to go back to: the newest candidate, or the newest one that *to* names.

    Args:
        to: a run or the end of its id, a commit, or a deploy (``dep-…``) that was live in the release.
        bad: see `candidates`.

    Raises:
        SettingsError: there is none.
    """
    found = candidates(history, live, bad=bad, named=bool(to))
    if not found:
        raise SettingsError(
            "there is no earlier release that was verified: nothing to go back to",
            remedy="inv history shows every run; fix, commit, inv deploy",
        )
    if not to:
        return found[0]
    for state in found:
        deploys = {one.deploy_id for one in state.release}
        if state.id.endswith(to) or to in deploys or (len(to) >= 7 and state.commit.id.startswith(to)):
            return state
    known = ", ".join(f"{short(state.id)} ({state.commit.short})" for state in found[:5])
    raise SettingsError(f"no verified release {to!r}; there are: {known}", remedy="inv rollback --to RUN")


def orders(
    targets: Sequence[Target], release: Iterable[Live], live: Mapping[str, Live], begun: Mapping[str, Intent]
) -> list[Order]:
    """What each service has to do so that *release* is live again; services that serve it already are left alone.

    Args:
        begun: what this very rollback has asked for before it was interrupted, by service.
    """
    wanted = {one.service: one for one in release if one.commit}
    return [
        Order(
            target=target,
            commit=wanted[target.name].commit,
            previous=begun[target.name].previous if target.name in begun else live[target.name],
            from_deploy=wanted[target.name].deploy_id,
        )
        for target in targets
        if target.name in wanted and (target.name in begun or wanted[target.name].commit != live[target.name].commit)
    ]


def variables(history: Iterable[RunState], service: str, deploy_id: str) -> tuple[str, ...]:
    """Names of the variables that a deploy of ours had when it was made; empty where nobody recorded them."""
    for state in history:
        made = {**state.triggered, **state.back_triggered}
        if service in made and made[service].deploy_id == deploy_id:
            intent = state.intents.get(service) or state.back_intents[service]
            return intent.variables
    return ()
