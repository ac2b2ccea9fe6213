"""What is looked at beside the proof: it warns, is noted, or could not be examined, and never decides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploylib.errors import VerificationFailed
from deploylib.models import Kind, Verified
from deploylib.models.evidence import Evidence, Judgement
from deploylib.probes import Expected, Pace, Probe, verify, verify_service
from deploylib.probes.caching import look_at_caching
from deploylib.probes.certificate import look_at_certificate
from deploylib.probes.instances import look_at_uptime
from deploylib.release.prove import evidence_table
from deploylib.system import http, trust
from tests.support.fakes import NEW, OLD, START, FakeClock, target
from tests.support.in_memory import Platform, lost, status
from tests.support.website import Reply, serving

PACE = Pace(times=3, every=1, within=60, grace=5, settle=15)
QUICK = Pace(times=2, every=0.01, within=5, grace=0)
Handle = Callable[[httpx.Request], httpx.Response]


def of(shown: Verified | tuple[Evidence, ...], probe: str) -> tuple[str, str]:
    """The one row of a probe."""
    rows = shown.evidence if isinstance(shown, Verified) else shown
    [row] = [(one.judgement.value, one.text) for one in rows if one.probe == probe]
    return row


def prove(
    handle: Handle, clock: FakeClock, platform: Platform, *, kind: Kind = Kind.WEB, plan: str = "", **more: Any
) -> Verified:
    """Prove a service or a site that answers so."""
    if f"srv-{kind}" not in platform.services:
        platform.add(kind, kind, live=NEW)
    where = target(
        kind, kind, url="https://api.example", identity_path="/health" if kind is Kind.WEB else "/", plan=plan
    )
    session = http.Session(transport=httpx.MockTransport(handle))
    return verify_service(where, Expected(NEW, OLD, **more), Probe(platform.render(), clock, PACE, session=session))


def health(**more: Any) -> httpx.Response:
    """A health answer of the new commit."""
    return httpx.Response(200, json={"status": "pass", "releaseId": NEW, **more})


# -- instances ------------------------------------------------------------------------------------------------------


def test_every_instance_that_runs_is_seen(clock: FakeClock, platform: Platform) -> None:
    """They take turns, and each names itself."""
    platform.instances["srv-web_service"] = ["a", "b", "c"]
    turns = iter(range(100))

    shown = prove(lambda _: health(instance=f"i-{next(turns) % 3}"), clock, platform)

    assert ("pass", "3 instances, all answer bbbbbbb") == of(shown, "instances")


def test_an_instance_that_never_answers_is_not_examined(clock: FakeClock, platform: Platform) -> None:
    """Two of three, after as many questions as are fair: nobody knows of the third, and it is asked no longer."""
    platform.instances["srv-web_service"] = ["a", "b", "c"]
    asked: list[httpx.Request] = []

    def handle(got: httpx.Request) -> httpx.Response:
        asked.extend([got] if got.url.path == "/health" else [])
        return health(instance=f"i-{len(asked) % 2}")

    shown = prove(handle, clock, platform)

    assert ("not examined", "2 of 3 have answered") == of(shown, "instances")
    assert len(asked) == 3 + 8 * 3


@pytest.mark.parametrize("told", [{}, {"instance": 7}, {"instance": "x" * 101}, {"instance": None}])
def test_instances_that_do_not_name_themselves_are_not_examined(
    clock: FakeClock, platform: Platform, told: dict[str, Any]
) -> None:
    """Several of them cannot be told apart; the one that there is has answered."""
    platform.instances["srv-web_service"] = ["a", "b"]
    assert of(prove(lambda _: health(**told), clock, platform), "instances")[0] == "not examined"

    platform.instances["srv-web_service"] = ["a"]
    assert ("pass", "1 instance, all answer bbbbbbb") == of(
        prove(lambda _: health(**told), clock, platform), "instances"
    )


def test_an_instance_of_another_commit_is_warned_of(clock: FakeClock, platform: Platform) -> None:
    """The others have proven the new one; it may be on its way out."""
    platform.instances["srv-web_service"] = ["a", "b"]
    answers = iter([health(instance="a")] * 3)

    shown = prove(
        lambda _: next(answers, httpx.Response(200, json={"releaseId": OLD, "instance": "b"})), clock, platform
    )

    assert ("warn", "one of them still answers for another commit") == of(shown, "instances")


def test_a_platform_that_does_not_say_how_many_fails_nothing(clock: FakeClock, platform: Platform) -> None:
    """No list of instances, or a refusal."""
    platform.faults = [("GET", "/instances", status(404, {"message": "no"}))]

    shown = prove(lambda _: health(instance="a"), clock, platform)

    assert ("not examined", "the platform does not say how many there are") == of(shown, "instances")


# -- uptime ---------------------------------------------------------------------------------------------------------


def test_a_process_is_younger_than_its_deploy(clock: FakeClock, platform: Platform) -> None:
    """The deploy was asked for at the start of this clock."""
    clock.seconds = 300
    assert ("pass", "40 s, younger than its deploy") == of(
        prove(lambda _: health(uptimeSeconds=40), clock, platform), "uptime"
    )
    shown = prove(lambda _: health(uptimeSeconds=4000), clock, platform)
    assert ("warn", "1 h, and its deploy is 5 min old: a process of before answers") == of(shown, "uptime")


@pytest.mark.parametrize("told", ["40", True, -1, None, []], ids=str)
def test_an_uptime_that_is_none_is_not_examined(told: Any) -> None:
    """Whatever a program says there."""
    body = json.dumps({"uptimeSeconds": told}).encode()
    answer = http.Answer(200, {"content-type": "application/json"}, body)

    [seen] = look_at_uptime(answer, START, lambda: None)

    assert seen.judgement is Judgement.UNKNOWN


def test_without_an_uptime_nothing_is_said_of_it(clock: FakeClock, platform: Platform) -> None:
    """And without a deploy's time it is not examined."""
    assert not [one for one in prove(lambda _: health(), clock, platform).evidence if one.probe == "uptime"]
    platform.deploys["srv-web_service"][0]["createdAt"] = "yesterday"
    assert of(prove(lambda _: health(uptimeSeconds=1), clock, platform), "uptime")[0] == "not examined"


