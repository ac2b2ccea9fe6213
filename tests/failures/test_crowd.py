"""Several at once: two of ours, somebody in the Dashboard, a person who wants it to stand still."""

from __future__ import annotations

import pytest

from tests.support.edges import until
from tests.support.trivial import SERVICES, UNFIT, Trivial

# One such answer takes longer than somebody else needs to go back; Render's own check is content at once.
LATE = "        time.sleep(0 if 'Render' in self.headers.get('User-Agent', '') else 4)\n        body ="
LATE_AND_UNFIT = UNFIT.replace("import json, os", "import json, os, time").replace("        body =", LATE, 1)


def call(product: Trivial, service: str, path: str, body: object = None) -> None:
    """Somebody else asks the platform."""
    found = product.ask(f"/v1/services/{product.service_id(service)}{path}", method="POST", body=body)
    assert found.status in {200, 201, 202}, found


def building_slowly(product: Trivial) -> None:
    """Wait until the slow build that is armed has begun; the next one will not be slow."""

    def begun() -> bool:
        rules = product.ask("/local/faults").json["rules"]
        return not any(one["fault"] == "build-slow" and one["left"] for one in rules)

    until(begun)


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
        out, err = first.communicate(timeout=300)
    assert first.returncode == 0, (out, err)
    assert waited.code == 0, waited.said
    assert "another command has ended run" in waited.err
    assert [event["kind"] for event in product.events()].count("closed") == 1
    assert {name: len(product.deploys(name, commit)) for name in SERVICES} == dict.fromkeys(SERVICES, 1)


def test_a_deploy_of_somebody_else_that_is_on_its_way(product: Trivial) -> None:
    """Mode 2: exit code 32 before anything is asked for; theirs is named, and left alone."""
    product.fault("build-slow", service="beta", value=120)
    product.fault("foreign-deploy", service="beta")
    theirs = product.deploys("beta")[0]
    product.change_all()
    writes = product.writes()

    done = product.inv("deploy")

    assert done.code == 32, done.said
    assert f"beta: {theirs['id']}" in done.said
    assert "trigger manual" in done.said
    assert product.writes() == writes
    assert product.deploys("beta")[0]["status"] == "build_in_progress"
    product.ask(f"/v1/services/{product.service_id('beta')}/deploys/{theirs['id']}/cancel", method="POST")
    assert until(lambda: product.deploys("beta")[0]["status"] == "canceled")


def test_somebody_else_takes_the_place_of_our_deploy(product: Trivial) -> None:
    """Under the policy Override a later deploy cancels ours: exit code 32, theirs is named and is not undone."""
    product.fault("overlap-override")
    product.change_all()
    product.fault("build-slow", service="api", value=30)
    with product.start("deploy") as running:
        building_slowly(product)
        product.fault("foreign-deploy", service="api")
        theirs = product.deploys("api")[0]
        out, err = running.communicate(timeout=300)

    assert running.returncode == 32, (out, err)
    assert f"api: {theirs['id']}" in out
    assert "took the place of our deploy" in out
    assert until(lambda: product.deploys("api")[0]["status"] == "live")
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
        out, err = running.communicate(timeout=300)

    assert running.returncode == 0, (out, err)
    assert "SUPERSEDED" in out
    assert f"{commit[:7]} is part of it" in out
    assert not [one for name in SERVICES for one in product.deploys(name, commit) if one["trigger"] == "rollback"]
    assert until(lambda: product.served()["api"] == newer)


def has_told(product: Trivial, commit: str, kind: str, service: str = "") -> bool:
    """Whether the run of a commit has recorded an event; a run begins without any commit."""
    events = product.events()
    ours = bool(events) and events[0]["data"].get("commit", {}).get("id") == commit
    return ours and any(one["kind"] == kind and service in {"", one["data"].get("service")} for one in events)


def rollbacks(product: Trivial, *services: str) -> set[str]:
    """The deploys that went back."""
    return {one["id"] for name in services for one in product.deploys(name) if one["trigger"] == "rollback"}


@pytest.mark.load
def test_somebody_goes_back_while_we_fail(product: Trivial) -> None:
    """Mode 26: ours is live when it is judged: exit code 14; the old one is on its way by then, and not gone back to twice."""
    good = product.one_commit
    before, earlier = product.deploys("api")[0]["id"], rollbacks(product, "api")
    commit = product.change_all(UNFIT)
    # A second for each deploy that it has a look at first: theirs comes before it has come to this service.
    looks = {"fault": "latency", "method": "GET", "path": "/deploys/dep-", "value": 1000}
    assert product.ask("/local/faults", method="POST", body=looks).status == 201

    with product.start("deploy") as running:
        until(lambda: has_told(product, commit, "recovering"), 300)
        product.fault("start-slow", service="api", value=1.5, next=1)
        call(product, "api", "/rollback", {"deployId": before})
        out, err = running.communicate(timeout=300)

    assert running.returncode == 14, (out, err)
    assert product.one_commit == good
    assert len(rollbacks(product, "api") - earlier) == 1, "theirs, and none of ours"


@pytest.mark.load
def test_somebody_has_gone_back_before_we_judge(product: Trivial) -> None:
    """Mode 26: theirs is live when ours is judged: that is foreign, exit code 32, and left alone."""
    good = product.one_commit
    before, earlier = product.deploys("api")[0]["id"], rollbacks(product, *SERVICES)
    commit = product.change_all(LATE_AND_UNFIT)

    with product.start("deploy") as running:
        until(lambda: has_told(product, commit, "shipped", "api"), 300)
        call(product, "api", "/rollback", {"deployId": before})
        out, err = running.communicate(timeout=300)

    assert running.returncode == 32, (out, err)
    assert product.served() == {"api": good, "alpha": commit, "beta": commit}
    assert len(rollbacks(product, *SERVICES) - earlier) == 1, "theirs, and none of ours"


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
