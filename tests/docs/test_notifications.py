"""The page of notifications does what it says, against a Slack on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fakes import write
from tests.support.repository import Repository
from tests.support.slack import TOKEN, LoopbackSlack, Ordered, run_slack

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
COMMANDS = re.findall(r"^ {4}(inv notify .*)$", PAGE, re.MULTILINE)
(SETTINGS,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
STORE = 'only_this_machine = true\nstore = ".deploylib"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A product with the settings of the page."""
    files = {
        "deploylib.toml": SETTINGS + STORE,
        "tasks.py": "from deploylib.cli import collection\n\nns = collection()\n",
    }
    made = Repository(tmp_path)
    made.run("init", "--quiet", "--initial-branch", "main")
    made.run("config", "user.name", "Ada")
    write(tmp_path, files)
    return tmp_path


def typed(folder: Path, there: LoopbackSlack, *command: str, bot: bool, code: int = 0) -> str:
    """What it prints."""
    named = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_API_URL": there.api} if bot else {"SLACK_WEBHOOK_URL": there.webhook}
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | named | {"USER": "ada"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ, check=False, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout + done.stderr


def inv(folder: Path, there: LoopbackSlack, command: str, *, bot: bool, code: int = 0) -> str:
    """The same of a line of the page."""
    _, *words = re.findall(r'"[^"]*"|\S+', command)
    return typed(folder, there, "-m", "invoke", *(word.strip('"') for word in words), bot=bot, code=code)


@pytest.mark.parametrize("bot", [False, True], ids=["webhook", "bot"])
def test_the_commands_of_the_page_tell_slack(folder: Path, *, bot: bool) -> None:
    """A test and a text."""
    test, text = COMMANDS
    with run_slack() as there:
        assert inv(folder, there, test, bot=bot) == "Slack was told\n"
        assert inv(folder, there, text, bot=bot) == "Slack was told\n"
    assert there.titles == ["✓ a test: messages of deploylib arrive here", "the database moves at noon"]


def test_the_script_of_the_page_tells_an_alert(folder: Path) -> None:
    """With the next step about its environment."""
    with run_slack() as there:
        assert typed(folder, there, "-c", SCRIPT, bot=True) == "Slack True \n"
    assert there.texts == [
        "*🔴 CRITICAL: the queue is longer than an hour*\nstaging\nNext: inv logs --environment staging tells what the worker says"
    ]


def test_what_could_not_be_told_goes_out_with_the_next_command(folder: Path) -> None:
    """Whichever that is; the command that could not tell it ends with 40 and says what helps."""
    _, text = COMMANDS
    with run_slack(Ordered(404, "no_service")) as there:
        said = inv(folder, there, text, bot=False, code=40)
        assert "Slack was not told: no_service" in said
        assert "it goes out with the next command" in said
        assert there.texts == []
        inv(folder, there, "inv lease --environment staging", bot=False)
    assert there.titles == ["the database moves at noon"]
