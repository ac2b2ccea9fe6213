"""Why a deploy failed, in the words of the program that failed; and stopping one that is on its way."""

from __future__ import annotations

from typing import Any

import pytest

from deploylib.errors import BuildFailed, DeployFailed, PersonNeeded, QuotaUsedUp, StartFailed, Unhealthy
from deploylib.models import DeployStatus, Live, Order
from deploylib.render import diagnosis, rollout
from tests.support.fakes import NEW, OLD, FakeClock, target
from tests.support.in_memory import Platform, lost, status


def fail(platform: Platform, clock: FakeClock, state: str, failure: Any) -> DeployFailed:
    """A deploy that ends in *state*, with the cause that its event names."""
    key = platform.add("api", live=OLD)
    platform.plans[key] = ["build_in_progress", state]
    details = {"deployId": "dep-2", "reason": {"failure": failure}}
    platform.events = [{"type": "deploy_ended", "serviceId": key, "details": details}]
    wanted = Order(target=target("api", health_path="/health"), commit=NEW, previous=Live(service="api", commit=OLD))
    with pytest.raises(DeployFailed) as raised:
        rollout.roll_out(
            [wanted],
            rollout.Rollout(
                platform.render(), clock, clock.deadline(600), lambda _kind, _value: None, lambda _service, _text: None
            ),
        )
    return raised.value


@pytest.mark.parametrize(
    ("state", "failure", "kind", "said"),
    [
        ("build_failed", {"nonZeroExit": 2}, BuildFailed, "api: the build exited with code 2"),
        ("build_failed", {"earlyExit": True}, BuildFailed, "api: the build ended"),
        ("build_failed", {}, BuildFailed, "api: the build failed"),
        ("pre_deploy_failed", {"nonZeroExit": 1}, StartFailed, "api: the pre-deploy command exited with code 1"),
        ("pre_deploy_failed", {}, StartFailed, "api: the pre-deploy command failed"),
        ("update_failed", {"nonZeroExit": 1}, StartFailed, "api: the program exited with code 1"),
        ("update_failed", {"earlyExit": True}, StartFailed, "api: the program ended"),
        ("update_failed", {"oomKilled": {"memoryLimit": "512Mi"}}, StartFailed, "api: the program ran out of memory"),
        ("update_failed", {"unhealthy": "status 500"}, Unhealthy, "api: it runs, but /health did not answer well: status 500"),
        ("update_failed", {}, Unhealthy, "api: it runs, but /health did not answer well"),
    ],
)  # fmt: skip
def test_the_kind_of_failure_comes_from_the_status_and_the_event(
    platform: Platform, clock: FakeClock, state: str, failure: dict[str, Any], kind: type[DeployFailed], said: str
) -> None:
    """Build, start or health: each has an exit code of its own, and the cause is in the message."""
    error = fail(platform, clock, state, failure)

    assert (kind, said, "api") == (type(error), error.message, error.service)
    assert error.remedy


def test_the_time_until_the_program_ended_is_told(platform: Platform, clock: FakeClock) -> None:
    """From start to end of the deploy, where the platform says both."""
    times = {"startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:00:01.9Z"}
    begin = platform.begin

    def timed(*args: str) -> dict[str, Any]:
        made = begin(*args)
        made.update(times)
        return made

    platform.begin = timed  # type: ignore[method-assign, assignment]

    assert fail(platform, clock, "update_failed", {"nonZeroExit": 1}).message.endswith(
        "exited with code 1, 1.9 s after the deploy began"
    )


@pytest.mark.parametrize(
    ("state", "log"), [("build_failed", "build"), ("pre_deploy_failed", "app"), ("update_failed", "app")]
)
def test_the_last_words_are_those_of_the_log_that_knows(
    platform: Platform, clock: FakeClock, state: str, log: str
) -> None:
    """The build's log for a build, the program's for a program; the last twenty lines, in order, without empty ones."""
    lines = [f"line {n}" for n in range(30)]
    platform.logs = [
        {"timestamp": f"2026-03-01T12:00:{n:02}Z", "message": text} for n, text in enumerate(["", *lines, "  "])
    ]

    error = fail(platform, clock, state, {})

    assert tuple(lines[-20:]) == error.details
    asked = [dict(one.url.params) for one in platform.requests if one.url.path.endswith("/logs")]
    assert [(log, "2026-03-01T12:00:00.123457+00:00")] == [(one["type"], one["startTime"]) for one in asked]


