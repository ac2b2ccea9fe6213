"""The requests that a team declares: each decides over a release.

So one bad answer of a read decides nothing. They are asked of the service's own host once it has proven itself, so that a cold start is over by then. No redirect is
followed, and nothing of an answer is told but its status, how long it took, and what kinds of values its JSON has where others are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from deploylib.models import Secret, Target
from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.smoke import SmokeRequest
from deploylib.models.units import count, seconds
from deploylib.system import Clock, Deadline, http

__all__ = ["Asking", "ask_all", "first_difference"]

READS = {"GET", "HEAD", "OPTIONS"}
TRIES = 3  # of a read; what changes something is sent once
TOO_OFTEN = 429
NOT_SET = "is not set, or can be no header"


class Asking(msgspec.Struct, frozen=True):
    """What smoke requests are asked with.

    Attributes:
        secret: gives the value of a variable; None where it is not set.
        every: seconds between two tries.
        within: seconds for all of them: those that nobody has asked by then are not examined.
    """

    session: http.Session
    clock: Clock
    secret: Callable[[str], Secret | None]
    every: float = 1.0
    within: float = 90.0


def ask_all(target: Target, requests: Sequence[SmokeRequest], asking: Asking) -> Iterator[Evidence]:
    """Ask all of them in their order, also after one has failed."""
    deadline = Deadline.after(asking.within, asking.clock)
    for request in requests:
        if deadline.has_passed():
            yield _seen(request, Judgement.UNKNOWN, f"no time was left after {asking.within:.0f} s")
        else:
            yield _ask(target, request, asking, deadline)


def _seen(request: SmokeRequest, judgement: Judgement, text: str) -> Evidence:
    return Evidence(probe="smoke", judgement=judgement, text=f"{request.name}: {text}")


def _ask(target: Target, request: SmokeRequest, asking: Asking, deadline: Deadline) -> Evidence:
    """Ask once, and a read again where its answer is wrong."""
    headers = dict(request.send)
    for name, variable in request.send_env.items():
        value = asking.secret(variable)
        if value is None or not (value.reveal().isascii() and value.reveal().isprintable()):
            return _seen(request, Judgement.UNKNOWN, f"{variable} {NOT_SET}")
        headers[name] = value.reveal()
    wrong, judgement = "", Judgement.FAIL
    for left in reversed(range(TRIES)):
        began = asking.clock.monotonic()
        unsent = False
        try:
            answer = _send(target, request, asking.session, headers)
        except http.HttpError as error:
            unsent = isinstance(error, http.NotSent)
            wrong, judgement = f"no answer ({error})", Judgement.FAIL
        else:
            took = asking.clock.monotonic() - began
            wrong = _wrong(request, answer, took)
            if not wrong:
                return _seen(request, Judgement.PASS, f"{answer.status} in {took * 1000:.0f} ms")
            judgement = Judgement.UNKNOWN if answer.status == TOO_OFTEN else Judgement.FAIL
        if not left or deadline.has_passed() or not (unsent or request.method in READS):
            break
        asking.clock.sleep(asking.every)
    return _seen(request, judgement, wrong)


def _send(target: Target, request: SmokeRequest, session: http.Session, headers: dict[str, str]) -> http.Answer:
    text = request.body.encode() if isinstance(request.body, str) else None
    value = None if text is not None else request.body
    url = target.url + request.path
    return session.request(request.method, url, json=value, content=text, headers=headers, limit=http.PAGE)


def _wrong(request: SmokeRequest, answer: http.Answer, took: float) -> str:
    """Say what is wrong with an answer; empty: nothing."""
    if answer.status != request.status:
        return f"status {answer.status}, not {request.status}"
    for name, part in request.header.items():
        if part.lower() not in answer.headers.get(name, "").lower() or name not in answer.headers:
            return f"its header {name} does not hold {part!r}"
    if request.contains and request.contains.encode() not in answer.body:
        return f"it does not hold {request.contains!r}"
    if request.json is not None:
        given = answer.json()
        if given is None:
            return "it is no JSON"
        if (difference := first_difference(request.json, given)) is not None:
            return f"its JSON is another at {difference}"
    if request.under and took > (limit := seconds(request.under)):
        return f"it took {took * 1000:.0f} ms, more than {limit * 1000:.0f} ms"
    return ""


def first_difference(wanted: Any, given: Any, where: str = "") -> str | None:
    """Find where a JSON value lacks what is wanted.

    And how, as ``items.0.name: a number, not a text``, which gives nothing of the answer away but kinds and counts; None: it has all of it.
    Of an object the wanted keys are compared; a list holds each wanted item, in their order, and may hold others. true is no 1.
    """
    plain = msgspec.to_builtins(wanted)  # TOML knows dates, JSON writes them as text
    if _kind(plain) != _kind(given):
        how = "not there" if given is msgspec.UNSET else f"{_kind(given)}, not {_kind(plain)}"
        return f"{where or 'the top'}: {how}"
    if isinstance(plain, dict):
        pairs = [(key, value, given.get(key, msgspec.UNSET)) for key, value in plain.items()]
    elif isinstance(plain, list) and len(plain) == len(given):  # then there is one item that each could be
        pairs = [(str(at), *both) for at, both in enumerate(zip(plain, given, strict=True))]
    elif isinstance(plain, list):
        return _first_missing(plain, given, where)
    elif isinstance(plain, bool):
        return None if plain == given else f"{where}: not {str(plain).lower()}"
    else:
        return None if plain == given else f"{where or 'the top'}: another {_kind(plain).removeprefix('a ')}"
    differences = (first_difference(value, there, f"{where}.{key}".lstrip(".")) for key, value, there in pairs)
    return next((each for each in differences if each is not None), None)


def _first_missing(wanted: Sequence[Any], given: Sequence[Any], where: str) -> str | None:
    """Find the first wanted item that a list does not hold."""
    if len(given) < len(wanted):
        return f"{where or 'the top'}: {count(len(given), 'item')}, not {len(wanted)}"
    left = iter(given)
    for at, item in enumerate(wanted):
        if all(first_difference(item, there) is not None for there in left):
            order = ", in this order" if at else ""
            return f"{f'{where}.{at}'.lstrip('.')}: in none of the {len(given)} items{order}"
    return None


def _kind(value: Any) -> str:
    """Name what a JSON value is, and nothing of it."""
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "null")
