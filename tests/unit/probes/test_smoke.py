"""The requests that a team declares: what they ask, what must come of it, and what they never do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from deploylib.errors import VerificationFailed
from deploylib.models import Kind, Secret
from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.smoke import SmokeRequest
from deploylib.probes import Expected, Pace, Probe, verify, verify_service
from deploylib.probes.smoke import Asking, ask_all, first_difference
from deploylib.system import Clock, http
from tests.support.fakes import NEW, OLD, FakeClock, target
from tests.support.in_memory import Platform, unsent
from tests.support.website import Asked, Reply, serving

QUICK = Pace(times=2, every=0.01, within=5, grace=0)
HEALTH = Reply(body=json.dumps({"releaseId": NEW}).encode(), headers={"Content-Type": "application/json"})
ENTRIES = Reply(
    body=json.dumps({"items": [{"id": 1, "text": "hello"}], "total": 1, "open": True}).encode(),
    headers={"Content-Type": "application/json; charset=utf-8"},
)


def shop(asked: Asked) -> Reply:
    """A service with a health path, a list, a form and a door that wants a key."""
    match asked.method, asked.path.partition("?")[0]:
        case "GET", "/health":
            return HEALTH
        case "GET" | "HEAD", "/entries":
            return ENTRIES
        case "POST", "/entries":
            return Reply(201 if asked.body == b'{"text":"hello"}' else 400)
        case "POST", "/form":
            return Reply(204 if asked.body == b"text=hello" else 400)
        case "GET", "/account":
            return Reply(200 if asked.headers.get("authorization") == "Bearer s3cr3t-value" else 401)
        case "GET", "/moved":
            return Reply(302, headers={"Location": "http://127.0.0.1:1/"})
    return Reply(404)


def request(**fields: Any) -> SmokeRequest:
    """A request as it is read from the settings."""
    return msgspec.convert(fields, SmokeRequest)


def ask(*requests: SmokeRequest, url: str, secret: str = "", clock: Clock = Clock()) -> list[Evidence]:
    """Ask a real server."""
    given = Secret(secret) if secret else None
    with http.Session(timeout=0.3) as session:
        asking = Asking(session, clock, lambda _: given, every=0.01, within=5)
        return list(ask_all(target("shop", Kind.WEB, url=url), requests, asking))


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/entries"},
        {"path": "/entries?limit=1", "json": {"items": [{"text": "hello"}], "open": True}},
        {"path": "/entries", "json": {"items": []}},
        {"path": "/entries", "header": {"content-type": "application/json"}, "contains": "hello", "under": "10s"},
        {"path": "/entries", "method": "HEAD"},
        {"path": "/entries", "method": "POST", "body": {"text": "hello"}, "status": 201},
        {"path": "/form", "method": "POST", "body": "text=hello", "status": 204},
        {"path": "/account", "send_env": {"Authorization": "SHOP_KEY"}},
        {"path": "/account", "status": 401},
        {"path": "/moved", "status": 302},
    ],
    ids=[
        "status",
        "json",
        "any list",
        "header, text, time",
        "head",
        "json body",
        "text body",
        "secret",
        "refused",
        "redirect",
    ],
)
def test_an_answer_that_is_as_declared_passes(fields: dict[str, Any]) -> None:
    """Its status, its JSON, its headers, its text and its time, as far as they are said."""
    with serving(shop) as site:
        [seen] = ask(request(**fields), url=site.url, secret="Bearer s3cr3t-value")

    assert (seen.judgement, seen.probe) == (Judgement.PASS, "smoke"), seen.text
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"path": "/nothing"}, "GET /nothing: status 404, not 200"),
        ({"path": "/entries", "json": {"total": 2}}, "GET /entries: its JSON is another at total: another number"),
        ({"path": "/entries", "json": {"items": [{}, {}]}}, "its JSON is another at items: 1 item, not 2"),
        (
            {"path": "/entries", "json": {"items": [{"id": True}]}},
            "its JSON is another at items.0.id: a number, not true or false",
        ),
        ({"path": "/entries", "json": []}, "its JSON is another at the top: an object, not a list"),
        ({"path": "/account", "status": 401, "json": {}}, "it is no JSON"),
        (
            {"path": "/entries", "header": {"Content-Type": "text/html"}},
            "its header Content-Type does not hold 'text/html'",
        ),
        ({"path": "/entries", "header": {"X-Missing": ""}}, "its header X-Missing does not hold ''"),
        ({"path": "/entries", "contains": "bye"}, "it does not hold 'bye'"),
        ({"path": "/entries", "under": "0.001ms"}, "more than 0 ms"),
        ({"path": "/moved"}, "status 302, not 200"),
        ({"path": "/account?key=query-s3cr3t"}, "GET /account: status 401, not 200"),
    ],
)
def test_an_answer_that_is_otherwise_fails_and_a_read_is_asked_again(fields: dict[str, Any], said: str) -> None:
    """What differs is told by its place, and nothing of the answer or of the query."""
    with serving(shop) as site:
        [seen] = ask(request(**fields), url=site.url)

    assert seen.judgement is Judgement.FAIL
    assert said in seen.text
    assert "hello" not in seen.text
    assert "query" not in seen.text
    assert len(site.asked) == 3


def test_one_bad_answer_of_a_read_decides_nothing() -> None:
    """It is asked again, and what comes then counts."""
    bad = iter([Reply(500), Reply(503)])
    with serving(lambda _: next(bad, ENTRIES)) as site:
        [seen] = ask(request(path="/entries"), url=site.url)

    assert seen.judgement is Judgement.PASS


@pytest.mark.parametrize("reply", [Reply(500), Reply(hang=True)], ids=["500", "no answer"])
def test_what_changes_something_is_sent_once(reply: Reply) -> None:
    """A form that was sent and got no answer may have been taken."""
    with serving(lambda _: reply) as site:
        [seen] = ask(request(path="/form", method="POST"), url=site.url)

    assert seen.judgement is Judgement.FAIL
    assert len(site.asked) == 1


def test_what_never_arrived_is_sent_again(clock: FakeClock) -> None:
    """Without a connection nothing was taken."""
    sent: list[httpx.Request] = []

    def handle(got: httpx.Request) -> httpx.Response:
        sent.append(got)
        return unsent(got) if len(sent) == 1 else httpx.Response(201)

    session = http.Session(transport=httpx.MockTransport(handle))
    [seen] = ask_all(
        target("shop", Kind.WEB, url="https://shop.example"),
        [request(path="/form", method="POST", status=201)],
        Asking(session, clock, lambda _: None),
    )

    assert (seen.judgement, len(sent)) == (Judgement.PASS, 2)


@pytest.mark.parametrize("secret", ["", "two\nlines", "schlüssel"], ids=["not set", "two lines", "no ASCII"])
def test_without_its_secret_a_request_is_not_examined(secret: str) -> None:
    """It is not asked, and nobody is at fault; the variable is named, and not what is in it."""
    with serving(shop) as site:
        [seen] = ask(request(path="/account", send_env={"Authorization": "SHOP_KEY"}), url=site.url, secret=secret)

    assert seen.judgement is Judgement.UNKNOWN
    assert seen.text == "GET /account: SHOP_KEY is not set, or can be no header"
    assert not site.asked


def test_who_is_asked_too_often_has_not_answered() -> None:
    """429 is no answer to the question."""
    with serving(lambda _: Reply(429)) as site:
        [seen] = ask(request(path="/entries"), url=site.url)

    assert (seen.judgement, seen.text) == (Judgement.UNKNOWN, "GET /entries: status 429, not 200")


def test_requests_that_no_time_is_left_for_are_not_examined(clock: FakeClock) -> None:
    """All of them together have a bound; one that nobody has asked has not passed."""

    def slow(got: httpx.Request) -> httpx.Response:
        clock.seconds += 40
        return httpx.Response(200)

    session = http.Session(transport=httpx.MockTransport(slow))
    requests = [request(path=f"/{number}") for number in range(5)]
    seen = list(
        ask_all(target("shop", Kind.WEB, url="https://shop.example"), requests, Asking(session, clock, lambda _: None))
    )

    assert [one.judgement.value for one in seen] == ["pass", "pass", "pass", "not examined", "not examined"]
    assert seen[-1].text == "GET /4: no time was left after 90 s"


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "//other.example/x"},
        {"path": "/\\other.example/x"},
        {"path": "https://other.example/x"},
        {"path": "@other.example/"},
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"path": "/", "send": {"Host": "other.example"}},
        {"path": "/", "send_env": {"host": "THE_HOST"}},
        {"path": "/", "send": {"Content-Length": "3"}},
        {"path": "/", "send": {"X-A": "one\r\nX-B: two"}},
        {"path": "/", "send": {"X A": "one"}},
        {"path": "/", "send_env": {"Authorization": "Bearer s3cr3t-value"}},
        {"path": "/", "method": "CONNECT"},
        {"path": "/", "under": "soon"},
        {"path": "/", "expected": 200},
    ],
    ids=lambda fields: " ".join(map(str, fields.values()))[:30],
)
def test_what_leads_to_another_host_or_smuggles_is_refused(fields: dict[str, Any]) -> None:
    """Before anything is asked; and what could be a secret is not repeated."""
    with pytest.raises(msgspec.ValidationError) as refused:
        request(**fields)

    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "given", "difference"),
    [
        ({}, {"a": 1}, None),
        ({"a": {"b": 1}}, {"a": {"b": 1.0, "c": 2}}, None),
        ({"a": 1}, {}, "a: not there"),
        ({"a": 1}, {"a": None}, "a: null, not a number"),
        ({"a": True}, {"a": 1}, "a: a number, not true or false"),
        ({"a": True}, {"a": False}, "a: not true"),
        ({"a": "x"}, {"a": "y"}, "a: another text"),
        ({"a": datetime(2026, 1, 2, tzinfo=UTC)}, {"a": "2026-01-02T00:00:00Z"}, None),
        ({"a": [1, 2]}, {"a": [1]}, "a: 1 item, not 2"),
        ({"a": []}, {"a": [1, 2, 3]}, None),
        ({"a": []}, {"a": {}}, "a: an object, not a list"),
        ([1, 3], [1, 2, 3], None),
        ([3, 1], [1, 2, 3], "1: in none of the 3 items, in this order"),
        ([{"a": 4}], [{"a": 1}, {"a": 2}], "0: in none of the 2 items"),
        ([{"a": 2}], [{"a": 1}, {"a": 2, "b": 3}], None),
        ([{"a": 1}], [{"a": 2}], "0.a: another number"),
        ({}, [], "the top: a list, not an object"),
        ("1", 1, "the top: a number, not a text"),
    ],
)
def test_a_part_of_a_json_is_compared_by_what_is_wanted_of_it(wanted: Any, given: Any, difference: str | None) -> None:
    """More keys and more items are no difference; a missing one, another kind or another order is."""
    assert difference == first_difference(wanted, given)


def test_a_smoke_request_that_fails_is_a_failed_verification() -> None:
    """All of them are asked, and each is told."""
    requests = [request(path="/entries"), request(path="/nothing"), request(path="/account", status=401)]
    with serving(shop) as site, pytest.raises(VerificationFailed) as failed:
        verify(f"{site.url}/health", NEW, smoke=requests, pace=QUICK)

    host = site.url.partition("://")[2]
    assert failed.value.message == f"{host} fails 1 of 3 smoke requests: GET /nothing: status 404, not 200"
    assert [line.split()[0] for line in failed.value.details] == ["pass", "fail", "pass"]
    assert failed.value.remedy


def test_smoke_requests_that_pass_are_evidence() -> None:
    """Beside the proof."""
    with serving(shop) as site:
        shown = verify(f"{site.url}/health", NEW, smoke=[request(path="/entries")], pace=QUICK)

    assert ["smoke"] == [one.probe for one in shown.evidence if one.judgement is Judgement.PASS]


def prove(platform: Platform, clock: FakeClock, *, back: bool = False) -> Any:
    """Prove a service whose one smoke request fails."""

    def handle(got: httpx.Request) -> httpx.Response:
        if got.url.path == "/health":
            return httpx.Response(200, json={"releaseId": NEW})
        return httpx.Response(500)

    return verify_service(
        target("api", Kind.WEB, url="https://api.example", identity_path="/health"),
        Expected(NEW, OLD, smoke=(request(path="/entries"),), back=back),
        Probe(platform.render(), clock, QUICK, session=http.Session(transport=httpx.MockTransport(handle))),
    )


def test_what_is_gone_back_to_is_only_warned_of(platform: Platform, clock: FakeClock) -> None:
    """The requests were declared for another release: what serves again is not given up for them."""
    platform.add("api", Kind.WEB, live=NEW)

    shown = prove(platform, clock, back=True)

    assert [(Judgement.WARN, "GET /entries: status 500, not 200")] == [
        (one.judgement, one.text) for one in shown.evidence if one.probe == "smoke"
    ]


def test_forward_the_same_request_decides(platform: Platform, clock: FakeClock) -> None:
    """It is what the release was asked to answer."""
    platform.add("api", Kind.WEB, live=NEW)

    with pytest.raises(VerificationFailed, match="api fails 1 of 1 smoke requests"):
        prove(platform, clock)
