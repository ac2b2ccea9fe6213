"""A terminal recording in the format of asciinema: a line of JSON for its head, and one for each event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "COLUMNS",
    "LINES",
    "Event",
    "find_telltales",
    "neutral",
    "read",
    "replaced",
    "screen_text",
    "sentences",
    "written",
]

COLUMNS, LINES = 108, 30
LONGEST = 2.0  # seconds that a player waits where nothing moves
OUTPUT, INPUT, CHAPTER = "o", "i", "m"
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])")
START = r"(?<![\w:/.~…-])"  # of a path, which is no part of an address
PATH = re.compile(rf"{START}/[\w.@+…-]+(?:/[\w.@+…-]+)+/?")
TELLTALES = (
    re.compile(rf"{START}/(?:builds|etc|home|mnt|opt|private|root|srv|tmp|usr|Users|var|work)/[^\s\"'<]*"),
    re.compile(r"\brnd_\w+|\bxox[a-z]-\w+|\bpostgres(?:ql)?://[^\s:]+:[^\s@]+@|\bBearer \S+"),
)


class Event(NamedTuple):
    """What happened in a terminal, and when.

    Attributes:
        at: seconds since the beginning.
        kind: ``o``: the programs wrote; ``i``: a person typed; ``m``: a chapter begins.
    """

    at: float
    kind: str
    data: str


def written(events: Iterable[Event], title: str) -> str:
    """The text of the file."""
    head = {"version": 2, "width": COLUMNS, "height": LINES, "idle_time_limit": LONGEST, "title": title}
    lines = [head | {"env": {"TERM": "xterm-256color"}}, *([round(at, 3), kind, data] for at, kind, data in events)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read(path: Path) -> tuple[dict[str, object], list[Event]]:
    """Its head and events."""
    head, *events = [json.loads(line) for line in path.read_text().splitlines()]
    return head, [Event(float(at), str(kind), str(data)) for at, kind, data in events]


def sentences(events: Iterable[Event]) -> dict[str, list[str]]:
    """The lines that were typed, by chapter."""
    typed: dict[str, str] = {}
    for event in events:
        if event.kind == CHAPTER:
            typed[event.data] = ""
        elif event.kind == INPUT:
            *_, newest = typed
            typed[newest] += event.data
    return {chapter: keys.split("\r")[:-1] for chapter, keys in typed.items()}


def screen_text(events: Iterable[Event]) -> str:
    """What the programs wrote, without what moves the cursor and changes colours."""
    return ESCAPE.sub("", "".join(event.data for event in events if event.kind == OUTPUT))


def neutral(events: list[Event], home: Path) -> list[Event]:
    """The same with no path of the machine: *home* is ``~``, and of any other one that is there its end is left."""

    def shown(match: re.Match[str]) -> str:
        path = match[0]
        if path.startswith(str(home)):
            return "~" + path.removeprefix(str(home))
        if path.endswith("…") and str(home).startswith(path[:-1]):  # cut at the edge of the terminal
            return "~…"
        return f"…/{Path(path).name}" if Path(*Path(path).parts[:2]).exists() else path

    return replaced(events, PATH, shown)


def replaced(events: list[Event], pattern: re.Pattern[str], how: Callable[[re.Match[str]], str]) -> list[Event]:
    """The same with something else where the pattern is in what the programs wrote, also where it came in two pieces."""
    pieces = [event.data if event.kind == OUTPUT else "" for event in events]
    matches = list(pattern.finditer("".join(pieces)))
    changed, begin = list[Event](), 0
    for event, piece in zip(events, pieces, strict=True):
        end, at, text = begin + len(piece), 0, ""
        for match in matches:
            first, last = (max(0, min(len(piece), place - begin)) for place in match.span())
            if first < last:
                text += piece[at:first] + (how(match) if match.start() >= begin else "")
                at = last
        if event.kind != OUTPUT:
            changed.append(event)
        elif text or piece[at:]:
            changed.append(event._replace(data=text + piece[at:]))
        begin = end
    return changed


def find_telltales(text: str) -> list[str]:
    """Paths of a machine, and what looks like a secret."""
    return [match[0] for pattern in TELLTALES for match in pattern.finditer(text)]
