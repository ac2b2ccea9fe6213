"""``inv notify``: a text without a flag, or a test in its place."""

from __future__ import annotations

from typing import Any

import pytest
from invoke.exceptions import ParseError
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
