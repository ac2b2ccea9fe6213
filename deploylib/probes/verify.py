"""Proof that the public address serves the release: the platform's word is evidence, this is the verdict.

Three levels, named in the result: *commit* (the address itself answers with the expected commit, several times in a
row), *reachable* (it answers well, and the platform says that the commit is live), *platform* (live, and no instance
failed for a while). The lack of an identity lowers the level; it never fails a release.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from deploylib.errors import Contradiction, ForeignDeploy, VerificationFailed
from deploylib.models import Deploy, Kind, Proof, Target, Verified
from deploylib.probes import assets
from deploylib.probes.page import Page
from deploylib.render import Client
from deploylib.system import Clock, Deadline, http

__all__ = [
    "Expected",
    "Pace",
    "comparable",
    "identity",
    "is_public",
    "named",
    "now",
    "path",
    "same_kind",
    "until_proven",
]

IDENTITY_KEYS = ("releaseId", "release", "commit", "sha")
COMMIT, FULL_COMMIT = re.compile(r"[0-9a-f]{7,40}"), re.compile(r"[0-9a-f]{40}")
UNCACHED = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
BAD_OF_LAST = (3, 5)
GOOD, CLIENT_ERROR, TOO_OFTEN, SERVER_ERROR = 200, 400, 429, 500
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
        before: the status that the address gave before this release; 0: none, or nobody looked.
    """

    commit: str
    previous: str = ""
    revision: str = ""
    misnamed: bool = False
    before: int = 0


def until_proven(
    target: Target,
    expected: Expected,
    *,
    render: Client,
    clock: Clock,
    pace: Pace,
    progress: Callable[[str, str], None] = lambda _service, _text: None,
    session: http.Session | None = None,
) -> Verified:
    """Ask until the service has proven itself at the level it allows.

    Args:
        session: asks the address, and is closed; default: one with connections of its own.

    Raises:
        VerificationFailed: bad answers, no answers, or another commit's name until the end, although ours is live.
        ForeignDeploy: the platform says that something else is live.
        Unreachable: the platform cannot be asked which of the two it is.
    """
    if not is_public(target):
        return _by_platform(target, expected, render, clock, pace, progress)
    with session or http.Session(timeout=5.0, within=ANSWER_WITHIN) as asking:
        since = clock.now()
        shown = _in_a_row(target, expected, asking, render, clock, pace, progress)
        proven = shown if isinstance(shown, Verified) else _reachable(target, expected, render, shown)
        if target.kind is Kind.STATIC:
            within = Deadline.after(max(pace.within, ANSWER_WITHIN), clock)
            return _with_assets(target, asking, proven, clock, pace, within)
        if pace.bake > 0:
            _bake(target, expected, asking, clock, pace, progress)
        _require_no_failure(target, render, since, pace.bake)
        stayed = f" · well for {pace.bake:.0f} s" if pace.bake > 0 else ""
        return msgspec.structs.replace(proven, text=proven.text + stayed)


def named(target: Target, session: http.Session | None = None) -> str:
    """The commit that the public address names at this moment; empty where it names none, or does not answer well."""
    return now(target, session)[0]


def now(target: Target, session: http.Session | None = None) -> tuple[str, int]:
    """The commit that the public address names at this moment, and the status that it gives.

    Returns:
        An empty name where it names none or does not answer well; a status of 0 where there is no answer.
    """
    if not is_public(target):
        return "", 0
    with session or http.Session(timeout=5.0, within=ANSWER_WITHIN) as asking:
        answer, _ = _ask(asking, _address(target))
        return (identity(answer) if answer is not None and answer.ok else ""), answer.status if answer else 0


def is_public(target: Target) -> bool:
    """Whether the service has an address that anybody may ask."""
    return bool(target.url) and target.kind in {Kind.WEB, Kind.STATIC}


def path(target: Target) -> str:
    """Where a service is asked: at the path that somebody has named, or at its root.

    A path without its slash would be taken for a part of the host's name, and asked of another host.
    """
    return "/" + (target.identity_path or target.health_path).removeprefix("/")


def _where(target: Target) -> str:
    """The same as it is told: what is asked for may be a secret."""
    return path(target).partition("?")[0]


def comparable(target: Target, answered: int, asked: Mapping[str, str]) -> int:
    """The status that the address gave before, where it is that of the release before; else 0.

    Who takes a health path away has promised nothing of the root, whatever the release before answered there.

    Args:
        asked: the path at which each service of the release before was asked, by name.
    """
    return answered if asked.get(target.name, path(target)) == path(target) else 0


def _address(target: Target) -> str:
    return target.url + path(target)


def _has_path(target: Target) -> bool:
    """Whether somebody has said where the service tells that it is well; the page of a static site says nothing of it."""
    return target.kind is Kind.WEB and bool(target.identity_path or target.health_path)


