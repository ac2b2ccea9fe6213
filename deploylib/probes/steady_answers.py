"""Good answers in a row, by which an address proves itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum

from deploylib.errors import VerificationFailed
from deploylib.models import Kind, Target
from deploylib.models.evidence import Evidence, Judgement
from deploylib.probes.address import GOOD, ask, has_path, identity_of, is_same_kind, place_of, url_of
from deploylib.probes.expectation import Expected, Pace, Probe
from deploylib.probes.health_answer import explain_failing, read_revision
from deploylib.probes.platform_word import require_ours
from deploylib.system import Deadline, http

__all__ = ["CLIENT_ERROR", "TOO_OFTEN", "bake", "note_cold_start", "prove_in_a_row"]

BAD_OF_LAST = (3, 5)
CLIENT_ERROR, TOO_OFTEN, SERVER_ERROR = 400, 429, 500
FREE = "free"
ASLEEP = {502, 503, 504}  # of the edge, while it wakes a program


class Trouble(StrEnum):
    """How an address has failed to prove itself.

    Three failures, which a person mends in three places; or answers that prove nothing either way.
    """

    UNREACHABLE = "is unreachable"
    UNHEALTHY = "is unhealthy"
    WRONG_VERSION = "serves the wrong version"
    UNDECIDED = "did not prove itself"


def prove_in_a_row(target: Target, expected: Expected, session: http.Session, probe: Probe) -> tuple[http.Answer, bool]:
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
        elif expected.revision and (seen := read_revision(answer)) and seen != expected.revision:
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
            require_ours(target, expected, probe)
            raise VerificationFailed(
                f"{target.name} {trouble} at {place_of(target)}, asked for {elapsed:.0f} s: {seen_so_far}",
                remedy=_remedy(target, answer),
                service=target.name,
            )
        clock.sleep(pace.every)


def bake(target: Target, expected: Expected, session: http.Session, probe: Probe) -> None:
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


def note_cold_start(target: Target, pace: Pace, took: float) -> Iterator[Evidence]:
    """Note a proof that has taken as long as waking up does."""
    usual = pace.grace + pace.times * pace.every + 1
    if _cold(target, pace) and took > usual:
        text = (
            f"proven after {took:.0f} s: the free plan puts a service to sleep, and {pace.cold:.0f} s are for waking up"
        )
        yield Evidence(probe="cold start", judgement=Judgement.NOTE, text=text)


def _cold(target: Target, pace: Pace) -> float:
    """Tell how many seconds a service may take to wake up.

    Of another plan than the free one none sleeps.
    """
    return pace.cold if target.plan == FREE and target.kind is Kind.WEB else 0.0


def _wrong(target: Target, expected: Expected, answer: http.Answer | None, trouble: str) -> str:
    """Say why an answer is none of a release that serves.

    Empty where it is.

    At a health path only a 2xx is well. Where nobody has named one, the root may be for nobody, or behind a password: no
    answer and a 5xx are wrong anywhere, and a 4xx is where there was a page before. Who asks too often (429) is answered.
    """
    if answer is None:
        return trouble
    status, before = answer.status, expected.before
    text = f"status {status}{explain_failing(answer)}"
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
        require_ours(target, expected, probe)
        seen.add(served)
    return f"it names {served[:7]}, which is neither the commit before nor ours"
