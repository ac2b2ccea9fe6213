"""Proof that the public address serves the release.

The platform's word is evidence, this is the verdict.

Three levels, named in the result: *commit* (the address itself answers with the expected commit, several times in a
row), *reachable* (it answers well, and the platform says that the commit is live), *platform* (live, and no instance
failed for a while). The lack of an identity lowers the level; it never fails a release.

What decides, and so puts a release back: an address that is unreachable, unhealthy or of the wrong version; a smoke request
that the team has declared; a script or style that the page names and that is not there; a program that fails meanwhile. All
else that is looked at is evidence: it warns, or is noted, or could not be examined.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from deploylib.errors import Contradiction, DeployError, ForeignDeploy, Interrupted, VerificationFailed
from deploylib.models import Deploy, Kind, Proof, Secret, Target, Verified
from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.smoke import SmokeRequest
from deploylib.probes import assets, smoke
from deploylib.probes.address import (
    ANSWER_WITHIN,
    GOOD,
    ask,
    has_path,
    identity_of,
    is_public,
    is_same_kind,
    open_session,
    place_of,
    url_of,
)
from deploylib.probes.caching import look_at_caching
from deploylib.probes.certificate import look_at_certificate
from deploylib.probes.health_answer import find_checks, look_at_health
from deploylib.probes.instances import look_at_instances, look_at_uptime
from deploylib.render import Client
from deploylib.system import Clock, Deadline, http

__all__ = ["Expected", "Pace", "Probe", "verify", "verify_service"]

T = TypeVar("T")
BAD_OF_LAST = (3, 5)
CLIENT_ERROR, TOO_OFTEN, SERVER_ERROR = 400, 429, 500
UNNAMED = "the platform does not say at which commit it is live"  # null: unknown, and nobody else's
WEB_ADVICE = (
    "to prove which commit answers, let its health path answer JSON with it:",
    '  {"status": "pass", "releaseId": <the variable RENDER_GIT_COMMIT>}',
    "  and name the path: [services.NAME] health = …, where it is not Render's health check path",
    "  or take along a file that answers so: inv local.health --write DIR",
)
FREE = "free"
ASLEEP = {502, 503, 504}  # of the edge, while it wakes a program
STATIC_ADVICE = (
    "to prove which commit is shown, let the build put it into the page:",
    '  <meta name="release" content="<the variable RENDER_GIT_COMMIT>">',
)


class Trouble(StrEnum):
    """How an address has failed to prove itself.

    Three failures, which a person mends in three places; or answers that prove nothing either way.
    """

    UNREACHABLE = "is unreachable"
    UNHEALTHY = "is unhealthy"
    WRONG_VERSION = "serves the wrong version"
    UNDECIDED = "did not prove itself"


class Pace(msgspec.Struct, frozen=True):
    """The pace of verification.

    Attributes:
        times: good answers in a row that count as proof.
        every: seconds between two requests.
        within: seconds after which it has failed.
        grace: seconds in which bad answers are forgiven: traffic is being switched.
        settle: seconds without a failed instance, where there is no address to ask.
        bake: seconds for which a web service goes on being asked once it has proven itself: a program that is well at
            first and ends a moment later is as bad as one that never was.
        cold: seconds in which a service of the free plan may be waking up: Render puts it to sleep, and says "up to a
            minute". No answer, and 502 to 504 without a health answer, are forgiven then, and nothing else is.
    """

    times: int = 5
    every: float = 1.0
    within: float = 90.0
    grace: float = 5.0
    settle: float = 15.0
    bake: float = 0.0
    cold: float = 75.0


PATIENT = Pace()


class Expected(msgspec.Struct, frozen=True):
    """What a service should serve.

    Attributes:
        commit: the full id.
        previous: the commit before; an answer from it means "not yet".
        revision: of the schema, where the answer names one; empty: whatever it is.
        misnamed: the release before named a commit that it was not, so that a wrong name proves nothing now either.
        before: the status that the address gave before this release; 0: none, or nobody looked.
        loaded: the files that the page of the release before named.
        smoke: the requests that it must answer.
        back: it was served before, and is gone back to: the requests were declared for another release, and only warn.
    """

    commit: str
    previous: str = ""
    revision: str = ""
    misnamed: bool = False
    before: int = 0
    loaded: tuple[str, ...] = ()
    smoke: tuple[SmokeRequest, ...] = ()
    back: bool = False


@dataclass(frozen=True)
class Probe:
    """What services are verified with.

    Attributes:
        client: the platform, which is asked what is live; None: only the address is believed.
        progress: is told service and state, again and again; what it raises ends the verification.
        session: asks the address, and is closed; default: one with connections of its own.
        secret: gives the value of a variable that a smoke request names; None where it is not set.
    """

    client: Client | None = None
    clock: Clock = Clock()
    pace: Pace = PATIENT
    progress: Callable[[str, str], None] = lambda _service, _text: None
    session: http.Session | None = None
    secret: Callable[[str], Secret | None] = lambda _name: None


def verify(
    address: str, commit: str, *, smoke: Sequence[SmokeRequest] = (), pace: Pace = PATIENT, clock: Clock = Clock()
) -> Verified:
    """Ask a public address until it proves its commit.

    Args:
        address: of a health path whose JSON names the commit, or of a page that does.
        commit: the full id.
        smoke: requests that it must answer as well, on the same host.

    Raises:
        VerificationFailed: bad answers, no answers, or another commit's name until the end; or it names none; or a
            smoke request is answered otherwise than it says.
    """
    parts = urlsplit(address)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    origin = f"{parts.scheme}://{parts.netloc}"
    target = Target(name=parts.netloc, service_id="", kind=Kind.WEB, url=origin, identity_path=path)
    return verify_service(target, Expected(commit, smoke=tuple(smoke)), Probe(pace=pace, clock=clock))


def verify_service(target: Target, expected: Expected, probe: Probe) -> Verified:
    """Ask until the service has proven itself at the level it allows.

    Raises:
        VerificationFailed: bad answers, no answers, or another commit's name until the end, although ours is live; or
            a smoke request that fails.
        ForeignDeploy: the platform says that something else is live.
        Unreachable: the platform cannot be asked which of the two it is.
    """
    clock, pace = probe.clock, probe.pace
    if not is_public(target):
        return _by_platform(target, expected, probe)
    with probe.session or open_session() as asking:
        since = clock.now()
        answer, names_it = _in_a_row(target, expected, asking, probe)
        proven = (_proven if names_it else _reachable)(target, expected, probe, answer)
        woke = _cold_start(target, pace, (clock.now() - since).total_seconds())
        evidence = [*woke, *_smoke(target, expected, asking, probe), *look_at_certificate(answer, clock.now())]
        evidence += look_at_health(answer)
        evidence += _processes(target, expected, asking, probe, answer) if names_it else ()
        proven = msgspec.structs.replace(proven, evidence=tuple(evidence))
        proven = _with_page(target, expected, asking, proven, probe)
        if target.kind is Kind.STATIC:
            return proven
        if pace.bake > 0:
            _bake(target, expected, asking, probe)
        _require_no_failure(target, probe, since, pace.bake)
        stayed = f" · well for {pace.bake:.0f} s" if pace.bake > 0 else ""
        return msgspec.structs.replace(proven, text=proven.text + stayed)


def _cold(target: Target, pace: Pace) -> float:
    """Tell how many seconds a service may take to wake up.

    Of another plan than the free one none sleeps.
    """
    return pace.cold if target.plan == FREE and target.kind is Kind.WEB else 0.0


def _cold_start(target: Target, pace: Pace, took: float) -> Iterator[Evidence]:
    usual = pace.grace + pace.times * pace.every + 1
    if _cold(target, pace) and took > usual:
        text = (
            f"proven after {took:.0f} s: the free plan puts a service to sleep, and {pace.cold:.0f} s are for waking up"
        )
        yield Evidence(probe="cold start", judgement=Judgement.NOTE, text=text)


def _smoke(target: Target, expected: Expected, session: http.Session, probe: Probe) -> list[Evidence]:
    """Ask what the team has declared, and gather what was seen.

    Raises:
        VerificationFailed: one of them has failed, and the release is the one that they were declared for.
    """
    pace = probe.pace
    asking = smoke.Asking(session, probe.clock, probe.secret, pace.every, max(pace.within, ANSWER_WITHIN))
    seen: list[Evidence] = []
    for evidence in smoke.ask_all(target, expected.smoke, asking):
        seen.append(evidence)
        probe.progress(target.name, evidence.text)
    failed = [one for one in seen if one.judgement is Judgement.FAIL]
    if not failed:
        return seen
    _require_ours(target, expected, probe)
    if expected.back:
        warn = {Judgement.FAIL: Judgement.WARN}
        return [msgspec.structs.replace(one, judgement=warn.get(one.judgement, one.judgement)) for one in seen]
    raise VerificationFailed(
        f"{target.name} fails {len(failed)} of {len(seen)} smoke requests: {failed[0].text}",
        details=tuple(f"{one.judgement}  {one.text}" for one in seen),
        remedy="see its log (inv logs), correct it or what the settings expect, commit, inv deploy",
        service=target.name,
    )


def _processes(
    target: Target, expected: Expected, session: http.Session, probe: Probe, answer: http.Answer
) -> Iterator[Evidence]:
    """Gather what the answers and the platform tell of the processes."""
    client, service = probe.client, target.service_id
    yield from look_at_instances(
        answer,
        expected.commit,
        ask=lambda: ask(session, url_of(target))[0],
        running=lambda: _told(lambda: len(client.instances(service))) if client is not None else None,
        deadline=Deadline.after(ANSWER_WITHIN, probe.clock),
    )
    live = (lambda: _told(lambda: client.live(service))) if client is not None else (lambda: None)
    yield from look_at_uptime(answer, probe.clock.now(), live)


def _told(look: Callable[[], T]) -> T | None:
    """Ask the platform; None where it cannot be asked.

    Nothing hangs on it: it is told as not examined.
    """
    try:
        return look()
    except Interrupted:
        raise
    except DeployError:
        return None


def _wrong(target: Target, expected: Expected, answer: http.Answer | None, trouble: str) -> str:
    """Say why an answer is none of a release that serves.

    Empty where it is.

    At a health path only a 2xx is well. Where nobody has named one, the root may be for nobody, or behind a password: no
    answer and a 5xx are wrong anywhere, and a 4xx is where there was a page before. Who asks too often (429) is answered.
    """
    if answer is None:
        return trouble
    status, before = answer.status, expected.before
    text = f"status {status}{_explain(answer)}"
    if answer.ok or status == TOO_OFTEN:
        return ""
    if status >= SERVER_ERROR:
        return text
    if before and is_same_kind(status, before):
        return ""
    if has_path(target):
        return text
    if status < CLIENT_ERROR or not GOOD <= before < CLIENT_ERROR:
        return ""
    return f"{text}, and it was {before} before this release"


def _in_a_row(target: Target, expected: Expected, session: http.Session, probe: Probe) -> tuple[http.Answer, bool]:
    """Count good answers; the last, and whether it names the commit.

    Else it names none, or one that proves nothing.
    """
    clock, pace = probe.clock, probe.pace
    cold = _cold(target, pace)
    began, deadline = clock.monotonic(), Deadline.after(pace.within + cold, clock)
    url = url_of(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    good = anonymous = 0
    seen_so_far, odd = "no answer yet", set[str]()
    trouble = Trouble.UNREACHABLE
    while True:
        answer, why = ask(session, url)
        served = identity_of(answer) if answer is not None and answer.ok else ""
        if answer is None or (wrong := _wrong(target, expected, answer, why)):
            elapsed = clock.monotonic() - began
            window.append(elapsed <= pace.grace or (elapsed <= cold and _is_asleep(answer)))
            good = anonymous = 0
            seen_so_far = why if answer is None else wrong
            trouble = Trouble.UNREACHABLE if answer is None else Trouble.UNHEALTHY
        elif not served:
            window.append(True)
            good, anonymous = 0, anonymous + 1
            seen_so_far, trouble = "it answers, and names no commit", Trouble.UNDECIDED
        elif not expected.commit.startswith(served):
            window.append(True)
            good = 0
            anonymous = anonymous + 1 if expected.misnamed else 0
            seen_so_far, trouble = f"it still serves {served[:7]}", Trouble.WRONG_VERSION
            if not expected.previous.startswith(served):
                seen_so_far = _odd_name(target, expected, served, probe, odd)
        elif expected.revision and (seen := _revision(answer)) and seen != expected.revision:
            window.append(True)
            good = anonymous = 0
            seen_so_far, trouble = f"its database is at schema {seen}, not {expected.revision}", Trouble.WRONG_VERSION
        else:
            window.append(True)
            good, anonymous = good + 1, 0
            seen_so_far, trouble = f"{good} of {pace.times} good answers", Trouble.UNDECIDED
        probe.progress(target.name, seen_so_far)
        if answer is not None and max(good, anonymous) >= pace.times:
            return answer, good >= pace.times
        elapsed = clock.monotonic() - began
        if window.count(False) >= BAD_OF_LAST[0] or deadline.has_passed():
            _require_ours(target, expected, probe)
            raise VerificationFailed(
                f"{target.name} {trouble} at {place_of(target)}, asked for {elapsed:.0f} s: {seen_so_far}",
                remedy=_remedy(target, answer),
                service=target.name,
            )
        clock.sleep(pace.every)


def _is_asleep(answer: http.Answer | None) -> bool:
    """Tell whether the edge says so in the place of a program.

    A health answer is the program's own: it is awake.
    """
    return answer is None or (answer.status in ASLEEP and "json" not in answer.content_type)


def _remedy(target: Target, answer: http.Answer | None) -> str:
    if answer is None or not CLIENT_ERROR <= answer.status < SERVER_ERROR:
        return "see its log (inv logs), correct it, commit, inv deploy"
    if target.kind is Kind.STATIC:
        return "see what the build puts into its publish path (staticPublishPath), correct it, commit, inv deploy"
    if has_path(target):
        return "see its log (inv logs), correct it, commit, inv deploy"
    return "correct it; or, if that is meant, name a path that answers well: healthCheckPath in the Blueprint; then inv deploy"


def _odd_name(target: Target, expected: Expected, served: str, probe: Probe, seen: set[str]) -> str:
    """Explain a name that is neither the old nor the new.

    It is of a cache, or wrong, or somebody else's deploy.
    """
    if served not in seen:  # whose it is, only the platform knows
        _require_ours(target, expected, probe)
        seen.add(served)
    return f"it names {served[:7]}, which is neither the commit before nor ours"


def _require_ours(target: Target, expected: Expected, probe: Probe) -> None:
    """See that the platform says that what we wait for is live.

    Only then is it at fault.

    Raises:
        ForeignDeploy: something else is.
        Unreachable: the platform cannot be asked.
    """
    live = probe.client.live(target.service_id) if probe.client is not None else None
    if live is not None and live.commit and live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} serves {live.commit[:7]} ({live.id}), by the platform's word, and not {expected.commit[:7]}",
            remedy="somebody else deploys here: inv status, then agree on who does",
            service=target.name,
            commit=live.commit,
        )


def _bake(target: Target, expected: Expected, session: http.Session, probe: Probe) -> None:
    """Go on asking for a while.

    A single bad answer is forgiven, three of the last five are not.
    """
    clock, pace = probe.clock, probe.pace
    url = url_of(target)
    window: deque[bool] = deque(maxlen=BAD_OF_LAST[1])
    deadline = Deadline.after(pace.bake, clock)
    while not deadline.has_passed():
        answer, trouble = ask(session, url)
        wrong = _wrong(target, expected, answer, trouble)
        window.append(not wrong)
        if window.count(False) >= BAD_OF_LAST[0]:
            raise VerificationFailed(
                f"{target.name} was well at first, and then: {wrong or 'bad answers'}",
                remedy="see its log (inv logs), correct it, commit, inv deploy",
                service=target.name,
            )
        probe.progress(target.name, f"well; asked for another {deadline.left:.0f} s")
        clock.sleep(pace.every)


def _require_no_failure(target: Target, probe: Probe, since: datetime, lasted: float) -> None:
    """See that no instance has failed meanwhile.

    The platform restarts them quickly enough to be missed from outside.
    """
    if probe.client is not None and (failures := probe.client.server_failures(target.service_id, since)):
        raise VerificationFailed(
            f"{target.name}: its program failed {failures} times within {lasted:.0f} s of going live",
            remedy="see its log (inv logs), correct it, commit, inv deploy",
            service=target.name,
        )


def _explain(answer: http.Answer) -> str:
    """Name the failing check of a health answer."""
    failing = find_checks(answer, "fail")
    return f" ({failing[0]})" if failing else ""


def _proven(target: Target, expected: Expected, probe: Probe, answer: http.Answer) -> Verified:
    seen, times = _revision(answer), probe.pace.times
    schema = f" · schema {seen}" if seen else ""
    text = f"answers {expected.commit[:7]} {times}/{times}{schema}"
    if target.kind is Kind.STATIC:
        text = f"names {expected.commit[:7]}"
    return Verified(service=target.name, proof=Proof.COMMIT, text=text)


def _live(target: Target, client: Client) -> Deploy:
    """Ask which deploy the platform calls live.

    Raises:
        Contradiction: nothing, although a deploy has gone live before it is verified.
    """
    live = client.live(target.service_id)
    if live is None:
        raise Contradiction(
            f"{target.name}: the platform says that nothing is live",
            remedy=f"see the service ({target.dashboard_url or 'in the Render Dashboard'}): is it suspended?",
            service=target.name,
        )
    return live


def _reachable(target: Target, expected: Expected, probe: Probe, answer: http.Answer) -> Verified:
    if probe.client is None:
        raise VerificationFailed(
            f"{target.name} answers at {place_of(target)}, and names no commit",
            details=WEB_ADVICE,
            remedy="let it name its commit, as above, and verify again",
            service=target.name,
        )
    live = _live(target, probe.client)
    if live.commit and live.commit != expected.commit:
        raise ForeignDeploy(
            f"{target.name} answers, but the platform says that {live.commit[:7]} is live",
            remedy="inv status shows what is live",
            service=target.name,
        )
    advice = STATIC_ADVICE if target.kind is Kind.STATIC else WEB_ADVICE
    status = 0 if answer.ok else answer.status
    how, notes = (str(status), _remarked(target, expected, status)) if status else ("well", ())
    if not live.commit:
        return Verified(
            service=target.name, proof=Proof.PLATFORM, text=f"answers {how}; {UNNAMED}", advice=advice, notes=notes
        )
    text = f"answers {how}; the platform says {expected.commit[:7]} is live"
    if expected.misnamed:
        text = f"{text}; the commit that it names was wrong before as well, and proves nothing"
    return Verified(service=target.name, proof=Proof.REACHABLE, text=text, advice=advice, notes=notes, answered=status)


def _remarked(target: Target, expected: Expected, status: int) -> tuple[str, ...]:
    """Remark on an answer that is neither good nor bad."""
    where = place_of(target)
    as_before = ", as before" if expected.before and is_same_kind(status, expected.before) else ""
    if status == TOO_OFTEN:
        return (f"{where} answers {status}: it is asked too often, so that nothing is known of its answers",)
    if status < CLIENT_ERROR:
        return (f"{where} leads elsewhere ({status}){as_before}",)
    step = "see its publish path" if target.kind is Kind.STATIC else "a health path would tell more"
    return (f"{where} answers {status}{as_before}: {step}",)


def _by_platform(target: Target, expected: Expected, probe: Probe) -> Verified:
    """Prove by the platform's own view over a while, without an address."""
    clock, pace = probe.clock, probe.pace
    if probe.client is None:
        raise VerificationFailed(
            f"{target.name} has no public address to ask",
            remedy="ask the platform: verify it with a client",
            service=target.name,
        )
    since, deadline = clock.now(), Deadline.after(pace.settle, clock)
    while True:
        live = _live(target, probe.client)
        if live.commit and live.commit != expected.commit:
            raise ForeignDeploy(
                f"{target.name}: {live.commit[:7]} is live, not {expected.commit[:7]}",
                remedy="inv status shows what is live",
                service=target.name,
            )
        if target.kind is not Kind.CRON:
            _require_no_failure(target, probe, since, pace.settle)
        if target.kind is Kind.CRON or deadline.has_passed():
            break
        probe.progress(target.name, "live; watching that it stays up")
        clock.sleep(min(5.0, pace.settle / 3))
    stayed = "runs at its times" if target.kind is Kind.CRON else f"no failure for {pace.settle:.0f} s"
    text = f"live at {expected.commit[:7]}; {stayed}" if live.commit else f"{UNNAMED}; {stayed}"
    return Verified(service=target.name, proof=Proof.PLATFORM, text=text)


