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

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from deploylib.errors import DeployError, ForeignDeploy, Interrupted, VerificationFailed
from deploylib.models import Kind, Proof, Target, Verified
from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.smoke import SmokeRequest
from deploylib.probes import assets, smoke
from deploylib.probes.address import ANSWER_WITHIN, ask, is_public, is_same_kind, open_session, place_of, url_of
from deploylib.probes.caching import look_at_caching
from deploylib.probes.certificate import look_at_certificate
from deploylib.probes.expectation import PATIENT, Expected, Pace, Probe
from deploylib.probes.health_answer import look_at_health, read_revision
from deploylib.probes.instances import look_at_instances, look_at_uptime
from deploylib.probes.platform_word import UNNAMED, find_live, prove_by_platform, require_no_failure, require_ours
from deploylib.probes.steady_answers import CLIENT_ERROR, TOO_OFTEN, bake, note_cold_start, prove_in_a_row
from deploylib.system import Clock, Deadline, http

__all__ = ["verify", "verify_service"]

T = TypeVar("T")
WEB_ADVICE = (
    "to prove which commit answers, let its health path answer JSON with it:",
    '  {"status": "pass", "releaseId": <the variable RENDER_GIT_COMMIT>}',
    "  and name the path: [services.NAME] health = …, where it is not Render's health check path",
    "  or take along a file that answers so: inv local.health --write DIR",
)
STATIC_ADVICE = (
    "to prove which commit is shown, let the build put it into the page:",
    '  <meta name="release" content="<the variable RENDER_GIT_COMMIT>">',
)


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
        return prove_by_platform(target, expected, probe)
    with probe.session or open_session() as asking:
        since = clock.now()
        answer, names_it = prove_in_a_row(target, expected, asking, probe)
        proven = (_proven if names_it else _reachable)(target, expected, probe, answer)
        woke = note_cold_start(target, pace, (clock.now() - since).total_seconds())
        evidence = [*woke, *_smoke(target, expected, asking, probe), *look_at_certificate(answer, clock.now())]
        evidence += look_at_health(answer)
        evidence += _processes(target, expected, asking, probe, answer) if names_it else ()
        proven = msgspec.structs.replace(proven, evidence=tuple(evidence))
        proven = _with_page(target, expected, asking, proven, probe)
        if target.kind is Kind.STATIC:
            return proven
        if pace.bake > 0:
            bake(target, expected, asking, probe)
        require_no_failure(target, probe, since, pace.bake)
        stayed = f" · well for {pace.bake:.0f} s" if pace.bake > 0 else ""
        return msgspec.structs.replace(proven, text=proven.text + stayed)


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
    require_ours(target, expected, probe)
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


def _proven(target: Target, expected: Expected, probe: Probe, answer: http.Answer) -> Verified:
    seen, times = read_revision(answer), probe.pace.times
    schema = f" · schema {seen}" if seen else ""
    text = f"answers {expected.commit[:7]} {times}/{times}{schema}"
    if target.kind is Kind.STATIC:
        text = f"names {expected.commit[:7]}"
    return Verified(service=target.name, proof=Proof.COMMIT, text=text)


def _reachable(target: Target, expected: Expected, probe: Probe, answer: http.Answer) -> Verified:
    if probe.client is None:
        raise VerificationFailed(
            f"{target.name} answers at {place_of(target)}, and names no commit",
            details=WEB_ADVICE,
            remedy="let it name its commit, as above, and verify again",
            service=target.name,
        )
    live = find_live(target, probe.client)
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