def _wrong(target: Target, expected: Expected, answer: http.Answer | None, trouble: str) -> str:
    """Why an answer is none of a release that serves; empty where it is.

    At a health path only a 2xx is well. Where nobody has named one, the root may be for nobody, or behind a password: no
    answer and a 5xx are wrong anywhere, and a 4xx is where there was a page before. Who asks too often (429) is answered.
    """
    if answer is None:
        return trouble
    status, before = answer.status, expected.before
    said = f"status {status}{_explain(answer)}"
    if answer.ok or status == TOO_OFTEN:
        return ""
    if status >= SERVER_ERROR:
        return said
    if before and same_kind(status, before):
        return ""
    if _has_path(target):
        return said
    if status < CLIENT_ERROR or not GOOD <= before < CLIENT_ERROR:
        return ""
    return f"{said}, and it was {before} before this release"


def same_kind(status: int, before: int) -> bool:
    """Whether an address answers as before: refused as it was refused, or led elsewhere as it was."""
    return status // 100 == before // 100


def _in_a_row(
    target: Target,
    expected: Expected,
    session: http.Session,
    render: Client,
    clock: Clock,
    pace: Pace,
    progress: Callable[[str, str], None],
) -> Verified | http.Answer:
    """Count good answers; the last one when they are good and name no commit, or one that proves nothing."""
    began, deadline = clock.monotonic(), Deadline.after(pace.within, clock)
    url = _address(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    good = anonymous = 0
    said, odd = "no answer yet", set[str]()
    while True:
        answer, trouble = _ask(session, url)
        served = identity(answer) if answer is not None and answer.ok else ""
        if answer is None or (wrong := _wrong(target, expected, answer, trouble)):
            window.append(clock.monotonic() - began <= pace.grace)
            good = anonymous = 0
            said = trouble if answer is None else wrong
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
        if anonymous >= pace.times and answer is not None:
            return answer
        elapsed = clock.monotonic() - began
        if window.count(False) >= BAD_OF_LAST[0] or deadline.has_passed():
            _require_ours(target, expected, render)
            raise VerificationFailed(
                f"{target.name} did not prove itself at {_where(target)} within {elapsed:.0f} s: {said}",
                remedy=_remedy(target, answer),
                service=target.name,
            )
        clock.sleep(pace.every)


def _remedy(target: Target, answer: http.Answer | None) -> str:
    if answer is None or not CLIENT_ERROR <= answer.status < SERVER_ERROR:
        return "see its log (inv logs), correct it, commit, inv deploy"
    if target.kind is Kind.STATIC:
        return "see what the build puts into its publish path (staticPublishPath), correct it, commit, inv deploy"
    if _has_path(target):
        return "see its log (inv logs), correct it, commit, inv deploy"
    return "correct it; or, if that is meant, name a path that answers well: healthCheckPath in the Blueprint; then inv deploy"


def _odd_name(target: Target, expected: Expected, served: str, render: Client, seen: set[str]) -> str:
    """What to say of a name that is neither the old nor the new one: of a cache, or wrong, or somebody else's deploy."""
    if served not in seen:  # whose it is, only the platform knows
        _require_ours(target, expected, render)
        seen.add(served)
    return f"it names {served[:7]}, which is neither the commit before nor ours"


def _require_ours(target: Target, expected: Expected, render: Client) -> None:
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


def _bake(
    target: Target,
    expected: Expected,
    session: http.Session,
    clock: Clock,
    pace: Pace,
    progress: Callable[[str, str], None],
) -> None:
    """Go on asking; a single bad answer is forgiven, three of the last five are not."""
    url = _address(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    deadline = Deadline.after(pace.bake, clock)
    while not deadline.has_passed():
        answer, trouble = _ask(session, url)
        wrong = _wrong(target, expected, answer, trouble)
        window.append(not wrong)
        if window.count(False) >= BAD_OF_LAST[0]:
            raise VerificationFailed(
                f"{target.name} was well at first, and then: {wrong or 'bad answers'}",
                remedy="see its log (inv logs), correct it, commit, inv deploy",
                service=target.name,
            )
        progress(target.name, f"well; asked for another {deadline.left():.0f} s")
        clock.sleep(pace.every)


def _require_no_failure(target: Target, render: Client, since: datetime, lasted: float) -> None:
    """Its instances must not have failed meanwhile: the platform restarts them quickly enough to be missed from outside."""
    if failures := render.server_failures(target.service_id, since):
        raise VerificationFailed(
            f"{target.name}: its program failed {failures} times within {lasted:.0f} s of going live",
            remedy="see its log (inv logs), correct it, commit, inv deploy",
            service=target.name,
        )


def _ask(session: http.Session, url: str, limit: http.Limit = http.PAGE) -> tuple[http.Answer | None, str]:
    try:
        return session.request("GET", url, headers=UNCACHED, limit=limit), ""
    except http.HttpError as error:
        return None, f"no answer ({error})"


def _explain(answer: http.Answer | None) -> str:
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


def _proven(target: Target, expected: Expected, answer: http.Answer | None, pace: Pace) -> Verified:
    seen = _revision(answer) if answer is not None else ""
    schema = f" · schema {seen}" if seen else ""
    text = f"answers {expected.commit[:7]} {pace.times}/{pace.times}{schema}"
    if target.kind is Kind.STATIC:
        text = f"names {expected.commit[:7]}"
    return Verified(service=target.name, proof=Proof.COMMIT, text=text)


def _live(target: Target, render: Client) -> Deploy:
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


def _reachable(target: Target, expected: Expected, render: Client, answer: http.Answer) -> Verified:
    live = _live(target, render)
    if live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} answers, but the platform says that {live.commit[:7]} is live",
            remedy="inv status shows what is live",
            service=target.name,
        )
    advice = STATIC_ADVICE if target.kind is Kind.STATIC else WEB_ADVICE
    status = 0 if answer.ok else answer.status
    how, notes = (str(status), _remarked(target, expected, status)) if status else ("well", ())
    text = f"answers {how}; the platform says {expected.commit[:7]} is live"
    if expected.misnamed:
        text = f"{text}; the commit that it names was wrong before as well, and proves nothing"
    return Verified(service=target.name, proof=Proof.REACHABLE, text=text, advice=advice, notes=notes, answered=status)


