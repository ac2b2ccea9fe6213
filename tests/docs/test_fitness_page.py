"""The page about fitness says what the command asks, and its settings are some."""

from __future__ import annotations

import re
from pathlib import Path

from deploylib import settings
from deploylib.cli.text import format_fitness
from deploylib.errors import Blocked, NotExamined
from deploylib.models.fitness import Fitness, FitnessRow, FitVerdict, Question, ServiceFitness
from deploylib.system import Clock

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fitness.md").read_text()


def test_every_question_has_its_row() -> None:
    """In the order in which they are told."""
    rows = re.findall(r"^\| ([a-z ]+) \| .+ \| .+ \|$", PAGE, re.MULTILINE)

    assert rows[1:] == [question.value for question in Question]


def test_its_settings_can_be_loaded(tmp_path: Path) -> None:
    """As they stand there."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "deploylib.toml").write_text(block)
    backend = settings.load(tmp_path, "local", {}).settings.services["backend"]

    assert (backend.slow, backend.busy) == ("/reports/year", ("/entries",))


def test_what_is_shown_is_what_is_printed() -> None:
    """Line by line, as the command prints such a result."""
    shown = re.findall(r"^ {6}✓ (.{11})  (.+)$", PAGE, re.MULTILINE)
    rows = tuple(FitnessRow(question=Question(name.strip()), fit=FitVerdict.FIT, text=text) for name, text in shown)
    one = ServiceFitness(
        service="backend",
        runtime="python",
        start_command="python -m guestbook",
        commit="a" * 40,
        at=Clock().now(),
        rows=rows,
    )
    printed = format_fitness(Fitness(commit="a" * 40, outcome="succeeded", exit_code=0, services=(one,)))

    assert len(rows) == len(Question)
    assert [f"    {line}" for line in printed[2:-1]] == re.findall(r"^ {4}(?:backend  |  ✓ ).*$", PAGE, re.MULTILINE)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    """Of a gate that found something, and of one that could not look."""
    assert f"{Blocked.exit_code} where something is unfit, and {NotExamined.exit_code} where nothing is" in PAGE
