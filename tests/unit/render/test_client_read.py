"""Reading from the platform: to the end, whatever the wire leaves out, again when it may pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import stamina.instrumentation
from stamina.instrumentation import RetryDetails

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Deploy, DeployStatus, Kind, LogLine, PathFilter
from deploylib.render import Client, Refused
from deploylib.render.rate_limit import Left
from tests.support.fakes import API, KEY, NEW, START, FakeClock, endpoint
from tests.support.in_memory import Fault, Platform, lost, status, unsent


class Waits(Exception):
    """Raised in place of the first pause, with its length."""


@pytest.fixture
def pause() -> Iterator[None]:
    """Pauses as in earnest, but each raises its length instead of being waited for."""

    def instead(details: RetryDetails) -> None:
        raise Waits(details.wait_for)

    stamina.set_testing(False)
    stamina.instrumentation.set_on_retry_hooks([instead])
    yield
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250])
def test_every_page_of_a_list_is_read(platform: Platform, number: int) -> None:
    """A list ends with a page that is not full, and not before."""
    names = [f"service-{n}" for n in range(number)]
    for name in names:
        platform.add(name)

    assert names == [service.name for service in platform.render().services()]


@pytest.mark.parametrize(
    "missing",
    [
        {},
        {"repo": None, "branch": None, "rootDir": None, "serviceDetails": None, "buildFilter": None},
        {"serviceDetails": {"envSpecificDetails": None}, "buildFilter": {"paths": None, "ignoredPaths": None}},
        {"serviceDetails": {}, "buildFilter": {"paths": [], "ignoredPaths": []}},
    ],
    ids=["absent", "null", "null inside", "empty"],
)
def test_null_absent_and_empty_mean_the_same_of_a_service(platform: Platform, missing: dict[str, object]) -> None:
    """What the platform leaves out, in any of three ways, is empty."""
    key = platform.add("worker")
    platform.services[key] = {"id": key, "type": "background_worker", **missing}

    [service] = platform.render().services()

    assert ("", "", "", None) == (service.repo, service.url, service.root_dir, service.build_filter)
    assert not service.auto_deploy
    assert not service.suspended


def test_a_service_is_read_with_everything_that_is_known_of_it(platform: Platform) -> None:
    """Address, health path, filter, pre-deploy command and autodeploy come from where Render puts them."""
    details = {"url": "https://web.example", "healthCheckPath": "/h", "envSpecificDetails": {"preDeployCommand": "m"}}
    platform.add(
        "web", Kind.WEB, autoDeploy="yes", suspended="suspended", serviceDetails=details,
        buildFilter={"paths": ["a/**"], "ignoredPaths": ["a/*.md"]},
    )  # fmt: skip

    [service] = platform.render().services()

    assert ("https://web.example", "/h", "m") == (service.url, service.health_path, service.pre_deploy_command)
    assert service.build_filter == PathFilter(paths=("a/**",), ignored=("a/*.md",))
    assert service.auto_deploy
    assert service.suspended


def test_a_service_of_a_type_that_we_do_not_know_is_left_alone(platform: Platform) -> None:
    """A new type of service in the account is no reason to fail."""
    platform.add("worker")
    platform.add("news", type="quantum_service")

    assert ["worker"] == [service.name for service in platform.render().services()]


def test_autodeploy_that_the_trigger_turns_off_is_off(platform: Platform) -> None:
    """The newer field wins over the older one."""
    platform.add("worker", autoDeploy="yes", autoDeployTrigger="off")

    assert [False] == [service.auto_deploy for service in platform.render().services()]


def test_a_status_that_we_do_not_know_is_unknown_and_not_the_end(platform: Platform) -> None:
    """A new word of the platform never ends a wait."""
    key = platform.add("worker")
    platform.begin(key, NEW, "polishing")

    [deploy] = platform.render().deploys(key)

    assert DeployStatus.UNKNOWN is deploy.status
    assert not deploy.status.terminal
    assert not deploy.status.failed


@pytest.mark.parametrize("absent", [{"commit": None, "finishedAt": None}, {}], ids=["null", "absent"])
def test_null_and_absent_mean_the_same_of_a_deploy(platform: Platform, absent: dict[str, None]) -> None:
    """A deploy with nothing but its id is one whose status is unknown."""
    key = platform.add("worker")
    platform.deploys[key] = [{"id": "dep-1", "status": "created", **absent}]

    deploy = platform.render().deploy(key, "dep-1")

    assert ("dep-1", "", "", None) == (deploy.id, deploy.commit, deploy.trigger, deploy.finished_at)


def test_the_live_deploy_is_the_one_that_serves(platform: Platform) -> None:
    """Not the newest deploy but the one with status live; none before the first."""
    key = platform.add("worker")
    assert platform.render().live(key) is None
    live = platform.begin(key, NEW, "live")
    platform.begin(key, NEW, "build_failed")

    found = platform.render().live(key)

    assert found is not None
    assert live["id"] == found.id


@pytest.mark.parametrize(
    "fault",
    [unsent, lost, *(status(code) for code in (429, 500, 502, 503, 504))],
    ids=["no connection", "no answer", "429", "500", "502", "503", "504"],
)
def test_a_read_is_repeated_when_the_trouble_may_pass(platform: Platform, fault: Fault) -> None:
    """A read changes nothing, so it is sent again."""
    platform.add("worker")
    platform.faults += [("GET", "/services", fault)] * 3

    assert ["worker"] == [service.name for service in platform.render().services()]
    assert len(platform.requests) == 4


@pytest.mark.parametrize(
    "fault", [unsent, lost, status(503), status(302)], ids=["no connection", "no answer", "503", "a login page"]
)
def test_a_platform_that_stays_away_is_unreachable(platform: Platform, fault: Fault) -> None:
    """After the last attempt the operator learns that it cannot be reached, with a remedy and exit code 40."""
    platform.faults += [("GET", "/services", fault)] * 6

    with pytest.raises(Unreachable, match=r"api\.example") as raised:
        list(platform.render().services())

    assert raised.value.exit_code == 40
    assert "status.render.com" in raised.value.remedy


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_said_at_once(platform: Platform, code: int) -> None:
    """A key that is refused once is refused always: no second request, exit code 40, what to check."""
    platform.faults.append(("GET", "/services", status(code, {"message": f"no entry for {KEY}"})))

    with pytest.raises(Unreachable, match=f"refused the API key .{code}.") as raised:
        list(platform.render().services())

    assert len(platform.requests) == 1
    assert raised.value.exit_code == 40
    assert "check the key" in raised.value.remedy


@pytest.mark.parametrize("code", [400, 404, 409, 410])
def test_another_refusal_keeps_its_status_and_the_platforms_words(platform: Platform, code: int) -> None:
    """Callers decide what a refusal means, so they get its status."""
    platform.faults.append(("GET", "/dep-1", status(code, {"message": "not found: dep-1"})))

    with pytest.raises(Refused, match="not found: dep-1") as raised:
        platform.render().deploy("srv-1", "dep-1")

    assert code == raised.value.status
    assert len(platform.requests) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7", "Ratelimit-Reset": "20"}, 7.5),
        ({"Ratelimit-Reset": "20"}, 20.5),
        ({"Ratelimit-Reset": "3000"}, 61.0),
        ({"Ratelimit-Reset": str(int(START.timestamp()) + 20)}, 20.5),
        ({"Ratelimit-Reset": str(int(START.timestamp()) - 20)}, 0.5),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:07 GMT"}, 7.5),
        ({"Retry-After": "soon", "Ratelimit-Reset": "20"}, 20.5),
        ({"Retry-After": "soon"}, 5.0),
        ({}, 5.0),
    ],
    ids=[
        "retry-after first", "seconds left", "at most a minute", "epoch second", "one that has passed", "a date",
        "no number", "nothing else", "nothing",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("pause")
def test_one_request_too_many_waits_as_long_as_the_platform_asks(
    platform: Platform, clock: FakeClock, headers: dict[str, str], expected: float
) -> None:
    """``Retry-After``, else ``Ratelimit-Reset``: small is seconds left, large is an epoch second."""
    platform.faults.append(("GET", "/services", status(429, **headers)))

    with pytest.raises(Waits) as raised:
        list(platform.render(clock=clock).services())

    assert (expected,) == raised.value.args


def test_a_failure_is_told_by_the_event_of_that_deploy(platform: Platform) -> None:
    """The cause is in the ``deploy_ended`` event with the deploy's id, in its ``failure`` where there is one."""
    events = [("dep-2", {"failure": {"nonZeroExit": 3}}), ("dep-1", {"buildFailed": True, "newBuild": None})]
    platform.events = [
        {"type": "deploy_ended", "serviceId": "srv-1", "details": {"deployId": name, "reason": reason}}
        for name, reason in events
    ]
    render = platform.render()

    assert render.failure("srv-1", "dep-2") == {"nonZeroExit": 3}
    assert render.failure("srv-1", "dep-1") == {"buildFailed": True}
    assert render.failure("srv-1", "dep-3") == {}


