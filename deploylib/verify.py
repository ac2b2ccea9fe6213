"""Proof that the public address serves the release: the platform's word is evidence, this is the verdict.

Three levels, named in the result: *commit* (the address itself answers with the expected commit, several times in a
row), *reachable* (it answers well, and the platform says that the commit is live), *platform* (live, and no instance
failed for a while). The lack of an identity lowers the level; it never fails a release.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from deploylib.clock import Clock, Deadline
from deploylib.errors import Contradiction, ForeignDeploy, VerificationFailed
from deploylib.models import Deploy, Kind, Proof, Target, Verified
from deploylib.render import Render
from deploylib.web import ASSET, PAGE, Answer, HttpError, Limit, Session

__all__ = ["Expected", "Pace", "identity", "named", "until_proven"]

IDENTITY_KEYS = ("releaseId", "release", "commit", "sha")
COMMIT, FULL_COMMIT = re.compile(r"[0-9a-f]{7,40}"), re.compile(r"[0-9a-f]{40}")
UNCACHED = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
BAD_OF_LAST = (3, 5)
ANSWER_WITHIN = 15.0  # seconds for a whole answer: one that drips must not outlive the verification
WEB_ADVICE = (
    "to prove which commit answers, let its health path answer JSON with it:",
    '  {"status": "pass", "releaseId": <the variable RENDER_GIT_COMMIT>}',
    "  and name the path: [services.NAME] health = …, where it is not Render's health check path",
)
STATIC_ADVICE = (
    "to prove which commit is shown, let the build put it into the page:",
    '  <meta name="release" content="<the variable RENDER_GIT_COMMIT>">',
)


class Pace(msgspec.Struct, frozen=True):
    """How it is measured.

    Attributes:
        times: good answers in a row that count as proof.
        every: seconds between two requests.
        within: seconds after which it has failed.
        grace: seconds in which bad answers are forgiven: traffic is being switched.
        settle: seconds without a failed instance, where there is no address to ask.
        bake: seconds for which a web service goes on being asked once it has proven itself: a program that is well at
            first and ends a moment later is as bad as one that never was.
    """

    times: int = 5
    every: float = 1.0
    within: float = 90.0
    grace: float = 5.0
    settle: float = 15.0
    bake: float = 0.0


class Expected(msgspec.Struct, frozen=True):
    """What a service should serve.

    Attributes:
        commit: the full id.
        previous: the commit before; an answer from it means "not yet".
        revision: of the schema, where the answer names one; empty: whatever it is.
        misnamed: the release before named a commit that it was not, so that a wrong name proves nothing now either.
    """

    commit: str
    previous: str = ""
    revision: str = ""
    misnamed: bool = False


def until_proven(
    target: Target,
    expected: Expected,
    *,
    render: Render,
    clock: Clock,
    pace: Pace,
    progress: Callable[[str, str], None] = lambda _service, _text: None,
    session: Session | None = None,
) -> Verified:
    """Ask until the service has proven itself at the level it allows.

    Args:
        session: asks the address, and is closed; default: one with connections of its own.

    Raises:
        VerificationFailed: bad answers, no answers, or another commit's name until the end, although ours is live.
        ForeignDeploy: the platform says that something else is live.
        Unreachable: the platform cannot be asked which of the two it is.
    """
    if not target.url or target.kind not in {Kind.WEB, Kind.STATIC}:
        return _by_platform(target, expected, render, clock, pace, progress)
    with session or Session(timeout=5.0, within=ANSWER_WITHIN) as asking:
        since = clock.now()
        proven = _in_a_row(target, expected, asking, render, clock, pace, progress)
        proven = proven or _reachable(target, expected, render)
        if target.kind is Kind.STATIC:
            return _with_assets(target, asking, proven, Deadline.after(max(pace.within, ANSWER_WITHIN), clock))
        if pace.bake > 0:
            _bake(target, asking, clock, pace, progress)
        _require_no_failure(target, render, since, pace.bake)
        stayed = f" · well for {pace.bake:.0f} s" if pace.bake > 0 else ""
        return msgspec.structs.replace(proven, text=proven.text + stayed)


def named(target: Target, session: Session | None = None) -> str:
    """The commit that the public address names at this moment; empty where it names none, or does not answer well."""
    if not target.url or target.kind not in {Kind.WEB, Kind.STATIC}:
        return ""
    with session or Session(timeout=5.0, within=ANSWER_WITHIN) as asking:
        answer, _ = _ask(asking, _address(target))
        return identity(answer) if answer is not None and answer.ok else ""


def _address(target: Target) -> str:
    return target.url + (target.identity_path or target.health_path or "/")


def _in_a_row(
    target: Target,
    expected: Expected,
    session: Session,
    render: Render,
    clock: Clock,
    pace: Pace,
    progress: Callable[[str, str], None],
) -> Verified | None:
    """Count good answers; None when the answers are good and name no commit, or one that proves nothing."""
    began, deadline = clock.monotonic(), Deadline.after(pace.within, clock)
    url = _address(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    good = anonymous = 0
    said, odd = "no answer yet", set[str]()
    while True:
        answer, trouble = _ask(session, url)
        served = identity(answer) if answer is not None and answer.ok else ""
        if answer is None or not answer.ok:
            window.append(clock.monotonic() - began <= pace.grace)
            good = anonymous = 0
            said = trouble or f"status {answer.status if answer else ''}{_explain(answer)}"
        elif not served:
            window.append(True)
            good, anonymous = 0, anonymous + 1
            said = "it answers, and names no commit"
        elif not expected.commit.startswith(served):
            window.append(True)
            good = 0
            anonymous = anonymous + 1 if expected.misnamed else 0
            said = f"it still serves {served[:7]}"
            if not expected.previous.startswith(served):
                said = _odd_name(target, expected, served, render, odd)
        elif expected.revision and (seen := _revision(answer)) and seen != expected.revision:
            window.append(True)
            good = anonymous = 0
            said = f"its database is at schema {seen}, not {expected.revision}"
        else:
            window.append(True)
            good, anonymous = good + 1, 0
            said = f"{good} of {pace.times} good answers"
        progress(target.name, said)
        if good >= pace.times:
            return _proven(target, expected, answer, pace)
        if anonymous >= pace.times:
            return None
        elapsed = clock.monotonic() - began
        if window.count(False) >= BAD_OF_LAST[0] or deadline.passed():
            _require_ours(target, expected, render)
            raise VerificationFailed(
                f"{target.name} did not prove itself at {urlsplit(url).path or '/'} within {elapsed:.0f} s: {said}",
                remedy="see its log (inv logs), correct it, commit, inv deploy",
                service=target.name,
            )
        clock.sleep(pace.every)


def _odd_name(target: Target, expected: Expected, served: str, render: Render, seen: set[str]) -> str:
    """What to say of a name that is neither the old nor the new one: of a cache, or wrong, or somebody else's deploy."""
    if served not in seen:  # whose it is, only the platform knows
        _require_ours(target, expected, render)
        seen.add(served)
    return f"it names {served[:7]}, which is neither the commit before nor ours"


