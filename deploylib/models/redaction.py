"""Strike secrets out, and make foreign text harmless.

A secret comes back to us as others have written it: a driver shows the decoded password of a URL, a shell quotes it, JSON and
HTML escape it. So each of its characters is looked for in every spelling, and so is the whole in base64. What is shorter than
six characters, or a word that is no secret (the name of the user, of the database), is struck out only inside an address or
after ``password=``.

Foreign text is a commit's subject, a line of a log, a name of a branch: control characters and those that turn the order of
writing round are shown as what they are (Unicode Standard Annex 9; "Trojan Source", 2021), and a line that a runner of GitHub
would obey ("Workflow commands" in its documents) no longer begins like one.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from deploylib.models.value import Secret

__all__ = ["Struck", "document", "harmless", "no_command"]

T = TypeVar("T")
MARK = "•••"
SHORTEST = 6  # characters: what is shorter stands in too many words
LONGEST = 2000  # characters of one line
BACKSLASHES = r"(?:\\{1,8})"  # each level of quoting doubles them
IN_AN_ADDRESS = re.compile(r"(://[^\s:/@'\"]{0,200}:)[^\s@'\"]{1,1000}(?=@)")
IN_WORDS = re.compile(r"(password\s{0,3}=\s{0,3})('(?:[^'\\]|\\.){1,500}'|[^\s'\"&]{1,500})", re.IGNORECASE)
ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
FREE_TEXT = {
    "accepted", "advice", "author", "back_trouble", "cause", "details", "dropped", "error", "first_week", "lines", "message", "next", "notes",
    "reason", "remarks", "remedy", "skipped_by", "sql", "subject", "text", "title", "trouble", "unchecked", "unknown", "waited_for",
    "what", "where",
}  # fmt: skip
COMMAND = re.compile(r"^(\s*)::|##(?=\w{0,20}\[)")


class Struck:
    """Strikes out what it knows.

    It learns of secrets as they are met.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.learn(secret)

    def __repr__(self) -> str:
        return f"Struck({len(self._known)} secrets)"

    def learn(self, secret: Secret | None) -> None:
        """Strike a secret from now on.

        And the password in it where it is an address.
        """
        if secret is None or secret.reveal() in self._known:
            return
        self._known.add(secret.reveal())
        self._pattern = None

    def text(self, text: str) -> str:
        """Strike the secrets out of a text."""
        if self._known:
            self._pattern = self._pattern or _pattern(self._known)
            text = self._pattern.sub(MARK, text)
        return IN_WORDS.sub(rf"\1{MARK}", IN_AN_ADDRESS.sub(rf"\1{MARK}", text))

    def value(self, value: Any, name: str = "") -> Any:
        """Strike secrets out of the free text of a document.

        Names and ids are left as they are.
        """
        if isinstance(value, dict):
            return {key: self.value(each, key if isinstance(key, str) else "") for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(each, name) for each in value]
        if not isinstance(value, str):
            return value
        value = value.encode("utf-8", "backslashreplace").decode()  # a file's name need not be text, and JSON must be
        return self.text(value) if name in FREE_TEXT else value

    def of(self, value: T) -> T:
        """Strike secrets out of the free text of a typed value."""
        return msgspec.convert(self.value(msgspec.to_builtins(value)), type(value))


def _pattern(secrets: Iterable[str]) -> re.Pattern[str]:
    """Make one pattern for everything that a secret may look like.

    Nothing at all where none is one.
    """
    parts = {part for secret in secrets for part in _parts(secret)}
    spelled = {way for part in parts for way in (_spellings(part), _in_hex(part), *_in_base64(part))}
    return re.compile("|".join(sorted(spelled, key=len, reverse=True)) or r"(?!)")


def _parts(secret: str) -> set[str]:
    """List the parts of a secret that are secrets by themselves.

    The whole, the password of an address, the path of a webhook, each line of a key.
    """
    secret = secret.strip()
    parts = {secret} | {line.strip() for line in secret.splitlines() if len(line.strip()) >= 2 * SHORTEST}
    parts |= {match[2].strip("'") for match in IN_WORDS.finditer(secret)}
    names: set[str] = {""}
    if "://" in secret:
        try:
            address = urlsplit(secret)
            names |= {unquote(address.username or ""), address.path.strip("/"), address.hostname or ""}
            parts |= {value for name, value in parse_qsl(address.query) if name.lower().endswith("password")}
            if address.scheme in {"http", "https"}:
                last = address.path.rpartition("/")[2]
                parts |= {address.path, last if len(last) >= 2 * SHORTEST else ""}
        except ValueError:
            names = {""}
        password = secret.partition("://")[2].rpartition("@")[0].partition(":")[2]
        parts |= {password, unquote(password)}
    return {part for part in parts if len(part) >= SHORTEST and part not in names | {"postgres", "password"}}


