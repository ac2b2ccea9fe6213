"""How credentials are written: marks of makers, forms, and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import log2
from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = ["Sighting", "find_assigned", "find_marked", "kind", "looks_random", "stands_in"]

LONG_LINE = 2000
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
NOWHERE = re.compile(r"(?:^|\.)(?:example(?:\.\w+)?|test|invalid|yourdomain\.\w+)$|^hosts?$")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104 - nothing is bound to it
UNQUOTED = frozenset({"", ".env", ".ini", ".cfg", ".conf", ".properties", ".yaml", ".yml", ".sh", ".bash", ".service"})
PASSWORD = re.compile(r"(?:^|_)(?:\w*password|passwd|passwort|pwd|pass|passphrase)$")
SECRET = re.compile(
    r"(?:^|_)(?:secret|token|credentials?|"
    r"(?:secret|api|access|auth|private|encryption|signing|account|master|app|session|cookie|service|license|logged_in|"
    r"nonce)_?(?:key|salt)(?:_base)?|secret_?(?:key_)?base)$|(?:^|_)apikey$"
)
CALLED = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)
QUOTED_VALUE = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)[\"'\]]{0,2}(?:\s*:\s*[A-Za-z][\w\[\]. |]*(?==|\s=))?\s*(?:=>|:=|[:=(])\s*"
    r"[bru]?(?P<quote>[\"'`])(?P<value>[^\"'`\n]{6,})(?P=quote)"
)
BARE_VALUE = re.compile(r"(?:^|[\s;&-])(?P<name>[A-Za-z_][\w.-]*)(?:=|: +| +:?= *)(?P<value>[^\s\"'`,;]{6,})")
DOCKER_VALUE = re.compile(r"^\s*ENV\s+(?P<name>\w+)\s+(?P<value>[^\s\"'=]{6,})")
INNER_VALUE = re.compile(
    r"(?i)(?:^|[\s;?&=\"'`])(?P<name>\w*password|pwd|\w*token|secret|(?:api|access|auth)_?key)="
    r"(?P<value>[^\s;\"'`&,<>(){}$\[\]]{8,})"
)
NAMED_VALUE = re.compile(r"\w\(\s*[\"'](?P<name>\w+)[\"']\s*,\s*(?P<quote>[\"'])(?P<value>[^\"'\n]{8,})(?P=quote)\s*\)")
PAIRED_VALUE = re.compile(r"\b(?:key|name):\s*[\"']?(?P<name>\w+)[\"']?\s*\n\s*value:\s*[\"']?(?P<value>[^\s\"'#]{6,})")


class Rule(NamedTuple):
    """What a secret of one kind looks like.

    Attributes:
        pattern: its group ``value`` must look as if somebody had made it up at random.
        least: the fewest characters of the value.
        file: a piece of the name of the files that it is for.
    """

    name: str
    says: str
    pattern: str
    least: int = 8
    file: str = ""


class Sighting(NamedTuple):
    """A place that looks like a secret: rule, line and words."""

    rule: str
    line: int
    says: str


# Each begins with its literal text where it can: that is what a regular expression finds quickly.
RULES = (
    Rule(
        "render-deploy-hook",
        "a Render deploy hook: whoever has it can deploy",
        r"https://api\.render\.com/deploy/(?:srv|crn)-[0-9a-z]{10,}\?(?:\S*?&)?key=(?P<value>[\w-]{8,})",
    ),
    Rule("render-api-key", "a Render API key", r"rnd_(?P<value>[A-Za-z0-9]{20,})\b", 20),
    Rule(
        "url-password",
        "an address with a password in it",
        r"://(?P<user>[^\s:/?#@\"'<>`]*):(?P<value>[^\s\"'<>`/]{4,}?)@(?P<host>[\w.-]+)",
        6,
    ),
    Rule(
        "netrc",
        "a password for programs that log in by .netrc",
        r"machine\s+\S+\s+login\s+\S+\s+password\s+(?P<value>\S+)",
        6,
    ),
    Rule("pgpass", "a password for libpq", r"^[^#\s:]+:[\d*]+:[^\s:]+:[^\s:]+:(?P<value>\S+)$", 6, file="pgpass"),
    Rule(
        "npmrc",
        "a login to a registry of packages",
        r"^\s*(?://\S+?:)?_(?:authToken|auth|password)\s*=\s*[\"']?(?P<value>[^\s\"'${}]+)[\"']?\s*$",
        12,
        file="npmrc",
    ),
    Rule(
        "sql-password",
        "a password in SQL",
        r"(?i)\b(?:PASSWORD|IDENTIFIED\s+(?:WITH\s+\S+\s+)?BY)\s+(?:E|N)?'(?P<value>[^'\n]+)'",
        6,
    ),
    Rule(
        "command-password",
        "a password on a command line",
        r"(?i)--[\w-]*(?:password|passwd|passphrase|secret|token)[= ][\"']?(?P<value>[^\s\"'`;|&,)]+)",
    ),
    Rule(
        "docker-auth", "a login to a container registry", r"\"auth\"\s*:\s*\"(?P<value>[A-Za-z0-9+/]{12,}={0,2})\"", 12
    ),
    Rule(
        "http-authorization",
        "a credential in an HTTP header",
        r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"'`]?(?:bearer|basic|token)\s+(?P<value>[\w.~+/-]{16,}=*)",
        16,
    ),
    Rule(
        "discord-webhook",
        "a Discord webhook: whoever has it can post",
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{15,}/(?P<value>[\w-]{40,})",
        40,
    ),
    Rule("curl-user", "a login on a command line", r"curl\b.*?\s(?:-u|--user)[= ]?[\"']?[\w.@-]+:(?P<value>[^\s\"']+)"),
    Rule("dsn-password", "an address with a password in it", r"[\"'`]\w+:(?P<value>[^\s\"'`/:@]+)@(?:tcp|unix)\("),
    Rule("mysql-password", "a password on a command line", r"mysql\w*\b.*?\s-p(?P<value>[^\s\"']+)"),
    Rule("redis-password", "a password on a command line", r"redis-cli\b.*?\s-a\s+[\"']?(?P<value>[^\s\"']+)"),
    Rule("sshpass", "a password on a command line", r"sshpass\s+-p[= ]?[\"']?(?P<value>[^\s\"']+)", 6),
    Rule(
        "element-password",
        "a password in XML",
        r"(?i)<(?:[\w.:-]*?)(?:password|passwd|passphrase|secret|token|api[_-]?key)>(?P<value>[^<\s]+)</",
    ),
    Rule(
        "login-pair",
        "a login, name and password side by side",
        r"(?i)\b(?:\w*auth\w*|login)\(?\s*[=(]\s*[\[(]?\s*[\"'][^\"'\n]+[\"']\s*,\s*[\"'](?P<value>[^\"'\n]+)[\"']",
    ),
    Rule(
        "told-password",
        "a password told in a sentence",
        r"(?i)\bpassword\s*(?:is|was|:|=)\s*[`\"'](?P<value>[^\s`\"']+)[`\"']",
    ),
    Rule("twilio", "a Twilio login", r"AC[0-9a-f]{32}\b.{0,80}?\b(?P<value>[0-9a-f]{32})\b", 32),
    Rule("mailgun", "a Mailgun key", r"\bkey-(?P<value>[0-9a-f]{32})\b", 32),
    Rule("new-relic", "a New Relic key", r"NRAK-(?P<value>[A-Z0-9]{27})\b", 27),
)


def find_marked(name: str, text: str) -> Iterator[Sighting]:
    """Find forms that carry a credential in the text of a file."""
    for rule in RULES:
        if rule.file not in PurePosixPath(name).name:
            continue
        for match in re.finditer(rule.pattern, text, re.MULTILINE):
            parts = match.groupdict(default="")
            value, user, host = parts["value"], parts.get("user"), parts.get("host", "")
            harmless = value == user or NOWHERE.search(host)
            if not harmless and looks_random(value, 12 if host in LOOPBACK else rule.least):
                yield Sighting(rule.name, _line(text, match), f"looks like {rule.says}")


def find_assigned(name: str, text: str) -> Iterator[Sighting]:
    """Find literals that are given to a name of a secret."""
    path = PurePosixPath(name)
    bare = path.suffix in UNQUOTED or path.name.startswith((".env", "Dockerfile", "Procfile", "Makefile"))
    patterns = (INNER_VALUE, NAMED_VALUE, QUOTED_VALUE, *((BARE_VALUE, DOCKER_VALUE) if bare else ()))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONG_LINE or not CALLED.search(line):
            continue
        for pattern in patterns:
            for match in pattern.finditer(line):
                yield from _given(match, number, classes=3 if pattern is INNER_VALUE else 2)
    if path.suffix in {".yaml", ".yml"}:
        for match in PAIRED_VALUE.finditer(text):
            yield from _given(match, _line(text, match))


def kind(name: str) -> str:
    """Tell what such a name holds: a ``password``, a ``secret``, or neither."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # clientSecret and spring.datasource.password alike
    snake = re.sub(r"[^a-z0-9]+", "_", spaced.lower())
    return "password" if PASSWORD.search(snake) else "secret" if SECRET.search(snake) else ""


