"""What a person sees of ``deploylib init`` on a terminal, who is asked there."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import adopters
from tests.support.edges import environment

SCRIPT = (sys.executable, "-c", "from deploylib.cli.script import main; main()", "init")
QUESTION = re.compile(r"write these \d+ files\? \[y/N\] $")
LONGEST = 60.0  # seconds


def typed(folder: Path, answer: bytes, number: int = 0) -> tuple[int, str, str]:
    """Exit code, and what was on the terminal before and after the answer, or the signal."""
    terminal, theirs = pty.openpty()
    child = subprocess.Popen(  # in a session of its own: it has no other terminal
        SCRIPT,
        cwd=folder,
        env=environment() | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    texts, answered, ends = ["", ""], False, time.monotonic() + LONGEST
    try:
        while time.monotonic() < ends:
            if not select.select([terminal], [], [], 1.0)[0]:  # a second of silence: nothing is drawn over the question
                if not answered and QUESTION.search(texts[0]):
                    answered = True
                    os.write(terminal, answer)
                    child.send_signal(number)
                continue
            try:
                texts[answered] += os.read(terminal, 1 << 16).decode(errors="replace")
            except OSError:  # its end
                break
        else:
            child.kill()
        return child.wait(), texts[0], texts[1]
    finally:
        child.kill()
        os.close(terminal)


def test_who_stops_at_the_question_is_told_that_nothing_was_written(tmp_path: Path) -> None:
    """There is nothing that a release could go on with."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS)

    code, _, after = typed(folder, b"", signal.SIGINT)

    assert code == 130
    assert "next: nothing was written" in after
    assert "inv deploy" not in after
    assert not (folder / "tasks.py").exists()


@pytest.mark.parametrize("answer", ["n\n", "\n", "y\n"], ids=["no", "nothing", "yes"])
def test_the_question_stands_until_it_is_answered(tmp_path: Path, answer: str) -> None:
    """As it is written, with what Enter alone means; nothing is said to be so before, and no diff is shown twice."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS)

    code, before, after = typed(folder, answer.encode())

    assert code == 0
    assert QUESTION.search(before), before[-500:]
    assert "written" not in before.rpartition("tasks.py  ")[2]
    assert "+++ tasks.py" in before
    assert "+++ tasks.py" not in after
    wanted = answer == "y\n"
    assert ("nothing was written" in after) == (not wanted)
    assert (folder / "tasks.py").exists() == wanted
