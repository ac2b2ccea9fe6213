"""Which release to go back to, and what that means for each service."""

from __future__ import annotations

import msgspec
import pytest

from deploylib.errors import SettingsError
from deploylib.models import Commit, Live, Opened, Order, Restored
from deploylib.models.results import Report
from deploylib.release import rollback
from deploylib.state.run_state import RunState
from tests.support.fakes import NEW, OLD, START, THIRD, target


def release(run: str, outcome: str = "succeeded", **commits: str) -> RunState:
    """A run that left these commits live."""
    live = tuple(Live(service=name, commit=commit, deploy_id=f"dep-{commit[:1]}") for name, commit in commits.items())
    commit = Commit(id=next(iter(commits.values())))
    return RunState(
        opened=Opened(run=run, environment="staging", commit=commit),
        at=START,
        last=START,
        report=Report(run=run, environment="staging", outcome=outcome, exit_code=0, live=live),
    )


HISTORY = [
    release("run-5555", "build failed", api=THIRD, web=NEW),
    release("run-4444", api=NEW, web=NEW),
    release("run-3333", "nothing to do", api=OLD, web=OLD),
    release("run-2222", api=OLD, web=NEW),
    release("run-1111", api=OLD, web=OLD),
]
LIVE = {name: Live(service=name, commit=NEW) for name in ("api", "web")}


def test_candidates_are_verified_releases_that_differ_from_what_is_live() -> None:
    """Newest first; neither what failed, nor what changed nothing, nor what is live already."""
    assert ["run-2222", "run-1111"] == [state.id for state in rollback.find_candidates(HISTORY, LIVE)]


@pytest.mark.parametrize(
    ("to", "run"),
    [("", "run-2222"), ("1111", "run-1111"), ("run-1111", "run-1111"), (OLD, "run-2222"), (OLD[:7], "run-2222")],
    ids=["newest", "end of id", "id", "commit", "short commit"],
)
def test_the_newest_candidate_is_chosen_or_the_one_that_is_named(to: str, run: str) -> None:
    """By run or by commit."""
    assert run == rollback.choose_release(HISTORY, LIVE, to).id


@pytest.mark.parametrize("to", ["4444", "5555", "aaa", THIRD])
def test_what_is_no_candidate_is_refused_with_those_that_are(to: str) -> None:
    """Neither what is live, nor what was never verified, nor a piece of a commit too short to mean one."""
    with pytest.raises(SettingsError, match=r"there are: 2222 \(aaaaaaa\), 1111 \(aaaaaaa\)"):
        rollback.choose_release(HISTORY, LIVE, to)


def test_a_part_of_several_ids_is_refused_with_all_of_them() -> None:
    """Of runs and of commits; what is whole, or is the short id that we print, is meant as it stands."""
    both = [release("staging-123-1", api=THIRD), release("staging-23-1", api=OLD), release("x-3-1", api=OLD)]
    assert [rollback.choose_release(both, LIVE, to).id for to in ("123-1", "23-1", "x-3-1")] == [one.id for one in both]
    with pytest.raises(SettingsError, match="'-1' may be any of 3 runs: staging-123-1, staging-23-1, x-3-1"):
        rollback.choose_release(both, LIVE, "-1")
    near = [release("run-1111", api=f"{OLD[:-1]}0"), release("run-2222", api=OLD), release("run-3333", api=OLD)]
    with pytest.raises(SettingsError, match="may be any of 2 releases"):
        rollback.choose_release(near, LIVE, OLD[:9])
    assert rollback.choose_release(near, LIVE, OLD).id == "run-2222", "of the same commit the newest"


def test_without_an_earlier_release_there_is_nothing_to_go_back_to() -> None:
    """Said before anything is touched."""
    with pytest.raises(SettingsError, match="nothing to go back to"):
        rollback.choose_release(HISTORY[:2], LIVE)


def test_only_services_that_serve_something_else_are_restored() -> None:
    """From the artifact of the deploy that was live then; a service the release did not have is left alone."""
    targets = [target("api"), target("web"), target("new")]
    live = {**LIVE, "new": Live(service="new", commit=NEW)}

    found = rollback.orders(targets, HISTORY[3].release, live, {})

    assert [Order(target=targets[0], commit=OLD, previous=LIVE["api"], from_deploy="dep-a")] == found


def test_a_service_that_served_nothing_then_is_left_alone() -> None:
    """There is no artifact of nothing."""
    then = [Live(service="api"), Live(service="web", commit=OLD, deploy_id="dep-a")]

    assert ["web"] == [one.target.name for one in rollback.orders([target("api"), target("web")], then, LIVE, {})]


def test_what_was_rolled_back_from_is_no_candidate() -> None:
    """Behind a rollback the search goes on at the release that it restored, and not at the one that was left."""
    history = [rolled_back("run-9999", "run-2222", api=OLD, web=NEW), *HISTORY]

    found = rollback.find_candidates(
        history, {"api": Live(service="api", commit=OLD), "web": Live(service="web", commit=NEW)}
    )

    assert ["run-1111"] == [state.id for state in found]


def rolled_back(run: str, to: str, **commits: str) -> RunState:
    """A run that restored the release of another."""
    state = release(run, **commits)
    opened = msgspec.structs.replace(state.opened, back=True)
    return msgspec.structs.replace(state, opened=opened, restoring=Restored(run=to, commit=state.commit))


def test_whoever_names_a_run_may_go_back_to_what_was_rolled_back_from() -> None:
    """Without a name it is passed over; by its name it is a release like any other."""
    back = rolled_back("run-6666", "run-2222", api=OLD, web=NEW)
    live = {"api": Live(service="api", commit=OLD), "web": Live(service="web", commit=NEW)}

    assert "run-1111" == rollback.choose_release([back, *HISTORY], live).id
    assert "run-4444" == rollback.choose_release([back, *HISTORY], live, "4444").id