def test_log_lines_come_oldest_first(platform: Platform) -> None:
    """The platform is asked backwards, for the last lines; people read forwards."""
    platform.logs = [{"timestamp": "2026-03-01T12:00:02Z", "message": "b"}, {"timestamp": "2026-03-01T12:00:01Z"}]

    lines = platform.render().logs("tea-1", "srv-1", "build", START, limit=5)

    assert lines == [LogLine(at="2026-03-01T12:00:01Z", text=""), LogLine(at="2026-03-01T12:00:02Z", text="b")]
    query = dict(platform.requests[0].url.params)
    assert ("backward", "build", "5") == (query["direction"], query["type"], query["limit"])


@pytest.mark.parametrize(("names", "said"), [([], "no database"), (["book", "book"], "2 databases")])
def test_a_database_must_be_the_only_one_of_its_name(platform: Platform, names: list[str], said: str) -> None:
    """None, or several, is refused with what to do."""
    found = [{"postgres": {"id": f"dpg-{n}", "name": name}} for n, name in enumerate(names)]
    platform.also = lambda _request: httpx.Response(200, json=found)

    with pytest.raises(SettingsError, match=f"{said} called 'book'") as raised:
        platform.render().database_url("book")

    assert "Dashboard" in raised.value.remedy


NONE: list[object] = [
    None,
    {},
    [None],
    [{}],
    [{"deploy": None}],
    "odd",
    7,
    [{"deploy": {"id": 7}}],
    [{"deploy": {"id": ""}}],
]
NONE += [[{"deploy": {"id": "dep-1", "status": ["live"]}}], [{"deploy": {"id": "../other", "status": "live"}}]]


