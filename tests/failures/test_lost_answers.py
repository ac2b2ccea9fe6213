"""The platform's answers fail: what may be asked again is, and a deploy is never asked for twice."""

from __future__ import annotations

import pytest

from tests.support.trivial import SERVICES, Trivial

DEPLOYS = "/deploys$"


def asked(product: Trivial, commit: str) -> dict[str, int]:
    """How many deploys of a commit the platform has, by service."""
    return {name: len(product.deploys(name, commit)) for name in SERVICES}


@pytest.mark.parametrize(
    "fault", ["drop-after", *(pytest.param(one, marks=pytest.mark.load) for one in ("error-after", "empty-202"))]
)
def test_a_deploy_whose_answer_was_lost_is_adopted(product: Trivial, fault: str) -> None:
    """The connection dropped, a 500, or 202 without an id, each once the deploy was accepted: found again, exactly one."""
    commit = product.change_all()
    product.fault(fault, method="POST", path=DEPLOYS, next=2)

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert asked(product, commit) == dict.fromkeys(SERVICES, 1)
    adopted = [one for one in product.events() if one["kind"] == "triggered" and one["data"].get("adopted")]
    assert len(adopted) == (0 if fault == "empty-202" else 2)
    assert set(product.served().values()) == {commit}


@pytest.mark.load
def test_a_deploy_that_may_never_have_arrived_is_not_sent_again(product: Trivial) -> None:
    """Nobody knows, and the platform shows nothing: exit code 20, what went live is put back, the next command is told."""
    good = set(product.served().values())
    commit = product.change_all()
    product.fault("drop-before", method="POST", path=DEPLOYS, after=2)

    done = product.inv("deploy")

    assert done.code == 20, done.said
    assert "the platform does not say whether it accepted the deploy" in done.out
    assert "inv deploy" in done.out.partition("Next")[2]
    assert sorted(asked(product, commit).values()) == [0, 1, 1]
    assert set(product.served().values()) == good


# tests/unit/render shows each of them without a program.
@pytest.mark.parametrize(
    "fault",
    ["answer-429", *(pytest.param(one, marks=pytest.mark.load) for one in ("answer-500", "answer-503", "drop-before"))],
)
def test_reads_are_asked_again(product: Trivial, fault: str) -> None:
    """A few answers that say "not now", or none at all, do not end a release."""
    commit = product.change_all()
    product.fault(fault, method="GET", path=DEPLOYS, next=3, **({"value": 1} if fault == "answer-429" else {}))

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert asked(product, commit) == dict.fromkeys(SERVICES, 1)


def test_a_deploy_that_was_one_too_many_is_sent_again(product: Trivial) -> None:
    """429 says that it was not accepted, and when to come again."""
    commit = product.change_all()
    product.fault("answer-429", method="POST", path=DEPLOYS, value=1)

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert asked(product, commit) == dict.fromkeys(SERVICES, 1)
    assert [one["status"] for one in product.requests() if one["method"] == "POST"].count(429) == 1


def test_a_platform_that_answers_nothing_is_unreachable(product: Trivial) -> None:
    """Exit code 40, before anything is asked for."""
    writes = product.writes()
    product.change_all()
    product.fault("answer-503", path="/services", next=0)

    done = product.inv("deploy")

    assert done.code == 40, done.said
    assert "check the network" in done.said or "inv local.up" in done.said
    assert product.writes() == writes


def test_a_status_that_nobody_knows_is_waited_for(product: Trivial) -> None:
    """A word that the platform has learned since is no failure."""
    product.change_all()
    product.fault("status-unknown", service="api", value=1)

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert "in a state that we do not know" in done.err


def test_nulls_as_they_are_on_the_wire(product: Trivial) -> None:
    """What the document calls required is null or absent in recorded answers."""
    commit = product.change_all()
    product.fault("as-recorded")

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert set(product.served().values()) == {commit}
    assert product.inv("status").code == 0


@pytest.mark.load
def test_a_slow_platform_is_only_slow(product: Trivial) -> None:
    """Latency changes nothing but the time."""
    commit = product.change_all()
    product.fault("latency", value=150)

    assert product.inv("deploy").code == 0
    assert set(product.served().values()) == {commit}