def _in_hex(secret: str) -> str:
    """Write a text in hexadecimal, as a column of bytes shows it."""
    return f"(?i:{secret.encode(errors='replace').hex()})"


def _in_base64(secret: str) -> Iterator[str]:
    """Find what of its base64 is the same in any text.

    Wherever it stands (``user:password``), in either alphabet.
    """
    data = secret.encode(errors="replace")
    for shift, first in enumerate((0, 2, 3)):
        digits, rest = divmod((shift + len(data)) * 8, 6)
        sure = base64.b64encode(bytes(shift) + data)[first:digits].decode()
        pattern = re.escape(sure).replace(r"\+", r"(?:[+-]|%2B)").replace("/", r"(?:\\?[/_]|%2F)")
        yield pattern + (r"[\w+/-]?(?:=|%3D){0,2}" if rest else "")


def _spellings(secret: str) -> str:
    """Make a pattern for all usual spellings of a text.

    Each way has a longest length, and equal signs are counted together: a hostile text cannot make the search slow.
    """
    return "".join(_spelling(run[0]) for run in re.finditer(r"\s+|\w|(\W)\1*", secret))


def _spelling(run: str) -> str:
    """Make a pattern for one letter, figure or run of signs."""
    char, count = run[0], len(run)
    if char.isspace() and count > 1 and not run.isascii():
        return "".join(map(_spelling, run))
    if char.isspace() and char.isascii():
        return rf"(?:\s|\+|{BACKSLASHES}[nrt]|%(?:25){{0,4}}(?i:0[9ad]|20)|&\#0{{0,6}}(?:9|10|13|32);){{1,{8 * count}}}"
    encoded = char.encode(errors="surrogatepass")
    in_address = "".join(rf"%(?:25){{0,4}}(?i:{byte:02x})" for byte in encoded)
    if char.isascii() and char.isalnum():
        return f"(?:{char}|{in_address})"
    number = ord(char)
    ways = [
        in_address,
        rf"{BACKSLASHES}(?i:u{number:04x}|x{number:02x})",
        rf"&\#0{{0,6}}(?:{number}|(?i:x0{{0,6}}{number:x}));",
    ]
    ways += ["".join(f"{BACKSLASHES}{way}" for way in each) for each in _bytes(encoded)]
    if char.isspace():  # another one than those above: of another width, or the end of a line
        ways.append(r"\s")
    if char in ENTITIES:
        ways.append(f"&{ENTITIES[char]};")
    if char == "\\":
        return rf"(?:\\|{in_address}|&\#0{{0,6}}(?:92|(?i:x0{{0,6}}5c));){{{count},{8 * count}}}"
    ways.append(rf"{BACKSLASHES}?{re.escape(char)}" if char != "'" else rf'"?{BACKSLASHES}?\'')
    return f"(?:{'|'.join(ways)})" + (f"{{{count},{4 * count}}}" if char.isascii() else f"{{{count}}}")


def _bytes(encoded: bytes) -> tuple[list[str], list[str]]:
    """Spell each byte as Python, git and C write it."""
    return [f"x{byte:02x}" for byte in encoded], [f"{byte:03o}" for byte in encoded]


def harmless(text: str) -> str:
    """Make one line of text that acts on no terminal.

    What would act on a terminal is shown by its number.

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
    """Make a line that no CI runner takes for a command.

    GitHub, Azure (``##vso[``) and TeamCity do.
    """
    return COMMAND.sub(lambda found: f"{found[1]}: :" if found[1] is not None else "## ", line)


def document(text: str) -> str:
    """Write JSON in which nothing acts on terminal or runner."""
    text = re.sub(r"##(?=\w{0,20}\[)", r"#\\u0023", text)
    return "".join(char if char == "\n" or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
