"""What was typed that no task understands: usage, and never the exit code of a bug."""

from __future__ import annotations

import subprocess
import sys

import pytest
from invoke.main import program

from deploylib.cli import collection
from tests.support.rooms import ROOT

collection()  # as the file of tasks does


@pytest.mark.parametrize(
    ("words", "said", "remedy"),
    [
        ("deploy --nope", "inv deploy has no flag --nope", "inv deploy --help"),
        ("deploy --environmnt staging", "has no flag --environmnt; did you mean --environment?", "inv deploy --help"),
        ("notify --tset", "inv notify has no flag --tset; did you mean --test?", "inv notify --help"),
        ("notify --zzz", "has no flag --zzz; text does not begin with a dash", "inv notify --help"),
        ("deploy --json=3", "--json takes no value", "inv deploy --help"),
        ("--environment staging deploy", "inv has no flag --environment", "typed behind its name"),
        ("deplyo", "there is no task 'deplyo'; did you mean deploy?", "inv --list"),
        ("--help deplyo", "there is no task 'deplyo'; did you mean deploy?", "inv --list"),
        ("bakup", "did you mean backup?", "inv --list"),
        ("restore", "did you mean backup.restore?", "inv --list"),
        ("deploy staging", "there is no task 'staging'; deploy takes no such word", "inv deploy --help"),
        ("--list nope", "there is no group of tasks 'nope'", "inv --list"),
        ("hold.lift --hold", "inv hold.lift: --hold needs a value", "inv hold.lift --help"),
        ("notify", "inv notify needs text", "inv notify --help"),
        ("history --limit x", "--limit takes a number, not 'x'", "inv history --help"),
    ],
)
def test_what_is_mistyped_is_named_with_what_is_near(
    words: str, said: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is usage, exit code 2, in two lines."""
    with pytest.raises(SystemExit) as ended:
        program.run(["inv", *words.split()])

    error, step = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert said in error
    assert step.startswith("  next: ")
    assert remedy in step


def test_what_is_right_reads_nothing_about_mistakes() -> None:
    """So that the tasks are listed as quickly as before."""
    listed = "import sys, tasks; sys.exit('deploylib.cli.mistyped' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", listed], cwd=ROOT, check=False).returncode == 0
