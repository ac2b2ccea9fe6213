"""Proof that the public address serves the release."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import Any

import httpx
import pytest

from deploylib.errors import Contradiction, ForeignDeploy, Unreachable, VerificationFailed
from deploylib.models import Kind, Proof, Verified
from deploylib.probes import Expected, Pace, Probe, address, verify_service
from deploylib.system import http
from tests.support.fakes import NEW, OLD, THIRD, FakeClock, target
from tests.support.in_memory import Platform, lost, unsent

Step = Callable[[httpx.Request], httpx.Response]
PACE = Pace(times=3, every=1, within=60, grace=5, settle=15)


def says(commit: str = NEW, schema: str = "", code: int = 200, key: str = "releaseId", **more: Any) -> Step:
    """A health answer that names this commit."""
    body = {key: commit, **more}
    if schema:
        body["checks"] = {"database:revision": [{"observedValue": schema}]}
    text = json.dumps(body)
    return lambda _: httpx.Response(code, text=text, headers={"Content-Type": "application/health+json"})


def plain(code: int = 200, text: str = "hello", kind: str = "text/plain", **headers: str) -> Step:
    """An answer that names none."""
    return lambda _: httpx.Response(code, text=text, headers={"Content-Type": kind, **headers})


class Address:
    """A public address that answers step after step, and the last one for ever."""

    def __init__(self, *steps: Step | Iterable[Step]) -> None:
        *first, last = [(step,) if callable(step) else step for step in steps]
        ever = chain.from_iterable(repeat(list(last)))
        self._steps: Iterator[Step] = chain(chain.from_iterable(first), ever)
        self.requests: list[httpx.Request] = []

    @property
    def asked(self) -> list[httpx.Request]:
        """The requests for its health."""
        return [each for each in self.requests if each.url.path == "/health"]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The next step."""
        self.requests.append(request)
        return next(self._steps)(request)


def prove(
    address: Address,
    clock: FakeClock,
    *,
    platform: Platform | None = None,
    previous: str = OLD,
    revision: str = "",
    misnamed: bool = False,
    said: list[str] | None = None,
) -> Verified:
    """Have the service api prove the new commit."""
    told = said if said is not None else []
    platform = platform or Platform()
    if "srv-api" not in platform.services:
        platform.add("api", Kind.WEB, live=NEW)
    return verify_service(
        target("api", Kind.WEB, url="https://api.example", health_path="/live", identity_path="/health"),
        Expected(NEW, previous, revision, misnamed),
        Probe(
            client=platform.render(),
            clock=clock,
            pace=PACE,
            progress=lambda _service, text: told.append(text),
            session=http.Session(transport=httpx.MockTransport(address)),
        ),
    )


def test_a_service_is_proven_by_good_answers_in_a_row(clock: FakeClock) -> None:
    """Its identity path answers the commit, uncached, so many times; the level is *commit*."""
    address = Address(says())

    found = prove(address, clock)

    assert ("api", Proof.COMMIT, "answers bbbbbbb 3/3", ()) == (found.service, found.proof, found.text, found.notes)
    assert ["https://api.example/health"] * 3 == [str(one.url) for one in address.asked]
    assert {"no-cache"} == {one.headers["Cache-Control"] for one in address.requests}
    assert clock.slept == [1, 1]


@pytest.mark.parametrize("between", [says(OLD), plain(500), plain(), lost], ids=["old", "500", "nameless", "no answer"])
def test_good_answers_with_another_between_them_are_not_in_a_row(clock: FakeClock, between: Step) -> None:
    """The count begins anew: while the old version still answers, nothing is proven."""
    address = Address([says(), says(), between], [says()])

    prove(address, clock)

    assert len(address.asked) == 6


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_page_is_read_by_its_byte_order_mark(clock: FakeClock, encoding: str) -> None:
    """As a browser does; JSON is UTF-8 by its standard, and its mark is passed over."""
    page = f'<meta name="release" content="{NEW}">'.encode(encoding)
    body = json.dumps({"releaseId": NEW}).encode("utf-8-sig")
    for kind, content in (("text/html", page), ("application/json", body)):
        asked = Address(partial(_answered, content, kind))
        assert prove(asked, clock).proof is Proof.COMMIT


