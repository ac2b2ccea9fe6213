"""How long a browser may keep a page.

A page names the files of its build, and so must not be an old one.
"""

from __future__ import annotations

import re

from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.units import age
from deploylib.system import http

__all__ = ["look_at_caching"]

REMEDY = "send Cache-Control: no-cache with pages (headers in the Blueprint)"


def look_at_caching(page: http.Answer) -> tuple[Evidence, ...]:
    """See that browsers ask again for a page before they show it.

    RFC 9111, sections 4.2 and 5.2.2. What a cache of the platform may keep (``s-maxage``) is the platform's to throw away when it deploys.
    """
    rules = [each.strip().lower() for each in page.headers.get("cache-control", "").split(",")]
    if {"no-cache", "no-store"} & {rule.partition("=")[0] for rule in rules}:
        return (_seen(Judgement.PASS, "the page is asked for again each time"),)
    kept = next((rule for rule in rules if rule.startswith("max-age=")), "")
    if not kept:
        return (_seen(Judgement.WARN, f"a browser may keep the page as long as it likes: {REMEDY}"),)
    match = re.fullmatch(r"max-age=\"?(\d{1,12})\"?", kept)
    if match is None or int(match[1]) == 0:  # what cannot be read counts as stale (4.2.1)
        return (_seen(Judgement.PASS, "the page is asked for again each time"),)
    return (_seen(Judgement.WARN, f"a browser may show an old page for {age(int(match[1]))}: {REMEDY}"),)


def _seen(judgement: Judgement, text: str) -> Evidence:
    return Evidence(probe="caching", judgement=judgement, text=text)
