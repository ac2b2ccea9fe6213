"""Fault switches of the API: wrong answers, late ones, none at all, and whether the request was carried out."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.localrender.product import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localrender.product import Local

DEPLOYS = "/services/{site}/deploys"


def newest(local: Local) -> Any:
    """The newest deploy of the site."""
    return local.get(f"{DEPLOYS}?limit=1")[0]["deploy"]


def last_line(local: Local) -> dict[str, Any]:
    """The newest line of the request log."""
    lines = (local.state / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_before_anything_is_done(faulty: Local, status: int) -> None:
    """The request is refused with the status, its headers and a message, and nothing has happened."""
    before = newest(faulty)["id"]
    faulty.fault(f"answer-{status}", method="POST", path="/deploys$")
    answer = faulty.call("POST", DEPLOYS, {})
    assert (answer.status_code, "message" in answer.json()) == (status, True)
    assert (last_line(faulty)["status"], last_line(faulty)["fault"]) == (status, f"answer-{status}")
    assert answer.headers["Ratelimit-Limit"] == "10"
    assert "Retry-After" not in answer.headers
    assert newest(faulty)["id"] == before
    assert faulty.armed() == []


def test_a_wait_can_be_asked_for(faulty: Local) -> None:
    """With a value a 429 has Retry-After; only requests of the service and the path are hit."""
    faulty.fault("answer-429", service="backend", path="/env-vars", value=7, next=0)
    assert faulty.get("/services/{site}/env-vars") == []
    assert faulty.get("/services/{backend}")["name"] == "backend"
    answer = faulty.call("GET", "/services/{backend}/env-vars")
    assert (answer.headers["Retry-After"], answer.headers["Ratelimit-Remaining"]) == ("7", "0")
    assert faulty.armed() == ["answer-429"]


def test_carried_out_and_answered_500(faulty: Local) -> None:
    """The client sees 500, and the deploy is there all the same."""
    before = newest(faulty)["id"]
    faulty.fault("error-after", path="/deploys$", after=1)
    assert newest(faulty)["id"] == before
    answer = faulty.call("POST", DEPLOYS, {})
    assert (answer.status_code, answer.json()) == (500, {"message": "internal server error"})
    line = last_line(faulty)
    assert (line["status"], line["fault"], line["done"]) == (500, "error-after", 201)
    assert newest(faulty)["id"] != before
    assert faulty.ended("site", newest(faulty)["id"]) == "live"


@pytest.mark.parametrize(
    ("fault", "value", "done"),
    [("drop-before", None, False), ("drop-after", None, True), ("hang", 0.5, False), ("hang-after", 0.5, True)],
)
def test_no_answer(faulty: Local, fault: str, value: float | None, done: bool) -> None:  # noqa: FBT001
    """The connection closes without a byte, at once or after the time; the request was carried out or not."""
    before, began = newest(faulty)["id"], time.monotonic()
    faulty.fault(fault, method="POST", value=value)
    known = faulty.endpoint
    address = known["api_url"].removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"Authorization": f"Bearer {known['api_key']}"}
    connection.request("POST", f"/v1{DEPLOYS.format(**faulty.services)}", "{}", headers)
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()
    assert time.monotonic() - began > (value or 0)
    line = last_line(faulty)
    assert (line["status"], line["fault"], line.get("done")) == (0, fault, 201 if done else None)
    found = newest(faulty)["id"]
    assert (found != before) is done
    faulty.ended("site", found)


def test_httpx_sees_a_dropped_connection(faulty: Local) -> None:
    """The usual client raises its own error for a server that went away."""
    faulty.fault("drop-after", path="/users$")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        faulty.call("GET", "/users")
    assert faulty.call("GET", "/users").status_code == 200


def test_a_client_may_give_up_and_the_server_may_stop(fresh: Callable[..., Local]) -> None:
    """A request that hangs ends with its client, and does not keep the server from its shutdown."""
    local = fresh("services: [{type: cron, name: tick, runtime: python, schedule: '* * * * *'}]")
    local.up("--faults")
    local.fault("hang", path="/users$", next=2)
    known = local.endpoint

    def ask(patience: float) -> None:
        with pytest.raises(httpx.HTTPError):
            httpx.get(
                f"{known['api_url']}/users",
                headers={"Authorization": f"Bearer {known['api_key']}"},
                timeout=patience,
                trust_env=False,
            )

    ask(0.2)
    hanging = threading.Thread(target=ask, args=(60,))
    hanging.start()
    until(lambda: (local.state / "requests.jsonl").read_text().count('"hang"') == 2)
    began = time.monotonic()
    assert local.run("down").code == 0
    hanging.join(5)
    assert (time.monotonic() - began < 5, hanging.is_alive()) == (True, False)
    log = (local.state / "server.log").read_text()
    assert "Traceback" not in log, log


def test_latency_lasts_until_it_is_cleared(faulty: Local) -> None:
    """Each request takes longer, beside what else hits it."""
    faulty.fault("latency", value=300, path="/users$")
    faulty.fault("answer-503", path="/users$")
    began = time.monotonic()
    assert [faulty.call("GET", "/users").status_code for _ in range(2)] == [503, 200]
    assert time.monotonic() - began > 0.6
    assert faulty.armed() == ["latency"]
    assert last_line(faulty)["seconds"] > 0.3


def test_a_deploy_without_a_body(faulty: Local) -> None:
    """A deploy and a rollback are carried out and answered 202 without a body; a refusal stays one."""
    live = faulty.live("site")
    faulty.fault("empty-202", next=3)
    for path, body in ((DEPLOYS, {}), ("/services/{site}/rollback", {"deployId": live})):
        answer = faulty.call("POST", path, body)
        assert (answer.status_code, answer.content, "content-type" in answer.headers) == (202, b"", False)
        found = newest(faulty)
        assert faulty.ended("site", found["id"]) == "live"
        assert found["id"] != live
    assert found["trigger"] == "rollback"
    assert faulty.call("POST", DEPLOYS, {"commitId": "0" * 40}).status_code == 400


def test_answers_carry_nulls(faulty: Local) -> None:
    """As recorded: null for what is unknown or has not happened; absent without the fault."""
    faulty.fault("build-slow", service="site", value=1)
    faulty.fault("as-recorded")
    first = faulty.call("POST", DEPLOYS, {}).json()
    assert (first["commit"], first["finishedAt"], first["status"]) == (None, None, "build_in_progress")
    assert faulty.call("POST", DEPLOYS, {}).status_code == 202
    queued = newest(faulty)
    assert (queued["commit"], queued["finishedAt"], "startedAt" in queued) == (None, None, False)
    assert faulty.get("/services/{site}")["buildFilter"] is None
    assert faulty.get("/services/{site}")["serviceDetails"]["ipAllowList"] is None
    assert faulty.get("/postgres")[0]["postgres"]["ipAllowList"] is None
    assert faulty.ended("site", queued["id"]) == "live"
    live = newest(faulty)
    assert (live["commit"]["id"][:7], live["finishedAt"] is None) == (
        faulty.product.git("rev-parse", "HEAD")[:7],
        False,
    )
    assert faulty.armed() == ["as-recorded"]
    faulty.clear_faults()
    assert "buildFilter" not in faulty.get("/services/{site}")


def test_a_wrong_key_is_no_victim(faulty: Local) -> None:
    """A request without the key is refused as ever and uses nothing up."""
    faulty.fault("answer-500")
    assert faulty.call("GET", "/users", Authorization="Bearer rnd_wrong").status_code == 401
    assert faulty.armed() == ["answer-500"]
    assert faulty.call("GET", "/users").status_code == 500