def _require_ours(target: Target, expected: Expected, render: Render) -> None:
    """See that the platform says that what we wait for is live: only then is it at fault.

    Raises:
        ForeignDeploy: something else is.
        Unreachable: the platform cannot be asked.
    """
    live = render.live(target.service_id)
    if live is not None and live.commit and live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} serves {live.commit[:7]} ({live.id}), by the platform's word, and not {expected.commit[:7]}",
            remedy="somebody else deploys here: inv status, then agree on who does",
            service=target.name,
            commit=live.commit,
        )


def _bake(target: Target, session: Session, clock: Clock, pace: Pace, progress: Callable[[str, str], None]) -> None:
    """Go on asking; a single bad answer is forgiven, three of the last five are not."""
    url = _address(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    deadline = Deadline.after(pace.bake, clock)
    while not deadline.passed():
        answer, trouble = _ask(session, url)
        window.append(answer is not None and answer.ok)
        if window.count(False) >= BAD_OF_LAST[0]:
            said = trouble or f"status {answer.status if answer else ''}{_explain(answer)}"
            raise VerificationFailed(
                f"{target.name} was well at first, and then: {said}",
                remedy="see its log (inv logs), correct it, commit, inv deploy",
                service=target.name,
            )
        progress(target.name, f"well; asked for another {deadline.left():.0f} s")
        clock.sleep(pace.every)


def _require_no_failure(target: Target, render: Render, since: datetime, lasted: float) -> None:
    """Its instances must not have failed meanwhile: the platform restarts them quickly enough to be missed from outside."""
    if failures := render.server_failures(target.service_id, since):
        raise VerificationFailed(
            f"{target.name}: its program failed {failures} times within {lasted:.0f} s of going live",
            remedy="see its log (inv logs), correct it, commit, inv deploy",
            service=target.name,
        )


def _ask(session: Session, url: str, limit: Limit = PAGE) -> tuple[Answer | None, str]:
    try:
        return session.request("GET", url, headers=UNCACHED, limit=limit), ""
    except HttpError as error:
        return None, f"no answer ({error})"


def _explain(answer: Answer | None) -> str:
    """The failing check of a health answer, by its name and code only."""
    body = answer.json() if answer is not None else None
    checks = body.get("checks") if isinstance(body, dict) else None
    failing = [
        f"{name}: {item.get('code') or 'fail'}"
        for name, items in (checks.items() if isinstance(checks, dict) else ())
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("status") == "fail"
    ]
    return f" ({failing[0]})" if failing else ""


def _proven(target: Target, expected: Expected, answer: Answer | None, pace: Pace) -> Verified:
    seen = _revision(answer) if answer is not None else ""
    schema = f" · schema {seen}" if seen else ""
    text = f"answers {expected.commit[:7]} {pace.times}/{pace.times}{schema}"
    if target.kind is Kind.STATIC:
        text = f"names {expected.commit[:7]}"
    return Verified(service=target.name, proof=Proof.COMMIT, text=text)


def _live(target: Target, render: Render) -> Deploy:
    """What the platform says is live.

    Raises:
        Contradiction: nothing, although a deploy has gone live before it is verified.
    """
    live = render.live(target.service_id)
    if live is None:
        raise Contradiction(
            f"{target.name}: the platform says that nothing is live",
            remedy=f"see the service ({target.dashboard_url or 'in the Render Dashboard'}): is it suspended?",
            service=target.name,
        )
    return live


def _reachable(target: Target, expected: Expected, render: Render) -> Verified:
    live = _live(target, render)
    if live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} answers, but the platform says that {live.commit[:7]} is live",
            remedy="inv status shows what is live",
            service=target.name,
        )
    advice = STATIC_ADVICE if target.kind is Kind.STATIC else WEB_ADVICE
    text = f"answers well; the platform says {expected.commit[:7]} is live"
    if expected.misnamed:
        text = f"{text}; the commit that it names was wrong before as well, and proves nothing"
    return Verified(service=target.name, proof=Proof.REACHABLE, text=text, advice=advice)


