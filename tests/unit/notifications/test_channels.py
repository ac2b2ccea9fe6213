"""Which channels the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib import settings
from deploylib.errors import SettingsError
from deploylib.notifications import find_channels

EVERY = {
    "SLACK_WEBHOOK_URL": "https://a.example",
    "SLACK_BOT_TOKEN": "xoxb-1",
    "DEPLOYLIB_WEBHOOK_URL": "https://b.example",
}
CHANNEL = 'slack_channel = "#deploys"\n'
FILE = '[environments.staging]\nonly_this_machine = true\nstore = ".deploylib"\n'


def found(folder: Path, more: str = "", *, name: str = "staging", **environ: str) -> list[str]:
    """The kinds of channels there are."""
    (folder / "deploylib.toml").write_text(FILE + more)
    return [type(channel).__name__ for channel in find_channels(settings.load(folder, name, environ))]


def test_channels_are_what_the_settings_name(tmp_path: Path) -> None:
    """A bot where a channel is named and its token is there, else a webhook; and an address for everything else."""
    assert found(tmp_path) == []
    assert found(tmp_path, SLACK_WEBHOOK_URL=" ") == []
    assert found(tmp_path, **EVERY) == ["SlackWebhook", "JsonWebhook"]
    assert found(tmp_path, CHANNEL, **EVERY) == ["SlackBot", "JsonWebhook"]
    assert found(tmp_path, CHANNEL, SLACK_WEBHOOK_URL="https://a.example") == ["SlackWebhook"]
    assert found(tmp_path, CHANNEL + 'slack_token_env = "BOT"\n', BOT="xoxb-1") == ["SlackBot"]
    assert found(tmp_path, name="local", **EVERY) == []


def test_the_secrets_of_channels_are_shown_nowhere(tmp_path: Path) -> None:
    """Nor does a program of the product's inherit them."""
    (tmp_path / "deploylib.toml").write_text(FILE + CHANNEL + 'slack_token_env = "BOT"\nwebhook_env = "OTHER"\n')
    environ = {**EVERY, "BOT": "xoxb-2", "OTHER": "https://c.example", "PATH": "/bin"}
    config = settings.load(tmp_path, "staging", environ)

    assert {secret.reveal() for secret in config.known_secrets} == {*EVERY.values(), "xoxb-2", "https://c.example"}
    assert set(environ) - set(config.secrets) == {"PATH"}


@pytest.mark.parametrize("person", ["@ada", "", "C0123", "U012|channel"])
def test_a_person_is_named_by_the_id_in_slack(tmp_path: Path, person: str) -> None:
    """Anything else would call nobody, or everybody."""
    with pytest.raises(SettingsError, match=r"slack_people: .* is no member of Slack"):
        found(tmp_path, f'[slack_people]\n"ada@example.com" = "{person}"\n')
    assert found(tmp_path, '[slack_people]\n"ada@example.com" = "U0123ABC"\n') == []
