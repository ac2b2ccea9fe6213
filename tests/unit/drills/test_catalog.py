"""What the drills tell: each practises a section of the runbook, by commands that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke.parser import Parser

from deploylib.cli import collection
from deploylib.drills.catalog import DRILLS, find_practice
from deploylib.drills.definition import Drill
from deploylib.drills.on_site import THERE_AND_BACK
from deploylib.errors import SettingsError
from tests.support.pages import headings, slug

ROOT = Path(__file__).resolve().parents[3]
RUNBOOK = headings(ROOT / "docs/runbook.md")
ORDERED = {
    "bad-release",
    "crash",
    "bad-migration",
    "partial-failure",
    "lost-answer",
    "platform-down",
    "held",
    "stuck-lease",
    "restore",
    "beside",
}
EACH = pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)


def test_each_situation_that_is_worth_a_drill_has_one() -> None:
    """By a name that is typed."""
    assert {drill.name for drill in DRILLS} == ORDERED
    assert len({drill.learns for drill in DRILLS}) == len(DRILLS)
    assert [find_practice(drill.name) for drill in DRILLS] == list(DRILLS)


def test_a_drill_that_is_not_there_is_refused_with_those_that_are() -> None:
    """Whoever mistypes sees the names."""
    with pytest.raises(SettingsError, match="there is no drill 'bad release'") as refused:
        find_practice("bad release")

    assert set(refused.value.details) == ORDERED


@EACH
def test_a_drill_practises_a_section_of_the_runbook(drill: Drill) -> None:
    """One that is there, and that tells what mends it."""
    text = RUNBOOK[drill.section]

    assert any(" ".join(step.line.split()[:2]) in text for step in drill.steps)
    assert drill.summary.runbook == f"docs/runbook.md#{slug(drill.section)}"


def test_the_section_of_the_drill_of_an_environment_is_there() -> None:
    """It is where one learns that it is due."""
    assert THERE_AND_BACK.runbook == f"docs/runbook.md#{slug('Alert: drill')}"
    assert "Alert: drill" in RUNBOOK


@EACH
def test_its_right_commands_are_commands(drill: Drill) -> None:
    """With flags that they have; one of them is what mends it."""
    contexts = collection().to_contexts()
    typed = [shlex.split(step.line) for step in drill.steps]
    tasks = [Parser(contexts=contexts).parse_argv(line[1:])[0] for line in typed if line[0] == "inv"]

    assert {line[0] for line in typed} <= {"inv", "git"}
    assert {name for task in tasks for name in (task.name, *task.aliases)} & set(drill.cures)


@EACH
def test_what_a_person_is_told_fits_a_narrow_terminal(drill: Drill) -> None:
    """In whole lines, and without a word of how it was made."""
    assert len(drill.learns) <= 56
    assert not re.search(r"fault|scene|answer-503|drop-after", drill.situation)
