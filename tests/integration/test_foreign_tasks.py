"""The ``tasks.py`` of another repository: ten lines, the installed library, and the same commands as here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.edges import environment
from tests.support.product import ROOT

TASKS = '''"""What an operator types in this repository."""

from invoke.tasks import task

from deploylib.cli import collection

ns = collection()


@ns.add_task
@task
def seed(c):
    """Fill the guest book with examples."""
'''
# Every help in one process: what is read is what `inv NAME --help` prints, and a start of Python for each would take a minute.
HELP = """
import contextlib, io, json, sys
from invoke.main import program

def told(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        program.run(["inv", *arguments], exit=False)
    return out.getvalue()

listed = json.loads(told("--list", "--list-format=json"))
names = [task["name"] for task in listed["tasks"]]
names += [f"{group['name']}.{task['name']}" for group in listed["collections"] for task in group["tasks"]]
import deploylib
print(json.dumps({"from": deploylib.__file__, "list": told("--list"), "help": {name: told(name, "--help") for name in names}}))
"""


def shown(python: Path | str, folder: Path) -> dict[str, Any]:
    """The list of commands in a folder, and the help of each."""
    done = subprocess.run(
        [python, "-c", HELP], cwd=folder, env=environment(), check=True, capture_output=True, text=True, timeout=120
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the library as its wheel brings it, and beside it what the tests have installed."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=120)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]:
        shutil.copytree(ROOT / package, packages / package)
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv/bin/python"


def test_ten_lines_in_another_repository_are_the_same_commands(installed: Path, tmp_path: Path) -> None:
    """The list and each help, to the letter; and a task of its own stands beside them."""
    (tmp_path / "tasks.py").write_text(TASKS)
    assert len([line for line in TASKS.splitlines() if line]) <= 10

    theirs, ours = shown(installed, tmp_path), shown(sys.executable, ROOT)

    assert Path(theirs["from"]).is_relative_to(installed.parents[1])
    own = [line for line in theirs["list"].splitlines() if line.split()[:1] == ["seed"]]
    assert len(own) == 1
    assert [line.split() for line in theirs["list"].splitlines() if line not in own] == [
        line.split() for line in ours["list"].splitlines()
    ]
    assert "Fill the guest book" in theirs["help"].pop("seed")
    assert len(ours["help"]) >= 25
    assert theirs["help"] == ours["help"]


def test_the_everyday_commands_are_listed_first(installed: Path, tmp_path: Path) -> None:
    """In the order in which one needs them; the rest by name and group."""
    (tmp_path / "tasks.py").write_text(TASKS)

    listed = re.findall(r"^  (\S+)", shown(installed, tmp_path)["list"], re.MULTILINE)

    everyday = ["deploy", "check", "status", "logs", "rollback", "history", "backup.create", "finish"]
    assert listed[: len(everyday)] == everyday
    assert listed[len(everyday) :] == sorted(listed[len(everyday) :], key=lambda name: ("." in name, name))
