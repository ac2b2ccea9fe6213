"""The logic of ``<deploy-status>``, by Node: what an answer means, and what nobody knows."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploylib.health import Language

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as Node knows a module; a browser goes by the type of its script."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on PATH")
    return Path(shutil.copy(Language.BROWSER.file, tmp_path_factory.mktemp("component") / "deploy-status.mjs"))


def call(module: Path, name: str, cases: list[tuple[Any, ...]]) -> list[Any]:
    """What a function of it gives for each of some arguments."""
    code = (
        f"const it = await import({json.dumps(module.as_uri())}); const cases = {json.dumps(cases)};"
        f"console.log(JSON.stringify(cases.map((each) => it.{name}(...each))))"
    )
    done = subprocess.run(["node", "--input-type=module", "-e", code], check=True, capture_output=True, text=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def test_an_answer_means_one_state_or_none(module: Path) -> None:
    """Its word counts; a bad status with no word is the edge's, and what has no meaning is unknown, not well."""
    cases: dict[tuple[int, str], str] = {
        (200, '{"status": "pass"}'): "pass",
        (200, '{"status": "UP"}'): "pass",
        (200, '{"status": "warn"}'): "warn",
        (200, '{"status": "fail"}'): "fail",
        (503, '{"status": "fail"}'): "fail",
        (503, '{"status": "pass"}'): "fail",
        (502, "null"): "unreachable",
        (404, "null"): "",
        (401, '{"error": "no"}'): "",
        (200, "null"): "",
        (200, '{"status": "wonderful"}'): "",
        (200, '{"status": {}}'): "",
        (200, "[]"): "",
    }

    assert list(cases.values()) == call(module, "stateOf", [(status, json.loads(body)) for status, body in cases])


def test_only_a_known_difference_is_one(module: Path) -> None:
    """Full or short, in any case; what is no commit says nothing."""
    cases: dict[tuple[Any, Any], bool] = {
        (OLD, NEW): True,
        (OLD, NEW[:7]): True,
        (OLD, OLD): False,
        (OLD, OLD[:7].upper()): False,
        (OLD[:7], OLD): False,
        (OLD, ""): False,
        ("", NEW): False,
        ("unknown", NEW): False,
        (OLD, "<html>"): False,
        (OLD, None): False,
        (OLD, NEW[:6]): False,
    }

    assert list(cases.values()) == call(module, "isOther", [*cases])


def test_a_link_leads_only_where_a_browser_may_go(module: Path) -> None:
    """No script in the place of an address, and nothing of a release becomes a part of it but itself."""
    template = "https://github.com/me/shop/commit/{release}"

    assert call(
        module,
        "linkTo",
        [(template, OLD), (template, ""), ("javascript:alert(1)//{release}", OLD), ("", OLD), (None, OLD), (template, "a/../b?")],
    ) == [template.replace("{release}", OLD), "", "", "", "", template.replace("{release}", "a%2F..%2Fb%3F")]  # fmt: skip


def test_a_moment_is_told_as_a_person_says_it(module: Path) -> None:
    """And one that is none is not told."""
    now = 1_800_000_000_000
    seconds = [0, 59, 60, 3599, 3600, 86_400 * 2.9, -5]

    told = call(module, "ago", [(now - second * 1000, now) for second in seconds])

    assert told == ["just now", "just now", "1 minute ago", "59 minutes ago", "1 hour ago", "2 days ago", "just now"]
    assert call(module, "ago", [("yesterday", now)]) == [""]


def test_it_is_one_file_that_needs_nothing() -> None:
    """No import, no request of its own but to the two addresses, nothing that makes markup of text."""
    text = Language.BROWSER.file.read_text()

    assert not [word for word in ("import ", "innerHTML", "insertAdjacent", "document.write", "eval(") if word in text]
    assert text.count("fetch(") == 1
    assert text.count("location.reload()") == 1
    assert len(text) < 10_000
