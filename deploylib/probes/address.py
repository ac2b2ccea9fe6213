"""The public address of a service.

Where it is asked, and what it answers at this moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploylib.models import Kind, Target, Value
from deploylib.probes.page import Page
from deploylib.system import http

__all__ = [
    "GOOD",
    "Observed",
    "ask",
    "comparable_status",
    "has_path",
    "identity_of",
    "is_public",
    "is_same_kind",
    "observe",
    "open_session",
    "path_of",
    "place_of",
    "url_of",
]

GOOD = 200
IDENTITY_KEYS = ("releaseId", "release", "commit", "sha")
COMMIT, FULL_COMMIT = re.compile(r"[0-9a-f]{7,40}"), re.compile(r"[0-9a-f]{40}")
UNCACHED = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
KEPT = 20
ANSWER_WITHIN = 15.0  # seconds for a whole answer: one that drips must not outlive the verification


def open_session() -> http.Session:
    """Open the connections that an address is asked on."""
    return http.Session(timeout=5.0, within=ANSWER_WITHIN)


def is_public(target: Target) -> bool:
    """Tell whether the service has an address that anybody may ask."""
    return bool(target.url) and target.kind in {Kind.WEB, Kind.STATIC}


def path_of(target: Target) -> str:
    """Find the path at which a service is asked.

    The one that somebody has named, or its root.

    A path without its slash would be taken for a part of the host's name, and asked of another host.
    """
    return "/" + (target.identity_path or target.health_path).removeprefix("/")


def place_of(target: Target) -> str:
    """Name that path without its query, which may be a secret."""
    return path_of(target).partition("?")[0]


def url_of(target: Target) -> str:
    """Join the whole address that is asked."""
    return target.url + path_of(target)


def has_path(target: Target) -> bool:
    """Tell whether it is known where the service says it is well.

    The page of a static site says nothing of it.
    """
    return target.kind is Kind.WEB and bool(target.identity_path or target.health_path)


class Observed(Value, frozen=True):
    """What an address gave at a moment.

    Attributes:
        commit: that it named; empty where it named none, or did not answer well.
        status: 0 where there was no answer.
        loaded: the scripts and styles of its own that its page named; at most `KEPT`.
    """

    commit: str = ""
    status: int = 0
    loaded: tuple[str, ...] = ()


def observe(target: Target, session: http.Session | None = None) -> Observed:
    """Ask what the public address gives at this moment."""
    if not is_public(target):
        return Observed()
    with session or open_session() as asking:
        answer, _ = ask(asking, url_of(target))
    if answer is None or not answer.ok:
        return Observed(status=answer.status if answer else 0)
    own = Page.of(answer).own if answer.content_type == "text/html" else ()
    return Observed(commit=identity_of(answer), status=answer.status, loaded=tuple(each.url for each in own)[:KEPT])


def ask(session: http.Session, url: str, limit: http.Limit = http.PAGE) -> tuple[http.Answer | None, str]:
    """Ask an address once; give its answer, or why there is none."""
    try:
        return session.request("GET", url, headers=UNCACHED, limit=limit), ""
    except http.HttpError as error:
        return None, f"no answer ({error})"


def identity_of(answer: http.Answer) -> str:
    """Read the commit that an answer names, full or short.

    Empty where it names none.
    """
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


def comparable_status(target: Target, answered: int, asked: Mapping[str, str]) -> int:
    """Give the status before, if asked at the same path.

    Who takes a health path away has promised nothing of the root, whatever the release before answered there.

    Args:
        asked: the path at which each service of the release before was asked, by name.
    """
    return answered if asked.get(target.name, path_of(target)) == path_of(target) else 0


def is_same_kind(status: int, before: int) -> bool:
    """Tell whether an address answers as before.

    Refused as it was refused, or led elsewhere as it was.
    """
    return status // 100 == before // 100
