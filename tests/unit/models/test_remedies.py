"""What a person is told to type is about the environment that it is told of."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import tasks
from deploylib.cli import session, text
from deploylib.errors import SettingsError
from deploylib.models import Commit, remedies
from deploylib.models.results import Report
from deploylib.release.stages.scan import examine
from tests.support.fakes import NEW, FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.messages import outcome_of, slack_blocks
from tests.support.repository import Repository

ROOT = Path(__file__).resolve().parents[3]
WORDS = "correct it, commit, inv deploy; or inv rollback --to 7f3a (inv hold.lift, inv backup.list)"
NAMED = (
    "correct it, commit, inv deploy --environment production; or inv rollback --environment production --to 7f3a "
    "(inv hold.lift --environment production, inv backup.list --environment production)"
)


def told(outcome: str, *following: str, code: int = 0) -> Report:
    """The end of a run to production."""
    commit = Commit(id=NEW, subject="Mend inv deploy")
    return Report(run="r", environment="production", outcome=outcome, exit_code=code, commit=commit, next=following)


def test_each_command_names_the_environment() -> None:
    """Without it the command would be about local, whatever it was that has failed."""
    assert remedies.about("production", WORDS) == NAMED
    assert remedies.about("production", NAMED) == NAMED
    assert remedies.about("local", WORDS) == WORDS
    assert remedies.about(r"\g", "inv status") == r"inv status --environment \g"


@pytest.mark.parametrize(
    "words",
    [
        "inv local.up, then the same again",
        "inv promote --from staging --to production",
        "inv check --environment staging",
        "the invoice, inventory and inv",
    ],
)
def test_what_is_about_another_or_none_is_left_as_it_is(words: str) -> None:
    """The local Render has no environment, and a promotion names two."""
    assert remedies.about("production", words) == words


def test_a_report_names_it_wherever_it_is_shown() -> None:
    """On the screen, as JSON and in a message; what others wrote stays as they wrote it."""
    failed = told("build failed", WORDS, code=10)
    assert failed.next == (NAMED,)
    assert NAMED in text.format_report(failed)
    assert "unknown: inv status --environment production" in text.format_report(failed)
    assert "inv deploy --environment production" in str(slack_blocks(outcome_of(failed)))
    assert 'Mend inv deploy"' in text.format_header("r", "production", failed.commit)
    assert "inv rollback --environment production goes back" in text.format_report(told("succeeded"))


def test_an_error_of_a_command_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that no run has come to."""
    with pytest.raises(SystemExit):
        session.fail(SettingsError("there is no run", remedy="inv history"), "staging", json=False)
    assert "next: inv history --environment staging" in capsys.readouterr().err


def test_whatever_is_told_takes_the_flag() -> None:
    """Each command that would get it has it, and each that would not has none."""
    for name in tasks.ns.task_names:
        takes = "environment" in inspect.signature(tasks.ns[name].body).parameters
        assert ("--environment" in remedies.about("x", f"inv {name}")) == takes, name


# Where a step is quoted by what knows the environment already, or is an error's own remedy.
QUOTED = {
    "tool._failure": "it is an error's own remedy",
    "diagnosis.diagnose": "it becomes an error's own remedy",
    "errors.diagnostics": "the command has named it",
    "text.format_fitness": "it is always about the environment local",
    "text.format_scan": "the stage has named it",
    "preview._lint": "a rule's safe way, which is no command",
    "rules.list_remarks": "a rule's safe way, which is no command",
    "rules.require_harmless": "a rule's safe way, which is no command",
}


def test_a_step_that_is_quoted_elsewhere_names_it() -> None:
    """In findings, notes, rows and details: wherever a text quotes a remedy, it is about the environment."""
    bare = []
    for path in sorted((ROOT / "deploylib").rglob("*.py")):
        for function in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)):
            named = {
                id(inner)
                for one in ast.walk(function)
                if (isinstance(one, ast.keyword) and one.arg == "remedy")
                or (isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "about")
                for inner in ast.walk(one)
            }
            bare += [
                f"{path.stem}.{function.name}"
                for text in ast.walk(function)
                if isinstance(text, ast.JoinedStr) and id(text) not in named
                for one in ast.walk(text)
                if isinstance(one, ast.Attribute) and one.attr == "remedy" and id(one) not in named
            ]
    assert {*bare} - {*QUOTED} == set()
    assert {*QUOTED} - {*bare} == set()


def test_a_finding_of_a_scan_names_it(repository: Repository, platform: Platform, clock: FakeClock) -> None:
    """As the error of a release does."""
    product = Product(repository, platform, clock)
    product.commit({"render.yaml": "services: 1\n"})
    env = product.env()
    found = examine(env, env.git.commit("HEAD"))
    assert "inv check --environment staging says what is wrong" in {one.remedy for one in found.blocking}


def test_a_secret_of_github_is_given_to_the_environment() -> None:
    """Of the same name; one that names an environment is left as it is."""
    text = "gh secret set A, then gh secret set B --env other; gh variable set C --body x"

    assert remedies.about("local", text) == text
    assert remedies.about("staging", text) == (
        "gh secret set A --env staging, then gh secret set B --env other; gh variable set C --env staging --body x"
    )
