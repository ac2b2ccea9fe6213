"""Making services serve something else: what is recorded, asked, found again and waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from deploylib import deploy
from deploylib.errors import DeployStopped, ForeignDeploy, PersonNeeded
from deploylib.ledger import Triggered
from deploylib.models import Intent, Live, Order, Shipped
from tests.unit.fakes import NEW, OLD, THIRD, FakeClock, Platform, lost, status, target


@dataclass
class Run:
    """One call of `deploy.bring`, with what it recorded and told."""

    platform: Platform
    clock: FakeClock
    events: list[tuple[str, Any]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    each: Callable[[str], None] = lambda _kind: None

    def record(self, kind: str, value: Any, /) -> None:
        """Keep it."""
        self.each(kind)
        self.events.append((kind, value))

    def bring(
        self,
        *orders: Order,
        within: float = 600,
        intents: Mapping[str, Intent] | None = None,
        triggered: Mapping[str, Triggered] | None = None,
    ) -> tuple[Shipped, ...]:
        """Carry the orders out."""
        return deploy.bring(
            orders,
            render=self.platform.render(),
            clock=self.clock,
            deadline=self.clock.deadline(within),
            record=self.record,
            progress=lambda service, text: self.told.append((service, text)),
            intents=intents,
            triggered=triggered,
        )

    def kinds(self) -> list[str]:
        """What was recorded, in order."""
        return [kind for kind, _ in self.events]


@pytest.fixture
def run(platform: Platform, clock: FakeClock) -> Run:
    """A platform with one service, api, that serves the old commit."""
    platform.add("api", live=OLD)
    return Run(platform, clock)


def order(name: str = "api", *, from_deploy: str = "", after: tuple[str, ...] = ()) -> Order:
    """Let a service serve the new commit, or an earlier deploy."""
    previous = Live(service=name, commit=OLD, deploy_id="dep-1")
    return Order(target=target(name, after=after), commit=NEW, previous=previous, from_deploy=from_deploy)


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

    assert min(run.clock.slept) == 0.25
    assert max(run.clock.slept) == 5.0
    assert sorted(run.clock.slept) == run.clock.slept


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
