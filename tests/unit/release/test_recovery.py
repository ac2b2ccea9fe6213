"""When a run fails: what it changed is put back, once, and nothing else is touched."""

from __future__ import annotations

import httpx
import pytest

from deploylib.errors import SettingsError
from tests.support.fakes import THIRD, FakeClock
from tests.support.in_memory import Platform, status
from tests.support.in_memory_product import NAMES, Product, released
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    return released(repository, platform, clock)


def test_a_partial_failure_is_put_back(product: Product) -> None:
    """One went live and the other did not: afterwards both serve the version before, and it was verified."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress"] * 5 + ["build_failed"]}

    report = product.deploy()

    assert ("build failed", 10) == (report.outcome, report.exit_code)
    assert [product.first] * 2 == product.live() == [one.commit for one in report.live]
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys", "srv-api/rollback"]
    [back] = report.put_back
    assert ("api", product.first, True) == (back.service, back.commit, "verified: live at" in back.text)
    assert report.error == "web: the build failed"


def test_what_is_on_its_way_is_stopped(product: Product) -> None:
    """A deploy that has not ended could go live later."""
    product.change("2")
    product.platform.plans = {"srv-api": ["build_in_progress"] * 99, "srv-web": ["build_failed"]}

    report = product.deploy()

    assert report.exit_code == 10
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys", "srv-api/deploys/dep-3/cancel"]
    assert [product.first] * 2 == product.live()
    assert report.put_back == ()


def test_only_what_this_run_changed_is_put_back(product: Product) -> None:
    """The other service keeps what it serves."""
    product.change("2", "web")
    product.platform.plans["srv-web"] = ["live"]

    def crash() -> None:
        if product.platform.live("srv-web") != product.first:
            moment = product.clock.now().isoformat()
            product.platform.events = [{"type": "server_failed", "serviceId": "srv-web", "timestamp": moment}]

    product.clock.each_sleep = crash
    report = product.deploy()

    assert ("verification failed", 14) == (report.outcome, report.exit_code)
    assert product.asked() == ["srv-web/deploys", "srv-web/rollback"]
    assert [product.first] * 2 == product.live()


def test_a_first_deploy_has_nothing_to_be_put_back_to(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """It is said, and not tried."""
    product = Product(repository, platform, clock)
    platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress", "build_failed"]}

    report = product.deploy()

    assert report.exit_code == 10
    assert ["first deploy: there is nothing to put back"] == [one.text for one in report.put_back]
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys"]


def test_a_failure_before_anything_was_asked_for_puts_nothing_back(product: Product) -> None:
    """Nothing that serves has changed."""
    product.change("2")
    product.platform.faults += [("GET", "/services", status(401))]

    report = product.deploy()

    assert (40, []) == (report.exit_code, product.asked())


def test_a_foreign_deploy_is_not_undone(product: Product) -> None:
    """Somebody else's version is theirs to decide about; what we have on its way could go live later, and is stopped."""
    product.change("2")
    product.platform.plans["srv-api"] = ["canceled"]

    def replaced(request: httpx.Request) -> httpx.Response:
        product.platform.begin("srv-api", THIRD, "queued", "manual")
        return product.platform(request)

    product.platform.faults.append(("GET", "/deploys/dep-3", replaced))

    report = product.deploy()

    assert ("foreign deploy", 32) == (report.outcome, report.exit_code)
    assert product.asked()[2:] == ["srv-web/deploys/dep-4/cancel"], "what is ours and on its way, and nothing else"


def test_used_up_build_minutes_put_nothing_back_and_hold_nothing(product: Product) -> None:
    """What went live stays, what is on its way is stopped, and the same commit may come again."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["canceled"]}
    product.platform.events = [{"type": "pipeline_minutes_exhausted", "serviceId": "srv-web", "details": {}}]

    report = product.deploy()

    assert ("build minutes used up", 15) == (report.outcome, report.exit_code)
    assert [] == [one for one in product.asked() if one.endswith("/rollback")]
    assert ((), ()) == (report.put_back, product.env().holds.read())
    product.platform.plans, product.platform.events = {}, []
    assert product.deploy().outcome == "succeeded"


def test_a_recovery_that_fails_needs_a_person(product: Product) -> None:
    """The first error leads, then why it could not be put back; exit code 20, and where to look."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress", "build_failed"]}
    refuse = status(409, {"message": "not now"})
    product.platform.also = lambda request: (
        refuse(request) if product.asked()[2:] and request.method == "POST" else None
    )

    report = product.deploy()

    assert ("a person is needed", 20) == (report.outcome, report.exit_code)
    assert report.error.startswith("web: the build failed; and it could not be put back: ")
    assert report.error.endswith("not now")
    assert "inv status --environment staging, inv rollback --environment staging" in report.next[0]
    assert product.asked().count("srv-api/rollback") == 1
    assert product.first != report.live[0].commit


