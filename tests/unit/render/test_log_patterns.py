"""The causes that everybody meets once, told with what helps."""

from __future__ import annotations

import pytest

from deploylib.render import diagnosis


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
        (
            "==> submodule alpha/lib is not in this clone: git submodule update --init --recursive",
            "its submodule alpha/lib is not in this clone",
            "git submodule update --init --recursive, then inv deploy",
        ),
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
        (
            "npm error 404  The requested resource '@acme/kit@0.2.1' could not be found or you do not have permission",
            "the registry has no @acme/kit@0.2.1",
            "that is there",
        ),
        ("npm ERR! 404  'kit@^2.0.0' is not in this registry.", "the registry has no kit@^2.0.0", "that is there"),
        ("ERROR: No matching distribution found for kit==9.9", "the registry has no kit==9.9", "name a kit that is"),
        ("==> No open ports detected, continuing to scan...", "it has opened no port", "listen at"),
    ],
)
def test_the_cause_is_known_by_what_was_said(line: str, cause: str, remedy: str) -> None:
    """Whatever else was said before and after it."""
    found = diagnosis.meaning(["> build", line, "exit 127"], local=True)

    assert found is not None
    assert (cause, True) == (found.cause, remedy in found.remedy)


@pytest.mark.parametrize("before", [True, False])
def test_a_value_that_lacks_is_not_the_cause_where_another_is_told(*, before: bool) -> None:
    """It is said after every failure of a program that lacks one."""
    lines = ["==> no value here for TOKEN, which the Blueprint leaves out: x", "bash: line 1: pnpm: command not found"]
    found = diagnosis.meaning(lines if before else lines[::-1], local=True)

    assert found is not None
    assert found.cause == "pnpm is not on this machine"


UNSET = "==> no value here for A_KEY, B_KEY, which the Blueprint leaves out: inv local.env A_KEY, or .env.local"


@pytest.mark.parametrize(
    ("line", "cause", "certain"),
    [
        ("KeyError: 'B_KEY'", "B_KEY has no value here", True),
        ("the shop cannot start without A_KEY", "A_KEY has no value here", True),
        ("", "A_KEY, B_KEY have no value here", True),
        ('ERROR:  relation "orders" does not exist', "A_KEY, B_KEY have no value here", False),
        ("TypeError: B_KEYS is not a function", "A_KEY, B_KEY have no value here", False),
    ],
)
def test_a_value_that_lacks_is_the_cause_where_the_program_names_it(line: str, cause: str, *, certain: bool) -> None:
    """Or where it tells no error; otherwise it only may be: the program may have served without it all the time."""
    found = diagnosis.meaning([line, UNSET], local=True)

    assert found is not None
    assert (found.cause, found.is_certain) == (cause, certain)


def test_a_tool_is_installed_where_the_build_runs() -> None:
    """On this machine by whoever sits at it, at Render by the build command."""
    found = diagnosis.meaning(["bash: line 1: uv: command not found"], local=False)

    assert found is not None
    assert found.remedy == "let the build command install uv first (pip install uv), commit, inv deploy"


@pytest.mark.parametrize("line", ["", "404: page not found", "TypeError: x is not a function", "module 'a' not found"])
def test_what_is_not_known_is_not_guessed(line: str) -> None:
    """The last words themselves are shown then."""
    assert diagnosis.meaning([line], local=True) is None