def _given(match: re.Match[str], line: int, classes: int = 2) -> Iterator[Sighting]:
    name, value = match["name"], match["value"]
    what = kind(name)
    if not what or "://" in value or UUID.fullmatch(value):
        return
    if looks_random(value, 8 if what == "password" else 16, classes):
        yield Sighting(f"assigned-{what}", line, f"{name} is given a literal that looks like a {what}")


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start("value")) + 1


MASKED = re.compile(r"\*{3,}|\.{3,}|•{2,}|…")


STAND_IN = re.compile(
    r"change(?:me|it)?|replace(?:me)?|examples?|sample|placeholder|dummy|fake|todo|fixme|yours?|redacted|hidden|notreal|"
    r"insert|undefined|none|null|invalid|secret|passw(?:or)?d|default|x{3,}"
)


IN_TESTS = re.compile(r"test(?:s|ing|only)?|mock|stub|demo|unittest|pytest|fixture")


LEET = str.maketrans("013457@$", "oleastas")


REFERENCE = re.compile(
    r"^[$%@<{\[(/~&][\w.:/\-{}()\[\]<>$]*$|^\.{1,2}/|\$\{|\$\(\w[\w .-]*\)|\{\{|\{\w[\w.!:]*\}|#\{|\w\([^()]*\)$|<\w[\w -]*>|"
    r"\b(?:process\.env|os\.environ|getenv|secrets\.|import\.meta)|^(?:var|local|data|env|self|this|config|settings)\."
)


