"""The certificate of an address: how long it lasts."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.units import count
from deploylib.system import http

__all__ = ["DAYS", "look_at_certificate"]

DAYS = 14  # Render renews a month before the end: what has less left is not being renewed


def look_at_certificate(answer: http.Answer, now: datetime) -> tuple[Evidence, ...]:
    """Tell how many days the certificate of an answer has left.

    Of plain HTTP there is none to tell of.
    """
    if urlsplit(answer.url).scheme != "https":
        return ()
    if answer.expires is None:
        return (_seen(Judgement.UNKNOWN, "the connection does not tell of it"),)
    left = (answer.expires - now).days
    lasts = f"{count(left, 'day')} left"
    if left >= DAYS:
        return (_seen(Judgement.PASS, lasts),)
    return (_seen(Judgement.WARN, f"{lasts}: see the domain in the Render Dashboard, it should have been renewed"),)


def _seen(judgement: Judgement, text: str) -> Evidence:
    return Evidence(probe="certificate", judgement=judgement, text=text)
