"""One list of sections, whoever renders them."""

from __future__ import annotations

from deploylib.cli import github, text
from deploylib.models import Live
from deploylib.models.results import PutBack, Report
from deploylib.models.sections import Topic, by_topic, sections
from tests.support.messages import outcome_of, slack_blocks

FAILED = Report(
    run="r-1",
    environment="staging",
    outcome="verification failed",
    exit_code=14,
    error="it answers an older commit",
    put_back=(PutBack(service="api", commit="a" * 40, text="→ aaaaaaa, verified"),),
    live=(Live(service="api", commit="a" * 40, deploy_id="dep-1", url="https://api.example.org"),),
    next=("fix, commit, inv deploy",),
)
SUPERSEDED = Report(
    run="r-1", environment="staging", outcome="superseded by a newer release", exit_code=0, error="newer"
)


def test_no_section_is_empty() -> None:
    """What there is nothing to tell of has none; of a topic one may ask all the same."""
    assert [section.topic for section in sections(FAILED)] == [Topic.WHY, Topic.PUT_BACK, Topic.LIVE, Topic.NEXT]
    assert by_topic(FAILED)[Topic.VISITORS] == ()


def test_each_rendering_tells_the_same() -> None:
    """A terminal, the summary of a job, a message: why, what was put back, what is live, what to do next."""
    renderings = (text.format_report(FAILED), github.summary(FAILED), str(slack_blocks(outcome_of(FAILED))))

    for rendering in renderings:
        for told in ("it answers an older commit", "api", "aaaaaaa, verified", "fix, commit, inv deploy"):
            assert told in rendering


def test_what_nobody_knows_is_a_line_of_what_is_live() -> None:
    """With the command that finds out, and no service's name."""
    blind = Report(run="r-1", environment="staging", outcome="not known yet", exit_code=41)

    assert [line.name for line in by_topic(blind)[Topic.LIVE]] == [""]
    assert "Live        unknown: inv status --environment staging" in text.format_report(blind)
    assert "- live" not in github.summary(blind)


def test_a_release_that_was_superseded_has_no_why_on_a_terminal() -> None:
    """Nothing is wrong."""
    assert "Why" not in text.format_report(SUPERSEDED)
