"""Choose a release to go back to, and its orders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.migrations import compatibility
from deploylib.models import Checked, Intent, Live, Order, Restored, Target, ids
from deploylib.models.results import short
from deploylib.release.schema_fit import compare_schema, schema_now
from deploylib.state import RunState

__all__ = ["choose_release", "find_candidates", "find_variables", "judge_fit", "orders"]


class _Past(Protocol):
    """What a run or its summary tells of its release."""

    @property
    def id(self) -> str: ...
    @property
    def release(self) -> tuple[Live, ...]: ...
    @property
    def restoring(self) -> Restored | None: ...


P = TypeVar("P", bound=_Past)


def find_candidates(
    history: Iterable[P], live: Mapping[str, Live], *, bad: Collection[str] = (), named: bool = False
) -> list[P]:
    """Find verified releases other than what is live, newest first.

    What was once rolled back from is none of them: behind a rollback the search goes on at the release it restored.

    Args:
        history: the runs of the environment, newest first.
        live: what each service serves, by name.
        bad: commits that the environment refuses; a release with one of them is passed over.
        named: somebody names the release, and so means it: also one that was rolled back from, or that is refused.
    """
    now = {name: one.commit for name, one in live.items()}
    candidates: list[P] = []
    until = ""
    for state in history:
        if until and state.id != until:
            continue
        until = state.restoring.run if state.restoring and state.release and not named else ""
        commits = {one.service: one.commit for one in state.release}
        if state.release and commits != now and (named or not set(commits.values()) & set(bad)):
            candidates.append(state)
    return candidates


def choose_release(
    history: Iterable[RunState], live: Mapping[str, Live], to: str = "", *, bad: Collection[str] = ()
) -> RunState:
    """Choose the release to go back to.

    The newest candidate, or the one that *to* names, of several of a commit the newest.

    Args:
        to: a run or the end of its id, a commit, or a deploy (``dep-…``) that was live in the release.
        bad: see `find_candidates`.

    Raises:
        SettingsError: there is none; or *to* may be several runs or commits.
    """
    candidates = find_candidates(history, live, bad=bad, named=bool(to))
    if not candidates:
        raise SettingsError(
            "there is no earlier release that was verified: nothing to go back to",
            remedy="inv history shows every run; fix, commit, inv deploy",
        )
    if not to:
        return candidates[0]
    if (chosen := _named(candidates, to)) is not None:
        return chosen
    known = ", ".join(f"{short(state.id)} ({state.commit.short})" for state in candidates[:5])
    raise SettingsError(f"no verified release {to!r}; there are: {known}", remedy="inv rollback --to RUN")


def _named(candidates: Sequence[RunState], to: str) -> RunState | None:
    """Find the release that somebody has named.

    By all of a run's, a deploy's or a commit's id, or else by a part of one.

    Raises:
        SettingsError: the part is of several.
    """
    releases: dict[str, RunState] = {}
    for state in reversed(candidates):  # the newest one of a commit or a deploy stands for it
        releases |= dict.fromkeys((state.commit.id, *(one.deploy_id for one in state.release)), state)
    runs = {state.id: state for state in candidates}
    if (whole := {**releases, **runs}.get(to)) is not None:
        return whole
    run = ids.find_id(to, runs, kind="run", short=short)
    commits = {state.commit.id for state in candidates if len(to) >= 7 and state.commit.id.startswith(to)}
    parts = {one: {**releases, **runs}[one] for one in (*((run,) if run else ()), *sorted(commits))}
    if len({state.id for state in parts.values()}) > 1:
        raise ids.ambiguous(to, parts, kind="release")
    return next(iter(parts.values()), None)


def orders(
    targets: Sequence[Target], release: Iterable[Live], live: Mapping[str, Live], begun: Mapping[str, Intent]
) -> list[Order]:
    """Say what each service must do so that *release* is live again.

    Services that serve it already are left alone.

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


def find_variables(history: Iterable[RunState], service: str, deploy_id: str) -> tuple[str, ...]:
    """Find the names of a deploy's variables when made.

    Empty: nobody recorded them.
    """
    for state in history:
        accepted = {**state.triggered, **state.back_triggered}
        if service in accepted and accepted[service].deploy_id == deploy_id:
            intent = state.intents.get(service) or state.back_intents.get(service)
            return intent.variables if intent else ()  # the event that tells them may be damaged
    return ()


def judge_fit(
    env: Environment, checked: Checked, release: RunState, history: list[RunState], live: Mapping[str, Live]
) -> compatibility.Fit:
    """Judge whether a release fits the schema as it is."""
    return compare_schema(checked.targets, release, history, schema_now(env, checked, history), live)
