"""Secrets in the tree: a ready-made engine for what carries its maker's mark, and rules of ours for what it misses.

Nothing is asked over the network, and no value leaves this module: a finding names rule, file and line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from pathlib import Path, PurePosixPath
from typing import Any

from deploylib.clock import Clock, Deadline
from deploylib.examined import INSTALL, Examined, Finding, Gap, ScanSettings, judged, listed

__all__ = ["called_secret", "examine"]

LARGEST = 10 * 10**6
LONG_LINE = 2000
MASKED = re.compile(r"\*{3,}|\.{3,}|•{2,}|…")
WORDS = frozenset(
    [
        "change",
        "changeme",
        "changeit",
        "replace",
        "replaceme",
        "example",
        "examples",
        "sample",
        "placeholder",
        "dummy",
        "fake",
        "todo",
        "fixme",
        "your",
        "yours",
        "redacted",
        "hidden",
        "notreal",
        "insert",
        "undefined",
        "none",
        "null",
        "invalid",
        "secret",
        "password",
        "passwd",
        "default",
    ]
)
TESTS = frozenset(["test", "tests", "testing", "testonly", "mock", "stub", "demo", "unittest", "pytest", "fixture"])
REFERENCE = re.compile(
    r"^[$%@<{\[(/~&][\w.:/\-{}()\[\]<>$]*$|^\.{1,2}/|\$\{|\$\(\w[\w .-]*\)|\{\{|\{\w[\w.!:]*\}|#\{|\w\([^()]*\)$|<\w[\w -]*>|"
    r"\b(?:process\.env|os\.environ|getenv|secrets\.|import\.meta)|^(?:var|local|data|env|self|this|config|settings)\."
)
NAMES = re.compile(r"(?:[A-Za-z]+|[a-z]+\d?)(?:[-_.:/ ][A-Za-z]+\d?)*")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
NOWHERE = re.compile(r"(?:^|\.)(?:example(?:\.\w+)?|test|invalid|yourdomain\.\w+)$|^hosts?$")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104 - nothing is bound to it
GENERIC = ("generic", "-uri", "connection-string", "curl")
LOCKS = frozenset(
    [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "poetry.lock",
        "uv.lock",
        "pdm.lock",
        "Pipfile.lock",
        "Cargo.lock",
        "composer.lock",
        "Gemfile.lock",
        "go.sum",
        "flake.lock",
    ]
)
UNQUOTED = frozenset({"", ".env", ".ini", ".cfg", ".conf", ".properties", ".yaml", ".yml", ".sh", ".bash", ".service"})
PASSWORD = re.compile(r"(?:^|_)(?:\w*password|passwd|passwort|pwd|pass|passphrase)$")
SECRET = re.compile(
    r"(?:^|_)(?:secret|token|credentials?|"
    r"(?:secret|api|access|auth|private|encryption|signing|account|master|app|session|cookie|service|license|logged_in|"
    r"nonce)_?(?:key|salt)"
    r"(?:_base)?|secret_?(?:key_)?base)$|(?:^|_)apikey$"
)
CALLED = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)
QUOTED_VALUE = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)[\"'\]]{0,2}(?:\s*:\s*[A-Za-z][\w\[\]. |]*(?==|\s=))?\s*(?:=>|:=|[:=(])\s*"
    r"[bru]?(?P<quote>[\"'`])(?P<value>[^\"'`\n]{6,})(?P=quote)"
)
BARE_VALUE = re.compile(
    r"(?:^|[\s;&-])(?P<name>[A-Za-z_][\w.-]*)(?:=|: +| +:?= *)(?P<value>[^\s\"'`,;]{6,})|"
    r"^\s*ENV\s+(?P<name_>\w+)\s+(?P<value_>[^\s\"'=]{6,})"
)
INNER_VALUE = re.compile(
    r"(?i)(?:^|[\s;?&=\"'`])(?P<name>\w*password|pwd|\w*token|secret|(?:api|access|auth)_?key)="
    r"(?P<value>[^\s;\"'`&,<>(){}$\[\]]{8,})"
)
NAMED_VALUE = re.compile(r"\w\(\s*[\"'](?P<name>\w+)[\"']\s*,\s*(?P<quote>[\"'])(?P<value>[^\"'\n]{8,})(?P=quote)\s*\)")
PAIRED_VALUE = re.compile(r"\b(?:key|name):\s*[\"']?(?P<name>\w+)[\"']?\s*\n\s*value:\s*[\"']?(?P<value>[^\s\"'#]{6,})")
REMEDY = (
    "revoke it where it was issued, take it out of the tree and give it to the service as a variable; "
    "if it is no secret: [[scan.accepted]] with rule, path and reason"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a secret of one kind looks like; the group ``value`` must look as if somebody had made it up at random."""

    name: str
    says: str
    hint: str
    pattern: re.Pattern[str]
    least: int