@pytest.mark.parametrize("answer", NONE, ids=[repr(one) for one in NONE])
def test_an_answer_of_another_shape_is_no_answer(platform: Platform, answer: object) -> None:
    """Never an empty list, and never nothing: what is not known must not look like what is not there."""
    platform.also = lambda _request: httpx.Response(200, json=answer)
    render = platform.render()

    for ask in (
        lambda: list(render.services()),
        lambda: render.variables("srv-1"),
        lambda: render.deploys("srv-1"),
        lambda: render.live("srv-1"),
        lambda: render.deploy("srv-1", "dep-1"),
        lambda: render.database_url("book"),
    ):
        with pytest.raises(Unreachable, match="no answer that can be read"):
            ask()


def test_an_empty_list_is_an_answer(platform: Platform) -> None:
    """Before the first deploy there is none."""
    platform.also = lambda _request: httpx.Response(200, json=[])
    render = platform.render()

    assert not list(render.services())
    assert (render.variables("srv-1"), render.deploys("srv-1"), render.live("srv-1")) == ({}, [], None)
    assert (render.failure("srv-1", "dep-1"), render.instances("srv-1")) == ({}, set())
    with pytest.raises(SettingsError, match="no database"):
        render.database_url("book")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html><title>Please log in</title>"),
        httpx.Response(200, text='[{"deploy": {"id": "dep-1", "status": "live"}}]'),
        httpx.Response(200, content=b'[{"deploy": {"id": "dep-1", "sta', headers={"Content-Type": "application/json"}),
        httpx.Response(200, content=b"", headers={"Content-Type": "application/json"}),
        httpx.Response(200, content=b'["\xff\xfe"]', headers={"Content-Type": "application/json"}),
    ],
    ids=["a login page", "text", "half of it", "nothing", "no characters"],
)
def test_what_is_no_document_is_asked_for_again(platform: Platform, answer: httpx.Response) -> None:
    """As from a proxy on the way: it may pass, and if it does not, nobody has answered."""
    key = platform.add("worker", live=NEW)
    platform.faults += [("GET", "/deploys", lambda _request: answer)] * 2

    found = platform.render().live(key)

    assert found is not None
    assert NEW == found.commit
    platform.faults += [("GET", "/deploys", lambda _request: answer)] * 9
    with pytest.raises(Unreachable, match="no answer that can be read"):
        platform.render().live(key)


