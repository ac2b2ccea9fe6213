"""Whatever a person may meet has a section in the runbook: the code is asked what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deploylib.models.signals import Signal
from tests.runbook.lessons import LESSONS
from tests.runbook.situations import SITUATIONS
from tests.support.pages import headings, slug, typed_blocks
from tests.support.population import outcomes

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
TRAINING = ROOT / "docs" / "training.md"
# Each place of the code that makes a hold, by file and function, and what the runbook calls it.
HOLDS = {
    "release/recovery.py:recover_run": "after a verification that failed",
    "release/recovery.py:_given_up": "could not put back",
    "release/closing.py:_update_holds": "after a rollback",
    "commands/control.py:hold": "by a person",
    "state/holds.py:_read_hold": "a record that cannot be read",
}


def _placed() -> set[str]:
    """Where the code makes a hold, by file and function."""
    found = set()
    for path in (ROOT / "deploylib").rglob("*.py"):
        for function in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]:
            calls = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(call == "Hold" or call.endswith("holds.place") for call in calls):
                found.add(f"{path.relative_to(ROOT / 'deploylib')}:{function.name}")
    return found - {"state/holds.py:place"}  # which all of them call


def test_every_exit_code_and_outcome_has_a_section() -> None:
    """Named in it, with a command or a link to one; and no section is about a code that there is not."""
    sections = {
        int(name.split()[2].rstrip(":")): (name, text)
        for name, text in headings(RUNBOOK).items()
        if name.startswith("Exit code ")
    }
    known = outcomes()

    assert set(sections) == {*known.values(), 1}
    missing = [(code, word) for word, code in known.items() if word not in " ".join(sections[code]).lower()]
    assert missing == []
    assert [code for code, (_, text) in sections.items() if not re.search(r"\binv \w|\]\(#", text)] == []


def test_every_outcome_that_is_written_by_hand_is_known_here() -> None:
    """An outcome that a call names in place of an error."""
    written = {
        word.value.value
        for path in (ROOT / "deploylib" / "release").rglob("*.py")
        for word in ast.walk(ast.parse(path.read_text()))
        if isinstance(word, ast.keyword) and word.arg == "outcome" and isinstance(word.value, ast.Constant)
    }

    assert written <= set(outcomes())


def test_every_alert_has_a_section() -> None:
    """By the name that settings and messages use, with what to do."""
    sections = {
        name.removeprefix("Alert: "): text for name, text in headings(RUNBOOK).items() if name.startswith("Alert: ")
    }

    assert set(sections) == set(Signal)
    assert [name for name, text in sections.items() if not re.search(r"\binv \w|\]\(#|Dashboard|PgBouncer", text)] == []


def test_every_reason_to_hold_has_a_section() -> None:
    """The code is asked where holds are made."""
    assert _placed() == set(HOLDS)
    assert {name for name in headings(RUNBOOK) if name.startswith("Hold: ")} == {
        f"Hold: {name}" for name in HOLDS.values()
    }


def test_every_override_says_when_and_at_what_cost() -> None:
    """What goes round a safeguard stands in one table."""
    table = headings(RUNBOOK)["When to use which override"]

    overrides = (
        "--skip tests",
        "--skip scan",
        "--skip schema",
        "hold ",
        "hold.lift",
        "lease.release",
        "monitor.silence",
        "--accept",
        "--unproven",
    )
    assert [
        one
        for one in overrides
        if not re.search(rf"^\| `inv [^|]*{re.escape(one)}[^|]*\| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    ] == []


@pytest.mark.parametrize(("page", "known"), [(RUNBOOK, SITUATIONS), (TRAINING, LESSONS)], ids=["runbook", "training"])
def test_every_block_is_typed_by_a_test_or_says_that_it_is_not(page: Path, known: dict[str, object]) -> None:
    """One of both, and each situation is one of the page's."""
    blocks = typed_blocks(page)

    assert [one for one in blocks if bool(one.situation) == one.excused] == []
    assert {one.situation for one in blocks} - {""} == set(known)


@pytest.mark.parametrize("page", [RUNBOOK, TRAINING], ids=["runbook", "training"])
def test_every_command_between_the_words_stands_in_a_block_as_well(page: Path) -> None:
    """So that it is typed by a test too, or is said not to be; a reason may be another one."""

    def same(command: str) -> str:
        return re.sub(r"\"[^\"]*\"", "…", command).partition("#")[0].replace(" --environment production", "").strip()

    typed = {same(line) for block in typed_blocks(page) for line in block.lines}
    told = {same(command) for command in re.findall(r"`(inv [^`]+)`", page.read_text())}

    assert [one for one in told if not any(f"{line} ".startswith(f"{one} ") for line in typed)] == []


@pytest.mark.parametrize("page", [RUNBOOK, TRAINING], ids=["runbook", "training"])
def test_every_link_to_a_section_leads_to_one(page: Path) -> None:
    """At three in the morning nobody searches."""
    text = page.read_text()
    there = {name: {slug(one) for one in headings(RUNBOOK.with_name(name))} for name in ("runbook.md", "training.md")}

    wanted = re.findall(r"\]\((runbook\.md|training\.md|)#([\w-]+)\)", text)
    assert [(name, link) for name, link in wanted if link not in there[name or page.name]] == []


def test_what_one_sees_leads_to_every_section_of_the_first_level() -> None:
    """Whoever starts at the table finds everything that is about trouble."""
    table = headings(RUNBOOK)["What do you see?"]
    titles = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    calm = {"What do you see?", "What is live?", "The normal way", "When to use which override", "A backup, now"}

    assert [one for one in titles if one not in calm and f"(#{slug(one)})" not in table] == []