def _rule(name: str, says: str, hint: str, pattern: str, least: int = 8) -> _Rule:
    """*hint* stands in every text (or name of a file) that the pattern can match, and is quickly looked for."""
    return _Rule(name, says, hint, re.compile(pattern, re.MULTILINE), least)


RULES = (
    _rule(
        "render-deploy-hook",
        "a Render deploy hook: whoever has it can deploy",
        "api.render.com/deploy",
        r"https://api\.render\.com/deploy/(?:srv|crn)-[0-9a-z]{10,}\?(?:\S*?&)?key=(?P<value>[\w-]{8,})",
    ),
    _rule("render-api-key", "a Render API key", "rnd_", r"\brnd_(?P<value>[A-Za-z0-9]{20,})\b", 20),
    _rule(
        "url-password",
        "an address with a password in it",
        "://",
        r"\b[a-zA-Z][\w+.-]{1,30}://(?P<user>[^\s:/?#@\"'<>`]*):(?P<value>[^\s\"'<>`/]{4,}?)@(?P<host>[\w.-]+)",
        6,
    ),
    _rule(
        "netrc",
        "a password for programs that log in by .netrc",
        "machine",
        r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(?P<value>\S+)",
        6,
    ),
    _rule("pgpass", "a password for libpq", "pgpass", r"^[^#\s:]+:[\d*]+:[^\s:]+:[^\s:]+:(?P<value>\S+)$", 6),
    _rule(
        "sql-password",
        "a password in SQL",
        "'",
        r"(?i)\b(?:PASSWORD|IDENTIFIED\s+(?:WITH\s+\S+\s+)?BY)\s+(?:E|N)?'(?P<value>[^'\n]+)'",
        6,
    ),
    _rule(
        "command-password",
        "a password on a command line",
        "--",
        r"(?i)--[\w-]*(?:password|passwd|passphrase|secret|token)[= ][\"']?(?P<value>[^\s\"'`;|&,)]+)",
    ),
    _rule(
        "docker-auth",
        "a login to a container registry",
        '"auth"',
        r"\"auth\"\s*:\s*\"(?P<value>[A-Za-z0-9+/]{12,}={0,2})\"",
        12,
    ),
    _rule(
        "http-authorization",
        "a credential in an HTTP header",
        "authorization",
        r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"'`]?(?:bearer|basic|token)\s+(?P<value>[\w.~+/-]{16,}=*)",
        16,
    ),
    _rule(
        "discord-webhook",
        "a Discord webhook: whoever has it can post",
        "/webhooks/",
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{15,}/(?P<value>[\w-]{40,})",
        40,
    ),
    _rule(
        "curl-user",
        "a login on a command line",
        "-u",
        r"\bcurl\b.*?\s(?:-u|--user)[= ]?[\"']?[\w.@-]+:(?P<value>[^\s\"']+)",
    ),
    _rule(
        "dsn-password", "an address with a password in it", "@", r"[\"'`]\w+:(?P<value>[^\s\"'`/:@]+)@(?:tcp|unix)\("
    ),
    _rule("mysql-password", "a password on a command line", "mysql", r"\bmysql\w*\b.*?\s-p(?P<value>[^\s\"']+)"),
    _rule(
        "redis-password",
        "a password on a command line",
        "redis-cli",
        r"\bredis-cli\b.*?\s-a\s+[\"']?(?P<value>[^\s\"']+)",
    ),
    _rule("sshpass", "a password on a command line", "sshpass", r"\bsshpass\s+-p[= ]?[\"']?(?P<value>[^\s\"']+)", 6),
    _rule(
        "element-password",
        "a password in XML",
        "</",
        r"(?i)<(?:[\w.:-]*?)(?:password|passwd|passphrase|secret|token|api[_-]?key)>(?P<value>[^<\s]+)</",
    ),
    _rule(
        "login-pair",
        "a login, name and password side by side",
        "(",
        r"(?i)\b(?:\w*auth\w*|login)\(?\s*[=(]\s*[\[(]?\s*[\"'][^\"'\n]+[\"']\s*,\s*[\"'](?P<value>[^\"'\n]+)[\"']",
    ),
    _rule(
        "told-password",
        "a password told in a sentence",
        "password",
        r"(?i)\bpassword\s*(?:is|was|:|=)\s*[`\"'](?P<value>[^\s`\"']+)[`\"']",
    ),
    _rule("twilio", "a Twilio login", "ac", r"\bAC[0-9a-f]{32}\b.{0,80}?\b(?P<value>[0-9a-f]{32})\b", 32),
    _rule("mailgun", "a Mailgun key", "key-", r"\bkey-(?P<value>[0-9a-f]{32})\b", 32),
    _rule("new-relic", "a New Relic key", "nrak-", r"\bNRAK-(?P<value>[A-Z0-9]{27})\b", 27),
)


