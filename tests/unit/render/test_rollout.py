"""Making services serve something else: what is recorded, asked, found again and waited for."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec
import pytest

from deploylib.errors import DeployStopped, ForeignDeploy, PersonNeeded
from deploylib.models import Intent, Live, Order
from deploylib.models.release import Triggered
from tests.support.bringing import Run, order
from tests.support.fakes import NEW, OLD, THIRD, FakeClock, target
from tests.support.in_memory import Platform, lost, status


@pytest.fixture
def run(platform: Platform, clock: FakeClock) -> Run:
    """A platform with one service, api, that serves the old commit."""
    platform.add("api", live=OLD)
    return Run(platform, clock)


def test_a_deploy_goes_live(run: Run) -> None:
    """It is asked for once; every state is told once; what it took is measured."""
    [shipped] = run.bring(order())

    assert (NEW, "dep-2") == (shipped.commit, shipped.deploy_id)
    assert NEW == run.platform.live("srv-api")
    assert ["building", "starting, waiting for its health check", "live"] == [text for _, text in run.told]
    assert shipped.seconds == pytest.approx(shipped.build_seconds + shipped.start_seconds)
    assert run.kinds() == ["intent", "triggered", "shipped"]
    assert len(run.platform.writes()) == 1


def test_the_intent_is_recorded_before_anything_is_asked_for(run: Run) -> None:
    """With the deploys that existed, so that a lost answer can be told from them."""

    def look(kind: str) -> None:
        if kind == "intent":
            assert run.platform.writes() == []

    run.each = look
    run.bring(order())

    kind, intent = run.events[0]
    assert ("intent", ("dep-1",), NEW) == (kind, intent.existing, intent.commit)
    assert Live(service="api", commit=OLD, deploy_id="dep-1") == intent.previous


def test_a_record_that_fails_prevents_the_request(run: Run) -> None:
    """What cannot be noted is not done."""

    def full(_kind: str) -> None:
        raise OSError("disk full")

    run.each = full
    with pytest.raises(OSError, match="disk full"):
        run.bring(order())

    assert run.platform.writes() == []


@pytest.mark.parametrize("from_deploy", ["", "dep-1"], ids=["deploy", "rollback"])
def test_a_lost_answer_is_found_and_adopted(run: Run, from_deploy: str) -> None:
    """The request arrived: the deploy that appeared is ours, and nothing is sent again."""
    run.platform.lose.add("srv-api")
    commit = OLD if from_deploy else NEW
    wanted = Order(target=target("api"), commit=commit, previous=Live(service="api"), from_deploy=from_deploy)

    [shipped] = run.bring(wanted)

    assert ("dep-2", commit) == (shipped.deploy_id, shipped.commit)
    assert Triggered(service="api", deploy_id="dep-2", adopted=True) == run.events[1][1]
    assert len(run.platform.writes()) == 1


def test_a_lost_answer_is_looked_for_until_the_deploy_shows(run: Run) -> None:
    """The platform may list it only after a while."""
    run.platform.faults.append(("POST", "/deploys", lost))

    def later() -> None:
        if run.clock.seconds >= 20 and len(run.platform.deploys["srv-api"]) == 1:
            run.platform.begin("srv-api", NEW, "live")

    run.clock.each_sleep = later
    [shipped] = run.bring(order())

    assert shipped.deploy_id == "dep-2"
    assert len(run.platform.writes()) == 1


@pytest.mark.parametrize("fault", [lost, status(500), status(503)], ids=["no answer", "500", "503"])
def test_a_lost_answer_that_is_nowhere_needs_a_person(
    run: Run, fault: Callable[[httpx.Request], httpx.Response]
) -> None:
    """After a minute nobody knows; it is never sent twice."""
    run.platform.faults.append(("POST", "/deploys", fault))

    with pytest.raises(PersonNeeded, match="does not say whether it accepted") as raised:
        run.bring(order())

    assert len(run.platform.writes()) == 1
    assert run.clock.seconds >= 60
    assert "inv deploy" in raised.value.remedy


def test_a_deploy_of_another_commit_is_not_adopted(run: Run) -> None:
    """It is new, but it is not ours."""
    run.platform.faults.append(("POST", "/deploys", lost))
    run.clock.each_sleep = lambda: (
        None if len(run.platform.deploys["srv-api"]) > 1 else run.platform.begin("srv-api", THIRD, "queued") and None
    )

    with pytest.raises(PersonNeeded):
        run.bring(order())

    assert run.kinds() == ["intent"]


def test_a_trigger_that_is_queued_without_an_id_is_adopted(run: Run) -> None:
    """202 is an ordinary answer: the deploy is looked up; its answer was not lost."""
    run.platform.queue.add("srv-api")

    [shipped] = run.bring(order())

    assert shipped.deploy_id == "dep-2"
    assert Triggered(service="api", deploy_id="dep-2") == run.events[1][1]
    assert len(run.platform.writes()) == 1


def test_several_new_deploys_need_a_person(run: Run) -> None:
    """Which of them is ours cannot be known."""

    def both(request: httpx.Request) -> httpx.Response:
        run.platform.begin("srv-api", NEW, "queued")
        run.platform.begin("srv-api", NEW, "queued")
        return lost(request)

    run.platform.faults.append(("POST", "/deploys", both))

    with pytest.raises(PersonNeeded, match="2 deploys of bbbbbbb") as raised:
        run.bring(order())

    assert "cancel all but one" in raised.value.remedy
    assert len(run.platform.writes()) == 1


def test_a_run_that_goes_on_watches_what_was_accepted(run: Run) -> None:
    """It asks for nothing, and records neither intent nor acceptance again."""
    began = run.platform.begin("srv-api", NEW, "created")
    began["plan"] = ["build_in_progress", "live"]

    [shipped] = run.bring(order(), triggered={"api": Triggered(service="api", deploy_id="dep-2")})

    assert shipped.deploy_id == "dep-2"
    assert run.kinds() == ["shipped"]
    assert run.platform.writes() == []


def intent() -> dict[str, Intent]:
    """What a run had noted before it died."""
    return {"api": Intent(service="api", commit=NEW, existing=("dep-1",), previous=Live(service="api", commit=OLD))}


def test_a_run_that_died_after_asking_adopts_what_it_asked_for(run: Run) -> None:
    """Its note is there, the acceptance is not: the platform knows."""
    run.platform.begin("srv-api", NEW, "live")

    run.bring(order(), intents=intent())

    assert run.platform.writes() == []
    assert Triggered(service="api", deploy_id="dep-2", adopted=True) == run.events[0][1]


def test_a_run_that_died_before_asking_asks(run: Run) -> None:
    """The platform has nothing, so it never arrived; the first note still holds."""
    [shipped] = run.bring(order(), intents=intent())

    assert len(run.platform.writes()) == 1
    assert ["triggered", "shipped"] == run.kinds()
    assert NEW == shipped.commit


@pytest.mark.parametrize("recorded", [True, False], ids=["accepted", "its answer was lost"])
def test_what_was_canceled_while_nobody_watched_is_asked_for_again(run: Run, *, recorded: bool) -> None:
    """By a platform that was started anew, or by a person: noted anew, with what the first note knew of the address."""
    run.platform.begin("srv-api", NEW, "canceled")
    first = msgspec.structs.replace(intent()["api"], named_before="ccccccc", loaded=("/old.js",))
    triggered = {"api": Triggered(service="api", deploy_id="dep-2")} if recorded else {}

    [shipped] = run.bring(order(), intents={"api": first}, triggered=triggered)

    assert shipped.deploy_id == "dep-3"
    assert run.kinds() == ["intent", "triggered", "shipped"]
    again = run.events[0][1]
    assert (("dep-2", "dep-1"), "ccccccc", ("/old.js",)) == (again.existing, again.named_before, again.loaded)
    assert ("api", "dep-2 was canceled while nobody watched, so it is asked for again") in run.told


def test_what_is_canceled_while_we_watch_is_not_asked_for_again(run: Run) -> None:
    """Somebody means it: also in a run that is gone on with."""
    began = run.platform.begin("srv-api", NEW, "created")
    began["plan"] = ["build_in_progress", "canceled"]

    with pytest.raises(DeployStopped, match="the deploy was canceled"):
        run.bring(order(), intents=intent(), triggered={"api": Triggered(service="api", deploy_id="dep-2")})

    assert run.platform.writes() == []


def test_what_was_canceled_for_a_newer_deploy_is_not_asked_for_again(run: Run) -> None:
    """Another one has taken its place since."""
    run.platform.begin("srv-api", NEW, "canceled")
    run.platform.begin("srv-api", THIRD, "build_in_progress", "manual")

    with pytest.raises(ForeignDeploy):
        run.bring(order(), intents=intent(), triggered={"api": Triggered(service="api", deploy_id="dep-2")})

    assert run.platform.writes() == []
