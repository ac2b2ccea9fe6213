"""Nothing to do only for what is verified, and nothing is absent because an answer cannot be read."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from deploylib.commands import status
from deploylib.errors import SettingsError, Unreachable
from deploylib.release.verified_deploys import find_unproven, last_shipped
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository

LOGIN = httpx.Response(200, html="<html><title>Please log in</title>")
HALF = httpx.Response(200, content=b'[{"deploy": {"id": "dep-', headers={"Content-Type": "application/json"})
EMPTY = httpx.Response(200, json=[])


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that was released once."""
    made = Product(repository, platform, clock)
    assert made.deploy().exit_code == 0
    return made


def fails_from_now_on(product: Product, name: str) -> None:
    """Its program ends again and again."""
    at = (product.clock.now() + timedelta(days=1)).isoformat()
    product.platform.events.append({"type": "server_failed", "serviceId": f"srv-{name}", "timestamp": at})


def live_query(request: httpx.Request) -> bool:
    """Whether it asks for what is live."""
    return request.method == "GET" and request.url.params.get("status") == "live"


def lists_deploys(request: httpx.Request) -> bool:
    """Whether it asks for deploys of a service."""
    return request.method == "GET" and request.url.path.endswith("/deploys")


def test_what_was_deployed_by_hand_is_verified_before_it_is_built_on(product: Product) -> None:
    """It serves the commit already, and nobody has seen that it is well: the run proves it, and is then a release."""
    head = product.change("2")
    for name in ("api", "web"):
        product.platform.begin(f"srv-{name}", head, "live", "manual")
    before = len(product.asked())

    report = product.deploy()

    assert ("succeeded", 0) == (report.outcome, report.exit_code)
    assert len(product.asked()) == before
    assert "never proven" in next(one for one in report.stages if one.stage == "changes").lines[0]
    assert {head} == {one.commit for one in product.runs()[0].release}
    assert "nothing to do" == product.deploy().outcome


def test_what_is_live_and_does_not_prove_itself_is_no_release(product: Product) -> None:
    """Neither the base of one nor a way back: a person is told to go back from it."""
    first, head = product.first, product.change("2", "api")
    product.platform.begin("srv-api", head, "live", "manual")
    fails_from_now_on(product, "api")

    report = product.deploy()

    assert ("a person is needed", 20) == (report.outcome, report.exit_code)
    assert "was never proven" in report.error
    assert "inv rollback" in report.next[0]
    assert product.runs()[0].release == ()

    product.platform.events.clear()
    back = product.roll_back()
    assert (0, [first] * 2) == (back.exit_code, product.live())


def test_a_newer_commit_takes_the_place_of_what_was_never_proven(product: Product) -> None:
    """A service that is deployed anew is not asked for what it served before."""
    product.platform.begin("srv-api", product.change("2", "api"), "live", "manual")
    fails_from_now_on(product, "api")
    newer = product.change("3", "api")
    product.platform.events.clear()

    assert product.deploy().exit_code == 0
    assert newer == product.live()[0]


