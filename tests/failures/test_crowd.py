"""Several at once: two of ours, somebody in the Dashboard, a person who wants it to stand still."""

from __future__ import annotations

import pytest

from tests.support.edges import until
from tests.support.trivial import SERVICES, UNFIT, Trivial


def call(product: Trivial, service: str, path: str, body: object = None) -> None:
    """Somebody else asks the platform."""
    found = product.ask(f"/v1/services/{product.service_id(service)}{path}", method="POST", body=body)
    assert found.status in {200, 201, 202}, found


def building_slowly(product: Trivial) -> None:
    """Wait until the slow build that is armed has begun; the next one will not be slow."""

    def begun() -> bool:
        rules = product.ask("/local/faults").json["rules"]
        return not any(one["fault"] == "build-slow" and one["left"] for one in rules)

    until(begun, 30)


@pytest.mark.load
def test_two_releases_at_once(product: Trivial) -> None:
    """Mode 2: the second is refused with exit code 30 and told whose run it is; with --wait it comes after."""
    commit = product.change_all()
    product.fault("build-slow", service="api", value=4)
    with product.start("deploy") as first:
        building_slowly(product)
        refused = product.inv("deploy")
        assert refused.code == 30, refused.said
        assert "holds local; its last sign of life was" in refused.said
        shown = product.ok("status").out
        assert "lease        run " in shown, shown
        waited = product.inv("deploy", "--wait", "1m")
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, (out, err)
    assert waited.code == 0, waited.said
    assert {name: len(product.deploys(name, commit)) for name in SERVICES} == dict.fromkeys(SERVICES, 1)


def test_a_deploy_of_somebody_else_that_is_on_its_way(product: Trivial) -> None:
    """Mode 2: exit code 32 before anything is asked for; theirs is named, and left alone."""
    product.fault("build-slow", service="beta", value=6)
    product.fault("foreign-deploy", service="beta")
    theirs = product.deploys("beta")[0]
    product.change_all()
    writes = product.writes()

    done = product.inv("deploy")

    assert done.code == 32, done.said
    assert f"beta: {theirs['id']}" in done.said
    assert "trigger manual" in done.said
    assert product.writes() == writes
    assert until(lambda: product.deploys("beta")[0]["status"] == "live", 30)


def test_somebody_else_takes_the_place_of_our_deploy(product: Trivial) -> None:
    """Under the policy Override a later deploy cancels ours: exit code 32, theirs is named and is not undone."""
    product.fault("overlap-override")
    product.change_all()
    product.fault("build-slow", service="api", value=30)
    with product.start("deploy") as running:
        building_slowly(product)
        product.fault("foreign-deploy", service="api")
        theirs = product.deploys("api")[0]
        out, err = running.communicate(timeout=60)

    assert running.returncode == 32, (out, err)
    assert f"api: {theirs['id']}" in out
    assert "took the place of our deploy" in out
    assert until(lambda: product.deploys("api")[0]["status"] == "live", 30)
    assert product.deploys("api")[0]["id"] == theirs["id"]


def test_a_newer_release_in_our_place_is_no_failure(product: Trivial) -> None:
    """Mode 3: our deploy was canceled for a commit that has ours in it: superseded, exit code 0, nothing put back."""
    product.fault("overlap-override")
    commit = product.change_all()
    newer = product.change_all()
    product.fault("build-slow", service="api", value=30)
    with product.start("deploy", "--commit", commit) as running:
        building_slowly(product)
        call(product, "api", "/deploys", {"commitId": newer})
        out, err = running.communicate(timeout=60)

    assert running.returncode == 0, (out, err)
    assert "SUPERSEDED" in out
    assert f"{commit[:7]} is part of it" in out
    assert not [one for name in SERVICES for one in product.deploys(name, commit) if one["trigger"] == "rollback"]
    assert until(lambda: product.served()["api"] == newer, 30)


@pytest.mark.load
def test_somebody_has_gone_back_before_us(product: Trivial) -> None:
    """Mode 26: the version that fails was already replaced by the old one: that is found, and not rolled back again."""
    good = product.one_commit
    before = product.deploys("api")[0]["id"]
    commit = product.change_all(UNFIT)
    product.fault("start-slow", service="api", value=1.5, next=2)  # theirs is still on its way when ours has failed

    def shipped() -> bool:
        events = product.events()
        ours = bool(events) and events[0]["data"].get("commit", {}).get("id") == commit  # a run begins without any
        return ours and any(one["kind"] == "shipped" and one["data"]["service"] == "api" for one in events)

    with product.start("deploy") as running:
        until(shipped, 30)
        call(product, "api", "/rollback", {"deployId": before})
        out, err = running.communicate(timeout=60)

    assert running.returncode == 14, (out, err)
    assert product.one_commit == good
    back = [one for one in product.deploys("api", good) if one["trigger"] == "rollback"]
    assert len(back) == 1, "theirs, and none of ours"


def test_a_person_holds_everything(product: Trivial) -> None:
    """Exit code 31 at once, also for going back; the status says who and why; it is lifted by one command."""
    product.change_all()
    product.ok("hold", "--reason", "moving the database")
    writes = product.writes()

    for command in ("deploy", "rollback"):
        done = product.inv(command)
        assert done.code == 31, done.said
        assert "local refuses every release: moving the database (somebody, " in done.said
        assert "inv hold.lift" in done.said
    assert product.writes() == writes
    assert "held         every release, also going back: moving the database" in product.ok("status").out
    product.ok("hold.lift")
    assert product.inv("deploy").code == 0


def test_an_older_commit_is_refused(product: Trivial) -> None:
    """An ancestor of what is live is a rollback, and is asked for by its name: exit code 2, nothing asked for."""
    older = product.head
    product.change_all()
    product.ok("deploy")
    writes = product.writes()

    done = product.inv("deploy", "--commit", older)

    assert done.code == 2, done.said
    assert f"inv rollback --to {older[:7]}" in done.said
    assert product.writes() == writes