def examine(files: Path, settings: ScanSettings, *, clock: Clock, deadline: Deadline) -> Examined:
    """Look for secrets in every file of the tree.

    Args:
        files: the tree.
        deadline: when it must have ended; what is not reached is a gap.
    """
    began = clock.monotonic()
    gaps, found, looked = [], [], 0
    engine = _engine()
    if engine is None:
        gaps.append(Gap("secrets", "the package kingfisher-secret-scanner is not installed", INSTALL))
    names = listed(files, settings.ignored)
    for name in names:
        if deadline.passed():
            gaps.append(Gap("secrets", f"time ran out after {looked} of {len(names)} files", "raise scan.within"))
            break
        try:
            if (files / name).stat().st_size > LARGEST:
                gaps.append(Gap(name, f"it is larger than {LARGEST // 10**6} MB", "leave it out by scan.ignored"))
                continue
            found += _in_file(engine, name, (files / name).read_bytes())
            looked += 1
        except (OSError, RuntimeError, ValueError):  # what they say may quote the file
            gaps.append(Gap(name, "it cannot be read", "correct it, or leave it out by scan.ignored"))
    stand, accepted = judged(found, settings.accepted, clock.now().date())
    return Examined(
        name="secrets",
        counted={"file": looked},
        findings=tuple(stand),
        gaps=tuple(gaps),
        accepted=tuple(accepted),
        seconds=clock.monotonic() - began,
    )


def called_secret(name: str) -> bool:
    """Whether something of this name is meant to be secret."""
    called = _snake(name)
    return bool(PASSWORD.search(called) or SECRET.search(called))


def _engine() -> Any:
    """The ready-made engine; None where it is not installed. It never validates: that would ask the network."""
    try:
        from kingfisher_sdk import Scanner
    except ImportError:
        return None
    return Scanner()


def _in_file(engine: Any, name: str, data: bytes) -> list[Finding]:
    """What is in one file, one finding for each line: ours first, which say what it is."""
    text = "" if b"\0" in data[:8192] else data.decode(errors="replace")
    found = {finding.where: finding for finding in _by_engine(engine, name, data)} if engine is not None else {}
    found |= {finding.where: finding for finding in _by_rules(name, text)}
    return [found[where] for where in sorted(found, key=lambda where: int(where.rpartition(":")[2]))]


def _by_engine(engine: Any, name: str, data: bytes) -> Iterator[Finding]:
    from kingfisher_sdk import ScanInput

    for one in engine.scan_input(ScanInput(path=name, data=data)):
        generic = any(word in one.rule_id for word in GENERIC)
        if one.visible and not generic and not _placeholder(one.secret, tests=False):
            yield _finding(
                "kingfisher", one.rule_id, name, one.location["line"], f"looks like a secret: {_short(one.rule_name)}"
            )