NAMES = re.compile(r"(?:[A-Za-z]+|[a-z]+\d?)(?:[-_.:/ ][A-Za-z]+\d?)*")


CLASSES = ("[a-z]", "[A-Z]", r"\d", r"[^\w.:/-]")


def looks_random(value: str, least: int, classes: int = 2) -> bool:
    """Tell whether chance has made it.

    Args:
        least: characters that it must have.
        classes: how many it must have of lower case, upper case, digits and symbols.
    """
    if len(value) < least or " " in value or REFERENCE.search(value) or stands_in(value, tests=True):
        return False
    if NAMES.fullmatch(value) and _entropy(value) < 4:
        return False
    mixed = sum(bool(re.search(one, value)) for one in CLASSES) >= classes
    return mixed and _entropy(value) >= (2.5 if least < 16 else 3.0)


def stands_in(value: str, *, tests: bool = False) -> bool:
    """Tell whether a value stands in for a secret.

    It says so itself, or is typed off the keyboard; *tests*: or made for them.
    """
    lowered = value.lower()
    words = [*re.findall(r"[a-z]+", lowered), re.sub(r"[^a-z]", "", lowered.translate(LEET))]
    stand_in = any(STAND_IN.fullmatch(word) or (tests and IN_TESTS.fullmatch(word)) for word in words)
    return stand_in or "EXAMPLE" in value or _regular(value)


def _regular(value: str) -> bool:
    """Tell whether a text is regular: ``aaaa``, ``12345678``, ``abababab``."""
    if MASKED.search(value) or len(set(value)) <= 3:
        return True
    if len(value) > 200:
        return False
    steps = sum(ord(after) - ord(before) in {0, 1, -1} for before, after in pairwise(value))
    return steps > 0.6 * (len(value) - 1)


def _entropy(value: str) -> float:
    """Measure the entropy in bits a character."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())