def test_a_cause_that_is_not_certain_comes_after_the_usual_step(platform: Platform, clock: FakeClock) -> None:
    """And is not told as the reason: the program may have served without that value all the time."""
    lines = ['ERROR:  relation "orders" does not exist', "==> no value here for KEY, which the Blueprint leaves out: x"]
    platform.logs = [{"timestamp": f"2026-03-01T12:00:0{n}Z", "message": text} for n, text in enumerate(lines)]

    error = fail(platform, clock, "pre_deploy_failed", {"nonZeroExit": 3})

    assert error.message.endswith("the pre-deploy command exited with code 3")
    assert error.remedy.startswith("correct it, commit, inv deploy; or, as KEY has no value here")
    assert "inv local.env KEY" in error.remedy


def test_what_the_old_program_says_meanwhile_is_not_the_cause(platform: Platform, clock: FakeClock) -> None:
    """Both write to one log: the lines of an instance that still serves are left out."""
    platform.instances = {"srv-api": ["srv-api-old"]}
    platform.logs = [
        {"timestamp": f"2026-03-01T12:00:0{n}Z", "message": text, "labels": [{"name": "instance", "value": name}]}
        for n, (text, name) in enumerate([("KeyError: 'URL'", "srv-api-new"), ("GET / 200", "srv-api-old")])
    ]

    assert fail(platform, clock, "update_failed", {"nonZeroExit": 1}).details == ("KeyError: 'URL'",)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        (["src/a.ts(3,1): error TS2304: Cannot find name 'x'.", "src/b.ts(1,1): error TS2322: …"], [0]),
        (["0 errors, 2 warnings", "warning: error: of old", "npm ERR! code ELIFECYCLE", "npm ERR! errno 1"], [2]),
        (["Traceback (most recent call last):", '  File "a.py", line 1', "KeyError: 'URL'", "error: later"], [0, 1, 2]),
        (["error[E0425]: cannot find value `x`", "error: aborting due to 1 previous error"], [0]),
        (["Collecting error-handling", "added 3 packages", "done"], []),
        (["ModuleNotFoundError: No module named 'app'"], [0]),
    ],
)
def test_the_first_real_error_is_found(said: list[str], first: list[int]) -> None:
    """What looks like one and is none is passed over; of a traceback it is all of it."""
    assert [said[n] for n in first] == list(diagnosis.find_first_error(said))


def test_the_first_error_of_a_build_stands_in_the_message(platform: Platform, clock: FakeClock) -> None:
    """Also where twenty other lines came after it."""
    lines = ["compiling", "app.ts(1,7): error TS2322: no number", *(f"stack {n}" for n in range(30))]
    platform.logs = [{"timestamp": f"2026-03-01T12:00:{n:02}Z", "message": text} for n, text in enumerate(lines)]

    error = fail(platform, clock, "build_failed", {"nonZeroExit": 2})

    assert error.message == "api: the build exited with code 2: app.ts(1,7): error TS2322: no number"
    assert (lines[1], "…", *lines[-20:]) == error.details


@pytest.mark.parametrize("state", ["canceled", "build_failed"])
def test_used_up_build_minutes_are_told_as_the_platforms_quota(
    platform: Platform, clock: FakeClock, state: str
) -> None:
    """Not as bad code, and not as somebody who has canceled it."""
    key = platform.add("api", live=OLD)
    platform.plans[key] = [state]
    platform.events = [{"type": "pipeline_minutes_exhausted", "serviceId": key, "details": {}}]
    wanted = Order(target=target("api"), commit=NEW, previous=Live(service="api", commit=OLD))
    bare = rollout.Rollout(platform.render(), clock, clock.deadline(60), lambda _kind, _value: None, lambda *_: None)

    with pytest.raises(QuotaUsedUp, match="no build minutes left") as raised:
        rollout.roll_out([wanted], bare)

    assert raised.value.exit_code == 15
    assert "Billing" in raised.value.remedy


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(platform: Platform, clock: FakeClock) -> None:
    """The failure is told, and that its log is missing."""
    platform.faults.append(("GET", "/logs", status(400, {"message": "no logs"})))

    error = fail(platform, clock, "build_failed", {"nonZeroExit": 2})

    assert isinstance(error, BuildFailed)
    assert "its log cannot be read" in error.details[0]


