"""Bringing to one environment exactly what another has verified, and still serves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from deploylib.errors import Blocked
from deploylib.models import Commit, Live, Value
from deploylib.models.results import NOTHING, short
from deploylib.state import RunState

__all__ = ["VerifiedRelease", "require_verified"]


class VerifiedRelease(Value, frozen=True):
    """A release that an environment has verified and serves.

    Attributes:
        commits: full ids, by service.
        tested: the product's own tests have passed in that run.
        examined: the commit of the run that was asked for, which the jobs of the same CI run have examined.
    """

    environment: str
    run: str
    commit: Commit
    commits: dict[str, str]
    tested: bool = False
    examined: str = ""

    @property
    def name(self) -> str:
        """How the history of the other environment calls it."""
        return f"{self.environment}/{self.run}"


def require_verified(
    environment: str,
    history: Iterable[RunState],
    look: Callable[[], Mapping[str, Live]],
    bad: Collection[str] = (),
    run: str = "",
) -> VerifiedRelease:
    """Find the release that *environment* has verified.

    It serves it still, unless runs have followed the one that was asked for: these are newer pushes.

    Args:
        history: its runs, newest first.
        look: asks what each of its services serves, by the platform's word.
        bad: commits that it refuses.
        run: what this one has left verified; empty: the newest one.

    Raises:
        Blocked: it has never verified a release, a run of it is open, or it serves something else by now.
    """
    again = f"inv deploy --environment {environment}, then promote"
    states = list(history)
    place = next((number for number, state in enumerate(states) if state.id.endswith(run)), None)
    if run and place is None:
        raise Blocked(f"{environment} has no run {run!r}", remedy=f"inv history --environment {environment}")
    asked = states[place or 0 :]
    live = {} if place else look()
    release = next((state for state in asked if state.release), None)
    if release is None:
        raise Blocked(f"{environment} has no verified release", remedy=again)
    newer = asked[: asked.index(release)]
    if open_ := next((state for state in newer if state.report is None), None):
        remedy = f"wait for it, or inv finish --environment {environment}"
        raise Blocked(f"run {short(open_.id)} of {environment} is open", remedy=remedy)
    if run and newer and (ended := newer[0].report) is not None and ended.outcome != NOTHING:
        raise Blocked(f"run {short(newer[0].id)} of {environment} has verified nothing: {ended.outcome}", remedy=again)
    commits = {one.service: one.commit for one in release.release if one.commit}
    now = commits if place else {name: one.commit for name, one in live.items() if one.commit}
    if odd := sorted(name for name in {*commits, *now} if commits.get(name) != now.get(name)):
        details = tuple(f"{name}: verified {_said(commits, name)}, serves {_said(now, name)}" for name in odd)
        text = f"{environment} no longer serves what run {short(release.id)} has verified"
        raise Blocked(text, details=details, remedy=again)
    if refused := sorted({one[:7] for one in commits.values()} & {one[:7] for one in bad}):
        raise Blocked(f"{environment} refuses {', '.join(refused)}", remedy=f"inv status --environment {environment}")
    tests = release.stages.get("tests")
    passed = tests is not None and tests.status.value == "done"
    return VerifiedRelease(
        environment=environment,
        run=release.id,
        commit=release.commit,
        commits=commits,
        tested=passed,
        examined=asked[0].commit.id if run else "",
    )


def _said(commits: Mapping[str, str], name: str) -> str:
    return commits.get(name, "")[:7] or "nothing"
