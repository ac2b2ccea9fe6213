"""Types the first part of the course in a terminal, and writes docs/training.cast and docs/training.svg of it.

asciinema records a person; nobody is here to type, so pexpect does, as a person types.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.runbook import asciicast
from tests.runbook.asciicast import CHAPTER, INPUT, OUTPUT, Event, find_telltales
from tests.runbook.film import draw
from tests.runbook.lessons import RECORDED, TRAINING
from tests.support.edges import environment
from tests.support.pages import typed_blocks, typed_commands
from tests.support.recipes import clone, git

DOCS = TRAINING.parent
TITLE = "deploylib: a first release, the next one, going back, and a release that fails"
PATIENCE = 600  # seconds for one command
# The prompt, and before it how the last command ended, in a sequence of its own that no terminal shows.
SHELL = r"""
unset HISTFILE
PS1='\[\e[1;34m\]$\[\e[0m\] '
PROMPT_COMMAND='printf "\e]133;D;%s\a" "$?"'
bind 'set enable-bracketed-paste off' 2>/dev/null
"""
ENDED = re.compile(r"\x1b\]133;D;(\d+)\x07")
READING = 1.6  # seconds after what a command has said, and before the next one


class Typist:
    """Types into a shell in a terminal, and keeps what happened there."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        """Start the shell in a folder."""
        self.events: list[Event] = []
        self._began = time.monotonic()
        self._hands = random.Random(1)  # noqa: S311 - the same hands each time
        settings = folder.parent / "shell"
        settings.write_text(SHELL)
        size = (asciicast.LINES, asciicast.COLUMNS)
        command = ["--noprofile", "--rcfile", str(settings), "-i"]
        self._shell = pexpect.spawn(
            "bash", command, cwd=folder, env=env, dimensions=size, timeout=PATIENCE, encoding="utf-8", maxread=65536
        )
        self._shell.delaybeforesend = None
        self._shell.logfile_read = self
        self._shell.expect(ENDED)

    def write(self, data: str) -> None:
        """Keep what the programs wrote; the terminal's other end calls this."""
        self._keep(OUTPUT, data)

    def flush(self) -> None:
        """Everything is kept already."""

    def begin(self, chapter: str) -> None:
        """Begin a chapter."""
        self._keep(CHAPTER, chapter)

    def type(self, command: str) -> int:
        """Type a command, let it come to its end, and read what it said; its exit code."""
        self._wait(READING)
        for key in f"{command}\r":
            self._wait(self._hands.uniform(0.3, 0.4) if key == "\r" else self._hands.uniform(0.02, 0.09))
            self._keep(INPUT, key)
            self._shell.send(key)
        self._shell.expect(ENDED)
        return int(self._shell.match[1])

    def end(self) -> None:
        """Read once more, and close the terminal."""
        self._wait(2 * READING)
        self._shell.close(force=True)

    def _keep(self, kind: str, data: str) -> None:
        self.events.append(Event(time.monotonic() - self._began, kind, data))

    def _wait(self, seconds: float) -> None:
        """Let time pass, in which what is written is read."""
        self._shell.expect([pexpect.TIMEOUT], timeout=seconds)


@contextmanager
def fresh_clone() -> Iterator[tuple[Path, dict[str, str]]]:
    """A clone in a home of nobody, with what a shell there sees; nothing of it is left at the end."""
    home = Path(tempfile.mkdtemp(prefix="course-")).resolve()
    named = {f"GIT_{who}_NAME": "Ann" for who in ("AUTHOR", "COMMITTER")}
    named |= {f"GIT_{who}_EMAIL": "ann@example.com" for who in ("AUTHOR", "COMMITTER")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(**named, HOME=str(home), USER="ann", PATH=path, TERM="xterm-256color")
    folder = clone(home / "deploylib")
    git(folder, "commit", "--quiet", "--amend", "--message=The guest book")  # a subject that fits in a line
    try:
        yield folder, env
    finally:
        subprocess.run([sys.executable, "-m", "localrender", "down"], cwd=folder, env=env, check=False, timeout=300)
        shutil.rmtree(home, ignore_errors=True)


def record(situations: tuple[str, ...]) -> list[Event]:
    """Type the blocks of these situations.

    Raises:
        SystemExit: a command ended otherwise than the page says, or what was recorded tells what it must not.
    """
    blocks = {block.situation: block for block in typed_blocks(TRAINING)}
    with fresh_clone() as (folder, env):
        typist = Typist(folder, env)
        for situation in situations:
            typist.begin(situation)
            for command, right in typed_commands(blocks[situation].lines):
                code = typist.type(command)
                print(f"{code:>3}  {command}", flush=True)
                if code != right:
                    sys.exit(f"{command} ended with {code}, and the page says {right}; nothing was written")
        typist.end()
        events = asciicast.replaced(_from_the_first_chapter(typist.events), ENDED, lambda _: "")
        events = asciicast.neutral(events, folder.parent)
        known = json.loads((folder / ".localrender" / "endpoint.json").read_text())["api_key"]
    _examine("".join(event.data for event in events), known)
    return events


def _from_the_first_chapter(events: list[Event]) -> list[Event]:
    """The same, with what was before at its beginning: the first prompt."""
    begun = next(event.at for event in events if event.kind == CHAPTER)
    return [event._replace(at=max(0.0, event.at - begun)) for event in events]


def _examine(text: str, key: str) -> None:
    """Refuse what names this machine, its user, or a secret."""
    words = (key, str(Path.home()), socket.gethostname(), f"{getpass.getuser()}@")
    shown = [word for word in words if word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    if shown := [*shown, *find_telltales(text)]:
        sys.exit(f"the recording tells {', '.join(shown)}, and was not written")


def main() -> None:
    """Record, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=DOCS, help="the folder of both files")
    parser.add_argument("--situation", action="append", help="a block of the page; by default those of the recording")
    asked = parser.parse_args()
    events = record(tuple(asked.situation or RECORDED))
    recording = asked.into / "training.cast"
    recording.write_text(asciicast.written(events, TITLE))
    (asked.into / "training.svg").write_text(draw(recording))


if __name__ == "__main__":
    main()
