"""Logs as they come, over a websocket; requests in them; a workspace without build minutes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.localrender.product import until

if TYPE_CHECKING:
    from tests.localrender.product import Local


def subscribed(local: Local, service: str, more: str = "", key: str = "") -> ClientConnection:
    """A websocket of a service's log."""
    known = local.endpoint
    url = known["api_url"].replace("http://", "ws://")
    query = f"ownerId={known['owner_id']}&resource={local.services[service]}{more}"
    headers = {"Authorization": f"Bearer {key or known['api_key']}"}
    return connect(f"{url}/logs/subscribe?{query}", additional_headers=headers, proxy=None, open_timeout=10)


def test_what_is_said_is_sent_at_once_and_is_what_a_query_gives(faulty: Local) -> None:
    """Each line of a deploy, in order, with the ids that `GET /logs` has."""
    with subscribed(faulty, "backend", "&type=build") as socket:
        faulty.live("backend")
        got: list[dict[str, Any]] = []
        while not got or "live" not in got[-1]["message"]:
            got.append(json.loads(socket.recv(timeout=10)))
    query = f"ownerId={faulty.endpoint['owner_id']}&resource={faulty.services['backend']}&type=build"
    start = got[0]["timestamp"]
    asked = faulty.get(f"/logs?{query}&startTime={start}&direction=forward&limit=100")["logs"]
    assert got == asked[: len(got)]


def test_a_websocket_needs_the_key_and_a_resource(faulty: Local) -> None:
    """It is refused with the status that a GET has."""
    with pytest.raises(InvalidStatus) as refused:
        subscribed(faulty, "backend", key="rnd_another")
    assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        subscribed(faulty, "backend", "&direction=sideways")
    assert refused.value.response.status_code == 400


def test_a_websocket_can_be_cut_and_refused(faulty: Local) -> None:
    """After as many lines as the fault says; one too many is a 429 with its Retry-After."""
    faulty.fault("logs-cut", value=2)
    with subscribed(faulty, "backend", "&startTime=0") as socket:
        assert [json.loads(socket.recv(timeout=10))["id"] for _ in range(2)]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
    assert faulty.armed() == []
    faulty.fault("answer-429", path="/logs/subscribe$", value=3)
    with pytest.raises(InvalidStatus) as refused:
        subscribed(faulty, "backend")
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "3")


def test_requests_are_lines_of_the_log_without_what_a_visitor_asks_for(faulty: Local) -> None:
    """Of a web service: host, method, status and path, and no query; of a static site none."""
    query = f"/logs?ownerId={faulty.endpoint['owner_id']}&type=request&resource="
    faulty.page("backend", "/nowhere?token=of-a-visitor")
    faulty.page("site", "/nowhere")
    until(lambda: faulty.get(f"{query}{{backend}}&path=/nowhere")["logs"])
    line = faulty.get(f"{query}{{backend}}&path=/nowhere&method=GET")["logs"][0]
    labels = {label["name"]: label["value"] for label in line["labels"]}
    assert labels["path"] == "/nowhere"
    assert labels["statusCode"].isdigit()
    assert "of-a-visitor" not in json.dumps(line)
    assert faulty.get(f"{query}{{site}}")["logs"] == []
    assert labels["statusCode"] in faulty.get(f"{query.replace('/logs', '/logs/values')}{{backend}}&label=statusCode")


def test_a_workspace_without_build_minutes_builds_nothing(faulty: Local) -> None:
    """A deploy is canceled at once, an event says why, and what is live stays so."""
    live = faulty.live("backend")
    faulty.fault("minutes-used-up")
    refused = faulty.deploy("backend")
    assert faulty.status("backend", refused) == "canceled"
    assert faulty.events("backend", "pipeline_minutes_exhausted") == [{}]
    assert faulty.status("backend", live) == "live"
