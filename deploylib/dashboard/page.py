"""The files of the page: HTML, the same as JSON, and badges.

The HTML needs nothing else.
No text of others acts on it: each value is escaped by its template, what would act on who reads it is shown by its number, and
the page forbids the browser whatever is not its own style and script, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from deploylib.dashboard.bars import draw
from deploylib.dashboard.panel import Panel, Site
from deploylib.dashboard.publishing import write_files
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import decoding, redaction
from deploylib.models.extras import install_command
from deploylib.models.results import short
from deploylib.models.units import age, is_address
from deploylib.system import http

__all__ = ["make_files", "read_published", "write_page"]

TEMPLATES = Path(__file__).parent / "templates"
INDENT = 1
WITHIN = 10.0  # seconds in which a published page must answer
LETTER, PADDING = 6.6, 12.0  # of the badge's text, in its own units


def write_page(site: Site, out: str, clean: Callable[[str], str]) -> tuple[str, ...]:
    """Make the page and write it; return where its files are.

    The page itself comes first.

    Args:
        out: a folder, which is made, or ``s3://bucket/prefix``.
        clean: strikes secrets out of a text.

    Raises:
        SettingsError: the place is none or cannot be written, or the library that fills templates is not installed.
        Unreachable: the bucket did not answer, or refused.
    """
    return write_files(make_files(site, clean), out)


def make_files(site: Site, clean: Callable[[str], str] = lambda text: text) -> dict[str, bytes]:
    """Make the files of the page, by name.

    Args:
        clean: strikes secrets out of a text.

    Raises:
        SettingsError: the library that fills templates is not installed.
    """
    fill = _filler(clean)
    files = {"index.html": fill("page.html", site=site), "status.json": _document(site, clean)}
    files |= {f"badge-{panel.name}.svg": fill("badge.svg", panel=panel, **_badge(panel)) for panel in site.panels}
    return {name: f"{text.strip()}\n".encode() for name, text in files.items()}


def read_published(place: str) -> Site:
    """Read a page as its ``status.json`` has it.

    Args:
        place: an address, or a file.

    Raises:
        SettingsError: there is no such file.
        Unreachable: nobody answers there, or what is there is no such document.
    """
    remedy = "name the status.json that inv dashboard has published; see whether it is up to date there"
    try:
        if is_address(place):
            with http.Session(timeout=WITHIN) as session:
                answer = session.request("GET", place, headers={"Cache-Control": "no-cache"})
            if not answer.ok or not answer.whole:
                raise Unreachable(f"{place} answers {answer.status}", remedy=remedy)
            body = answer.body
        else:
            body = Path(place).read_bytes()
        return decoding.json(body, Site)
    except http.HttpError as error:
        raise Unreachable(f"{place} does not answer: {error}", remedy=remedy) from error
    except OSError as error:
        raise SettingsError(f"{place} cannot be read: {error.strerror}", remedy=remedy) from error
    except decoding.Undecodable as error:
        raise Unreachable(f"{place} is no status of a page: {error}", remedy=remedy) from error


def _document(site: Site, clean: Callable[[str], str]) -> str:
    """Make the page as JSON."""
    document = {"version": 1, **_cleaned(msgspec.to_builtins(site), clean)}
    for each, panel in zip(document["panels"], site.panels, strict=True):
        each |= {"state": panel.state, "commit": panel.commit}
    return redaction.document(msgspec.json.format(msgspec.json.encode(document), indent=INDENT).decode())


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(each, clean) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each, clean) for each in value]
    return clean(value) if isinstance(value, str) else value


def _filler(clean: Callable[[str], str]) -> Callable[..., str]:
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise SettingsError("the page needs Jinja2", remedy=install_command("dashboard")) from error

    def show(value: Any) -> Any:
        """Make harmless what a template gives out; markup is our own."""
        return redaction.harmless(clean(value)) if isinstance(value, str) and not isinstance(value, Markup) else value

    def own(name: str) -> Markup:
        return Markup((TEMPLATES / name).read_text())  # noqa: S704 - our own files

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=show,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"age": age, "short": short, "stamp": _stamp}
    environment.tests["address"] = is_address
    environment.globals |= {"draw": draw, "style": own("style.css"), "script": own("script.js"), "hash": _hash}

    return lambda name, **values: environment.get_template(name).render(**values)


def _hash(text: str) -> str:
    """Name a style or a script as the page's policy does.

    Content Security Policy 3, hash-source.
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _badge(panel: Panel) -> dict[str, Any]:
    """Draw a badge: its words, and how wide they are."""
    words = f"{panel.commit[:7]} {panel.state}".strip()
    left, right = (len(text) * LETTER + PADDING for text in (panel.name, words))
    return {"words": words, "left": left, "right": right}
