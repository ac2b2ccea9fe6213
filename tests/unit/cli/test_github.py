"""What GitHub is handed."""

from __future__ import annotations

from pathlib import Path

from deploylib.cli import github
from deploylib.models.results import Report, StageResult, StageStatus

URL = "https://github.example/owner/product/actions/runs/1"


def test_a_summary_is_cut_to_what_github_shows(tmp_path: Path) -> None:
    """900 KiB with what other steps have written there, at the end of a line, and it says where the rest is."""
    file = tmp_path / "summary.md"
    file.write_text("x" * 1000)
    many = tuple(StageResult(stage=f"step{n}", status=StageStatus.DONE, lines=("ü" * 900,)) for n in range(1000))
    told = Report(run="x-7f3a", environment="production", outcome="succeeded", exit_code=0, stages=many)

    github.publish(told, {"GITHUB_STEP_SUMMARY": str(file)}, URL)

    text = file.read_text()
    assert 850 << 10 < len(text.encode()) <= (900 << 10) + 200
    assert text.rstrip().endswith(f"…cut here: all of it is in {URL}")
    assert text.splitlines()[-4].endswith("|")


def test_a_summary_of_the_first_week_has_times_and_the_way_back() -> None:
    """Each stage has its seconds anyway."""
    stage = StageResult(stage="verify", status=StageStatus.DONE, lines=("live",), seconds=61.2)
    week = ("inv rollback goes back to aaaaaaa (run 6), verified 3 h ago (told until 2026-03-08)",)
    told = Report(
        run="x-7f3a", environment="production", outcome="succeeded", exit_code=0, stages=(stage,), first_week=week
    )

    assert github.summary(told).splitlines() == [
        "### succeeded: production",
        "",
        "| stage | | | s |",
        "|---|---|---|---|",
        "| ✓ done | verify | live | 61.2 |",
        "",
        "- first week: inv rollback --environment production goes back to aaaaaaa (run 6), verified 3 h ago (told until 2026-03-08)",
        "",
    ]


def test_a_summary_that_fits_is_whole(tmp_path: Path) -> None:
    """And the file need not be there."""
    told = Report(run="x-7f3a", environment="production", outcome="succeeded", exit_code=0)
    file = tmp_path / "summary.md"

    github.publish(told, {"GITHUB_STEP_SUMMARY": str(file)}, URL)

    assert github.summary(told) == file.read_text()