def _by_platform(
    target: Target, expected: Expected, render: Render, clock: Clock, pace: Pace, progress: Callable[[str, str], None]
) -> Verified:
    """Nothing to ask from outside: the platform's own view, over a while."""
    since, deadline = clock.now(), Deadline.after(pace.settle, clock)
    while True:
        live = _live(target, render)
        if live.commit != expected.commit:
            raise ForeignDeploy(
                f"{target.name}: {live.commit[:7]} is live, not {expected.commit[:7]}",
                remedy="inv status shows what is live",
                service=target.name,
            )
        if target.kind is not Kind.CRON:
            _require_no_failure(target, render, since, pace.settle)
        if target.kind is Kind.CRON or deadline.passed():
            break
        progress(target.name, "live; watching that it stays up")
        clock.sleep(min(5.0, pace.settle / 3))
    text = f"live at {expected.commit[:7]}; no failure for {0 if target.kind is Kind.CRON else pace.settle:.0f} s"
    return Verified(service=target.name, proof=Proof.PLATFORM, text=text)


def identity(answer: Answer) -> str:
    """The commit that an answer names, full or short; empty where it names none."""
    body = answer.json() if "json" in answer.content_type else None
    if isinstance(body, dict):
        names = (str(body.get(key) or "").lower() for key in IDENTITY_KEYS)
        version = str(body.get("version") or "").lower()  # a short one may as well be a date
        short = next((name for name in names if COMMIT.fullmatch(name)), "")
        return short or (version if FULL_COMMIT.fullmatch(version) else "")
    if answer.content_type == "text/html":
        name = _Page.of(answer).release.lower()
        return name if COMMIT.fullmatch(name) else ""
    return ""