def test_what_the_platform_no_longer_keeps_is_built_again(product: Product) -> None:
    """A rollback that is refused is a deploy of the same commit, and that is said."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress", "build_failed"]}
    product.platform.faults.append(("POST", "/rollback", status(400, {"message": "artifact is gone"})))

    report = product.deploy()

    assert report.exit_code == 10
    assert product.asked()[2:] == ["srv-api/rollback", "srv-api/deploys"]
    assert "built again: its artifact was no longer kept" in report.put_back[0].text
    assert ("api", "its artifact is no longer kept") == next(
        (service, text.split(",")[0]) for service, text in product.view.said if "artifact" in text
    )
    assert [product.first] * 2 == product.live()


def test_a_platform_that_goes_away_is_not_a_failure(product: Product) -> None:
    """After the commit point nothing is claimed, held or put back; the next command completes the run."""
    second = product.change("2")
    refuse = status(401)
    product.platform.also = lambda request: refuse(request) if product.asked() and request.method == "GET" else None

    report = product.deploy()

    assert ("not known yet", 41, ()) == (report.outcome, report.exit_code, report.live)
    assert "refused the API key" in report.error
    assert "api: " in report.details[0]
    assert product.runs()[0].report is None
    assert product.env().holds.read() == ()

    product.platform.also = lambda _request: None
    assert product.deploy().exit_code == 0
    assert [second] * 2 == product.live()
    assert 1 == product.asked().count("srv-api/deploys")


def test_a_lost_rollback_is_found_and_not_sent_twice(product: Product) -> None:
    """Also while it is put back nothing is asked for twice."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress", "build_failed"]}
    product.clock.each_sleep = lambda: product.platform.lose.add("srv-api") if product.platform.requests else None

    report = product.deploy()

    assert report.exit_code == 10
    assert product.asked().count("srv-api/rollback") == 1
    assert [product.first] * 2 == product.live()


def test_a_failed_run_leaves_the_services_to_be_deployed(product: Product) -> None:
    """The next run compares with what is live, not with what was tried."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_failed"]}
    product.deploy()
    product.platform.plans.clear()
    third = product.change("3", "web")

    assert product.deploy().outcome == "succeeded"
    assert [third, third] == product.live()


def test_a_rollback_restores_the_release_before(product: Product) -> None:
    """As one unit, from the kept artifacts, verified; its commit is the one that was restored."""
    product.change("2")
    product.deploy()
    product.platform.requests.clear()

    report = product.roll_back()

    assert ("succeeded", product.first) == (report.outcome, report.commit and report.commit.id)
    assert product.asked() == ["srv-api/rollback", "srv-web/rollback"]
    assert [product.first] * 2 == product.live()


def test_a_second_rollback_goes_on_from_there(product: Product) -> None:
    """Never forth again to what was rolled back from."""
    commits = [product.first]
    for text in "23":
        commits.append(product.change(text))
        product.deploy()

    product.roll_back()
    assert [commits[1]] * 2 == product.live()
    product.roll_back()
    assert [commits[0]] * 2 == product.live()


def test_a_rollback_that_is_only_planned_asks_for_nothing(product: Product) -> None:
    """It says what would be restored."""
    second = product.change("2")
    product.deploy()
    asked = product.asked()

    report = product.roll_back(dry_run=True)

    assert ("planned", asked) == (report.outcome, product.asked())
    assert f"{second[:7]} → {product.first[:7]}" in "\n".join(report.stages[-2].lines + report.stages[-1].lines)


def test_without_an_earlier_release_a_rollback_is_refused(product: Product) -> None:
    """And nothing of it is recorded."""
    runs = len(product.runs())
    try:
        exit_code = product.roll_back().exit_code
    except SettingsError as error:
        exit_code = error.exit_code

    assert (2, runs, []) == (exit_code, len(product.runs()), product.asked())
    assert len(NAMES) == 2