# -- health ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ({"status": "pass"}, ("pass", "it says pass")),
        ({"status": "UP"}, ("pass", "it says pass")),
        ({"status": "warn", "checks": {"database:responseTime": [{"status": "warn", "code": "slow"}]}}, ("warn", "it says warn (database:responseTime: slow)")),
        ({"status": "fail"}, ("warn", "it says fail")),
    ],
    ids=["pass", "up", "warn", "fail"],
)  # fmt: skip
def test_what_a_service_says_of_its_own_health_is_told(
    clock: FakeClock, platform: Platform, said: dict[str, Any], row: tuple[str, str]
) -> None:
    """A 2xx decides nothing: Render takes it for healthy, whatever stands in it."""
    assert row == of(prove(lambda _: health(**said), clock, platform), "health")


@pytest.mark.parametrize("said", [None, 1, "wonderful", ["pass"], {}], ids=str)
def test_a_health_that_is_none_says_nothing(clock: FakeClock, platform: Platform, said: Any) -> None:
    """An answer may have a status of another meaning."""
    shown = prove(lambda _: health(status=said), clock, platform)

    assert not [one for one in shown.evidence if one.probe == "health"]


# -- certificates ---------------------------------------------------------------------------------------------------


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Path]]:
    """Make a certificate for the loopback that ends so many days from now, and trust it."""

    def make(days: int) -> Path:
        file = tmp_path / f"{days}.pem"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=loopback"
        alike = ["-addext", "subjectAltName=IP:127.0.0.1", "-days", str(days)]
        parts = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
        subprocess.run(["openssl", *words.split(), *alike, *parts], check=True, capture_output=True)
        file.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        trust.find_trusted.cache_clear()
        return file

    yield make
    trust.find_trusted.cache_clear()


@pytest.mark.parametrize(("days", "judgement"), [(90, "pass"), (5, "warn")])
def test_the_days_of_a_certificate_are_told(trusting: Callable[[int], Path], days: int, judgement: str) -> None:
    """Of the very connection that the proof came on."""
    reply = Reply(body=json.dumps({"releaseId": NEW}).encode(), headers={"Content-Type": "application/json"})
    with serving(lambda _: reply, trusting(days)) as site:
        shown = verify(f"{site.url}/health", NEW, pace=QUICK)

    told = of(shown, "certificate")
    assert told[0] == judgement
    assert told[1].startswith(f"{days - 1} days left")


