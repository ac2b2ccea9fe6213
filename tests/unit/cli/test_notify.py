"""``inv notify``: a text without a flag, or a test in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import ParseError
from invoke.main import program
from invoke.parser import Parser

from deploylib.cli import collection
from deploylib.commands.notify import notify
from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.settings import Config, EnvironmentSettings


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


@pytest.mark.parametrize(
    ("name", "chosen", "variable"),
    [
        ("staging", EnvironmentSettings(), "SLACK_WEBHOOK_URL"),
        ("staging", EnvironmentSettings(slack_webhook_env="OPS_HOOK"), "OPS_HOOK"),
        ("staging", EnvironmentSettings(webhook_env="TEAMS"), "TEAMS"),
        ("local", EnvironmentSettings(slack_webhook_env="OPS_HOOK"), "OPS_HOOK"),
    ],
)
def test_where_nobody_is_told_the_variable_is_named_that_is_read(
    tmp_path: Path, name: str, chosen: EnvironmentSettings, variable: str
) -> None:
    """Whoever sets it has a channel then."""
    with pytest.raises(SettingsError) as raised:
        notify(Environment(Config(root=tmp_path, name=name, environment=chosen, environ={})), text="noon")
    named = raised.value.remedy.removeprefix("set ").partition(";")[0].split(" or ")
    assert variable in named

    for each in named:
        config = Config(root=tmp_path, name=name, environment=chosen, environ={each: "https://hooks.example/1"})
        assert config.webhook or config.json_webhook


def test_where_no_variable_is_read_the_setting_is_named(tmp_path: Path) -> None:
    """``local`` tells nobody by itself, also where a variable is set."""
    with pytest.raises(SettingsError) as raised:
        notify(
            Environment(Config(root=tmp_path, environ={"SLACK_WEBHOOK_URL": "https://hooks.example/1"})), text="noon"
        )

    assert raised.value.remedy.startswith('slack_webhook_env = "SLACK_WEBHOOK_URL" in the settings')
    assert "[environments.local]" in raised.value.remedy
