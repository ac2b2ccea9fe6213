"""Proof of what is no backend: static sites with their assets, and services without an address."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from deploylib.errors import ForeignDeploy, VerificationFailed
from deploylib.models import Kind, Proof, Verified
from deploylib.probes import Expected, Pace, Probe, verify_service
from deploylib.system import http
from tests.support.fakes import NEW, OLD, FakeClock, target
from tests.support.in_memory import Platform, lost

PACE = Pace(times=3, every=1, within=60, grace=5, settle=15)
PAGE = """<!doctype html><meta name="release" content="{commit}">
<link rel="stylesheet" href="/assets/site.css"><link rel="canonical" href="/missing">
<link rel="shortcut icon" href="icon.svg"><script src="/assets/site.js"></script><script>inline()</script>
<img src="data:image/png;base64,AA"><img src="/assets/site.js"><script src="https://cdn.example/x.js"></script>"""
TYPES = {"/assets/site.css": "text/css", "/icon.svg": "image/svg+xml", "/assets/site.js": "text/javascript"}


def site(
    types: dict[str, str] = TYPES, page: str = PAGE.format(commit=NEW), missing: str = ""
) -> Callable[[httpx.Request], httpx.Response]:
    """A static site; what it does not have it answers with its page, as sites of one page do."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "web.example"
        path = request.url.path
        if path == missing:
            return httpx.Response(404, text="no")
        return httpx.Response(200, text=page, headers={"Content-Type": types.get(path, "text/html; charset=utf-8")})

    return handle


def prove(
    handle: Callable[[httpx.Request], httpx.Response], clock: FakeClock, platform: Platform | None = None
) -> Verified:
    """Have the static site web prove the new commit."""
    return verify_service(
        target("web", Kind.STATIC, url="https://web.example", identity_path="/"),
        Expected(NEW, OLD),
        Probe(
            client=(platform or Platform()).render(),
            clock=clock,
            pace=PACE,
            session=http.Session(transport=httpx.MockTransport(handle)),
        ),
    )


def test_a_page_is_proven_by_its_commit_and_its_assets(clock: FakeClock) -> None:
    """Each asset of its own is there once; other hosts, inline code and other links are not asked."""
    found = prove(site(), clock)

    assert (Proof.COMMIT, "names bbbbbbb · 4 of 4 assets") == (found.proof, found.text)


@pytest.mark.parametrize("path", ["/assets/site.css", "/assets/site.js"])
def test_an_asset_that_is_missing_fails(clock: FakeClock, path: str) -> None:
    """The page names it, so a visitor would miss it."""
    with pytest.raises(VerificationFailed, match=r"the page names .*, which answers status 404"):
        prove(site(missing=path), clock)


@pytest.mark.parametrize("path", ["/assets/site.css", "/assets/site.js"])
def test_a_page_in_place_of_an_asset_fails(clock: FakeClock, path: str) -> None:
    """A site of one page answers 200 for everything: the type tells."""
    types = {name: kind for name, kind in TYPES.items() if name != path}

    with pytest.raises(
        VerificationFailed, match=f"the page names /?{path.lstrip('/')}, which answers status 200, text/html"
    ):
        prove(site(types), clock)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/assets/site.js", "text/plain"), ("/assets/site.js", ""), ("/assets/site.css", "text/javascript")],
)
def test_an_asset_must_have_the_type_of_its_name(clock: FakeClock, path: str, kind: str) -> None:
    """A browser refuses a script or a style of another type."""
    with pytest.raises(VerificationFailed, match=kind or "no type"):
        prove(site({**TYPES, path: kind}), clock)


def test_a_missing_picture_is_told_and_puts_nothing_back(clock: FakeClock) -> None:
    """The page is the same without it."""
    found = prove(site(missing="/icon.svg"), clock)

    assert "names bbbbbbb · 4 of 4 assets" == found.text
    assert "the page names icon.svg, which answers status 404" in found.notes[0]


def page_with(inner: str) -> str:
    """A page that names the new commit, and this."""
    return f'<!doctype html><meta name="release" content="{NEW}">{inner}'


@pytest.mark.parametrize(
    "inner",
    [
        '<base href="/app/"><script src="main.js"></script>',
        '<base target="_blank"><base href="/app/"><base href="/other/"><script src="main.js"></script>',
        '<noscript><link rel="stylesheet" href="/missing.css"><script src="/missing.js"></script></noscript>',
        '<template><div><template></template><script src="/missing.js"></script></div></template>',
        '<textarea><script src="/missing.js"></script></textarea>',
        '<title><script src="/missing.js"></title>',
        '<script nomodule src="/missing.js"></script>',
        '<script type="text/template" src="/missing.js"></script>',
        '<link rel="stylesheet" href="/missing.css" disabled>',
        '<link rel="alternate stylesheet" href="/missing.css">',
        '<!-- <script src="/missing.js"></script> -->',
        '<svg><title/></svg><script src="/app/main.js"></script>',
    ],
    ids=[
        "base", "the first base", "noscript", "template", "textarea", "title", "nomodule", "data", "disabled",
        "alternate", "comment", "a drawing",
    ],
)  # fmt: skip
def test_what_a_browser_does_not_load_is_not_missed(clock: FakeClock, inner: str) -> None:
    """And what it does is asked for where it asks."""

    def handle(request: httpx.Request) -> httpx.Response:
        kinds = {"/": "text/html", "/app/main.js": "text/javascript"}
        if request.url.path not in kinds:
            return httpx.Response(404)
        return httpx.Response(200, text=page_with(inner), headers={"Content-Type": kinds[request.url.path]})

    assert Proof.COMMIT is prove(handle, clock).proof


