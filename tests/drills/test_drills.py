"""Each drill on its own local Render: mended by the right commands, not by doing nothing, and nothing of it is left."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploylib.drills.catalog import DRILLS
from deploylib.drills.definition import Drill
from tests.support.edges import environment, processes_of, until
from tests.support.repository import Repository

pytestmark = pytest.mark.load
EACH = pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
TASKS = "from deploylib.cli import collection\n\nns = collection()\n"
LONG = 300.0
NOTHING = """
import sys, msgspec, deploylib
from deploylib.drills.catalog import find_practice
from deploylib.drills.practice import Nobody, practise
env = deploylib.Environment.open("local")
print(msgspec.json.encode(practise(env, find_practice(sys.argv[1]), Nobody(), 300)).decode())
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drills have their folders."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def repository(tmp_path: Path, temporary: Path) -> Repository:
    """A product of somebody who practises; nothing of it runs."""
    made = Repository(tmp_path / "product")
    made.root.mkdir()
    made.run("init", "--quiet", "--initial-branch=main")
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        made.run("config", key, value)
    made.commit({"tasks.py": TASKS, ".gitignore": ".deploylib/\n__pycache__/\n"})
    return made


def inv(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Type a command to its end."""
    command = [sys.executable, "-m", "invoke", *args]
    return subprocess.run(
        command, cwd=folder, env=environment(TERM="dumb"), check=False, capture_output=True, text=True, timeout=LONG
    )


class Terminal:
    """A drill that waits for a person, on a terminal."""

    def __init__(self, folder: Path, *args: str) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "drill", *args],
            cwd=folder,
            env=environment(TERM="dumb"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        self._terminal, self._said = ours, b""

    @property
    def said(self) -> str:
        """What stands on it."""
        try:
            while piece := os.read(self._terminal, 1 << 16):
                self._said += piece
        except (BlockingIOError, OSError):
            """Nothing more for now, or the program has ended."""
        return self._said.decode().replace("\r", "")

    def shop(self) -> Path:
        """The folder that it says to work in."""
        until(lambda: "The clock runs" in self.said or self.process.poll() is not None, LONG)
        found = re.search(r"^ +cd (\S+)$", self.said, re.MULTILINE)
        assert found is not None, self.said
        return Path(found[1])

    def close(self) -> None:
        """Put it away, once the rest is read."""
        assert self.said
        os.close(self._terminal)

    def end(self) -> tuple[int, str]:
        """Its exit code and its result."""
        out, _ = self.process.communicate(timeout=LONG)
        return self.process.returncode, out.decode()


@contextmanager
def waiting(folder: Path, *args: str) -> Iterator[Terminal]:
    """A drill that is ended in any case."""
    terminal = Terminal(folder, *args)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.send_signal(signal.SIGINT)
            terminal.end()
        terminal.close()


def left(temporary: Path) -> list[str]:
    """What is left of drills: folders and processes."""
    running = [f"{one.pid} {' '.join(one.cmdline())}" for one in processes_of(temporary)]
    return [*running, *(path.name for path in temporary.glob("deploylib-*"))]


def kept(folder: Path) -> list[dict[str, Any]]:
    """What the history keeps of drills, and how each ended."""
    runs = json.loads(inv(folder, "history", "--json").stdout)
    return [
        {**(one["stages"].get("drill", {}).get("data", {})), "code": (one.get("report") or {}).get("exit_code", 0)}
        for one in runs
        if one["opened"].get("operation") == "drill"
    ]


@EACH
def test_the_right_commands_mend_it(drill: Drill, repository: Repository, temporary: Path) -> None:
    """Typed as programs of their own, each with its exit code; judged after clean-up, and nothing is left."""
    done = inv(repository.root, "drill", drill.name, "--unattended", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["passed"]
    assert 0 <= result["noticed"] <= result["first_right"] <= result["restored"]
    assert left(temporary) == []
    assert not (repository.root / ".localrender").exists()


@EACH
def test_doing_nothing_does_not(drill: Drill, repository: Repository, temporary: Path) -> None:
    """Not even when what was set is taken away at its end."""
    command = [sys.executable, "-c", NOTHING, drill.name]
    done = subprocess.run(
        command, cwd=repository.root, env=environment(), check=False, capture_output=True, text=True, timeout=LONG
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert not result["passed"]
    assert result["fault"]
    assert result["restored"] is None
    assert left(temporary) == []


def test_a_person_works_in_another_terminal(repository: Repository, temporary: Path) -> None:
    """They are told where; what they type is seen, timed and compared; it is recorded in their own history alone."""
    with waiting(repository.root, "held", "--json") as terminal:
        shop = terminal.shop()
        for line in (("status",), ("hold.lift", "--reason", "the database is moved"), ("deploy",)):
            assert inv(shop, *line).returncode == 0
        code, out = terminal.end()
    result = json.loads(out)

    assert code == 0, terminal.said
    assert "inv hold.lift --reason 'the database is moved'  ← right" in terminal.said
    assert result["passed"]
    assert 0 <= result["noticed"] <= result["first_right"] <= result["restored"]
    (record,) = kept(repository.root)
    assert (record["drill"], record["passed"], record["code"]) == ("held", True, 0)
    assert left(temporary) == []
    assert repository.run("status", "--porcelain") == ""


def test_whoever_gives_up_leaves_nothing(repository: Repository, temporary: Path) -> None:
    """Ctrl-C: exit code 130, and it does not count as practised."""
    with waiting(repository.root, "held") as terminal:
        terminal.shop()
        terminal.process.send_signal(signal.SIGINT)
        code, _ = terminal.end()

    assert code == 130
    assert "nothing is left of it; inv drill held begins it anew" in terminal.said
    assert [one["code"] for one in kept(repository.root)] == [130]
    assert left(temporary) == []


def test_time_that_is_over_ends_it(repository: Repository, temporary: Path) -> None:
    """With exit code 3, and what is wrong still."""
    with waiting(repository.root, "held", "--within", "1s") as terminal:
        code, out = terminal.end()

    assert code == 3
    assert out.splitlines()[1:3] == ["NOT PASSED  held", "Not well    time is over: the newest commit is not released"]
    assert left(temporary) == []


def test_what_a_killed_drill_left_is_cleaned_up_by_the_next_command(repository: Repository, temporary: Path) -> None:
    """Also where its local Render was killed with it, and could end nothing; another drill that runs is left alone."""
    with waiting(repository.root, "held") as terminal, waiting(repository.root, "held") as other:
        shop, others = terminal.shop(), other.shop()
        known = json.loads((shop / ".localrender/endpoint.json").read_text())
        psutil.Process(known["pid"]).kill()
        terminal.process.kill()
        terminal.end()
        assert processes_of(shop) != []

        listed = inv(repository.root, "drill")

        assert listed.returncode == 0
        assert f"cleaning up after a drill that was killed: {shop.parent}" in listed.stderr
        assert processes_of(shop) == []
        assert not shop.exists()
        assert others.exists()
        assert inv(others, "status").returncode == 0
    assert left(temporary) == []
