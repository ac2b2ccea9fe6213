"""One message at the end of a run: what it says, what it cannot be made to say, and that it never stands in the way."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.commands.notify import LONGEST
from deploylib.models import Commit, Live
from deploylib.models.results import PutBack, Report, StageResult, StageStatus
from deploylib.notifications import message
from deploylib.notifications.slack_blocks import escape, render
from tests.support.fakes import NEW, OLD, START
from tests.support.messages import outcome_of, slack_blocks

WORD = "T0SECRET"
REPORT = Report(
    run="run-5555",
    environment="staging",
    outcome="succeeded",
    exit_code=0,
    commit=Commit(id=NEW, subject="Add a basket"),
    live=(Live(service="backend", commit=NEW), Live(service="frontend", commit=OLD)),
)
PREVIOUS = {"backend": OLD, "frontend": OLD}


def told(report: Report = REPORT, previous: dict[str, str] | None = None, url: str = "") -> str:
    """What a message shows, line by line."""
    return "\n".join(slack_blocks(outcome_of(report, PREVIOUS if previous is None else previous, url=url)))


def but(**changes: Any) -> Report:
    """The report with other fields."""
    return msgspec.structs.replace(REPORT, **changes)


def skip(data: dict[str, str], status: StageStatus = StageStatus.SKIPPED) -> StageResult:
    """A scan that was left out."""
    return StageResult(stage="scan", status=status, lines=("skipped",), data=data)


def test_a_run_that_succeeded() -> None:
    """A sign and a word, then the commit, then every service from what to what."""
    assert told().splitlines() == [
        "*✓ succeeded*",
        'staging ← bbbbbbb "Add a basket"',
        "backend aaaaaaa → bbbbbbb",
        "frontend unchanged (aaaaaaa)",
    ]
    assert render(outcome_of(REPORT, PREVIOUS))["text"] == "✓ succeeded: staging"


def test_a_run_with_nothing_to_do() -> None:
    """Every service is unchanged; what has no subject has no quotes."""
    same = but(outcome="nothing to do", commit=Commit(id=NEW), live=(Live(service="backend", commit=NEW),))

    said = told(same, {"backend": NEW})

    assert ["*✓ nothing to do*", "staging ← bbbbbbb", "backend unchanged (bbbbbbb)"] == said.splitlines()


def test_a_run_that_failed_and_was_put_back() -> None:
    """What came of it, what was undone, why, and what a person may do."""
    failed = but(
        outcome="verification failed",
        exit_code=14,
        live=(Live(service="backend", commit=OLD),),
        put_back=(PutBack(service="backend", commit=OLD, text="→ aaaaaaa, verified: 12 answers"),),
        error="backend answers\nwith another commit",
        next=("inv logs", "fix, commit, inv deploy"),
    )

    assert told(failed, {"backend": OLD}, "https://ci.example/runs/1?a=b&c=d").splitlines() == [
        "*✗ FAILED: verification failed (exit code 14)*",
        'staging ← bbbbbbb "Add a basket"',
        "backend unchanged (aaaaaaa)",
        "↩ put back: backend → aaaaaaa, verified: 12 answers",
        "Why: backend answers with another commit",
        "Next: inv logs --environment staging",
        "Next: fix, commit, inv deploy --environment staging",
        "<https://ci.example/runs/1?a=b&amp;c=d|the run in CI>",
    ]


def test_a_run_that_needs_a_person() -> None:
    """It has a sign of its own; what could not be asked is unknown, what was not put back says so."""
    needed = but(
        outcome="a person is needed",
        exit_code=20,
        commit=None,
        live=(),
        put_back=(PutBack(service="backend", commit=OLD, text="the artifact is gone", ok=False),),
    )

    assert told(needed, {"backend": OLD}).splitlines() == [
        "*⚠ FAILED: a person is needed (exit code 20)*",
        "staging",
        "backend aaaaaaa → unknown",
        "✗ NOT put back: backend the artifact is gone",
    ]


@pytest.mark.parametrize(
    ("live", "previous", "line"),
    [
        (NEW, {"backend": ""}, "backend nothing → bbbbbbb"),
        (NEW, {}, "backend bbbbbbb"),
        ("", {"backend": ""}, "backend unchanged (nothing)"),
    ],
    ids=["first deploy", "not known before", "never deployed"],
)
def test_a_service_without_a_commit(live: str, previous: dict[str, str], line: str) -> None:
    """Nothing is said that is not known."""
    assert line == told(but(live=(Live(service="backend", commit=live),)), previous).splitlines()[-1]


def test_a_gate_that_was_skipped_on_purpose_is_told() -> None:
    """By whom and why, once; a skip that nobody asked for is not."""
    reasoned = skip({"skipped_by": "ada", "reason": "the index is down"})

    said = told(but(stages=(reasoned, reasoned, skip({}), skip({"skipped_by": "bob"}, StageStatus.DONE))))

    assert ["– scan skipped by ada: the index is down"] == [line for line in said.splitlines() if "skipped" in line]
    assert "– scan skipped by eve: no reason" in told(but(stages=(skip({"skipped_by": "eve"}),)))


def test_a_subject_makes_no_mention_no_link_and_no_line() -> None:
    """It is text, in a block that Slack is told not to look into for plain addresses and names."""
    evil = "<!channel> <https://evil.example|ok>\n*✓ succeeded* ```\u202e & @here"

    body = render(outcome_of(but(commit=Commit(id=NEW, subject=evil)), PREVIOUS))

    said = body["blocks"][0]["text"]["text"].splitlines()[1]
    assert (
        "staging ← bbbbbbb \"&lt;!channel&gt; &lt;https://evil.example|ok&gt; *✓ succeeded* ''' &amp; @here\"" == said
    )
    assert [True] * 2 == [block["text"]["verbatim"] for block in body["blocks"]]
    assert "channel" not in body["text"]


@given(st.text(max_size=400))
def test_whatever_is_written_is_one_line_of_text(text: str) -> None:
    """No control character of Slack's or of a terminal's is left, no entity is cut, and words stay what they were."""
    failed = but(exit_code=1, error=text, commit=Commit(id=NEW, subject=text), live=())

    blocks = render(outcome_of(failed))["blocks"]
    head, *why = [block["text"]["text"] for block in blocks]

    assert head.count("\n") == 1
    for said in (head, *why):
        assert not re.search(r"[<>`]|&(?!amp;|lt;|gt;)", said)
        assert said.replace("\n", "").isprintable()
    if len(text) < 50:
        words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        assert not text or why == [f"Why: {escape(text)}".strip()]
        assert words.replace("`", "'") == unescape_three(escape(text))


def unescape_three(text: str) -> str:
    """What Slack shows."""
    return re.sub(r"&(?:lt|gt|amp);", lambda found: unescape(found[0]), text)


@pytest.mark.parametrize("long", ["a" * 4000, "&<>\n" * 1000], ids=["letters", "entities"])
@pytest.mark.parametrize("number", [1, 4, 60])
def test_slack_takes_what_is_long(long: str, number: int) -> None:
    """Every section is below its limit, and all of them are few; what is left out is counted or ends with a sign."""
    report = but(
        environment=long,
        error=long,
        exit_code=10,
        commit=Commit(id=NEW, subject=long),
        live=tuple(Live(service=f"{one}{long}", commit=NEW) for one in range(number)),
        stages=tuple(skip({"skipped_by": f"{one}{long}", "reason": long}) for one in range(number)),
        put_back=tuple(PutBack(service="backend", commit=OLD, text=long) for _ in range(number)),
        next=(long,) * number,
    )

    sections = [block["text"]["text"] for block in render(outcome_of(report, url="https://ci.example"))["blocks"]]

    assert len(sections) <= 10
    assert all(0 < len(one) <= 1600 for one in sections)
    assert sum(map(len, sections)) <= 12_000
    assert number <= 4 or re.search(r"\n… and \d+ more$", sections[1])


def test_a_long_line_is_cut_with_a_sign_and_never_within_an_entity() -> None:
    """Three hundred characters, as they are sent."""
    said = told(but(commit=Commit(id=NEW, subject="&" * 300), live=()), {}).splitlines()[1]

    assert escape("&" * 300) == "&amp;" * 59 + "…"
    assert said == escape(f'staging ← bbbbbbb "{"&" * 119}…"')


@pytest.mark.parametrize("url", ["", "javascript:1", "https://ci.example/a|b", "https://ci.example/> <!channel>"])
def test_what_is_no_address_makes_no_link(url: str) -> None:
    """Nor anything else."""
    assert told(url=url) == told()


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000, "noon is moved " * 714, "a line of some words\n" * 476, f"short\n{'y' * 9_994}"],
    ids=["a word", "a line", "lines", "a long second line"],
)
def test_a_long_text_of_a_person_is_told_whole(text: str) -> None:
    """As long as ``inv notify`` takes it: in parts, none of which Slack refuses."""
    assert 9_900 < len(text) <= LONGEST

    blocks = slack_blocks(message.text_message("staging", START, name="t", text=text, author="ada"))

    shown = re.sub(r"[*…\s]", "", "".join(blocks)).replace("staging,fromada", "", 1)
    assert shown == re.sub(r"\s", "", text)
    assert all(len(block) <= 1600 for block in blocks)
    assert len(blocks[0].splitlines()[0]) < 200
