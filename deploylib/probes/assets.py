"""Every file that a page loads must be there, and be what its name says; without a picture a page is still one."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from deploylib.probes.page import Asset, Page
from deploylib.system import Clock, Deadline, http

__all__ = ["Ask", "Seen", "look"]

Ask = Callable[[str], tuple[http.Answer | None, str]]
TRIES, HOPS = 3, 5
TOO_OFTEN = 429
NOTES = 5  # pictures that are named


class Seen:
    """What became of the assets of a page.

    Attributes:
        missing: the first that decides and is not there, in words; empty: none.
        notes: pictures that are not there, in words.
        asked: how many were asked for, of how many.
    """

    def __init__(self, of: int) -> None:
        self.missing = ""
        self.notes: list[str] = []
        self.asked, self.of = 0, of

    @property
    def text(self) -> str:
        """How many of them were seen; empty of a page that loads nothing."""
        return f" · {self.asked} of {self.of} assets" if self.of else ""


def look(page: http.Answer, url: str, *, ask: Ask, clock: Clock, every: float, deadline: Deadline) -> Seen:
    """Ask for every asset that the page at *url* names.

    Of very many, as many as there is time for: those that nobody has asked for are no failure, and not counted as seen.

    Args:
        ask: asks an address, once.
        every: seconds between two tries: one bad answer decides nothing.
    """
    found = list(Page.of(page, url).assets.values())
    seen = Seen(len(found))
    for asset in found:
        if deadline.has_passed():
            break
        seen.asked += 1
        if urlsplit(asset.url).netloc != urlsplit(url).netloc:
            continue
        trouble = _trouble(asset, ask)
        for _ in range(TRIES - 1 if asset.use.decides and trouble else 0):
            clock.sleep(every)
            trouble = trouble and _trouble(asset, ask)
        if trouble and asset.use.decides:
            seen.missing = f"the page names {asset.name}, which answers {trouble}"
            break
        if trouble:
            seen.notes.append(f"the page names {asset.name}, which answers {trouble}: a {asset.use} decides nothing")
    seen.notes[NOTES:] = [f"and {len(seen.notes) - NOTES} more"] if len(seen.notes) > NOTES else []
    return seen


def _trouble(asset: Asset, ask: Ask) -> str:
    """Why an asset is not there; empty where it is, or where it is somebody else's to say."""
    url = asset.url
    for _ in range(HOPS):
        answer, trouble = ask(url)
        if answer is None:
            return trouble
        if (there := _elsewhere(url, answer)) == url:
            return _said(url, answer)
        if urlsplit(there).netloc != urlsplit(url).netloc:
            return ""
        url = there
    return "redirects without an end"


def _elsewhere(url: str, answer: http.Answer) -> str:
    """Where an answer leads; the same address where it is one itself."""
    if not 300 <= answer.status < 400:
        return url
    try:
        return urljoin(url, answer.headers.get("location", ""))
    except ValueError:
        return url


def _said(url: str, answer: http.Answer) -> str:
    if answer.status == TOO_OFTEN or (answer.ok and _fits(urlsplit(url).path, answer.content_type)):
        return ""
    return f"status {answer.status}, {answer.content_type or 'no type'}"


def _fits(path: str, content_type: str) -> bool:
    """A script must be a script and a style a style: a page in their place is the usual sign of a missing file."""
    suffix = path.rpartition(".")[2].lower()
    wanted = {"js": "javascript", "mjs": "javascript", "css": "css"}.get(suffix)
    return wanted in content_type if wanted else content_type != "text/html" or suffix in {"html", "htm"}
