"""A message as Slack shows it: blocks of harmless text.

Nothing that others wrote makes a mention, a link or a line.
"""

from __future__ import annotations

import re
from typing import Any

from deploylib.notifications.foreign_text import break_addresses, join_words
from deploylib.notifications.interface import Message, TextLine

__all__ = ["escape", "render", "render_plainly"]

LINE, LABEL, TEXT = 300, 100, 900  # characters of a line of the head, of a name, and of what is said of it
SECTION, TOTAL = 1500, 12_000  # Slack takes 3,000 a section, and some 13,000 over all
PLAIN = 3_500  # Slack advises 4,000
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"})
ADDRESS = re.compile(r"https?://[^\s<>|]{1,400}")


def render(message: Message) -> dict[str, Any]:
    """Write the body of a message, in blocks."""
    head = [f"*{escape(message.title)}*", *([escape(message.text)] if message.text else [])]
    if message.late is not None:
        head.append(f"_late: of {message.late:%Y-%m-%d %H:%M} UTC_")
    if message.mentions:
        head.append(" ".join(f"<@{who}>" for who in message.mentions) + " your commits are in it")
    parts = ([said for line in section if (said := _line(line))] for section in message.sections)
    sections = [head, *(part for part in parts if part)]
    most = min(SECTION, TOTAL // len(sections))
    return {**_plain(message), "blocks": [_section(lines, most) for lines in sections]}


def render_plainly(message: Message) -> dict[str, Any]:
    """Write the body without blocks, where those are refused."""
    lines = [
        message.title,
        message.text,
        *(f"{one.label} {one.text}".strip() for part in message.sections for one in part),
    ]
    text = "\n".join(break_addresses(escape(line)) for line in lines if line)
    return {**_plain(message), "text": text if len(text) <= PLAIN else re.sub(r"&[a-z]*$", "", text[: PLAIN - 1]) + "…"}


def escape(text: str, limit: int = LINE) -> str:
    """Make text of others one line, without markup or half an entity."""
    words = join_words(text).translate(ENTITIES)
    return words if len(words) <= limit else re.sub(r"&[a-z]*$", "", words[: limit - 1]) + "…"


def _plain(message: Message) -> dict[str, Any]:
    """Write what a body has besides its blocks; nothing is previewed."""
    text = f"{escape(message.title)}: {escape(message.environment)}"
    return {"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def _line(line: TextLine) -> str:
    """Write a line; a link that is no address is nothing."""
    label, text = escape(line.label, LABEL), escape(line.text, TEXT)
    if line.url and ADDRESS.fullmatch(line.url):
        return f"<{line.url.replace('&', '&amp;')}|{label or 'link'}> {text}".strip()
    return f"{label} {text}".strip() if text or not line.url else ""


def _section(lines: list[str], most: int) -> dict[str, Any]:
    """Make a block; what is too much is counted.

    *verbatim* keeps Slack from making links and mentions of plain words.
    """
    shown = lines
    while len(shown) > 1 and len("\n".join(shown)) > most:
        shown = shown[:-1]
    more = [f"… and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join([*shown, *more]), "verbatim": True}}