def _answered(content: bytes, kind: str, _request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": kind})


def test_answers_that_alternate_never_prove_anything(clock: FakeClock) -> None:
    """Traffic that is shared between the new version and a nameless old one is no proof of either."""
    with pytest.raises(VerificationFailed):
        prove(Address([says(), plain()]), clock)


def test_the_old_commit_means_not_yet(clock: FakeClock) -> None:
    """It is waited for, and told while it is."""
    said: list[str] = []

    prove(Address([says(OLD)] * 20, says()), clock, said=said)

    assert said[0] == "it still serves aaaaaaa"
    assert said[-1] == "3 of 3 good answers"


def test_the_old_commit_until_the_end_has_failed(clock: FakeClock) -> None:
    """The message says what was seen and where."""
    with pytest.raises(
        VerificationFailed, match="api serves the wrong version at /health, asked for 60 s: it still serves aaaaaaa"
    ):
        prove(Address(says(OLD)), clock)


@pytest.mark.parametrize("previous", [OLD, ""], ids=["after another", "first deploy"])
def test_a_third_commit_that_the_platform_says_is_live_stops_at_once(clock: FakeClock, previous: str) -> None:
    """Somebody else deploys here."""
    address, platform = Address(says(THIRD)), Platform()
    platform.add("api", Kind.WEB, live=THIRD)

    with pytest.raises(ForeignDeploy, match="api serves ccccccc"):
        prove(address, clock, previous=previous, platform=platform)

    assert len(address.requests) == 1


@pytest.mark.parametrize("previous", [OLD, ""], ids=["after another", "first deploy"])
def test_a_third_name_while_ours_is_live_is_our_own_fault(clock: FakeClock, previous: str) -> None:
    """A wrong name, or a cache of long ago: not yet, and at the end a failed verification."""
    address, platform = Address(says(THIRD)), Platform()
    platform.add("api", Kind.WEB, live=NEW)

    with pytest.raises(VerificationFailed, match="it names ccccccc, which is neither the commit before nor ours"):
        prove(address, clock, previous=previous, platform=platform)

    assert len(address.requests) > 30
    asked = [one for one in platform.requests if one.url.path.endswith("/deploys")]
    assert len(asked) == 2, "the platform is asked once for each name, and at the end"


def test_a_cache_of_an_older_release_may_still_give_way(clock: FakeClock) -> None:
    """Until the end it is only not yet."""
    address = Address([says(THIRD)] * 20, says(NEW))

    assert Proof.COMMIT is prove(address, clock).proof


def test_a_name_that_was_wrong_before_proves_nothing_and_fails_nothing(clock: FakeClock) -> None:
    """The release before named a commit that it was not: what the platform says is live counts, and that is said."""
    shown = prove(Address(says(THIRD)), clock, misnamed=True)

    assert Proof.REACHABLE is shown.proof
    assert "was wrong before as well" in shown.text


def test_a_name_that_was_wrong_before_and_is_right_now_is_proof(clock: FakeClock) -> None:
    """It has been corrected."""
    assert Proof.COMMIT is prove(Address(says(THIRD), says(NEW)), clock, misnamed=True).proof


def test_nobody_is_at_fault_while_the_platform_cannot_be_asked(clock: FakeClock) -> None:
    """An address that does not answer, and a platform that does not either: one may have gone with the other."""
    platform = Platform(also=unsent)
    platform.add("api", Kind.WEB, live=NEW)

    with pytest.raises(Unreachable):
        prove(Address(unsent), clock, platform=platform)


@pytest.mark.parametrize(
    ("key", "length"), [*itertools.product(["releaseId", "release", "commit", "sha"], [7, 12, 40]), ("version", 40)]
)
def test_a_commit_may_be_named_in_several_ways(clock: FakeClock, key: str, length: int) -> None:
    """Full or short, under any of the usual keys."""
    assert Proof.COMMIT is prove(Address(says(NEW[:length], key=key)), clock).proof


@pytest.mark.parametrize(
    "step",
    [plain(), plain(204), says("1.2.3", key="version"), says("20260301", key="version"), says("bbbbbb"), plain(text="[1]", kind="application/json"),
     plain(text="{", kind="application/json"), plain(text="<p>hello", kind="text/html"), says("")],
    ids=["text", "no content", "a version number", "a dated version", "too short", "a list", "broken", "a page", "empty"],
)  # fmt: skip
def test_without_an_identity_a_service_is_reachable_and_never_failed(
    clock: FakeClock, platform: Platform, step: Step
) -> None:
    """It answers well, and the platform says that the commit is live; how to prove more is told."""
    platform.add("api", Kind.WEB, live=NEW)

    found = prove(Address(step), clock, platform=platform)

    assert (Proof.REACHABLE, True) == (found.proof, bool(found.advice))
    assert "RENDER_GIT_COMMIT" in "\n".join(found.advice)
    assert clock.slept == [1, 1]


def test_a_reachable_service_whose_live_deploy_is_not_ours_is_somebody_elses(
    clock: FakeClock, platform: Platform
) -> None:
    """The platform's word is needed where the address has none."""
    platform.add("api", Kind.WEB, live=THIRD)

    with pytest.raises(ForeignDeploy, match="says that ccccccc is live"):
        prove(Address(plain()), clock, platform=platform)


def test_a_live_deploy_without_a_commit_is_nobody_elses(clock: FakeClock, platform: Platform) -> None:
    """The platform may leave it out: unknown, which lowers the proof and is no foreign deploy."""
    key = platform.add("api", Kind.WEB, live=NEW)
    platform.deploys[key][0]["commit"] = None

    found = prove(Address(plain()), clock, platform=platform)

    assert found.proof is Proof.PLATFORM
    assert "does not say at which commit" in found.text


def test_nothing_live_after_a_deploy_is_a_contradiction(clock: FakeClock, platform: Platform) -> None:
    """It went live before it was verified, so nobody knows."""
    platform.add("api", Kind.WEB)

    with pytest.raises(Contradiction, match="nothing is live"):
        prove(Address(plain()), clock, platform=platform)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_health(clock: FakeClock, code: int) -> None:
    """A login page or another host has answered, not the service."""
    with pytest.raises(VerificationFailed, match=f"status {code}"):
        prove(Address(plain(code, location="https://login.example/")), clock)


def test_a_wrong_schema_is_not_proof(clock: FakeClock) -> None:
    """The commit is right and its database is not: waited for, then failed."""
    with pytest.raises(VerificationFailed, match="its database is at schema 0001, not 0002"):
        prove(Address(says(schema="0001")), clock, revision="0002")


@pytest.mark.parametrize(
    ("schema", "revision", "text"),
    [("0002", "0002", " · schema 0002"), ("0001", "", " · schema 0001"), ("", "0002", "")],
    ids=["the right one", "whatever it is", "not named"],
)
def test_a_schema_is_compared_where_both_name_it(clock: FakeClock, schema: str, revision: str, text: str) -> None:
    """An answer that names none proves the commit alone."""
    assert f"answers bbbbbbb 3/3{text}" == prove(Address(says(schema=schema)), clock, revision=revision).text


@pytest.mark.parametrize(
    ("step", "said"),
    [(plain(500), "status 500"), (unsent, r"no answer \(connect error\)"), (lost, r"no answer \(read timeout\)")],
    ids=["500", "no connection", "no answer"],
)
def test_bad_answers_end_it_early_but_not_within_the_grace(clock: FakeClock, step: Step, said: str) -> None:
    """Three bad ones of the last five are enough once the switch had its seconds."""
    address = Address(step)

    with pytest.raises(VerificationFailed, match=said):
        prove(address, clock)

    assert PACE.grace < clock.seconds < 10


def test_bad_answers_within_the_grace_are_forgiven(clock: FakeClock) -> None:
    """While traffic is switched, a few are expected."""
    assert Proof.COMMIT is prove(Address([plain(502)] * 5, says()), clock).proof


def test_a_few_bad_answers_are_not_the_end(clock: FakeClock) -> None:
    """Two of five are not enough: the window slides."""
    steps = [says(OLD)] * 6 + [plain(502), says(OLD), says(OLD), says(OLD), plain(502), says(OLD), plain(502)]

    assert Proof.COMMIT is prove(Address(steps, says()), clock).proof


def test_a_failing_check_is_named_by_its_code(clock: FakeClock) -> None:
    """The name and the code of it, and nothing else of what the answer says."""
    checks = {
        "memory": [{"status": "pass"}],
        "database:responseTime": [{"status": "fail", "code": "refused", "output": "password=p4ss"}],
    }

    with pytest.raises(VerificationFailed, match=r"status 503 \(database:responseTime: refused\)") as raised:
        prove(Address(says(code=503, checks=checks)), clock)

    assert "p4ss" not in raised.value.message


@pytest.mark.parametrize("checks", [None, [], {"a": None}, {"a": [None]}, {"a": [{}]}, "x"])
def test_an_odd_health_answer_is_a_bad_answer_and_no_error_of_ours(clock: FakeClock, checks: Any) -> None:
    """Whatever shape it has."""
    with pytest.raises(VerificationFailed, match="status 503"):
        prove(Address(says(code=503, checks=checks)), clock)


def rooted(
    step: Step, clock: FakeClock, before: int = 0, kind: Kind = Kind.WEB, platform: Platform | None = None
) -> Verified:
    """Have a service of which nobody has named a health path prove the new commit, at its root."""
    platform = platform or Platform()
    platform.add("api", kind, live=NEW)
    return verify_service(
        target("api", kind, url="https://api.example", identity_path="/" if kind is Kind.STATIC else ""),
        Expected(NEW, OLD, before=before),
        Probe(
            client=platform.render(),
            clock=clock,
            pace=PACE,
            session=http.Session(transport=httpx.MockTransport(Address(step))),
        ),
    )


@pytest.mark.parametrize("kind", [Kind.WEB, Kind.STATIC])
@pytest.mark.parametrize(
    ("before", "status", "note"),
    [
        (404, 404, "/ answers 404, as before"),
        (401, 403, "/ answers 403, as before"),
        (0, 404, "/ answers 404: "),
        (0, 401, "/ answers 401: "),
        (502, 404, "/ answers 404: "),
        (302, 302, "/ leads elsewhere (302), as before"),
        (200, 307, "/ leads elsewhere (307)"),
        (404, 200, ""),
        (200, 429, "asked too often"),
    ],
)
def test_without_a_health_path_an_answer_is_compared_with_the_one_before(
    clock: FakeClock, kind: Kind, before: int, status: int, note: str
) -> None:
    """The root of an API may be for nobody, and a site behind a password: a good release stays, and that is noted."""
    found = rooted(plain(status, location="https://api.example/app"), clock, before, kind)

    assert Proof.REACHABLE is found.proof
    assert found.notes == () if not note else note in found.notes[0]
    assert (0 if status == 200 else status) == found.answered


@pytest.mark.parametrize("kind", [Kind.WEB, Kind.STATIC])
@pytest.mark.parametrize(
    ("before", "status"), [(200, 404), (301, 401), (204, 403), (200, 500), (404, 502), (0, 503), (503, 503)]
)
def test_without_a_health_path_a_page_that_is_gone_decides(
    clock: FakeClock, kind: Kind, before: int, status: int
) -> None:
    """Where there was a page before there must be one; and a 5xx is no answer anywhere."""
    with pytest.raises(VerificationFailed, match=f"status {status}"):
        rooted(plain(status), clock, before, kind)


def test_a_page_that_is_gone_is_told_with_the_way_out(clock: FakeClock) -> None:
    """It may be meant: then a path is named that answers well."""
    with pytest.raises(VerificationFailed, match="status 404, and it was 200 before this release") as raised:
        rooted(plain(404), clock, 200)

    assert "healthCheckPath" in raised.value.remedy


def test_a_page_that_goes_away_a_moment_later_decides_too(clock: FakeClock) -> None:
    """While a service is watched the same counts."""
    platform = Platform()
    platform.add("api", Kind.WEB, live=NEW)
    steps = Address([plain(404)] * 4, [plain(500)])

    with pytest.raises(VerificationFailed, match="was well at first, and then: status 500"):
        verify_service(
            target("api", Kind.WEB, url="https://api.example"),
            Expected(NEW, OLD, before=404),
            Probe(
                client=platform.render(),
                clock=clock,
                pace=Pace(times=3, every=1, within=60, grace=5, bake=20),
                session=http.Session(transport=httpx.MockTransport(steps)),
            ),
        )


def test_at_a_health_path_nothing_is_forgiven(clock: FakeClock) -> None:
    """Somebody has said that it tells whether the service is well."""
    with pytest.raises(VerificationFailed, match="status 404"):
        prove(Address(plain(404)), clock)


def test_what_the_address_gives_now_is_looked_at_before_a_release() -> None:
    """Its commit, and its status; of what nobody may ask nothing."""

    def now(step: Step, kind: Kind = Kind.WEB) -> tuple[str, int]:
        where = target("api", kind, url="https://api.example")
        seen = address.observe(where, http.Session(transport=httpx.MockTransport(Address(step))))
        return seen.commit, seen.status

    assert (NEW, 200) == now(says())
    assert ("", 404) == now(plain(404))
    assert ("", 0) == now(lost)
    assert ("", 0) == now(says(), Kind.PRIVATE)


def test_the_files_that_a_page_names_now_are_noted_before_a_release() -> None:
    """Its own scripts and styles, where they are; a bounded number of them, and of no page none."""
    where = target("web", Kind.STATIC, url="https://web.example", identity_path="/")
    page = '<link rel="stylesheet" href="a.css"><script src="https://cdn.example/x.js"></script><img src="/p.png">'
    many = "".join(f'<script src="/{number}.js"></script>' for number in range(30))

    def now(text: str, kind: str = "text/html", code: int = 200) -> tuple[str, ...]:
        step = plain(code, text, kind)
        return address.observe(where, http.Session(transport=httpx.MockTransport(Address(step)))).loaded

    assert now(page) == ("https://web.example/a.css",)
    assert len(now(many)) == 20
    assert now(page, "text/plain") == now(page, code=500) == ()


def test_an_answer_is_compared_only_where_the_release_before_was_asked() -> None:
    """A health path that was taken away says nothing of the root; where nobody knows, the address of now counts."""
    api = target("api", Kind.WEB, url="https://api.example")

    assert [200, 0, 200] == [
        address.comparable_status(api, 200, asked) for asked in ({"api": "/"}, {"api": "/health"}, {})
    ]


@pytest.mark.parametrize(
    "path", ["live?key=s3cr3t", "@other.example/live?key=s3cr3t", ".other.example/live?key=s3cr3t"]
)
def test_a_path_without_its_slash_is_asked_of_the_same_host(path: str, clock: FakeClock, platform: Platform) -> None:
    """It would become a part of the host's name; and what is told of it has no query."""
    address = Address(plain(code=503))
    platform.add("api", Kind.WEB, live=NEW)
    with pytest.raises(VerificationFailed) as failed:
        verify_service(
            target("api", Kind.WEB, url="https://api.example", identity_path=path),
            Expected(NEW, OLD),
            Probe(
                client=platform.render(),
                clock=clock,
                pace=PACE,
                session=http.Session(transport=httpx.MockTransport(address)),
            ),
        )
    assert {one.url.host for one in address.requests} == {"api.example"}
    assert "s3cr3t" not in str(failed.value)


def test_an_address_that_is_none_is_no_bug(clock: FakeClock, platform: Platform) -> None:
    """An older version may have recorded it."""
    platform.add("api", Kind.WEB, live=NEW)
    with pytest.raises(VerificationFailed, match="api is unreachable at /health"):
        verify_service(
            target("api", Kind.WEB, url="http://[::1", identity_path="/health"),
            Expected(NEW, OLD),
            Probe(client=platform.render(), clock=clock, pace=PACE),
        )
