"""See that each file of a page is what it should be.

Without a picture a page is still one.

A missing script or style decides, because a visitor would lose the page. That a file which nobody made is answered with a
page is a warning, and what became of the files of the build before is a note: only tabs that are open ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

from deploylib.models.evidence import Evidence, Judgement
from deploylib.models.units import count
from deploylib.probes.page import Asset, Page
from deploylib.system import Clock, Deadline, http

__all__ = ["Ask", "Seen", "look", "look_at_earlier", "look_at_made_up"]

Ask = Callable[[str], tuple[http.Answer | None, str]]
TRIES, HOPS = 3, 5
TOO_OFTEN = 429
NOTES = 5  # pictures that are named
GONE = {403, 404, 410}  # 403: a bucket says so of what it does not have
TYPES = {"js": "javascript", "mjs": "javascript", "css": "css", "wasm": "wasm", "svg": "svg", "json": "json"}


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
        """How many of them were seen.

        Empty of a page that loads nothing.
        """
        return f" · {self.asked} of {self.of} assets" if self.of else ""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The assets as an observation."""
        if self.missing:
            return (_evidence("assets", Judgement.WARN, self.missing),)
        if self.asked < self.of:
            return (
                _evidence("assets", Judgement.UNKNOWN, f"no time was left for {self.of - self.asked} of {self.of}"),
            )
        return (_evidence("assets", Judgement.PASS, f"all {self.of} are there"),) if self.of and not self.notes else ()


def look(page: http.Answer, url: str, *, ask: Ask, clock: Clock, every: float, deadline: Deadline) -> Seen:
    """Ask for every asset that the page at *url* names.

    Of very many, as many as there is time for: those that nobody has asked for are no failure, and not counted as seen.

    Args:
        ask: asks an address, once.
        every: seconds between two tries: one bad answer decides nothing.
    """
    assets = list(Page.of(page, url).assets.values())
    seen = Seen(len(assets))
    for asset in assets:
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
    """Say why an asset is not there.

    Empty where it is, or where it is somebody else's to say.
    """
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
    """Say where an answer leads; else the same address."""
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
    """Tell whether a script is a script and a style a style.

    A page in their place is the usual sign of a missing file.
    """
    suffix = path.rpartition(".")[2].lower()
    wanted = TYPES.get(suffix)
    return wanted in content_type if wanted else content_type != "text/html" or suffix in {"html", "htm"}


def look_at_made_up(page: http.Answer, url: str, commit: str, ask: Ask) -> tuple[Evidence, ...]:
    """See that a file which is not there is answered as missing.

    A page in its place hides every file that is missing.
    """
    own = Page.of(page, url).own
    if not own:
        return ()
    name = f"no-such-file-{commit[:12]}.js"
    answer, trouble = ask(urljoin(own[0].url, name))
    if answer is None:
        return (_evidence("made-up asset", Judgement.UNKNOWN, trouble),)
    if answer.status in GONE:
        return (_evidence("made-up asset", Judgement.PASS, f"status {answer.status}"),)
    if answer.ok:
        text = f"status {answer.status}, {answer.content_type or 'no type'}: a file that is missing looks like one that is there"
        return (_evidence("made-up asset", Judgement.WARN, text),)
    return (_evidence("made-up asset", Judgement.UNKNOWN, f"status {answer.status}"),)


def look_at_earlier(loaded: Sequence[str], ask: Ask) -> tuple[Evidence, ...]:
    """Tell whether the files of the build before are there still.

    Tabs that were opened before this release may ask for them.

    Args:
        loaded: their addresses.
    """
    if not loaded:
        return ()
    gone = unseen = 0
    for url in loaded:
        answer, _ = ask(url)
        if answer is None:
            unseen += 1
        elif not (answer.ok and _fits(urlsplit(url).path, answer.content_type)):
            gone += 1
    files = f"{len(loaded)} of the build before"
    if unseen:
        return (_evidence("earlier assets", Judgement.UNKNOWN, f"{unseen} of {files} gave no answer"),)
    if gone:
        text = f"{gone} of {files} are gone: a tab that is open may ask for {'it' if gone == 1 else 'them'} until it is reloaded"
        return (_evidence("earlier assets", Judgement.NOTE, text),)
    return (
        _evidence("earlier assets", Judgement.PASS, f"{count(len(loaded), 'file')} of the build before, still there"),
    )


def _evidence(probe: str, judgement: Judgement, text: str) -> Evidence:
    return Evidence(probe=probe, judgement=judgement, text=text)