def test_an_answer_about_another_deploy_is_none(platform: Platform) -> None:
    """Also the live one must be live."""
    key = platform.add("worker")
    platform.begin(key, NEW, "live")
    platform.also = lambda _request: httpx.Response(200, json={"id": "dep-2", "status": "live"})
    with pytest.raises(Unreachable, match="dep-2 in place of dep-1"):
        platform.render().deploy(key, "dep-1")

    platform.also = lambda _request: httpx.Response(200, json=[{"deploy": {"id": "dep-2", "status": "canceled"}}])
    with pytest.raises(Unreachable, match="not live"):
        platform.render().live(key)


def test_the_same_thing_twice_is_one(platform: Platform) -> None:
    """On one page, and on two."""
    platform.add("worker")
    twice = [{"service": platform.services["srv-worker"], "cursor": "1"}] * 2
    platform.also = lambda _request: httpx.Response(200, json=twice)

    assert ["worker"] == [service.name for service in platform.render().services()]


def test_a_list_that_does_not_end_is_no_list(platform: Platform) -> None:
    """A cursor that was seen before would be followed for ever."""
    page = [{"service": {"id": f"srv-{n}", "type": "web_service"}, "cursor": "again"} for n in range(100)]
    platform.also = lambda _request: httpx.Response(200, json=page)

    with pytest.raises(Unreachable, match="does not end"):
        list(platform.render().services())
    assert len(platform.requests) == 2


def test_a_service_whose_type_is_null_is_left_alone(platform: Platform) -> None:
    """It could not be deployed."""
    platform.add("worker")
    platform.add("typeless", type=None)

    assert ["worker"] == [service.name for service in platform.render().services()]


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, {}], ids=repr)
def test_a_time_that_cannot_be_read_is_unknown(platform: Platform, time: object) -> None:
    """It is only told, and decides nothing."""
    key = platform.add("worker")
    platform.deploys[key] = [{"id": "dep-1", "status": None, "commit": None, "createdAt": time, "startedAt": time}]

    [deploy] = platform.render().deploys(key)

    assert deploy == Deploy(id="dep-1", status=DeployStatus.UNKNOWN)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"event": None},
        {"event": {"details": None}},
        {"event": {"details": {"deployId": "dep-1"}}},
        {"event": {"details": {"deployId": "dep-1", "reason": None}}},
        {"event": {"details": {"deployId": "dep-1", "reason": {"failure": None}}}},
        {"event": {"details": {"deployId": "dep-1", "reason": {"failure": {}, "newBuild": None}}}},
    ],
    ids=repr,
)
def test_an_event_that_tells_no_cause_is_empty(platform: Platform, event: dict[str, object]) -> None:
    """The failure itself is known from the deploy."""
    platform.also = lambda _request: httpx.Response(200, json=[event])

    assert platform.render().failure("srv-1", "dep-1") == {}