def test_a_certificate_that_is_not_valid_is_said_to_be(trusting: Callable[[int], Path]) -> None:
    """It is unreachable for every visitor, and why is told in the words of who looked."""
    trusting(30)
    made = trusting(30)
    trusting(31)  # another one is trusted now
    with serving(lambda _: Reply(), made) as site, pytest.raises(VerificationFailed) as failed:
        verify(f"{site.url}/health", NEW, pace=QUICK)

    assert "is unreachable at /health" in failed.value.message
    assert "its certificate is not valid: self-signed certificate" in failed.value.message


def test_a_certificate_that_is_not_shown_is_not_examined() -> None:
    """And of plain HTTP there is none."""
    answer = http.Answer(200, {}, b"", "https://api.example/")

    assert of(look_at_certificate(answer, START), "certificate")[0] == "not examined"
    assert look_at_certificate(http.Answer(200, {}, b"", "http://api.example/"), START) == ()
    ends = http.Answer(
        200, {}, b"", "https://api.example/", expires=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=14, hours=13)
    )
    assert of(look_at_certificate(ends, START), "certificate") == ("pass", "14 days left")


# -- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "judgement"),
    [
        ("no-cache", "pass"),
        ("No-Store", "pass"),
        ("public, max-age=0, s-maxage=300", "pass"),
        ("max-age=0, must-revalidate", "pass"),
        ("max-age=soon", "pass"),
        ("", "warn"),
        ("public", "warn"),
        ("max-age=3600", "warn"),
        ('max-age="3600"', "warn"),
        ("public, max-age=31536000, immutable", "warn"),
    ],
)
def test_a_page_that_browsers_keep_is_warned_of(rules: str, judgement: str) -> None:
    """By its Cache-Control; what a cache of the platform keeps is the platform's to throw away."""
    page = http.Answer(200, {"cache-control": rules} if rules else {}, b"")

    assert of(look_at_caching(page), "caching")[0] == judgement


PAGE = f'<!doctype html><meta name="release" content="{NEW}"><script src="/assets/site.js"></script>'


def site(missing: httpx.Response, gone: str = "") -> Handle:
    """A site of one page and one script; all else is answered so."""

    def handle(got: httpx.Request) -> httpx.Response:
        if got.url.path == "/":
            return httpx.Response(200, text=PAGE, headers={"Content-Type": "text/html", "Cache-Control": "no-cache"})
        if got.url.path in {"/assets/site.js", "/assets/old.js"} and got.url.path != gone:
            return httpx.Response(200, text="", headers={"Content-Type": "text/javascript"})
        return missing

    return handle


@pytest.mark.parametrize(
    ("answer", "judgement"),
    [
        (httpx.Response(404), "pass"),
        (httpx.Response(403), "pass"),
        (httpx.Response(200, text=PAGE, headers={"Content-Type": "text/html"}), "warn"),
        (httpx.Response(503), "not examined"),
        (httpx.Response(401), "not examined"),
    ],
)
def test_a_file_that_nobody_made_is_asked_for(
    clock: FakeClock, platform: Platform, answer: httpx.Response, judgement: str
) -> None:
    """A site that answers it with its page hides every file that is missing."""
    shown = prove(site(answer), clock, platform, kind=Kind.STATIC)

    assert judgement == of(shown, "made-up asset")[0]


def test_no_answer_for_a_made_up_file_decides_nothing(clock: FakeClock, platform: Platform) -> None:
    """It is not examined."""

    def handle(got: httpx.Request) -> httpx.Response:
        return lost(got) if "no-such-file" in got.url.path else site(httpx.Response(404))(got)

    assert of(prove(handle, clock, platform, kind=Kind.STATIC), "made-up asset")[0] == "not examined"


def test_the_files_of_the_build_before_are_a_note(clock: FakeClock, platform: Platform) -> None:
    """Tabs that are open may ask for them; of a first deploy there are none."""
    loaded = ("https://api.example/assets/old.js", "https://api.example/assets/site.js")
    there = prove(site(httpx.Response(404)), clock, platform, kind=Kind.STATIC, loaded=loaded)
    gone = prove(site(httpx.Response(404), "/assets/old.js"), clock, platform, kind=Kind.STATIC, loaded=loaded)
    first = prove(site(httpx.Response(404)), clock, platform, kind=Kind.STATIC)

    assert ("pass", "2 files of the build before, still there") == of(there, "earlier assets")
    assert of(gone, "earlier assets") == (
        "note", "1 of 2 of the build before are gone: a tab that is open may ask for it until it is reloaded"
    )  # fmt: skip
    assert not [one for one in first.evidence if one.probe == "earlier assets"]


