"""The processes behind an address, as far as their answers tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from deploylib.models import Deploy
from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.units import age, count
from deploylib.probes.address import identity_of
from deploylib.system import Deadline, http

__all__ = ["look_at_instances", "look_at_uptime"]

ASKED = 8  # times the number of instances: of ten, one is missed by eighty answers in one of 500 times
SLACK = 60.0  # seconds: two machines do not have the same time
LONGEST = 100  # characters of a name that is one


def look_at_instances(
    answer: http.Answer,
    commit: str,
    *,
    ask: Callable[[], http.Answer | None],
    running: Callable[[], int | None],
    deadline: Deadline,
) -> tuple[Evidence, ...]:
    """See that every instance that runs has answered, and with the commit.

    Args:
        answer: the one that has proven the commit.
        ask: asks the same once more.
        running: how many instances the platform says there are; None: it does not say.
    """
    first = _instance_of(answer)
    if first is None:
        return ()
    there = running()
    if not there:
        return (_seen(Judgement.UNKNOWN, "the platform does not say how many there are"),)
    if not first and there > 1:
        return (_seen(Judgement.UNKNOWN, f"which of {there} answers is not told: name RENDER_INSTANCE_ID as instance"),)
    names = {first}
    for _ in range(ASKED * there):
        if len(names) >= there or deadline.has_passed():
            break
        other = ask()
        if other is None or not (name := _instance_of(other)):
            continue
        if not commit.startswith(identity_of(other) or "?"):
            return (_seen(Judgement.WARN, "one of them still answers for another commit"),)
        names.add(name)
    if len(names) < there:
        return (_seen(Judgement.UNKNOWN, f"{len(names)} of {there} have answered"),)
    return (_seen(Judgement.PASS, f"{count(len(names), 'instance')}, all answer {commit[:7]}"),)


def look_at_uptime(answer: http.Answer, now: datetime, live: Callable[[], Deploy | None]) -> tuple[Evidence, ...]:
    """See that the process is younger than its deploy.

    Only where its answer tells how long it runs.
    """
    body = answer.json()
    if not isinstance(body, dict) or "uptimeSeconds" not in body:
        return ()
    uptime = body["uptimeSeconds"]
    if isinstance(uptime, bool) or not isinstance(uptime, int | float) or not (0 <= uptime < math.inf):
        return (Evidence(probe="uptime", judgement=Judgement.UNKNOWN, text="uptimeSeconds is no number of seconds"),)
    deploy = live()
    if deploy is None or deploy.created_at is None:
        text = "the platform does not say since when its deploy is there"
        return (Evidence(probe="uptime", judgement=Judgement.UNKNOWN, text=text),)
    since = (now - deploy.created_at).total_seconds()
    if uptime <= since + SLACK:
        return (Evidence(probe="uptime", judgement=Judgement.PASS, text=f"{age(uptime)}, younger than its deploy"),)
    text = f"{age(uptime)}, and its deploy is {age(since)} old: a process of before answers"
    return (Evidence(probe="uptime", judgement=Judgement.WARN, text=text),)


def _instance_of(answer: http.Answer) -> str | None:
    """Read the instance that an answer names; empty: it names none.

    None of what is no health answer at all.
    """
    body = answer.json()
    if not isinstance(body, dict):
        return None
    name = body.get("instance")
    return name if isinstance(name, str) and len(name) <= LONGEST else ""


def _seen(judgement: Judgement, text: str) -> Evidence:
    return Evidence(probe="instances", judgement=judgement, text=text)
