"""``inv notify``: a text without a flag, or a test in its place."""

from __future__ import annotations

from typing import Any

import pytest
from invoke.exceptions import ParseError
from invoke.main import program
from invoke.parser import Parser

from deploylib.cli import collection


def parsed(*words: str) -> dict[str, Any]:
    """What the task is given."""
    (context,) = Parser(contexts=collection().to_contexts()).parse_argv(["notify", *words])
    return {name: context.as_kwargs[name] for name in ("text", "test", "environment")}


def test_a_text_needs_no_flag() -> None:
    """Also one that is the name of a task."""
    assert parsed("noon", "--environment", "staging") == {"text": "noon", "test": False, "environment": "staging"}
    assert parsed("--environment", "staging", "deploy")["text"] == "deploy"


def test_a_test_needs_no_text() -> None:
    """And neither is nothing to tell."""
    assert parsed("--test") == {"text": "", "test": True, "environment": "local"}
    with pytest.raises(ParseError, match="did not receive required positional arguments: 'text'"):
        parsed()


def test_a_mistyped_flag_is_no_text() -> None:
    """Or it would be told to everybody."""
    with pytest.raises(ParseError, match="No idea what '--tset' is"):
        parsed("--tset")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_no_text(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Although invoke gives a task that takes a text whatever comes next."""
    program.run(["inv", "notify", flag], exit=False)

    assert "Tell every channel a text" in capsys.readouterr().out