def _remarked(target: Target, expected: Expected, status: int) -> tuple[str, ...]:
    """What a person should know of an answer that is neither good nor a reason to put anything back."""
    where = _where(target)
    as_before = ", as before" if expected.before and same_kind(status, expected.before) else ""
    if status == TOO_OFTEN:
        return (f"{where} answers {status}: it is asked too often, so that nothing is known of its answers",)
    if status < CLIENT_ERROR:
        return (f"{where} leads elsewhere ({status}){as_before}",)
    step = "see its publish path" if target.kind is Kind.STATIC else "a health path would tell more"
    return (f"{where} answers {status}{as_before}: {step}",)


def _by_platform(
    target: Target, expected: Expected, render: Client, clock: Clock, pace: Pace, progress: Callable[[str, str], None]
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
        if target.kind is Kind.CRON or deadline.has_passed():
            break
        progress(target.name, "live; watching that it stays up")
        clock.sleep(min(5.0, pace.settle / 3))
    stayed = "runs at its times" if target.kind is Kind.CRON else f"no failure for {pace.settle:.0f} s"
    text = f"live at {expected.commit[:7]}; {stayed}"
    return Verified(service=target.name, proof=Proof.PLATFORM, text=text)


def identity(answer: http.Answer) -> str:
    """The commit that an answer names, full or short; empty where it names none."""
    body = answer.json() if "json" in answer.content_type else None
    if isinstance(body, dict):
        names = (str(body.get(key) or "").lower() for key in IDENTITY_KEYS)
        version = str(body.get("version") or "").lower()  # a short one may as well be a date
        short = next((name for name in names if COMMIT.fullmatch(name)), "")
        return short or (version if FULL_COMMIT.fullmatch(version) else "")
    if answer.content_type == "text/html":
        name = Page.of(answer).release.lower()
        return name if COMMIT.fullmatch(name) else ""
    return ""


def _revision(answer: http.Answer) -> str:
    """The schema revision that a health answer names, in its check ``database:revision``."""
    body: Any = answer.json()
    try:
        seen = str(body["checks"]["database:revision"][0]["observedValue"] or "")
    except (KeyError, IndexError, TypeError):
        return ""
    return ",".join(sorted(re.findall(r"[^,\s]+", seen)))  # several, where the migrations have branches


def _with_assets(
    target: Target, session: http.Session, proven: Verified, clock: Clock, pace: Pace, deadline: Deadline
) -> Verified:
    """The page with everything that it loads; where its address gives none, there is nothing to look at."""
    page, trouble = _ask(session, target.url + "/")
    if page is None:
        raise VerificationFailed(f"{target.name}: {trouble}", remedy="inv verify", service=target.name)
    if not page.ok:
        return proven
    seen = assets.look(
        page,
        target.url + "/",
        ask=lambda url: _ask(session, url, http.ASSET),
        clock=clock,
        every=pace.every,
        deadline=deadline,
    )
    if seen.missing:
        raise VerificationFailed(
            f"{target.name}: {seen.missing}",
            remedy="see what the build puts into its publish path, correct it, commit, inv deploy",
            service=target.name,
        )
    return msgspec.structs.replace(proven, text=proven.text + seen.text, notes=(*proven.notes, *seen.notes))
