"""A message as JSON, for Teams, Discord, or one's own receiver.

What others wrote stands in ``text`` so that it makes no mention and no link of any of them; the other fields of one's own
receiver have it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deploylib.models import Secret
from deploylib.notifications.foreign_text import BREAK, break_addresses, join_words
from deploylib.notifications.interface import Delivery, Message, TextLine
from deploylib.settings import Config
from deploylib.system import Clock, http, threads

__all__ = ["JsonWebhook", "find_webhook"]

NAME = "the webhook"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DISCORD, TEAMS = ("discord.com", "discordapp.com"), ("logic.azure.com", "powerplatform.com", "webhook.office.com")
OURS = ("mentions", "replaces", "thread", "channels")  # what is for other channels
LONGEST = {DISCORD: 1900, TEAMS: 12_000}
ANSWER = http.Limit(kept=4096)


def find_webhook(config: Config) -> JsonWebhook | None:
    """Find the address in the settings; None: nobody wants to know."""
    return JsonWebhook(config.json_webhook) if config.json_webhook is not None else None


@dataclass(frozen=True)
class JsonWebhook:
    """An address that takes JSON, and is its own password."""

    address: Secret
    name: str = NAME
    changes: bool = False

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Post a message, once more after no connection or a 5xx."""
        url = self.address.reveal().strip()
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not host or parts.scheme not in ({"https", "http"} if host in LOOPBACK else {"https"}):
            return Delivery(delivered=False, channel=self.name, reason="its address is no https:// address")
        try:
            return threads.start(lambda: self._post(url, render_for(host, message), message.id, within)).result(within)
        except TimeoutError:
            return Delivery(delivered=False, channel=self.name, reason=f"no answer within {within:g} s")
        except threads.NoThread:
            return Delivery(delivered=False, channel=self.name, reason="no thread could be started")

    def _post(self, url: str, body: Mapping[str, Any], name: str, within: float) -> Delivery:
        def post() -> http.Answer | None:
            try:
                return session.request("POST", url, json=body, limit=ANSWER)
            except http.NotSent:
                return None

        with http.Session(timeout=within, headers={"Idempotency-Key": name}) as session:
            try:
                got = post()
                if got is None or got.status >= 500:
                    Clock().sleep(within / 10)
                    got = post()
            except http.HttpError as error:
                return Delivery(delivered=False, channel=self.name, reason=f"no whole answer: {error}")
        if got is None:
            return Delivery(delivered=False, channel=self.name, reason="no connection")
        if got.ok:
            return Delivery(delivered=True, channel=self.name)
        wait = got.headers.get("retry-after", "")
        after = float(min(int(wait[:9]), 3600)) if wait.isascii() and wait.isdecimal() else 0.0
        return Delivery(delivered=False, channel=self.name, reason=f"it answered {got.status}", after=after)


def render_for(host: str, message: Message) -> dict[str, Any]:
    """Write the body that the receiver at *host* takes."""
    if _is_at(host, DISCORD):
        text = _cut(_text(message), LONGEST[DISCORD])
        return {"content": text, "allowed_mentions": {"parse": []}, "flags": 1 << 2}  # no mention, no preview
    if _is_at(host, TEAMS):
        return _card(message)
    fields = {name: value for name, value in msgspec.to_builtins(message).items() if name not in OURS}
    return {**fields, "text": _text(message), "summary": message.text, "repeats": message.late is not None}


def _is_at(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _card(message: Message) -> dict[str, Any]:
    """Make a card, the only form that a workflow of Teams takes.

    Source: Microsoft Learn, "Create incoming webhooks with Workflows".
    """
    parts = [_cut(part, LONGEST[TEAMS] // 10) for part in _parts(message)]
    blocks = [{"type": "TextBlock", "text": part.replace("\n", "\n\n"), "wrap": True} for part in parts[:10]]
    blocks[0] |= {"weight": "Bolder"}
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    content = {**card, "body": blocks}
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": content}]}


def _text(message: Message) -> str:
    return "\n".join(_parts(message))


def _parts(message: Message) -> list[str]:
    """Split a message into title, text and sections of harmless words."""
    late = f" (late: of {message.late:%Y-%m-%d %H:%M} UTC)" if message.late is not None else ""
    head = [_said(message.title) + late, _said(message.text)]
    return [part for part in (*head, *("\n".join(map(_line, lines)) for lines in message.sections)) if part]


def _line(line: TextLine) -> str:
    link = line.url if re.fullmatch(r"https?://[^\s<>|()]{1,1000}", line.url) else ""
    return " ".join(part for part in (_said(line.label), _said(line.text), link) if part)


def _said(text: str) -> str:
    """Make others' words one line in which nothing acts."""
    return break_addresses(_cut(join_words(text), 300).replace("@", f"@{BREAK}")).replace("`", "'")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
