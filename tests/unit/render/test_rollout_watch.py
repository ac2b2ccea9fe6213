"""Watching deploys: side by side or one after another, until each has ended."""

from __future__ import annotations

import msgspec
import pytest

from deploylib.errors import DeployStopped, ForeignDeploy
from deploylib.models import Kind, Live, Order
from tests.support.bringing import Run, order
from tests.support.fakes import NEW, OLD, THIRD, FakeClock, target
from tests.support.in_memory import Platform, status


@pytest.fixture
def run(platform: Platform, clock: FakeClock) -> Run:
    """A platform with one service, api, that serves the old commit."""
    platform.add("api", live=OLD)
    return Run(platform, clock)


def test_services_are_asked_for_at_once(run: Run) -> None:
    """The platform works on all of them; none waits for another without being told to."""
    run.platform.add("web", live=OLD)

    run.bring(order(), order("web"))

    assert ["intent", "triggered"] * 2 == run.kinds()[:4]
    assert [NEW, NEW] == [run.platform.live(key) for key in ("srv-api", "srv-web")]


def test_a_service_is_deployed_after_those_it_waits_for(run: Run) -> None:
    """Only once they are live; one that is not deployed in this run is not waited for."""
    run.platform.add("web", live=OLD)

    def look(kind: str) -> None:
        if kind == "intent" and len(run.events) > 0:
            assert NEW == run.platform.live("srv-api")

    run.each = look
    shipped = run.bring(order("web", after=("api", "search")), order())

    assert [one.service for one in shipped] == ["api", "web"]
    assert ["intent", "triggered", "shipped"] * 2 == run.kinds()


def test_a_rollback_restores_the_artifact(run: Run) -> None:
    """It names the deploy, and builds nothing."""
    [shipped] = run.bring(order(from_deploy="dep-1"))

    assert run.platform.writes() == [("POST", "/services/srv-api/rollback", {"deployId": "dep-1"})]
    assert (OLD, 0.0) == (shipped.commit, shipped.build_seconds)


def test_a_refused_trigger_stops(run: Run) -> None:
    """The platform's words are in the message; nothing was accepted."""
    run.platform.faults.append(("POST", "/deploys", status(400, {"message": "no such commit"})))

    with pytest.raises(DeployStopped, match=r"api: .*no such commit"):
        run.bring(order())

    assert run.kinds() == ["intent"]


def test_the_wait_grows_with_the_time(run: Run) -> None:
    """Often at first, every five seconds after two minutes, so that the platform's limit is never met."""
    run.platform.plans["srv-api"] = ["build_in_progress"] * 120 + ["live"]

    run.bring(order())

    slept = [round(seconds, 6) for seconds in run.clock.slept]
    assert min(slept) == 0.25
    assert max(slept) == 5.0
    assert sorted(slept) == slept


@pytest.mark.parametrize("state", ["canceled", "deactivated"])
def test_a_deploy_that_a_newer_one_replaced_is_somebody_elses(run: Run, state: str) -> None:
    """The newer deploy is named: somebody else deploys here."""
    run.platform.plans["srv-api"] = ["build_in_progress", state]
    run.clock.each_sleep = lambda: run.platform.begin("srv-api", THIRD, "queued", "manual") and None

    with pytest.raises(ForeignDeploy, match=r"dep-3 \(ccccccc, trigger manual\) took the place of our deploy"):
        run.bring(order())


def test_a_deploy_that_was_canceled_alone_stopped(run: Run) -> None:
    """Without a newer deploy it is a failure of ours."""
    run.platform.plans["srv-api"] = ["build_in_progress", "canceled"]

    with pytest.raises(DeployStopped, match="api: the deploy was canceled") as raised:
        run.bring(order())

    assert raised.value.service == "api"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("polishing", "in a state that we do not know"),
        ("queued", "queued behind another deploy"),
        ("build_in_progress", "building"),
    ],
)
def test_a_state_that_does_not_end_is_waited_for_until_the_deadline(run: Run, state: str, words: str) -> None:
    """Also one that we do not know: it neither ends the wait early nor counts as live."""
    run.platform.plans["srv-api"] = [state]

    with pytest.raises(DeployStopped, match=f"api: {words} when the deadline passed"):
        run.bring(order(), within=300)

    assert 300 <= run.clock.seconds < 310


def test_an_unknown_state_may_still_end_well(run: Run) -> None:
    """It is not the end."""
    run.platform.plans["srv-api"] = ["polishing", "polishing", "live"]

    assert len(run.bring(order())) == 1


@pytest.mark.parametrize(
    ("tip", "same"), [(NEW, False), (THIRD, False), (THIRD, True)], ids=["ours", "another", "the same files"]
)
def test_a_cron_job_is_built_from_the_tip_of_its_branch(run: Run, tip: str, *, same: bool) -> None:
    """The platform refuses a commit for it, so none is named; a tip with other files of it is told and not released."""
    key = run.platform.add("nightly", Kind.CRON, live=OLD)
    run.platform.tips[key] = tip
    nightly = Order(target=target("nightly", Kind.CRON), commit=NEW, previous=Live(service="nightly", commit=OLD))
    nightly = msgspec.structs.replace(nightly, as_good=(tip,) if same else ())

    if tip == NEW or same:
        assert [tip] == [one.commit for one in run.bring(nightly)]
    else:
        with pytest.raises(ForeignDeploy, match="ccccccc went live, the tip of its branch, and not bbbbbbb"):
            run.bring(nightly)

    assert run.platform.writes() == [("POST", f"/services/{key}/deploys", {"clearCache": "do_not_clear"})]
