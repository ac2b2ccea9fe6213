"""Bandit's opinion of planted code: each verdict, and that a commit cannot switch it off."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from deploylib.models.extras import install_command
from deploylib.models.findings import Examined, Verdict
from deploylib.scanners import Product
from deploylib.scanners.source_code import scan_source_code
from deploylib.settings import ScanSettings
from deploylib.system import Clock, Deadline
from tests.support.fakes import FakeClock, write

SHELL = "import subprocess\n\n\ndef run(name):\n    subprocess.run('ls ' + name, shell=True)\n"


def examined(root: Path, files: dict[str, str], **settings: object) -> Examined:
    """What is said of a tree with these files."""
    write(root, files)
    clock = FakeClock()
    chosen = msgspec.convert(settings, ScanSettings)
    said = scan_source_code(Product(root, chosen, deadline=clock.deadline(60)))
    return said.judge(chosen.accepted, clock.now().date())


def test_harmless_code_is_clean(tmp_path: Path) -> None:
    """Every Python file was read; listening on all addresses is what Render asks for, a password is not its affair."""
    files = {
        "a.py": "x = 1\n",
        "b/c.py": f"HOST = '0.0.0.0'\npassword = {'hunter2' * 2!r}\nassert HOST\n",
        "d.txt": SHELL,
    }

    said = examined(tmp_path, files)

    assert (Verdict.CLEAN, {"file": 2}, ()) == (said.verdict, said.counted, said.gaps)


def test_dangerous_code_is_a_finding_with_file_and_line(tmp_path: Path) -> None:
    """From the severity and confidence that the settings say."""
    said = examined(tmp_path, {"a/run.py": SHELL})

    [found] = said.findings
    assert (Verdict.FINDINGS, "B602", "a/run.py:5") == (said.verdict, found.rule, found.where)
    assert "nosec B602" in found.remedy
    weak = {"weak.py": "import subprocess\n"}
    assert examined(tmp_path / "weak", weak).verdict is Verdict.CLEAN
    assert examined(tmp_path / "weak", weak, severity="low").verdict is Verdict.FINDINGS


def test_code_that_cannot_be_parsed_is_not_examined(tmp_path: Path) -> None:
    """The other files are."""
    said = examined(tmp_path, {"broken.py": "def (:\n", "good.py": "x = 1\n"})

    assert (Verdict.NOT_EXAMINED, {"file": 1}) == (said.verdict, said.counted)
    assert ["broken.py"] == [gap.what for gap in said.gaps]


def test_a_commit_cannot_switch_it_off(tmp_path: Path) -> None:
    """Neither by a file of its own settings nor by a folder that the tool leaves out."""
    said = examined(tmp_path, {".bandit": "[bandit]\nskips: B602\nexclude: /a\n", "a/run.py": SHELL})

    assert said.verdict is Verdict.FINDINGS


@pytest.mark.parametrize(
    "name",
    [
        "bandit/__main__.py",
        "yaml.py",
        *(pytest.param(name, marks=pytest.mark.load) for name in ("ast.py", "json.py", "rich/__init__.py")),
    ],
)
def test_nothing_of_a_commit_is_run_when_it_is_scanned(tmp_path: Path, name: str) -> None:
    """It may have files that are called like the tool, or like what the tool imports."""
    ran = "from pathlib import Path\n\nPath('ran').touch()\nraise SystemExit('{}')\n"

    said = examined(tmp_path, {name: ran, f"{Path(name).parent}/__init__.py": "", "a/run.py": SHELL})

    assert [found.where for found in said.findings] == ["a/run.py:5"]
    assert not (tmp_path / "ran").exists()


def test_an_accepted_finding_is_told_with_its_reason(tmp_path: Path) -> None:
    """Only where the path fits."""
    accepted = [{"rule": "B602", "path": "ops/**", "reason": "its input is a constant"}]

    said = examined(tmp_path, {"ops/run.py": SHELL, "web/run.py": SHELL}, accepted=accepted)

    assert ["web/run.py:5"] == [found.where for found in said.findings]
    assert ("ops/run.py:5: B602 accepted: its input is a constant",) == said.accepted


def test_files_that_the_settings_ignore_are_left_out(tmp_path: Path) -> None:
    """As are folders of other people's code."""
    files = {"tests/run.py": SHELL, "web/node_modules/x/run.py": SHELL, "a.py": ""}

    said = examined(tmp_path, files, ignored=["tests/**"])

    assert (Verdict.CLEAN, {"file": 1}) == (said.verdict, said.counted)


def test_out_of_time_is_not_examined(tmp_path: Path) -> None:
    """It is ended, and says so."""
    write(tmp_path, {"a.py": SHELL})

    said = scan_source_code(Product(tmp_path, deadline=Deadline.after(0.01, Clock())))

    assert [(Verdict.NOT_EXAMINED, "bandit did not answer in time")] == [
        (said.verdict, gap.reason) for gap in said.gaps
    ]


def test_a_missing_tool_is_not_examined(tmp_path: Path) -> None:
    """With the way to install it, whether it or the whole interpreter is missing."""
    write(tmp_path, {"a.py": SHELL, "bare": f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'})
    (tmp_path / "bare").chmod(0o755)

    for python in ("bare", "none"):
        deadline = FakeClock().deadline(9)
        said = scan_source_code(Product(tmp_path, deadline=deadline, python=str(tmp_path / python)))
        assert [("bandit is not installed", install_command("scan"))] == [(gap.reason, gap.remedy) for gap in said.gaps]
