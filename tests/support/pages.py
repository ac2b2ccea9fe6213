"""The sections of a document, and the commands that it tells people to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

__all__ = ["Typed", "fenced_commands", "headings", "slug", "typed_blocks", "typed_commands"]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INV = re.compile(
    r"(?:^|&&|\|\||[;|(]|\brun:|startCommand:|\bexec)\s*(?:\$ )?(?:\.venv/bin/)?(inv(?: [^#\n&|;)]+)?)", re.MULTILINE
)


class Typed(NamedTuple):
    """A block of shell.

    Attributes:
        situation: in which a test types it; empty: none does.
        excused: the page says in plain words that it is not run.
        lines: as they are typed.
    """

    section: str
    situation: str
    excused: bool
    lines: tuple[str, ...]


def typed_blocks(page: Path) -> list[Typed]:
    """Every block of shell of a page, with the mark above it."""
    text = page.read_text()
    found = []
    for block in re.finditer(r"^( *)```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        above = text[: block.start()].rstrip()
        mark = re.search(r"<!-- situation: (.+?) -->$", above)
        paragraph = above.rpartition("\n\n")[2]
        section = re.findall(r"^##+ (.+)$", above, re.MULTILINE)
        lines = tuple(line.strip() for line in block[2].splitlines() if line.strip())
        excused = re.search(r"\*Not run\*", paragraph) is not None
        found.append(Typed(section[-1] if section else "", mark[1] if mark else "", excused, lines))
    return found


def typed_commands(lines: tuple[str, ...]) -> list[tuple[str, int]]:
    """Whole commands, of which one may take several lines, and the exit code that the comment behind it names."""
    found, begun = [], ""
    for line in lines:
        begun += line
        try:
            shlex.split(begun)
        except ValueError:  # a quotation is open
            begun += "\n"
            continue
        code = re.search(r"# exit code (\d+)", begun)
        found.append((begun, int(code[1]) if code else 0))
        begun = ""
    return found


def fenced_commands(page: Path) -> list[str]:
    """Every ``inv …`` in a fenced block, of whatever language."""
    return [
        command.strip().rstrip("'\"") if command.count('"') % 2 else command.strip()
        for _, _, body in FENCE.findall(page.read_text())
        for command in INV.findall(body)
    ]


def headings(page: Path) -> dict[str, str]:
    """The text below each heading, up to the next one."""
    parts = re.split(r"^##+ (.+)$", FENCE.sub(_kept, page.read_text()), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _kept(block: re.Match[str]) -> str:
    """A block whose comments are no headings."""
    return re.sub(r"^( *)#", r"\1 #", block[0], flags=re.MULTILINE)


def slug(heading: str) -> str:
    """The name by which a link leads to a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
