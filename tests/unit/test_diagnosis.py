"""The causes that everybody meets once, told with what helps."""

from __future__ import annotations

import pytest

from deploylib import causes


@pytest.mark.parametrize(
    ("line", "cause", "remedy"),
    [
        ("==> Publish directory dist does not exist!", "the build has made no 'dist'", "staticPublishPath"),
        (
            "==> publish directory ./build/web does not exist",
            "the build has made no './build/web'",
            "staticPublishPath",
        ),
        ("bash: line 1: pnpm: command not found", "pnpm is not on this machine", "corepack enable"),
        ("/bin/sh: 1: uv: not found", "uv is not on this machine", "pip install uv"),
        ("./build: line 12: /opt/bin/poetry: command not found", "poetry is not on this machine", "pip install poetry"),
        ("sh: yarn: command not found", "yarn is not on this machine", "corepack enable"),
        ("zsh: command not found: bun", "bun is not on this machine", "bun"),
        ("/usr/bin/env: \u2018node\u2019: No such file or directory", "node is not on this machine", "install Node"),
        ("sh: 1: vite: not found", "vite was not found", "build command installs"),
        ("==> it listens on port 3000, and not on PORT, which is 12345", "it listens on port 3000", "process.env.PORT"),
        (
            "==> no value here for TOKEN, which the Blueprint leaves out: inv local.env TOKEN (python -m localrender env TOKEN)",
            "TOKEN has no value here",
            "inv local.env TOKEN, then inv deploy",
        ),
        (
            "==> no value here for A_KEY, B_KEY, which the Blueprint leaves out: inv local.env A_KEY, or .env.local",
            "A_KEY, B_KEY have no value here",
            "inv local.env A_KEY (and so for B_KEY), then inv deploy",
        ),
        (
            "==> nothing here of a group of variables that the account holds: inv local.env NAME for each it needs",
            "nothing is here of a group of variables that the account holds",
            "inv local.env NAME for each",
        ),
        ("==> No open ports detected, continuing to scan...", "it has opened no port", "listen at"),
    ],
)
def test_the_cause_is_known_by_what_was_said(line: str, cause: str, remedy: str) -> None:
    """Whatever else was said before and after it."""
    found = causes.meaning(["> build", line, "error: exit 127"], local=True)

    assert found is not None
    assert (cause, True) == (found.cause, remedy in found.remedy)


def test_a_tool_is_installed_where_the_build_runs() -> None:
    """On this machine by whoever sits at it, at Render by the build command."""
    found = causes.meaning(["bash: line 1: uv: command not found"], local=False)

    assert found is not None
    assert found.remedy == "let the build command install uv first (pip install uv), commit, inv deploy"


@pytest.mark.parametrize("line", ["", "404: page not found", "TypeError: x is not a function", "module 'a' not found"])
def test_what_is_not_known_is_not_guessed(line: str) -> None:
    """The last words themselves are shown then."""
    assert causes.meaning([line], local=True) is None