def _by_rules(name: str, text: str) -> Iterator[Finding]:
    path, lowered = PurePosixPath(name), text.lower()
    for rule in RULES:
        if rule.hint not in (path.name if rule.name == "pgpass" else lowered):
            continue
        for match in rule.pattern.finditer(text):
            groups = match.groupdict()
            host = groups.get("host") or ""
            least = 12 if host in LOOPBACK else rule.least
            if NOWHERE.search(host) or groups.get("user", "") == groups["value"]:
                continue
            if _random(groups["value"], least):
                yield _finding(
                    "deploylib", rule.name, name, _line(text, match.start("value")), f"looks like {rule.says}"
                )
    if path.name not in LOCKS:
        yield from _assigned(name, path, text)


def _assigned(name: str, path: PurePosixPath, text: str) -> Iterator[Finding]:
    """A literal given to something that is called a password or a secret."""
    bare = path.suffix in UNQUOTED or path.name.startswith((".env", "Dockerfile", "Procfile", "Makefile"))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONG_LINE or not CALLED.search(line):
            continue
        for pattern in (INNER_VALUE, NAMED_VALUE, QUOTED_VALUE, *((BARE_VALUE,) if bare else ())):
            for match in pattern.finditer(line):
                yield from _given(name, match, number, kinds=3 if pattern is INNER_VALUE else 2)
    if path.suffix in {".yaml", ".yml"}:
        for match in PAIRED_VALUE.finditer(text):
            yield from _given(name, match, _line(text, match.start("value")))


def _given(name: str, match: re.Match[str], number: int, kinds: int = 2) -> Iterator[Finding]:
    groups = {key.rstrip("_"): value for key, value in match.groupdict().items() if value}
    called, value = _snake(groups["name"]), groups["value"]
    password = PASSWORD.search(called)
    if not password and not SECRET.search(called):
        return
    if "://" not in value and not UUID.fullmatch(value) and _random(value, 8 if password else 16, kinds):
        what = "password" if password else "secret"
        says = f"{groups['name']} is given a literal that looks like a {what}"
        yield _finding("deploylib", f"assigned-{what}", name, number, says)


def _finding(tool: str, rule: str, name: str, line: int, text: str) -> Finding:
    return Finding(tool=tool, rule=rule, where=f"{name}:{line}", text=text, remedy=REMEDY, path=name)


def _short(name: str) -> str:
    """``Detected a GitLab token, risking …`` → ``GitLab token``."""
    plain = re.sub(
        r"^(?:Detected|Discovered|Found|Identified|Uncovered)\s+an?\s+(?:(?:potential|possible)\s+)?", "", name
    )
    return plain.partition(",")[0].rstrip(".")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _snake(name: str) -> str:
    """``clientSecret`` and ``spring.datasource.password`` in one spelling."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower())


def _placeholder(value: str, *, tests: bool) -> bool:
    """Whether it says itself that it is none, or is typed off the keyboard."""
    parts = set(re.findall(r"[a-z]+", value.lower()))
    plain = re.sub(r"[^a-z]", "", value.lower().translate(str.maketrans("013457@$", "oleastas")))
    marked = {*parts, plain} & (WORDS | TESTS if tests else WORDS)
    return bool(marked) or "EXAMPLE" in value or any(re.fullmatch(r"x{3,}", part) for part in parts) or _regular(value)


def _regular(value: str) -> bool:
    """``aaaa``, ``12345678``, ``abcdef``, ``abababab``: no chance was involved."""
    if MASKED.search(value) or len(set(value)) <= 3:
        return True
    if len(value) > 200:
        return False
    steps = sum(ord(after) - ord(before) in {0, 1, -1} for before, after in pairwise(value))
    return steps > 0.6 * (len(value) - 1)


def _random(value: str, least: int, least_kinds: int = 2) -> bool:
    """Whether it looks made up at random: no word, no name, no reference to where the value really is."""
    if len(value) < least or " " in value or REFERENCE.search(value) or _placeholder(value, tests=True):
        return False
    if NAMES.fullmatch(value) and _entropy(value) < 4:
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w.:/-]"))
    return kinds >= least_kinds and _entropy(value) >= (2.5 if least < 16 else 3.0)


def _entropy(value: str) -> float:
    """Bits a character."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())