@pytest.mark.parametrize(
    "line", [{}, {"labels": None}, {"timestamp": None, "message": None, "labels": [None, {}, {"name": None}]}], ids=repr
)
def test_a_log_line_may_lack_everything(platform: Platform, line: dict[str, object]) -> None:
    """The other lines are read all the same."""
    platform.logs = [line]

    assert platform.render().logs("tea-1", "srv-1", "app") == [LogLine(at="", text="")]


@pytest.mark.parametrize("told", [{}, {"externalConnectionString": None}], ids=repr)
def test_a_database_without_an_address_cannot_be_reached_yet(platform: Platform, told: object) -> None:
    """As while the platform makes it."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = [{"postgres": {"id": "dpg-1", "name": "book"}}]
        return httpx.Response(200, json=told if request.url.path.endswith("/connection-info") else found)

    platform.also = answer

    with pytest.raises(Unreachable, match="does not tell the address of the database 'book'"):
        platform.render().database_url("book")


def limits(remaining: int, reset: int) -> dict[str, str]:
    """The headers of every answer of Render."""
    return {"Ratelimit-Limit": "400", "Ratelimit-Remaining": f"{remaining}", "Ratelimit-Reset": f"{reset}"}


def test_a_read_waits_for_the_window_before_it_would_be_one_too_many(platform: Platform, clock: FakeClock) -> None:
    """The answers say what is left; the last few are kept for others with the same key."""
    key = platform.add("worker")
    left = [6, 5, 4, 399]
    platform.also = lambda _request: httpx.Response(200, json=[], headers=limits(left.pop(0), 20))
    render = platform.render(clock=clock)

    for _ in range(4):
        render.deploys(key)

    assert [21.0] == clock.slept
    assert render.left == Left(requests=395, seconds=21.0)


def test_logs_have_a_window_of_their_own(platform: Platform, clock: FakeClock) -> None:
    """A log that may not be read any more holds up no look at a deploy."""
    key = platform.add("worker")
    platform.also = lambda request: httpx.Response(
        200,
        json={"logs": []} if request.url.path.endswith("/logs") else [],
        headers=limits(0 if request.url.path.endswith("/logs") else 300, 20),
    )
    render = platform.render(clock=clock)

    render.logs("tea-1", key, "app")
    render.deploys(key)
    render.deploys(key)
    assert clock.slept == []
    render.logs("tea-1", key, "app")

    assert [21.0] == clock.slept


@pytest.mark.usefixtures("pause")
def test_a_platform_that_is_away_for_a_while_may_say_for_how_long(platform: Platform) -> None:
    """``Retry-After`` is honoured on a 503, too."""
    platform.faults.append(("GET", "/services", status(503, Retry_After="12")))

    with pytest.raises(Waits) as raised:
        list(platform.render().services())

    assert raised.value.args == (12.5,)


def test_the_key_is_sent_and_shown_nowhere(platform: Platform) -> None:
    """The key is in a header; no representation, text or error of the client has it."""
    platform.faults.append(("GET", "/services", status(401)))
    render = platform.render()
    with pytest.raises(Unreachable) as raised:
        list(render.services())

    assert f"Bearer {KEY}" == platform.requests[0].headers["Authorization"]
    own = Client(endpoint().api_key, endpoint().api_url)
    shown = [repr(render), str(render), repr(own), str(raised.value), repr(raised.value), repr(endpoint())]
    assert not [text for text in shown if KEY in text or "rnd_" in text]
    assert API in repr(own)
    own.session.close()
    render.session.close()


@pytest.mark.parametrize("ask", [lambda r: r.live("srv-api"), lambda r: r.deploys("srv-api")], ids=["live", "deploys"])
def test_a_list_of_another_services_deploys_is_no_answer(platform: Platform, ask: Callable[[Client], object]) -> None:
    """A deploy does not name its service, so one of a list whose deploys nobody knows is asked for by its id."""
    for name in ("api", "web"):
        platform.add(name, live=NEW)
    elsewhere = platform.services["srv-web"]["id"]

    def others(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[{"deploy": one} for one in platform.deploys[elsewhere]])

    platform.faults.append(("GET", "/srv-api/deploys", others))
    render = platform.render()
    assert "dep-1" in repr(ask(render))

    asked = len(platform.requests)
    ask(render)
    assert len(platform.requests) == asked + 1, "what is known once is not asked for again"

    platform.faults += [("GET", "/srv-api/deploys", others)] * 6
    with pytest.raises(Unreachable, match="dep-2, which is no deploy of srv-api"):
        ask(render)


def test_events_of_another_service_or_kind_are_no_answer(platform: Platform) -> None:
    """They say of which service they are; a failure of another one is none of this one."""
    platform.add("api")
    for other in ({"serviceId": "srv-web"}, {"type": "deploy_ended"}):
        event = {"type": "server_failed", "serviceId": "srv-api", "details": {}} | other
        platform.faults.append(("GET", "/events", status(200, [{"event": event}])))

    assert platform.render().server_failures("srv-api", START) == 0
    assert len(platform.requests) == 3


def test_lines_of_another_service_are_no_answer(platform: Platform) -> None:
    """Whose they are stands among their labels."""
    platform.logs = [{"message": "theirs", "labels": [{"name": "resource", "value": "srv-web"}]}]

    with pytest.raises(Unreachable, match="a line that is not of srv-api"):
        platform.render().logs("tea-1", "srv-api", "app")


def test_more_lines_than_a_page_has_are_read_page_by_page(platform: Platform) -> None:
    """The newest ones, each once, oldest first: the end of a page is the beginning of the one before."""
    total = [
        {"id": f"{n:04d}", "timestamp": f"2026-03-01T12:{n // 60:02d}:{n % 60:02d}Z", "message": str(n)}
        for n in range(400)
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        assert int(query["limit"]) <= 100
        until = [line for line in total if line["timestamp"] <= query.get("endTime", "9")]
        found = until[-int(query["limit"]) :]
        more = {"hasMore": len(found) < len(until), "nextStartTime": "2026-03-01T12:00:00Z"}
        return httpx.Response(200, json={**more, "nextEndTime": found[0]["timestamp"], "logs": found[::-1]})

    platform.also = answer

    lines = platform.render().logs("tea-1", "srv-1", "app", START, limit=250)

    assert [line.text for line in lines] == [str(n) for n in range(150, 400)]
    assert len(platform.render().logs("tea-1", "srv-1", "app", START, limit=1000)) == 400


@pytest.mark.parametrize(
    ("answer", "faults"),
    [
        ({"valid": True, "plan": {"services": ["api"], "totalActions": 1}}, ()),
        (
            {"valid": False, "errors": [{"error": "no such plan", "path": "services[0].plan", "line": 4, "column": 9}]},
            ("line 4: services[0].plan: no such plan",),
        ),
        ({"valid": False, "errors": [{"error": "it is no YAML", "path": None}]}, ("it is no YAML",)),
        ({"valid": False}, ("it is not valid",)),
    ],
    ids=["valid", "with a place", "without", "without a word"],
)
def test_a_blueprint_is_judged_by_the_platform(
    platform: Platform, answer: dict[str, object], faults: tuple[str, ...]
) -> None:
    """By a form that makes nothing, so that a client which only reads may send it."""
    platform.faults.append(("POST", "/blueprints/validate", status(200, answer)))

    assert platform.render(read_only=True).find_faults("tea-1", "services: []\n") == faults
    (sent,) = platform.requests
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert all(part in sent.content for part in (b'name="ownerId"\r\n\r\ntea-1\r\n', b"\r\n\r\nservices: []\n\r\n--"))


def test_a_platform_that_judges_no_blueprint_says_so(platform: Platform) -> None:
    """It is refused, which is not the same as valid."""
    platform.faults.append(("POST", "/blueprints/validate", status(404)))

    with pytest.raises(Refused):
        platform.render().find_faults("tea-1", "services: []\n")
