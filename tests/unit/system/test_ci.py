"""What a CI tells us and what it is told; foreign text is shown as it is, and formats nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploylib.cli import github
from deploylib.errors import SettingsError
from deploylib.models import Commit, Live
from deploylib.models.results import PutBack, Report, StageResult, StageStatus, short
from deploylib.system import ci
from tests.support.fakes import NEW

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "811", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_ACTOR": "grace"}


def report(**more: object) -> Report:
    """The end of a run."""
    given = {"outcome": "succeeded", "exit_code": 0, "commit": Commit(id=NEW, subject="a | <b> `c`"), **more}
    return Report(run="staging-811-2", environment="staging", **given)  # type: ignore[arg-type]


def test_all_jobs_of_a_run_and_no_other_have_its_id() -> None:
    """Of GitHub's run and attempt; a person's machine has none."""
    found = ci.read_build({**GITHUB, "GITHUB_REPOSITORY": "owner/product"})
    url = "https://github.com/owner/product/actions/runs/811"
    assert found == ci.Build(id="811-2", author="grace", url=url, earlier=("811-1",))
    assert ci.read_build({"USER": "ada"}) is None


def test_another_ci_says_what_its_jobs_share() -> None:
    """It becomes part of a key, so it may not be anything."""
    assert ci.read_build({"DEPLOYLIB_RUN": "build-7", "USER": "ada"}) == ci.Build(id="build-7", author="ada")
    assert ci.read_build({"DEPLOYLIB_RUN": ""}) is None
    for word in ("../other", "a/b", "..", ".", ".hidden", "-x", "a b", "x" * 81):
        with pytest.raises(SettingsError, match="DEPLOYLIB_RUN"):
            ci.read_build({"DEPLOYLIB_RUN": word})


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("20260301T120000-7f3a", "7f3a"),
        ("staging-811-2", "811-2"),
        ("production-eu-811-2-back", "811-2-back"),
        ("staging-build-7", "ld-7"),
    ],
)
def test_a_run_is_named_as_people_say_it(run: str, said: str) -> None:
    """And is found by that, because it is the end of its id."""
    assert (said, True) == (short(run), run.endswith(said))


def test_the_jobs_after_it_learn_what_is_deployed(tmp_path: Path) -> None:
    """Outputs are lines of the file that GitHub names; nothing is written where there is none."""
    path = tmp_path / "output"
    live = (Live(service="api"), Live(service="web", url="https://web.example"))

    github.publish(report(deploying=("api", "web"), live=live), {"GITHUB_OUTPUT": str(path)})
    github.publish(report(), {})

    lines = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert ["api", "web"] == json.loads(lines["services"])
    assert ("https://web.example", "staging-811-2", "succeeded") == (lines["url"], lines["run"], lines["outcome"])


def test_the_end_of_a_run_is_a_table(tmp_path: Path) -> None:
    """A job that only records adds none; text of others is no markup."""
    path = tmp_path / "summary"
    stages = (StageResult(stage="deploy", status=StageStatus.FAILED, lines=("api: it *ended* | <b>", "last\nword")),)
    said = report(
        outcome="build failed",
        exit_code=10,
        stages=stages,
        error="api: ended",
        put_back=(PutBack(service="api", commit=NEW, text="→ bbbbbbb"),),
        next=("correct it",),
    )

    github.publish(report(outcome="paused"), {"GITHUB_STEP_SUMMARY": str(path)})
    assert not path.exists()
    github.publish(said, {"GITHUB_STEP_SUMMARY": str(path)})

    text = path.read_text()
    assert "### build failed: staging" in text
    assert "| ✗ failed | deploy | api: it \\*ended\\* \\| &lt;b&gt;<br>last word |" in text
    assert "put back: api → bbbbbbb" in text
    assert "a \\| &lt;b&gt; \\`c\\`" in text


def test_an_error_is_one_line_whatever_is_in_it() -> None:
    """A new line or a second command in it would be taken for GitHub's own."""
    said = github.annotation("a:b,c", "50%\n::set-output name=x::y")

    assert said == "::error title=a%3Ab%2Cc::50%25%0A::set-output name=x::y"