def _revision(answer: http.Answer) -> str:
    """Read the schema revision in the check ``database:revision`` of an answer."""
    body: Any = answer.json()
    try:
        seen = str(body["checks"]["database:revision"][0]["observedValue"] or "")
    except (KeyError, IndexError, TypeError):
        return ""
    return ",".join(sorted(re.findall(r"[^,\s]+", seen)))  # several, where the migrations have branches


def _with_page(target: Target, expected: Expected, session: http.Session, proven: Verified, probe: Probe) -> Verified:
    """Read the root page of an address with all it loads.

    A static site is its page, so that a missing script or style decides. Nobody has promised a page of a program, nor
    knows whether it was whole before: there it warns.
    """
    address, static = target.url + "/", target.kind is Kind.STATIC
    deadline = Deadline.after(max(probe.pace.within, ANSWER_WITHIN) if static else ANSWER_WITHIN, probe.clock)
    page, trouble = ask(session, address)
    if page is None and static:
        raise VerificationFailed(f"{target.name}: {trouble}", remedy="inv verify", service=target.name)
    if page is None or not page.ok or not (static or page.content_type == "text/html"):
        return proven

    def ask_file(url: str) -> tuple[http.Answer | None, str]:
        return ask(session, url, http.ASSET)

    seen = assets.look(page, address, ask=ask_file, clock=probe.clock, every=probe.pace.every, deadline=deadline)
    if seen.missing and static:
        raise VerificationFailed(
            f"{target.name}: {seen.missing}",
            remedy="see what the build puts into its publish path, correct it, commit, inv deploy",
            service=target.name,
        )
    evidence = [
        *proven.evidence,
        *seen.evidence,
        *look_at_caching(page),
        *assets.look_at_made_up(page, address, expected.commit, ask_file),
        *(() if deadline.has_passed() else assets.look_at_earlier(expected.loaded, ask_file)),
    ]
    text, notes = proven.text + (seen.text if static else ""), (*proven.notes, *seen.notes)
    return msgspec.structs.replace(proven, text=text, notes=notes, evidence=tuple(evidence))
