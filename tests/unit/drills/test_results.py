"""What came of a drill: printed, as JSON, in the history."""

from __future__ import annotations

from deploylib.cli.text import format_drills
from deploylib.drills import DrillResult, DrillResults, DrillSummary

PASSED = DrillResult(
    drill="bad-release",
    passed=True,
    seconds=192.3,
    noticed=41.0,
    first_right=80.5,
    restored=191.9,
    typed=("inv logs", "inv rollback --reason 'it loses orders'"),
    steps=("inv status", "inv rollback --reason 'orders are refused'"),
    runbook="docs/runbook.md#the-new-release-is-bad",
)
FAILED = DrillResult(
    drill="held", passed=False, seconds=1800.0, fault="time is over: everything is held", steps=("inv hold.lift",)
)


def test_a_drill_that_was_passed() -> None:
    """Times, what was typed, what is right, and where it stands."""
    assert format_drills(PASSED) == [
        "",
        "PASSED      bad-release",
        "noticed     0:41",
        "mended      1:20",
        "well again  3:11",
        "",
        "Typed       · inv logs",
        "            ✓ inv rollback --reason 'it loses orders'",
        "",
        "Right       inv status",
        "            inv rollback --reason 'orders are refused'",
        "",
        "Runbook     docs/runbook.md#the-new-release-is-bad",
    ]


def test_a_drill_that_was_not_passed() -> None:
    """What is not well, and that nothing was typed."""
    assert format_drills(FAILED)[:6] == [
        "",
        "NOT PASSED  held",
        "Not well    time is over: everything is held",
        "noticed     never",
        "mended      never",
        "well again  never",
    ]
    assert FAILED.exit_code == 3


def test_a_drill_that_no_person_does_has_no_times_but_its_own() -> None:
    """Nobody has noticed anything there."""
    site = DrillResult(drill="there-and-back", passed=True, seconds=60, restored=60, runbook="x", attended=False)

    assert format_drills(site) == ["", "PASSED      there-and-back", "Took        1:00", "", "Runbook     x"]


def test_all_of_them_end_with_the_code_of_the_first_that_was_not_passed() -> None:
    """And with 0 where all were."""
    assert DrillResults(results=(PASSED, PASSED)).exit_code == 0
    both = DrillResults(results=(PASSED, FAILED))

    assert both.exit_code == 3
    assert format_drills(both) == [
        "✓ bad-release: passed; noticed 0:41, first right command 1:20, restored 3:11",
        "✗ held: not passed: time is over: everything is held",
        "1 of 2 passed",
    ]


def test_what_the_history_keeps() -> None:
    """By these names, for the monitor and for whoever counts."""
    assert PASSED.record == {
        "drill": "bad-release",
        "passed": True,
        "seconds": 192.3,
        "noticed": 41.0,
        "first_right": 80.5,
        "restored": 191.9,
    }
    assert FAILED.record["restored"] is None


def test_the_list_fits_a_narrow_terminal() -> None:
    """Two lines for each."""
    summary = DrillSummary(
        name="bad-release", learns="go back", minutes=5, runbook="x", place="a local Render of its own"
    )

    assert format_drills((summary,))[:2] == ["bad-release        5 min   a local Render of its own", "  go back"]
