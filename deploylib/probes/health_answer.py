"""Read a health answer: ``application/health+json`` of draft-inadarei-api-health-check."""

from __future__ import annotations

import re
from typing import Any

from deploylib.models.evidence import Evidence, Judgement
from deploylib.system import http

__all__ = ["explain_failing", "find_checks", "look_at_health", "read_revision"]

WORDS = {"pass": "pass", "ok": "pass", "up": "pass", "warn": "warn", "fail": "fail", "error": "fail", "down": "fail"}


def find_checks(answer: http.Answer, status: str) -> list[str]:
    """Find the checks of an answer, by name and code only."""
    body = answer.json()
    checks = body.get("checks") if isinstance(body, dict) else None
    return [
        f"{name}: {item.get('code') or status}"
        for name, items in (checks.items() if isinstance(checks, dict) else ())
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("status") == status
    ]


def look_at_health(answer: http.Answer) -> tuple[Evidence, ...]:
    """Tell what a good answer says of the service's own health.

    A 2xx that says *fail* is healthy by Render's measure and ours, so that it only warns.
    """
    body = answer.json()
    status = WORDS.get(str(body.get("status")).lower(), "") if isinstance(body, dict) else ""
    if not status:
        return ()
    checks = find_checks(answer, status)
    if status == "pass":
        return (Evidence(probe="health", judgement=Judgement.PASS, text="it says pass"),)
    text = f"it says {status}{f' ({checks[0]})' if checks else ''}"
    return (Evidence(probe="health", judgement=Judgement.WARN, text=text),)


def explain_failing(answer: http.Answer) -> str:
    """Name the failing check of a health answer."""
    failing = find_checks(answer, "fail")
    return f" ({failing[0]})" if failing else ""


def read_revision(answer: http.Answer) -> str:
    """Read the schema revision in the check ``database:revision`` of an answer."""
    body: Any = answer.json()
    try:
        seen = str(body["checks"]["database:revision"][0]["observedValue"] or "")
    except (KeyError, IndexError, TypeError):
        return ""
    return ",".join(sorted(re.findall(r"[^,\s]+", seen)))  # several, where the migrations have branches
