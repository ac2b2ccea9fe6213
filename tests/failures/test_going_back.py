"""Going back: to what, what stands in its way, and what becomes of the commit that was left."""

from __future__ import annotations

import pytest

from tests.support.trivial import ENDS_AT_ITS_START, SERVICES, UNFIT, Trivial


def test_the_commit_that_was_left_is_held_and_a_newer_one_clears_it(product: Trivial) -> None:
    """Mode 17: nothing ships the bad commit again; its descendant is let through, and ends the hold."""
    good = product.one_commit
    bad = product.change_all()
    product.ok("deploy")
    back = product.ok("rollback", "--reason", "it loses orders")
    assert f"{bad[:7]}: held from now on" in back.err
    assert product.one_commit == good
    writes = product.writes()

    refused = product.inv("deploy")

    assert refused.code == 31, refused.said
    assert "it loses orders" in refused.said
    assert product.writes() == writes
    assert f"held         {bad[:7]}: it loses orders" in product.ok("status").out
    fixed = product.change_all()
    product.ok("deploy")
    assert product.one_commit == fixed
    assert "held         nothing" in product.ok("status").out


@pytest.mark.load
def test_a_known_bad_release_is_passed_over(product: Trivial) -> None:
    """Without a name, back is the newest release that nobody has found bad."""
    good = product.one_commit
    bad = product.change_all()
    product.ok("deploy")
    product.change_all()
    product.ok("deploy")
    product.ok("hold", "--commit", bad, "--reason", "slow")

    product.ok("rollback")

    assert product.one_commit == good


@pytest.mark.load
def test_by_run_by_commit_and_by_deploy(product: Trivial) -> None:
    """Whatever a person has at hand; what is none of them is refused with those that are."""
    good = product.one_commit
    deploy = next(one["id"] for one in product.deploys("api", good) if one["status"] == "live")
    runs = product.ok("history", "--json").json
    run = next(one["opened"]["run"] for one in runs if not one["opened"].get("operation"))
    for name in (good[:10], deploy, run[-4:]):
        product.change_all()
        product.ok("deploy")
        product.ok("rollback", "--to", name)
        assert product.one_commit == good
    refused = product.inv("rollback", "--to", "dep-nothing")
    assert refused.code == 2, refused.said
    assert "no verified release 'dep-nothing'; there are: " in refused.said


def test_an_artifact_that_is_no_longer_kept(product: Trivial) -> None:
    """Mode 16: the commit is built again, and that is said; it is verified like any."""
    good = product.one_commit
    product.change_all()
    product.ok("deploy")
    for name in SERVICES:
        product.fault("artifact-gone", service=name)

    done = product.inv("rollback")

    assert done.code == 0, done.said
    assert "its artifact is no longer kept" in done.err
    assert "built again" in done.err
    assert product.one_commit == good
    assert product.deploys("api")[0]["trigger"] == "api"


@pytest.mark.load
def test_a_recovery_that_fails_needs_a_person(product: Trivial) -> None:
    """Mode 9: it is not tried for ever; everything is held, and what each serves and the next command are told."""
    good = product.one_commit
    bad = product.change_all(ENDS_AT_ITS_START)
    product.fault("build-slow", service="api", value=3)
    product.fault("answer-500", method="POST", path="/rollback$", next=0)

    done = product.inv("deploy")

    assert done.code == 20, done.said
    assert "a person is needed" in done.out
    assert f"alpha {bad[:7]}" in done.out.partition("Live")[2].splitlines()[0]
    assert f"api {good[:7]}" in done.out.partition("Live")[2].splitlines()[0]
    assert "inv rollback" in done.out.partition("Next")[2]
    product.ok("local.fault", "--clear")
    product.change_all()
    refused = product.inv("deploy")
    assert refused.code == 31, refused.said
    product.ok("rollback")
    assert product.one_commit == good
    product.ok("deploy")


def test_a_release_that_was_live_and_unfit_is_held(product: Trivial) -> None:
    """It went live, did not prove itself and was put back: the same commit is not tried again by accident."""
    good = product.one_commit
    product.change_all(UNFIT)
    done = product.inv("deploy")
    assert done.code == 14, done.said
    assert product.one_commit == good

    assert product.inv("deploy").code == 31
    product.ok("hold.lift", "--reason", "the provider was down")
    assert product.inv("deploy").code == 14


def test_what_comes_back_is_said_before(product: Trivial) -> None:
    """A dry run names release and services, and sends nothing; so does the status."""
    good = product.one_commit
    product.change_all()
    product.ok("deploy")
    writes = product.writes()

    shown = product.ok("rollback", "--dry-run")

    assert f"{product.head[:7]} → {good[:7]}" in shown.err
    assert "the schema stays as it is" in shown.err
    assert f"rollback     {good[:7]} (run " in product.ok("status").out
    assert product.writes() == writes


@pytest.mark.load
def test_environment_variables_that_come_back(product: Trivial) -> None:
    """The platform restores those of the deploy: their names are told before, never their values."""
    path = f"/v1/services/{product.service_id('api')}/env-vars"

    def variables(*names: str) -> None:
        found = product.ask(path, method="PUT", body=[{"key": name, "value": "s3cr3t-value"} for name in names])
        assert found.status == 200, found

    variables("BOTH", "OLD_FLAG")
    product.change_all()
    product.ok("deploy")
    variables("BOTH", "NEW_KEY")
    product.change_all()
    product.ok("deploy")

    shown = product.ok("rollback", "--dry-run")

    assert "api: comes back, as it was then: OLD_FLAG" in shown.err, shown.said
    assert "api: was not there then, and goes: NEW_KEY" in shown.err
    history = "".join(path.read_text() for path in (product.folder / ".deploylib").rglob("*.json"))
    assert "OLD_FLAG" in history
    assert "s3cr3t-value" not in history + shown.said
    variables()
