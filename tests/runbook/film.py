"""Draws a terminal recording as an SVG that moves without a script.

termtosvg, which did this, is no longer kept, and draws each picture whole; the terminal is pyte's, as it was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pyte

from tests.runbook.asciicast import COLUMNS, LINES, OUTPUT, Event, read

__all__ = ["draw"]

WIDTH, HEIGHT, EDGE = 9, 19, 14  # of a character, and around all of them
SOONEST = 0.1  # seconds that a picture stands, at least
SETTLED = 0.02  # seconds of silence after which nothing is half drawn
LONGEST = 1.2  # seconds in which only a line that is redrawn moves, or a command is typed
LAST = 4.0  # seconds that the last picture stands
COLOURS = {"default": "", "green": "g", "red": "r", "brown": "y", "blue": "b"}
STYLE = """
text{fill:#d5dce4;font:15px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
.g{fill:#56d364}.r{fill:#ff7b72}.y{fill:#e3b341}.b{fill:#79c0ff}.B{font-weight:bold}
#page,#live,#bar{animation:%(seconds).1fs step-end infinite}
#page{animation-name:page}#live{animation-name:live}
#bar{animation-name:bar;animation-timing-function:steps(200);transform-origin:%(edge)dpx}
@keyframes bar{from{transform:scaleX(0)}}
@media(prefers-reduced-motion:reduce){#page,#live,#bar{animation:none}}
"""


class Run(NamedTuple):
    """Characters of one style that stand together."""

    column: int
    text: str
    style: str


class Picture(NamedTuple):
    """What the terminal shows.

    Attributes:
        top: how many lines have gone out of sight.
        rows: those that are seen.
        cursor: its column and row, or nothing where it is hidden.
    """

    at: float
    top: int
    rows: tuple[tuple[Run, ...], ...]
    cursor: tuple[int, int] | None


def draw(recording: Path) -> str:
    """The text of the SVG.

    A line that has its last form is drawn once, on a page that moves up behind the window; what still changes, from there
    on down, lies before it, in as many pictures as there are. Where nothing moves, the last picture is seen.
    """
    head, events = read(recording)
    pictures = list(_pictures(events))
    ends = _ends(pictures)
    final = [_first_that_changes(picture, index, ends) for index, picture in enumerate(pictures)]
    moments, seconds = _paced(pictures, final)
    page = dict[int, tuple[Run, ...]]()
    strip = dict[tuple[object, ...], int]()  # what is before the page, and its place
    ways = list[tuple[str, str]]()
    for picture, done in zip(pictures, final, strict=True):
        page |= {picture.top + row: runs for row, runs in enumerate(picture.rows[: done - picture.top]) if runs}
        live = picture.rows[done - picture.top :]
        down = done - picture.top
        cursor = None if picture.cursor is None else (picture.cursor[0], picture.cursor[1] - down)
        place = strip.setdefault((live, cursor), len(strip))
        ways.append((_move(0, -picture.top * HEIGHT), _move(-place * COLUMNS * WIDTH, down * HEIGHT)))
    body = [_row(runs, 0, row * HEIGHT) for row, runs in page.items()]
    before = list(_strip(strip))
    style = STYLE % {"seconds": seconds, "edge": EDGE} + _keyframes("page", moments, [way for way, _ in ways], seconds)
    style += _keyframes("live", moments, [way for _, way in ways], seconds)
    style += f"#page{{{ways[-1][0]}}}#live{{{ways[-1][1]}}}"
    return _framed(str(head["title"]), style, body, before, COLUMNS * WIDTH * len(strip))


def _pictures(events: Iterable[Event]) -> Iterator[Picture]:
    """What is seen, one after the other, each for a moment at least."""
    screen = pyte.HistoryScreen(COLUMNS, LINES, history=1_000_000)
    stream = pyte.Stream(screen)
    last, begun, wrote = None, 0.0, 0.0
    for event in events:
        if event.kind != OUTPUT:
            continue
        if event.at - begun >= SOONEST and event.at - wrote >= SETTLED:
            picture = _look(screen, begun)
            if last is None or picture._replace(at=last.at) != last:
                yield picture
                last = picture
            begun = event.at
        stream.feed(event.data)
        wrote = event.at
    yield _look(screen, begun)


def _look(screen: pyte.HistoryScreen, at: float) -> Picture:
    rows = tuple(tuple(_runs(screen.buffer[row])) for row in range(LINES))
    cursor = None if screen.cursor.hidden else (screen.cursor.x, screen.cursor.y)
    return Picture(at, len(screen.history.top), rows, cursor)


def _runs(line: Mapping[int, pyte.screens.Char]) -> Iterator[Run]:
    """The words of a line, each where it is: no font has to be as wide as another one for columns to stay columns."""
    column = 0
    for style, characters in groupby((line[column] for column in range(COLUMNS)), _styled):
        text = "".join(character.data for character in characters)
        for part in re.finditer(r"[^\x00-\x7f]|[!-~]+(?: [!-~]+)*", text):
            yield Run(column + part.start(), part[0], style)
        column += len(text)


def _styled(character: pyte.screens.Char) -> str:
    colour = COLOURS.get(character.fg, "")
    return f"{colour} B".strip() if character.bold else colour


def _ends(pictures: list[Picture]) -> dict[int, int]:
    """For each line ever shown, from the top, the picture in which it has its last form."""
    ends, seen = dict[int, int](), dict[int, tuple[Run, ...]]()
    for index, picture in enumerate(pictures):
        for number, row in enumerate(picture.rows, picture.top):
            if seen.get(number, ()) != row:
                seen[number], ends[number] = row, index
    return ends


def _first_that_changes(picture: Picture, index: int, ends: dict[int, int]) -> int:
    """The first line in sight that will not stay as it is."""
    lines = range(picture.top, picture.top + LINES)
    return next((line for line in lines if ends.get(line, 0) > index), lines.stop)


def _paced(pictures: list[Picture], final: list[int]) -> tuple[list[float], float]:
    """When each is shown, and how long all take: nobody waits longer than is said above for the next line."""
    moments, begin = [0.0], 0
    for index in range(1, len(pictures)):
        if index + 1 < len(pictures) and final[index] <= final[index - 1]:
            continue
        stretch = [picture.at for picture in pictures[begin : index + 1]]
        pace = min(1.0, LONGEST / max(stretch[-1] - stretch[0], SOONEST))
        moments += [moments[-1] + pace * step for step in _sums(stretch)]
        begin = index
    return moments, moments[-1] + LAST


def _sums(times: list[float]) -> list[float]:
    return [later - times[0] for _, later in pairwise(times)]


def _move(right: int, down: int) -> str:
    return f"transform:translate({right}px,{down}px)" if right or down else "transform:none"


def _keyframes(name: str, moments: list[float], moves: list[str], seconds: float) -> str:
    stops, last = "", ""
    for moment, move in zip(moments, moves, strict=True):
        if move != last:
            stops += f"{100 * moment / seconds:.2f}%{{{move}}}"
            last = move
    return f"@keyframes {name}{{{stops}}}"


def _strip(strip: dict[tuple[object, ...], int]) -> Iterator[str]:
    """What changes, one picture beside the other."""
    for (rows, cursor), place in strip.items():
        left = place * COLUMNS * WIDTH
        assert isinstance(rows, tuple)
        yield from (_row(runs, left, row * HEIGHT) for row, runs in enumerate(rows) if runs)
        if isinstance(cursor, tuple):
            yield f'<use href="#c" x="{left + cursor[0] * WIDTH}" y="{cursor[1] * HEIGHT}"/>'


def _row(runs: tuple[Run, ...], left: int, top: int) -> str:
    """A line: each run begins where it does in the terminal, and is as wide."""
    spans = ""
    for column, text, style in runs:
        kind = f' class="{style}"' if style else ""
        width = f' textLength="{len(text) * WIDTH}"' if len(text) > 1 else ""
        spans += f'<tspan x="{left + column * WIDTH}"{width}{kind}>{escape(text, quote=False)}</tspan>'
    return f'<text y="{top + 14}">{spans}</text>'


def _framed(title: str, style: str, page: list[str], live: list[str], width: int) -> str:
    across, down = COLUMNS * WIDTH, LINES * HEIGHT
    all_across, all_down = across + 2 * EDGE, down + 2 * EDGE
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {all_across} {all_down}" width="{all_across}" height="{all_down}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<defs><rect id="c" width="{WIDTH}" height="{HEIGHT}" fill="#d5dce4" opacity=".6"/></defs>',
            f'<rect x=".5" y=".5" width="{all_across - 1}" height="{all_down - 1}" rx="8" fill="#14181f" stroke="#3d4652"/>',
            f'<svg x="{EDGE}" y="{EDGE}" width="{across}" height="{down}">',
            '<g id="page">',
            *page,
            '</g><g id="live">',
            f'<rect width="{width}" height="{down}" fill="#14181f"/>',
            *live,
            "</g></svg>",
            f'<rect id="bar" x="{EDGE}" y="{all_down - 6}" width="{across}" height="2" fill="#3d4652"/>',
            "</svg>\n",
        )
    )
