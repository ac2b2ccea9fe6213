"""How long a push takes is added up, and stays within what was promised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/production-time.md").read_text()
CI = (ROOT / "docs/ci.md").read_text()
SECTIONS = {title: body for title, body in re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", PAGE) if "| **sum**" in body}
MOST = {"Two jobs": 300, "Staging first": 420, "In parallel": 300}
LOAD_TEST = 2 * (5 + 2 + 10)  # it starts, warms up and measures; once more where it looks bad


def cells(line: str) -> tuple[float, float, float]:
    """What a row says: assumed, measured, seconds; nothing is 0."""
    values = [one.strip(" *") for one in line.split("|")[2:5]]
    assumed, measured, seconds = (float(one or 0) for one in values)
    return assumed, measured, seconds


def clock(seconds: float) -> str:
    """As the page writes it."""
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


@pytest.mark.parametrize("title", MOST)
def test_the_seconds_of_a_push_add_up_and_are_few_enough(title: str) -> None:
    """Each row is what it assumes and what was measured, and the last one is their sum; the text says the same."""
    *rows, total = [line for line in SECTIONS[title].splitlines() if re.match(r"\| .*\| [*\d]+ \|$", line)]
    said = cells(total)
    added = [sum(column) for column in zip(*map(cells, rows), strict=True)]

    assert said[2] == added[2]
    assert said[0] + said[1] == said[2]
    assert abs(said[1] - added[1]) <= 1
    assert all(abs(assumed + measured - seconds) <= 0.5 for assumed, measured, seconds in map(cells, rows))
    assert said[2] + LOAD_TEST <= MOST[title]
    assert {clock(said[2]), clock(said[2] + LOAD_TEST)} <= set(re.findall(r"\d min \d+ s", SECTIONS[title]))
    assert clock(said[2]) in CI


def test_the_gates_are_beside_staging_and_shorter() -> None:
    """So nobody waits for them; how much longer they may be is said."""
    rows = [cells(line)[2] for line in SECTIONS["Two jobs"].splitlines() if re.match(r"\| .*\| \d+ \|$", line)]
    staging = [cells(line)[2] for line in SECTIONS["Staging first"].splitlines() if re.match(r"\| .*\| \d+ \|$", line)]

    assert f"beside it the gates, {sum(rows[:3]):.0f})" in SECTIONS["Staging first"]
    assert f"may take {sum(staging[:6]):.0f} s" in SECTIONS["Staging first"]
    assert sum(rows[:3]) < sum(staging[:6])