@pytest.mark.parametrize("answer", [LOGIN, HALF], ids=["a login page", "half of it"])
def test_a_bad_release_is_put_back_although_an_answer_cannot_be_read(product: Product, answer: httpx.Response) -> None:
    """The look at what is live is repeated; what cannot be read is not taken for nothing."""
    first = product.first
    product.change("2")
    fails_from_now_on(product, "api")
    failed, garbled = list[httpx.Request](), list[httpx.Request]()

    def also(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("srv-api/events"):
            failed.append(request)
        if request.url.path.endswith("/rollback"):
            product.platform.events.clear()  # what it goes back to is well
        if live_query(request) and failed and len(garbled) < 2:
            garbled.append(request)
            return answer
        return None

    product.platform.also = also
    report = product.deploy()

    assert (14, [first] * 2) == (report.exit_code, product.live())
    assert len(garbled) == 2
    assert product.env().holds.read() != ()


@pytest.mark.parametrize("dry", [False, True], ids=["deploy", "dry run"])
def test_nothing_where_we_deployed_is_a_contradiction(product: Product, dry: bool) -> None:  # noqa: FBT001 - a parameter
    """A well-formed empty list is refused as well: our own deploy is still live by the platform's word."""
    product.change("2")
    before = product.asked()
    product.platform.also = lambda request: EMPTY if lists_deploys(request) else None

    report = product.deploy(dry_run=dry)

    assert ("platform unreachable", 40) == (report.outcome, report.exit_code)
    assert "nothing is live, and dep-" in report.error
    assert before == product.asked()


def test_nothing_after_our_own_deploy_is_not_known_yet(product: Product) -> None:
    """Neither somebody else's deploy nor a failure; the next command completes the run."""
    second = product.change("2")
    product.platform.also = lambda request: EMPTY if live_query(request) else None

    assert product.deploy().exit_code == 41

    product.platform.also = lambda _request: None
    assert (0, [second] * 2) == (product.deploy().exit_code, product.live())
    assert product.asked().count("srv-api/deploys") == 2, "one deploy of each commit"


def test_a_service_that_really_serves_nothing_is_deployed(product: Product) -> None:
    """The platform says of our own deploy that it was stopped: both answers agree."""
    product.platform.deploys["srv-api"][0]["status"] = "deactivated"

    assert product.deploy().exit_code == 0
    assert product.first == product.live()[0]


def test_status_says_that_it_does_not_know(product: Product) -> None:
    """Not that nothing is live."""
    product.platform.also = lambda request: EMPTY if live_query(request) else None

    found = status.status(product.env())

    assert found.live == ()
    assert "nothing is live, and dep-" in found.trouble


def test_services_that_were_there_are_not_told_to_be_created(product: Product) -> None:
    """An empty list of services contradicts the history: it is no reason to make them again, and no fault of the settings."""
    product.change("2")
    product.platform.also = lambda request: EMPTY if request.url.path.endswith("/services") else None

    report = product.deploy()

    assert report.exit_code == Unreachable.exit_code
    assert "an earlier run has found srv-api there" in report.error
    assert "an earlier run has found srv-web there" in report.details[0]
    assert "New → Blueprint" not in "".join((report.error, *report.details, *report.next))


def test_a_service_that_was_renamed_is_found_by_its_id(product: Product) -> None:
    """It is there, so that nothing contradicts: the settings are to name it."""
    product.change("2")
    product.platform.services["srv-api"]["name"] = "api-of-old"

    report = product.deploy()

    assert report.exit_code == SettingsError.exit_code
    assert "srv-api, which an earlier run has found, is 'api-of-old' now" in report.error
    assert report.next == ('name it: [environments.staging.services] api = "srv-api"',)


@pytest.mark.parametrize("told", ["dep-999", "dep-1", "srv-api"])
def test_an_answer_that_names_another_deploy_is_not_believed(product: Product, told: str) -> None:
    """A deploy that the platform does not know, one of before, something else: ours is looked up, and asked for once."""
    second = product.change("2")

    def also(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or not request.url.path.endswith("srv-api/deploys"):
            return None
        product.platform.begin("srv-api", second, "created")["plan"] = ["build_in_progress", "live"]
        return httpx.Response(201, json={"id": told})

    product.platform.also = also

    assert (0, [second] * 2) == (product.deploy().exit_code, product.live())
    assert product.asked().count("srv-api/deploys") == 2, "one deploy of each commit"


def test_an_answer_about_a_deploy_of_another_commit_is_not_believed(product: Product) -> None:
    """Although the platform knows it: what was asked for is looked up, and watched in its place."""
    second = product.change("2")
    others = product.platform.begin("srv-api", "e" * 40, "canceled", "manual")

    def also(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or not request.url.path.endswith("srv-api/deploys"):
            return None
        product.platform.begin("srv-api", second, "created")["plan"] = ["build_in_progress", "live"]
        return httpx.Response(201, json={"id": others["id"], "commit": {"id": "e" * 40}})

    product.platform.also = also

    assert (0, [second] * 2) == (product.deploy().exit_code, product.live())


def test_a_canceled_deploy_in_a_list_of_none_is_a_contradiction(product: Product) -> None:
    """An empty list is no traceback, and nobody else's deploy either: the run stays open."""
    product.change("2")
    product.platform.plans = {"srv-api": ["build_in_progress", "canceled"]}
    product.platform.also = lambda request: (
        EMPTY if lists_deploys(request) and request.url.params.get("limit") == "1" else None
    )

    report = product.deploy()

    assert report.exit_code == 41
    assert "lists no deploy" in report.error


def test_only_the_same_deploy_counts_as_proven(product: Product) -> None:
    """A deploy of the same commit with other variables is another one."""
    [run] = product.runs()
    live = {one.service: one for one in run.release}

    assert find_unproven([run], live) == ()
    again = {name: type(one)(service=name, commit=one.commit, deploy_id="dep-99") for name, one in live.items()}
    assert ("api", "web") == find_unproven([run], again)
    assert ("api", "web") == find_unproven([], live)


def test_a_service_that_was_made_anew_has_no_history(product: Product) -> None:
    """Its id is another one."""
    assert last_shipped(product.runs(), "api", "srv-api").startswith("dep-")
    assert last_shipped(product.runs(), "api", "srv-other") == ""
