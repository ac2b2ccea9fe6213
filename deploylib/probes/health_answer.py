"""Read a health answer: ``application/health+json`` of draft-inadarei-api-health-check."""

from __future__ import annotations

from deploylib.models.evidence import Evidence, Judgement
from deploylib.system import http

__all__ = ["find_checks", "look_at_health"]

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