@pytest.mark.parametrize(
    "inner",
    [
        '<base href="/app/"><script src="/missing.js"></script>',
        '<noscript>no</noscript><script src="/missing.js"></script>',
        '<template></template><script src="/missing.js"></script>',
        '<div><template shadowrootmode="open"><link rel="stylesheet" href="/missing.css"></template></div>',
        '<script type="module" src="/missing.js"></script>',
        '<link rel="modulepreload" href="/missing.js">',
        '<img src="/missing.js"><script src="/missing.js"></script>',
    ],
    ids=["base", "after noscript", "after a template", "a shadow root", "a module", "what it imports", "both"],
)
def test_what_a_browser_loads_is_missed(clock: FakeClock, inner: str) -> None:
    """A script or a style, wherever it stands."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/":
            return httpx.Response(404)
        return httpx.Response(200, text=page_with(inner), headers={"Content-Type": "text/html"})

    with pytest.raises(VerificationFailed, match=r"/missing\.(js|css), which answers status 404"):
        prove(handle, clock)


def test_one_bad_answer_of_an_asset_decides_nothing(clock: FakeClock) -> None:
    """It is asked for again; one that leads elsewhere is followed as a browser does."""
    bad = iter([503, 503])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/assets/site.css":
            return httpx.Response(302, headers={"Location": "/v2/site.css"})
        if request.url.path == "/v2/site.css":
            return httpx.Response(next(bad, 200), headers={"Content-Type": "text/css"})
        return site()(request)

    assert Proof.COMMIT is prove(handle, clock).proof


def test_an_asset_that_does_not_answer_fails(clock: FakeClock) -> None:
    """The trouble is named."""

    def handle(request: httpx.Request) -> httpx.Response:
        return lost(request) if request.url.path == "/assets/site.css" else site()(request)

    with pytest.raises(VerificationFailed, match=r"which answers no answer \(read timeout\)"):
        prove(handle, clock)


def test_a_page_of_the_old_commit_means_not_yet(clock: FakeClock) -> None:
    """The edge may still hold the page of before."""
    pages = iter([PAGE.format(commit=OLD)] * 4)

    def handle(request: httpx.Request) -> httpx.Response:
        return site(page=next(pages, PAGE.format(commit=NEW)))(request)

    assert Proof.COMMIT is prove(handle, clock).proof
    assert len(clock.slept) == 6


def test_a_page_that_names_no_commit_is_reachable(clock: FakeClock, platform: Platform) -> None:
    """How a build puts it into the page is told."""
    platform.add("web", Kind.STATIC, live=NEW)

    found = prove(site(page="<h1>Hello</h1>"), clock, platform)

    assert Proof.REACHABLE is found.proof
    assert '<meta name="release"' in found.advice[1]


def by_platform(platform: Platform, clock: FakeClock, kind: Kind = Kind.WORKER, url: str = "") -> Verified:
    """Have a service without a public address prove the new commit."""
    return verify_service(
        target("jobs", kind, url=url), Expected(NEW, OLD), Probe(client=platform.render(), clock=clock, pace=PACE)
    )


@pytest.mark.parametrize("kind", [Kind.WORKER, Kind.PRIVATE, Kind.CRON])
def test_a_service_without_an_address_is_proven_by_the_platform(
    platform: Platform, clock: FakeClock, kind: Kind
) -> None:
    """Live, and no instance failed for a while; nothing runs of a cron job, so nothing is waited for."""
    platform.add("jobs", kind, live=NEW)

    found = by_platform(platform, clock, kind, "http://jobs:10000" if kind is Kind.PRIVATE else "")

    assert (Proof.PLATFORM, True) == (found.proof, "bbbbbbb" in found.text)
    assert (0 if kind is Kind.CRON else 15) == sum(clock.slept)


def test_a_worker_that_fails_after_it_went_live_has_failed(platform: Platform, clock: FakeClock) -> None:
    """It is asked again and again for the while, since then only."""
    key = platform.add("jobs", live=NEW)

    def crash() -> None:
        if clock.seconds >= 10:
            platform.events = [{"type": "server_failed", "serviceId": key}]

    clock.each_sleep = crash
    with pytest.raises(VerificationFailed, match="its program failed 1 time within 15 s"):
        by_platform(platform, clock)

    assert clock.seconds < 15
    [since] = {one.url.params["startTime"] for one in platform.requests if one.url.path.endswith("/events")}
    assert since == "2026-03-01T12:00:00+00:00"


def test_a_worker_whose_live_deploy_is_not_ours_is_somebody_elses(platform: Platform, clock: FakeClock) -> None:
    """It was ours when it went live."""
    platform.add("jobs", live=OLD)

    with pytest.raises(ForeignDeploy, match="is live, not bbbbbbb"):
        by_platform(platform, clock)


def test_a_worker_whose_live_deploy_names_no_commit_is_nobody_elses(platform: Platform, clock: FakeClock) -> None:
    """Unknown, and said so."""
    key = platform.add("jobs", live=NEW)
    platform.deploys[key][0]["commit"] = {"id": None}

    found = by_platform(platform, clock)

    assert (Proof.PLATFORM, True) == (found.proof, "does not say at which commit" in found.text)


def test_a_cron_job_may_have_failed_before(platform: Platform, clock: FakeClock) -> None:
    """Its runs are not this deploy."""
    key = platform.add("jobs", Kind.CRON, live=NEW)
    platform.events = [{"type": "server_failed", "serviceId": key}]

    found = by_platform(platform, clock, Kind.CRON)

    assert (found.proof, found.text) == (Proof.PLATFORM, f"live at {NEW[:7]}; runs at its times")
