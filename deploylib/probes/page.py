"""What a page names, read as a browser reads it.

The release, and the files that it loads.

A browser with scripts does not look into ``<noscript>``, nor into a ``<template>`` that is no shadow root, and what stands in
text is no element; relative addresses begin at the first ``<base href>``.
"""

from __future__ import annotations

from enum import StrEnum
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from deploylib.models import Value, decoding
from deploylib.system import http

__all__ = ["Asset", "Page", "Use"]

TEXT = {"noscript", "iframe", "noembed", "noframes", "xmp", "textarea", "title"}  # the parser knows script and style
SHADOW = {"open", "closed"}
SCRIPTS = {"", "module", "text/javascript", "application/javascript", "text/ecmascript", "application/ecmascript"}


class Use(StrEnum):
    """What a page needs a file for.

    Without a script or a style it is another page, without a picture it is the same.
    """

    SCRIPT = "script"
    STYLE = "style"
    PICTURE = "picture"

    @property
    def decides(self) -> bool:
        """Whether a release whose file is missing is put back."""
        return self is not Use.PICTURE


class Asset(Value, frozen=True):
    """A file that a page loads.

    As it is named there, and where that is.
    """

    name: str
    url: str
    use: Use


class Page(HTMLParser):
    """A page.

    Attributes:
        release: the commit that it names.
        assets: what it loads, by name; of two uses of the same file the one that decides.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.release = ""
        self.assets: dict[str, Asset] = {}
        self._url = self._base = url
        self._moved, self._inert = False, 0

    @property
    def own(self) -> tuple[Asset, ...]:
        """The scripts and styles that lie on the page's own host."""
        host = urlsplit(self._url).netloc
        return tuple(each for each in self.assets.values() if each.use.decides and urlsplit(each.url).netloc == host)

    @classmethod
    def of(cls, answer: http.Answer, url: str = "") -> Page:
        """Read the page of an answer from *url*."""
        page = cls(url or answer.url)
        page.feed(decoding.decode_text(answer.body))
        return page

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: FBT001, FBT002 - as it is there
        """Take ``<![…`` for a comment, as HTML does.

        The parser of XML below would raise an AssertionError.
        """
        return self.parse_bogus_comment(i, report)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names."""
        if tag in TEXT:
            self.set_cdata_mode(tag)
        named = {key: value or "" for key, value in attrs}
        if tag == "template" and (self._inert or named.get("shadowrootmode", "").lower() not in SHADOW):
            self._inert += 1
        if self._inert:
            return
        if tag == "base" and "href" in named and not self._moved:
            self._moved, self._base = True, self._joined(named["href"]) or self._base
        if tag == "meta" and named.get("name") in {"release", "commit", "version"}:
            self.release = self.release or named.get("content", "")
        if tag == "link":
            self._linked(named)
        if tag == "script" and "nomodule" not in named and named.get("type", "").strip().lower() in SCRIPTS:
            self._add(named.get("src", ""), Use.SCRIPT)
        if tag == "img":
            self._add(named.get("src", ""), Use.PICTURE)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Leave ``<template/>`` open, and of other elements only ``<noscript/>``.

        A drawing has titles of its own.
        """
        if tag not in TEXT - {"noscript"}:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Note that a template ends."""
        if tag == "template" and self._inert:
            self._inert -= 1

    def _linked(self, named: dict[str, str]) -> None:
        rel = set(named.get("rel", "").lower().split())
        if "stylesheet" in rel and "disabled" not in named:
            self._add(named.get("href", ""), Use.PICTURE if "alternate" in rel else Use.STYLE)
        elif "modulepreload" in rel:  # what its scripts import, which is missed when they do
            self._add(named.get("href", ""), Use.SCRIPT)
        elif rel & {"icon", "preload", "manifest"}:
            self._add(named.get("href", ""), Use.PICTURE)

    def _add(self, name: str, use: Use) -> None:
        url = self._joined(name) if name.strip() else ""
        if urlsplit(url).scheme not in {"http", "https"}:
            return
        known = self.assets.get(url)
        if known is None or (use.decides and not known.use.decides):
            self.assets[url] = Asset(name=name, url=url, use=use)

    def _joined(self, name: str) -> str:
        """Resolve the address that a name means here.

        Empty where it is none, and no browser asks for it either.
        """
        try:
            return urljoin(self._base, name.strip())
        except ValueError:
            return ""