def _revision(answer: Answer) -> str:
    """The schema revision that a health answer names, in its check ``database:revision``."""
    body: Any = answer.json()
    try:
        seen = str(body["checks"]["database:revision"][0]["observedValue"] or "")
    except (KeyError, IndexError, TypeError):
        return ""
    return ",".join(sorted(re.findall(r"[^,\s]+", seen)))  # several, where the migrations have branches


def _with_assets(target: Target, session: Session, proven: Verified, deadline: Deadline) -> Verified:
    """Every asset that the page names must be there, and be what its name says.

    Of very many, as many as there is time for: those that nobody has asked for are no failure, and not counted as seen.
    """
    page, trouble = _ask(session, target.url + "/")
    if page is None:
        raise VerificationFailed(f"{target.name}: {trouble}", remedy="inv verify", service=target.name)
    names, asked = list(_Page.of(page).assets), 0
    for name in names:
        if deadline.passed():
            break
        asked += 1
        try:
            url = urljoin(target.url + "/", name)
        except ValueError:  # no address at all, so no browser asks for it either
            continue
        if urlsplit(url).netloc != urlsplit(target.url).netloc:
            continue
        answer, trouble = _ask(session, url, ASSET)
        if answer is None or not answer.ok or not _fits(urlsplit(url).path, answer.content_type):
            got = trouble if answer is None else f"status {answer.status}, {answer.content_type or 'no type'}"
            raise VerificationFailed(
                f"{target.name}: the page names {name}, which answers {got}",
                remedy="see what the build puts into its publish path, correct it, commit, inv deploy",
                service=target.name,
            )
    shown = f" · {asked} of {len(names)} assets" if names else ""
    return msgspec.structs.replace(proven, text=proven.text + shown)


def _fits(path: str, content_type: str) -> bool:
    """A script must be a script and a style a style: a page in their place is the usual sign of a missing file."""
    suffix = path.rpartition(".")[2].lower()
    wanted = {"js": "javascript", "mjs": "javascript", "css": "css"}.get(suffix)
    return wanted in content_type if wanted else content_type != "text/html" or suffix in {"html", "htm"}


class _Page(HTMLParser):
    """The release that a page names and the assets that it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.release = ""
        self.assets: dict[str, None] = {}

    @classmethod
    def of(cls, answer: Answer) -> _Page:
        page = cls()
        page.feed(answer.body.decode(errors="replace"))
        return page

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: FBT001, FBT002 - as it is there
        """``<![…``: a comment in HTML; the parser of XML below would raise an AssertionError."""
        return self.parse_bogus_comment(i, report)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {key: value or "" for key, value in attrs}
        if tag == "meta" and named.get("name") in {"release", "commit", "version"}:
            self.release = self.release or named.get("content", "")
        rel = set(named.get("rel", "").lower().split())
        if tag == "link" and rel & {"stylesheet", "icon", "modulepreload", "preload", "manifest"}:
            self._add(named.get("href", ""))
        if tag in {"script", "img"}:
            self._add(named.get("src", ""))

    def _add(self, name: str) -> None:
        if name and not name.startswith(("data:", "blob:")):
            self.assets[name] = None
