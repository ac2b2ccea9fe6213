"""What must not be shown, struck out in every form it can take; and foreign text, in which nothing acts on who reads it.

A secret comes back to us as others have written it: a driver shows the decoded password of a URL, a shell quotes it, JSON and
HTML escape it. So each of its characters is looked for in every spelling, and so is the whole in base64. What is shorter than
six characters, or a word that is no secret (the name of the user, of the database), is struck out only inside an address.

Foreign text is a commit's subject, a line of a log, a name of a branch: control characters and those that turn the order of
writing round are shown as what they are (Unicode Standard Annex 9; "Trojan Source", 2021), and a line that a runner of GitHub
would obey ("Workflow commands" in its documents) no longer begins like one.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from deploylib.models import Secret

__all__ = ["Struck", "document", "harmless", "no_command"]

T = TypeVar("T")
MARK = "•••"
SHORTEST = 6  # characters: what is shorter stands in too many words
LONGEST = 2000  # characters of one line
IN_AN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s@'\"]+(?=@)", re.IGNORECASE)
ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
FREE_TEXT = {"details", "error", "lines", "message", "next", "reason", "remarks", "text", "title", "trouble"}
COMMAND = re.compile(r"^(\s*)::|##\[")


class Struck:
    """Strikes out what it knows; it learns of secrets as they are met."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.learn(secret)

    def __repr__(self) -> str:
        return f"Struck({len(self._known)} secrets)"

    def learn(self, secret: Secret | None) -> None:
        """Strike this out from now on, and the password in it where it is an address."""
        if secret is None or secret.reveal() in self._known:
            return
        self._known.add(secret.reveal())
        self._pattern = None

    def text(self, text: str) -> str:
        """The same text without them."""
        if self._known:
            self._pattern = self._pattern or _pattern(self._known)
            text = self._pattern.sub(MARK, text)
        return IN_AN_ADDRESS.sub(rf"\1{MARK}", text)

    def value(self, value: Any, name: str = "") -> Any:
        """The same document, with what is free text in it struck: names and ids are left as they are."""
        if isinstance(value, dict):
            return {key: self.value(each, key if isinstance(key, str) else "") for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(each, name) for each in value]
        return self.text(value) if isinstance(value, str) and name in FREE_TEXT else value

    def of(self, value: T) -> T:
        """The same typed value, with what is free text in it struck."""
        return msgspec.convert(self.value(msgspec.to_builtins(value)), type(value))


def _pattern(secrets: Iterable[str]) -> re.Pattern[str]:
    """Whatever a secret may look like; nothing at all where none is one."""
    spelled = sorted((_spellings(part) for secret in secrets for part in _parts(secret)), key=len, reverse=True)
    return re.compile("|".join(spelled) or r"(?!)")


def _parts(secret: str) -> set[str]:
    """What of a secret is one by itself: the whole, the password of an address, each line of a key; and their base64."""
    found = {secret} | {line for line in secret.splitlines() if len(line) >= 2 * SHORTEST}
    names: set[str] = {""}
    if "://" in secret:
        try:
            address = urlsplit(secret)
            names |= {unquote(address.username or ""), address.path.strip("/"), address.hostname or ""}
        except ValueError:
            names = {""}
        password = secret.partition("://")[2].rpartition("@")[0].partition(":")[2]
        found |= {password, unquote(password)}
    found = {part for part in found if len(part) >= SHORTEST and part not in names | {"postgres", "password"}}
    encoders = (base64.b64encode, base64.urlsafe_b64encode)
    return found | {encode(part.encode(errors="replace")).decode() for part in found for encode in encoders}


def _spellings(secret: str) -> str:
    """A pattern for a text in which each character may be written in any of the usual ways."""
    return "".join(_spelling(char) for char in secret)


def _spelling(char: str) -> str:
    ways = [re.escape(char), "".join(f"%(?i:{byte:02x})" for byte in char.encode(errors="surrogatepass"))]
    if char.isascii() and char.isalnum():
        return f"(?:{'|'.join(ways)})"
    number = ord(char)
    ways += [rf"\\+(?i:u{number:04x}|x{number:02x})", rf"&\#{number};", rf"&\#(?i:x0*{number:x});"]
    ways += ["".join(rf"\\+x{byte:02x}" for byte in char.encode(errors="surrogatepass"))]
    if char in ENTITIES:
        ways.append(f"&{ENTITIES[char]};")
    if char == " ":
        ways += [r"\+"]
    elif char.isspace():
        ways += [r"\\+[nrt]", r"\s+"]
    elif char.isascii():
        ways += [rf"\\+{re.escape(char)}", re.escape(char) * 2]
        if char == "'":
            ways += ["""'"'"'""", r"'\\''"]
    return f"(?:{'|'.join(sorted(set(ways), key=len, reverse=True))})"


def harmless(text: str) -> str:
    """One line of text that only says something: what would act on a terminal is shown by its number.

    Args:
        text: of anybody; a tabulator stays.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(char if char == "\t" or char.isprintable() else _shown(char) for char in text)
    left = len(text) - LONGEST
    return f"{text[:LONGEST]} … (+{left} characters)" if left > 0 else text


def _shown(char: str) -> str:
    number = ord(char)
    if char == "\n":
        return "\\n"
    if unicodedata.category(char) == "Zs":
        return " "  # a space of another width
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def no_command(line: str) -> str:
    """A line that a runner of GitHub does not take for a command to it."""
    return COMMAND.sub(lambda found: f"{found[1]}: :" if found[1] is not None else "## [", line)


def document(text: str, clean: Callable[[str], str] = lambda text: text) -> str:
    """JSON that says the same, with nothing in it that acts on a terminal or on a runner."""
    text = clean(text).replace("##[", "##\\u005b")
    return "".join(char if char == "\n" or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
