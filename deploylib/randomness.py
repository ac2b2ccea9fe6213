"""Whether a value looks made up at random, as a secret is: no word, no name, no stand-in, no place where it really is."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from math import log2

__all__ = ["looks_random", "stands_in"]

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
    """Whether chance has made it.

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
    """Whether it says itself that it is no secret, or is typed off the keyboard; *tests*: or made for them."""
    lowered = value.lower()
    words = [*re.findall(r"[a-z]+", lowered), re.sub(r"[^a-z]", "", lowered.translate(LEET))]
    said = any(STAND_IN.fullmatch(word) or (tests and IN_TESTS.fullmatch(word)) for word in words)
    return said or "EXAMPLE" in value or _regular(value)


def _regular(value: str) -> bool:
    """``aaaa``, ``12345678``, ``abcdef``, ``abababab``: no chance was involved."""
    if MASKED.search(value) or len(set(value)) <= 3:
        return True
    if len(value) > 200:
        return False
    steps = sum(ord(after) - ord(before) in {0, 1, -1} for before, after in pairwise(value))
    return steps > 0.6 * (len(value) - 1)


def _entropy(value: str) -> float:
    """Bits a character."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())