def test_the_page_of_a_program_only_warns(clock: FakeClock, platform: Platform) -> None:
    """Nobody knows whether it was whole before; of a static site the same decides."""

    def program(got: httpx.Request) -> httpx.Response:
        return health() if got.url.path == "/health" else site(httpx.Response(404), "/assets/site.js")(got)

    missing = "the page names /assets/site.js, which answers status 404, no type"
    shown = prove(program, clock, platform)

    assert of(shown, "assets") == ("warn", missing)
    assert of(shown, "caching")[0] == "pass"
    with pytest.raises(VerificationFailed, match=missing):
        prove(site(httpx.Response(404), "/assets/site.js"), clock, platform, kind=Kind.STATIC)


def test_assets_that_are_there_are_evidence(clock: FakeClock, platform: Platform) -> None:
    """And those that no time was left for are not examined."""
    assert of(prove(site(httpx.Response(404)), clock, platform, kind=Kind.STATIC), "assets") == (
        "pass",
        "all 1 are there",
    )
    page = PAGE + "".join(f'<script src="/{number}.js"></script>' for number in range(20))

    def slow(got: httpx.Request) -> httpx.Response:
        clock.seconds += 10
        kind = "text/html" if got.url.path == "/" else "text/javascript"
        return httpx.Response(200, text=page, headers={"Content-Type": kind})

    told = of(prove(slow, clock, platform, kind=Kind.STATIC), "assets")
    assert told[0] == "not examined"
    assert told[1].startswith("no time was left for ")


# -- three failures, and a service that sleeps ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lost, "is unreachable"),
        (lambda _: httpx.Response(503), "is unhealthy"),
        (lambda _: httpx.Response(302, headers={"Location": "/x"}), "is unhealthy"),
        (lambda _: httpx.Response(200, json={"releaseId": OLD}), "serves the wrong version"),
    ],
    ids=["unreachable", "unhealthy", "a redirect", "wrong version"],
)
def test_the_three_failures_have_words_of_their_own(
    clock: FakeClock, platform: Platform, answer: Handle, words: str
) -> None:
    """A person looks for each in another place."""
    with pytest.raises(VerificationFailed, match=f"web_service {words} at /health, asked for"):
        prove(answer, clock, platform)


def waking(clock: FakeClock, after: float, asleep: Handle) -> Handle:
    """A program that is awake after some seconds."""
    return lambda got: health() if clock.seconds >= after else asleep(got)


@pytest.mark.parametrize("asleep", [lost, lambda _: httpx.Response(503), lambda _: httpx.Response(502)])
def test_a_service_of_the_free_plan_may_wake_up(clock: FakeClock, platform: Platform, asleep: Handle) -> None:
    """Render puts it to sleep, and takes up to a minute; of any other plan that is a failure."""
    shown = prove(waking(clock, 55, asleep), clock, platform, plan="free")

    assert of(shown, "cold start")[0] == "note"
    assert "the free plan puts a service to sleep" in of(shown, "cold start")[1]
    clock.seconds = 0
    with pytest.raises(VerificationFailed):
        prove(waking(clock, 55, asleep), clock, platform, plan="starter")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(503, json={"status": "fail"}),
        lambda _: httpx.Response(404),
    ],
    ids=["500", "its own health answer", "404"],
)
def test_what_a_program_says_itself_is_no_cold_start(clock: FakeClock, platform: Platform, answer: Handle) -> None:
    """It is awake, and not well: nobody waits for a minute."""
    with pytest.raises(VerificationFailed, match="is unhealthy"):
        prove(answer, clock, platform, plan="free")

    assert clock.seconds < 15


def test_a_service_that_never_wakes_up_has_failed(clock: FakeClock, platform: Platform) -> None:
    """The rule has an end."""
    with pytest.raises(VerificationFailed, match="is unreachable"):
        prove(lost, clock, platform, plan="free")

    assert 75 <= clock.seconds < 90


# -- how it is told -------------------------------------------------------------------------------------------------


def test_the_evidence_is_a_table(clock: FakeClock, platform: Platform) -> None:
    """Service, probe, judgement and what was seen, each under each."""
    platform.instances["srv-web_service"] = ["a"]

    table = evidence_table([prove(lambda _: health(uptimeSeconds=1), clock, platform)])

    assert [
        "web_service  certificate  not examined  the connection does not tell of it",
        "web_service  health       pass          it says pass",
        "web_service  instances    pass          1 instance, all answer bbbbbbb",
        "web_service  uptime       pass          1 s, younger than its deploy",
    ] == [*table]
    assert evidence_table([]) == ()
