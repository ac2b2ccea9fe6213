"""Writing to the platform: sent again only when it certainly did not arrive."""

from __future__ import annotations

import httpx
import pytest

from deploylib.errors import Unreachable
from deploylib.render import Ambiguous, Refused
from tests.support.fakes import KEY, NEW, OLD, FakeClock
from tests.support.in_memory import Fault, Platform, lost, status, unsent


def broken(request: httpx.Request) -> httpx.Response:
    """The connection broke while the answer was read."""
    raise httpx.RemoteProtocolError("", request=request)


@pytest.mark.parametrize(
    "fault", [unsent, status(429), status(429, Retry_After="1")], ids=["no connection", "429", "429 with a time"]
)
def test_a_write_is_repeated_when_it_certainly_did_not_arrive(platform: Platform, fault: Fault) -> None:
    """No connection, or one too many: the platform has nothing of it, so it is sent again."""
    key = platform.add("worker")
    platform.faults += [("POST", "/deploys", fault)] * 3

    deploy = platform.render().trigger(key, NEW)

    assert deploy is not None
    assert len(platform.writes()) == 4
    assert len(platform.deploys[key]) == 1


@pytest.mark.parametrize(
    "fault",
    [lost, broken, *(status(code) for code in (500, 502, 503, 504, 301, 302, 307))],
    ids=["no answer", "broken", "500", "502", "503", "504", "elsewhere", "a login page", "a proxy"],
)
@pytest.mark.parametrize("what", ["trigger", "roll_back"])
def test_a_write_that_may_have_arrived_is_sent_exactly_once(platform: Platform, fault: Fault, what: str) -> None:
    """No answer, a 5xx or a redirect: it may have been accepted, and a second one would be a second deploy."""
    key = platform.add("worker", live=OLD)
    platform.faults.append(("POST", {"trigger": "/deploys", "roll_back": "/rollback"}[what], fault))

    with pytest.raises(Ambiguous):
        getattr(platform.render(), what)(key, "dep-1")

    assert len(platform.writes()) == 1


@pytest.mark.parametrize("fault", [unsent, status(429)], ids=["no connection", "429"])
def test_a_write_that_never_arrives_is_unreachable(platform: Platform, fault: Fault) -> None:
    """It was certainly not accepted, so nothing has to be looked up."""
    platform.faults += [("POST", "/deploys", fault)] * 6

    with pytest.raises(Unreachable):
        platform.render().trigger("srv-1", NEW)


def test_a_trigger_that_is_queued_without_an_id_is_none(platform: Platform) -> None:
    """202 with an empty body means accepted, look for it."""
    key = platform.add("worker")
    platform.queue.add(key)

    assert platform.render().trigger(key, NEW) is None


@pytest.mark.parametrize("code", [200, 201, 202, 204])
def test_a_trigger_that_is_answered_without_a_word_is_none(platform: Platform, code: int) -> None:
    """Whichever number it has: accepted, look for it."""
    platform.faults.append(("POST", "/deploys", lambda _request: httpx.Response(code)))

    assert platform.render().trigger(platform.add("worker"), NEW) is None


def test_a_trigger_names_the_commit_and_a_rollback_the_deploy(platform: Platform) -> None:
    """The bodies are those of Render's reference."""
    key = platform.add("worker", live=OLD)

    platform.render().trigger(key, NEW)
    platform.render().roll_back(key, "dep-1")

    assert platform.writes() == [
        ("POST", f"/services/{key}/deploys", {"commitId": NEW, "clearCache": "do_not_clear"}),
        ("POST", f"/services/{key}/rollback", {"deployId": "dep-1"}),
    ]


@pytest.mark.parametrize("code", [400, 404, 409])
def test_a_write_that_is_refused_was_not_accepted(platform: Platform, code: int) -> None:
    """A refusal is the platform's last word."""
    platform.faults.append(("POST", "/deploys", status(code, {"message": "artifact is gone"})))

    with pytest.raises(Refused, match="artifact is gone"):
        platform.render().trigger("srv-1", NEW)

    assert len(platform.writes()) == 1


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("trigger", ("srv-1", NEW)),
        ("roll_back", ("srv-1", "dep-1")),
        ("cancel", ("srv-1", "dep-1")),
        ("turn_off_auto_deploy", ("srv-1",)),
    ],
)
def test_a_dry_run_sends_no_write(platform: Platform, name: str, args: tuple[str, ...]) -> None:
    """A client that only reads refuses before anything is sent."""
    with pytest.raises(RuntimeError, match="a dry run must not send"):
        getattr(platform.render(read_only=True), name)(*args)

    assert platform.requests == []


def test_turning_autodeploy_off_changes_nothing_else(platform: Platform) -> None:
    """The PATCH has one field."""
    platform.also = lambda request: httpx.Response(200, json={}) if request.method == "PATCH" else None

    platform.render().turn_off_auto_deploy("srv-1")

    assert platform.writes() == [("PATCH", "/services/srv-1", {"autoDeploy": "no"})]


def test_a_503_that_says_when_to_come_back_may_still_have_been_carried_out(platform: Platform) -> None:
    """Only a 429 is certain: after anything else the deploy is looked up, and never asked for again."""
    platform.faults.append(("POST", "/deploys", status(503, Retry_After="1")))

    with pytest.raises(Ambiguous):
        platform.render().trigger("srv-1", NEW)

    assert len(platform.writes()) == 1


@pytest.mark.parametrize(
    ("name", "args", "slept"),
    [
        ("trigger", ("srv-1", NEW), []),
        ("turn_off_auto_deploy", ("srv-1",), []),
        ("roll_back", ("srv-1", "dep-1"), [21.0]),
        ("cancel", ("srv-1", "dep-1"), [21.0]),
    ],
)
def test_a_write_waits_for_its_window_where_all_services_share_one(
    platform: Platform, clock: FakeClock, name: str, args: tuple[str, ...], slept: list[float]
) -> None:
    """Each service has ten deploys and changes a minute of its own; rollbacks and the rest are counted together."""
    limits = {"Ratelimit-Limit": "30", "Ratelimit-Remaining": "0", "Ratelimit-Reset": "20"}
    platform.also = lambda _request: httpx.Response(200, json={}, headers=limits)
    render = platform.render(clock=clock)

    getattr(render, name)(*args)
    getattr(render, name)(*args)

    assert slept == clock.slept


@pytest.mark.parametrize("fault", [lost, unsent, status(400), status(500)], ids=["lost", "unsent", "400", "500"])
def test_the_key_is_in_no_error_of_a_write(platform: Platform, fault: Fault) -> None:
    """Whatever goes wrong, the text that leaves the client has no key, and neither has its cause."""
    platform.faults += [("POST", "/deploys", fault)] * 6

    with pytest.raises((Ambiguous, Unreachable, Refused)) as raised:
        platform.render().trigger("srv-1", NEW)

    error: BaseException | None = raised.value
    while error is not None:
        assert KEY not in f"{error} {error!r} {getattr(error, 'remedy', '')} {getattr(error, 'details', '')}"
        error = error.__cause__ or error.__context__