def test_one_that_failed_leaves_the_others_as_they_are(platform: Platform, clock: FakeClock) -> None:
    """The first failure is told at once; who called puts back what it must."""
    platform.add("web", live=OLD)
    platform.plans["srv-web"] = ["build_in_progress"]

    fail(platform, clock, "build_failed", {})

    assert OLD == platform.live("srv-web")


def settle(platform: Platform, clock: FakeClock, name: str, within: float = 60) -> DeployStatus:
    """Stop a deploy of api."""
    wanted = target("api", dashboard_url="https://dashboard.example/api")
    return rollout.cancel_and_wait(
        wanted, name, client=platform.render(), clock=clock, deadline=clock.deadline(within)
    ).status


def test_a_deploy_that_is_on_its_way_is_canceled_and_waited_for(platform: Platform, clock: FakeClock) -> None:
    """It is stopped only when the platform says so."""
    key = platform.add("api", live=OLD)
    began = platform.begin(key, NEW, "build_in_progress")
    looks = iter(["build_in_progress", "build_in_progress", "canceled"])
    platform.faults.append(("POST", "/cancel", status(200, {})))
    clock.each_sleep = lambda: began.update(status=next(looks))

    assert DeployStatus.CANCELED is settle(platform, clock, began["id"])
    assert [("POST", f"/services/{key}/deploys/{began['id']}/cancel")] == [one[:2] for one in platform.writes()]
    assert len(clock.slept) == 3


@pytest.mark.parametrize("state", ["live", "build_failed", "canceled", "deactivated"])
def test_a_deploy_that_has_ended_is_left_alone(platform: Platform, clock: FakeClock, state: str) -> None:
    """There is nothing to stop."""
    key = platform.add("api")
    began = platform.begin(key, NEW, state)

    assert DeployStatus(state) is settle(platform, clock, began["id"])
    assert platform.writes() == []


@pytest.mark.parametrize("fault", [lost, status(500), status(409)], ids=["no answer", "500", "refused"])
def test_a_cancel_that_came_too_late_is_no_failure(platform: Platform, clock: FakeClock, fault: Any) -> None:
    """It may have gone live in this moment; what counts is how it ended."""
    key = platform.add("api", live=OLD)
    began = platform.begin(key, NEW, "update_in_progress")

    def late(request: Any) -> Any:
        began["status"] = "live"
        return fault(request)

    platform.faults.append(("POST", "/cancel", late))

    assert DeployStatus.LIVE is settle(platform, clock, began["id"])


def test_a_deploy_that_cannot_be_stopped_needs_a_person(platform: Platform, clock: FakeClock) -> None:
    """After the deadline, with the address where one can."""
    key = platform.add("api", live=OLD)
    began = platform.begin(key, NEW, "build_in_progress")
    platform.faults.append(("POST", "/cancel", status(200, {})))

    with pytest.raises(PersonNeeded, match="could not be stopped") as raised:
        settle(platform, clock, began["id"], within=30)

    assert "https://dashboard.example/api" in raised.value.remedy
    assert clock.seconds >= 30


def log(text: str) -> dict[str, Any]:
    """A line of a log, as the platform gives it."""
    labels = [{"name": "resource", "value": "srv-api"}]
    return {"id": text[:8], "timestamp": "2026-03-01T12:00:01Z", "message": text, "labels": labels}


@pytest.mark.parametrize(
    ("state", "said", "message", "remedy"),
    [
        ("build_failed", "Publish directory dist does not exist!", "api: the build failed: the build has made no 'dist'", "staticPublishPath"),
        ("build_failed", "sh: 1: pnpm: not found", "there is no pnpm", "let the build command install pnpm"),
        ("update_failed", "it listens on port 3000, and not on PORT, which is 1", "did not answer well: it listens on port 3000", "PORT"),
    ],
)  # fmt: skip
def test_a_cause_that_is_known_is_in_the_message_with_what_helps(
    platform: Platform, clock: FakeClock, state: str, said: str, message: str, remedy: str
) -> None:
    """And not only among the last words."""
    platform.logs = [log(said)]

    error = fail(platform, clock, state, {})

    assert message in error.message
    assert remedy in error.remedy
    assert said in error.details
