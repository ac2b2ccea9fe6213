"""Fault switches: off unless asked for, refused when wrong, and what they do to deploys and to the platform."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from localrender.faultnames import NAMES
from tests.localrender.product import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localrender.product import Local

CRON = "services: [{type: cron, name: tick, runtime: python, schedule: '* * * * *'}]"


def test_without_the_option_nothing_can_be_armed(shared: Local) -> None:
    """A server without `--faults` says how to get them, and `up --faults` does not pretend."""
    assert shared.endpoint["faults"] is False
    for method in ("GET", "POST", "DELETE"):
        answer = shared.call(method, "/../local/faults", {"fault": "answer-500"})
        told = answer.json()["error"]
        assert (answer.status_code, told["message"]) == (400, "fault switches are off")
        assert told["remedy"] == "python -m localrender down, then python -m localrender up --faults"
    done = shared.run("fault", "answer-500", "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (2, "faults_off")
    done = shared.run("up", "--faults")
    assert (done.code, "without fault switches" in done.err, "then python -m localrender up --faults" in done.err) == (
        2,
        True,
        True,
    )
    assert shared.call("GET", "/users").status_code == 200


def test_the_command_line_arms_lists_and_clears(faulty: Local) -> None:
    """`fault NAME` arms, `fault` lists, `fault --clear` clears, `--help` names every fault; so does a list of none."""
    assert faulty.endpoint["faults"] is True
    options = ("--next", "2", "--value", "9", "--method", "post", "--path", "/deploys$", "--after", "1", "--json")
    rule = json.loads(faulty.run("fault", "answer-429", "--service", "backend", *options).out)
    asked = {"fault": "answer-429", "service": "backend", "next": 2, "value": 9, "method": "POST", "path": "/deploys$"}
    assert rule == asked | {"after": 1, "commit": "", "left": 2, "fired": 0, "deploys": []}
    assert json.loads(faulty.run("fault", "--json").out) == {"rules": [rule]}
    assert "answer-429        2 left, 0 so far, service backend, value 9" in faulty.run("fault").out
    assert faulty.run("fault", "--clear").out == "no fault is armed\n"
    assert faulty.run("fault", "--clear", "hang").code == 2
    for shown in (faulty.run("fault", "--help").out, faulty.run("fault").out):
        assert [name for name in NAMES if f"\n  {name} " not in shown] == []
    assert faulty.up()["faults"] is True


@pytest.mark.parametrize(
    ("rule", "message", "remedy"),
    [
        ({"fault": "explode"}, "no fault 'explode'", "build-slow, build-fail"),
        ({"fault": "build-fail", "service": "other"}, "no service other", "one of: backend, site, worker"),
        ({"fault": "build-fail", "value": 0}, "0 is no value", "a whole number from 1 to 255: exit code"),
        ({"fault": "build-fail", "value": 1.5}, "1.5 is no value", "a whole number"),
        ({"fault": "build-slow", "value": -1}, "-1 is no value", "a number from 0"),
        ({"fault": "build-crash", "value": 1}, "takes no value", "leave the value out"),
        ({"fault": "build-fail", "next": -1}, "count deploys", "from 0 on"),
        ({"fault": "build-fail", "path": "x"}, "not about requests", "answer-429"),
        ({"fault": "build-fail", "commit": "abc"}, "takes no commit", "foreign-deploy"),
        ({"fault": "hang", "path": "("}, "no regular expression", "correct the path"),
        ({"fault": "hang", "method": "LOOK"}, "no method LOOK", "GET"),
        ({"fault": "start-fail", "service": "site"}, "site has no instances", "one of: backend, worker"),
        ({"fault": "pre-deploy-fail", "service": "worker"}, "worker has no pre-deploy", "one that has: backend"),
        ({"fault": "artifact-gone"}, "needs a service", "one of: backend, site, worker"),
        ({"fault": "postgres-down", "service": "site"}, "not about a service", "leave the service out"),
        ({"fault": "foreign-deploy", "service": "site", "commit": "0" * 40}, "commit not found", "name a commit"),
        ({"fault": "hang", "times": 3}, "unknown field", "give these fields: fault, service, next"),
        ({"service": "site"}, "missing required field", "give these fields"),
    ],
)
def test_a_wrong_rule_is_refused(faulty: Local, rule: dict[str, Any], message: str, remedy: str) -> None:
    """What cannot be armed is refused with 400 and what is possible; nothing is armed."""
    answer = faulty.call("POST", "/../local/faults", rule)
    told = answer.json()["error"]
    assert (answer.status_code, message in told["message"], remedy in told["remedy"]) == (400, True, True), told
    assert faulty.armed() == []


@pytest.mark.parametrize(
    ("fault", "value", "status", "code"),
    [
        ("build-fail", 7, "build_failed", 7),
        ("build-crash", None, "build_failed", 137),
        ("pre-deploy-fail", 4, "pre_deploy_failed", 4),
        ("pre-deploy-crash", None, "pre_deploy_failed", 137),
        ("start-fail", 9, "update_failed", 9),
    ],
)
def test_a_phase_fails(faulty: Local, fault: str, value: int | None, status: str, code: int) -> None:
    """The real process of the phase ends with the code; the old version goes on; the rule is used up."""
    process = faulty.page("backend").json()["pid"]
    faulty.fault(fault, service="backend", value=value)
    deploy = faulty.deploy("backend")
    assert faulty.ended("backend", deploy) == status
    assert faulty.events("backend", "deploy_ended")[0]["reason"]["failure"] == {"evicted": False, "nonZeroExit": code}
    until(lambda: f"drill fault {fault}" in faulty.run("logs", "backend").out)
    assert faulty.page("backend").json()["pid"] == process
    assert faulty.armed() == []


def test_a_rule_hits_its_service_as_often_as_said(faulty: Local) -> None:
    """Other services are left alone, the first ones pass, then so many are hit."""
    faulty.fault("build-fail", service="site", after=1, next=2)
    faulty.live("worker")
    ends = [faulty.ended("site", faulty.deploy("site")) for _ in range(4)]
    assert ends == ["live", "build_failed", "build_failed", "live"]


def test_phases_are_slow(faulty: Local) -> None:
    """Each phase takes so much longer; the deploy succeeds. A worker that starts late is not live before."""
    for name in ("build-slow", "pre-deploy-slow", "start-slow"):
        faulty.fault(name, service="backend", value=0.6)
    faulty.fault("health-slow", service="backend", value=1.2)
    faulty.fault("start-slow", service="worker", value=1.5)
    began = time.monotonic()
    working = faulty.deploy("worker")
    faulty.live("backend")
    assert time.monotonic() - began > 2.4
    assert faulty.ended("worker", working) == "live"
    taken = [faulty.events("worker", kind)[0] for kind in ("deploy_started", "deploy_ended")]
    assert taken[0]["deployId"] == taken[1]["deployId"] == working
    until(lambda: "drill fault pre-deploy-slow" in faulty.run("logs", "backend", "--type", "build").out)


def test_an_instance_that_never_gets_healthy_times_out(faulty: Local) -> None:
    """Health checks that fail are given up at the start timeout."""
    faulty.fault("health-fail", service="backend")
    assert faulty.ended("backend", faulty.deploy("backend")) == "update_failed"
    failure = faulty.events("backend", "deploy_ended")[0]["reason"]["failure"]
    assert (failure["unhealthy"], failure["timedOutReason"]) == ("drill fault health-fail", "health check")


def test_a_live_instance_crashes_until_cleared(faulty: Local) -> None:
    """Each instance is killed a while after it went live, also the one that replaced it, until the rule is cleared."""
    before = len(faulty.events("backend", "server_failed"))
    faulty.fault("start-crash", service="backend", value=0)
    deploy = faulty.live("backend")
    until(lambda: len(faulty.events("backend", "server_failed")) > before + 1)
    assert faulty.events("backend", "server_failed")[0]["reason"]["nonZeroExit"] == 137
    (rule,) = faulty.get("/../local/faults")["rules"]
    assert (rule["fault"], rule["left"], rule["deploys"]) == ("start-crash", 0, [deploy])
    faulty.clear_faults()
    until(lambda: faulty.page("backend").status_code == 200)


def test_health_that_flaps_is_told(faulty: Local) -> None:
    """Health by turns good and bad: the platform restarts the live instance and says so."""
    before = len(faulty.events("backend", "server_failed"))
    faulty.fault("health-flap", service="backend", value=1)
    faulty.live("backend")
    until(lambda: len(faulty.events("backend", "server_failed")) > before)
    assert faulty.events("backend", "server_failed")[0]["reason"]["unhealthy"] == "drill fault health-flap"


def test_a_status_nobody_knows(faulty: Local) -> None:
    """From the first answer on a deploy has a status that is none, for some time at least; then it is live."""
    faulty.fault("status-unknown", service="site", value=1)
    answer = faulty.call("POST", "/services/{site}/deploys", {})
    deploy = answer.json()["id"]
    assert (answer.status_code, answer.json()["status"]) == (201, "reticulating")
    assert faulty.status("site", deploy) == "reticulating"
    assert faulty.get("/services/{site}/deploys?limit=1")[0]["deploy"]["status"] == "reticulating"
    until(lambda: faulty.status("site", deploy) == "live")


def test_kept_artifacts_are_gone(faulty: Local) -> None:
    """No earlier deploy can be rolled back to; the live one still serves."""
    old = faulty.live("site")
    faulty.live("site")
    assert faulty.fault("artifact-gone", service="site")["left"] == 0
    answer = faulty.call("POST", "/services/{site}/rollback", {"deployId": old})
    assert (answer.status_code, "no longer kept" in answer.text) == (400, True)
    assert faulty.page("site").text == "<h1>front</h1>"


def test_somebody_else_deploys(faulty: Local) -> None:
    """A deploy with the trigger `manual`, of the live commit or of the one that is named."""
    other = faulty.product.commit("of somebody else")
    for commit in ("", other):
        (deploy,) = faulty.fault("foreign-deploy", service="site", commit=commit)["deploys"]
        assert faulty.ended("site", deploy) == "live"
        shown = faulty.get(f"/services/{{site}}/deploys/{deploy}")
        assert shown["trigger"] == "manual"
        assert shown["commit"]["id"] == (commit or faulty.product.first)
    assert faulty.events("site", "deploy_started")[0]["trigger"]["manual"] is True
    assert faulty.armed() == []


def test_the_overlap_policy_can_be_override(faulty: Local) -> None:
    """A new deploy cancels the running one, and is answered 201; set back, it waits again."""
    faulty.fault("overlap-override")
    assert faulty.armed() == ["overlap-override"]
    faulty.fault("build-slow", service="site", value=1, next=2)
    first = faulty.deploy("site")
    (second,) = faulty.fault("foreign-deploy", service="site")["deploys"]
    third = faulty.deploy("site")
    assert faulty.ended("site", third) == "live"
    assert [faulty.ended("site", one) for one in (first, second)] == ["canceled", "canceled"]
    reasons = {one["deployId"]: one["reason"] for one in faulty.events("site", "deploy_ended")}
    assert (reasons[first], reasons[second]) == ({"newDeploy": {"id": second}}, {"newDeploy": {"id": third}})
    answer = faulty.call("POST", "/../local/faults", {"fault": "overlap-wait", "service": "site"})
    assert (answer.status_code, "every service" in answer.text) == (400, True)
    faulty.fault("overlap-wait")
    assert "overlap-override" not in faulty.armed()
    faulty.fault("build-slow", service="site", value=1)
    running = faulty.deploy("site")
    assert faulty.call("POST", "/services/{site}/deploys", {}).status_code == 202
    newest = faulty.get("/services/{site}/deploys?limit=1")[0]["deploy"]["id"]
    assert faulty.ended("site", newest) == "live"
    assert faulty.status("site", running) == "deactivated"


def test_postgres_stops_and_starts(faulty: Local) -> None:
    """The real Postgres goes away and comes back with its data, at the same address; clearing brings it back, too."""
    database = faulty.get("/postgres")[0]["postgres"]["id"]
    address = faulty.get(f"/postgres/{database}/connection-info")["externalConnectionString"]
    with psycopg.connect(address) as connection:
        connection.execute("create table kept ()")
    for back in (lambda: faulty.fault("postgres-up"), faulty.clear_faults):
        faulty.fault("postgres-down")
        assert faulty.armed() == ["postgres-down"]
        assert faulty.get(f"/postgres/{database}")["status"] == "unavailable"
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(address, connect_timeout=2)
        back()
        assert faulty.armed() == []
        with psycopg.connect(address) as connection:
            connection.execute("select from kept")


def test_what_is_armed_ends_with_the_server(fresh: Callable[..., Local]) -> None:
    """After `down` nothing is armed and the option is to be given again; no Postgres is told."""
    local = fresh(CRON)
    local.up("--faults")
    local.fault("build-fail")
    answer = local.call("POST", "/../local/faults", {"fault": "postgres-down"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_postgres")
    local.run("down")
    local.up()
    assert local.endpoint["faults"] is False
