"""Settings: one file, every mistake in it told with its place and what to do."""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path

import pytest

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Secret
from deploylib.render.endpoint import RENDER_API, Endpoint, find_endpoint
from deploylib.settings import Config, load
from tests.support.fakes import KEY, write

STAGING = '[environments.staging]\nstore = "state"\nonly_this_machine = true\n'


def settings(root: Path, text: str, name: str = "local", **environ: str) -> Config:
    """Settings from this text."""
    write(root, {"deploylib.toml": text})
    return load(root, name, environ)


def test_without_a_file_the_blueprint_is_deployed_to_the_local_render(tmp_path: Path) -> None:
    """Nothing has to be set."""
    config = load(tmp_path, environ={})

    assert config.is_local
    assert ("render.yaml", str(tmp_path / ".deploylib")) == (config.settings.blueprint, config.store)
    assert tmp_path / ".localrender" == config.local_state
    assert sys.executable == config.python


def test_the_file_may_be_a_table_of_the_project(tmp_path: Path) -> None:
    """``[tool.deploylib]`` says the same as a file of its own, which comes first."""
    write(tmp_path, {"pyproject.toml": '[tool.deploylib]\nblueprint = "infra/render.yaml"\n'})
    assert load(tmp_path, environ={}).settings.blueprint == "infra/render.yaml"
    assert tmp_path / "infra" / ".localrender" == load(tmp_path, environ={}).local_state

    write(tmp_path, {"deploylib.toml": 'blueprint = "own.yaml"\n'})
    assert load(tmp_path, environ={}).settings.blueprint == "own.yaml"


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\nx = 1\n"])
def test_a_project_without_our_table_has_the_defaults(tmp_path: Path, text: str) -> None:
    """A ``pyproject.toml`` is not ours alone."""
    write(tmp_path, {"pyproject.toml": text})

    assert load(tmp_path, environ={}).settings.target == "5m"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targt = '5m'", "targt"),
        ("local_time_scale = 0", "local_time_scale is 0; the least is 1"),
        ("[services.api]\nhealht = '/h'", "healht"),
        ("[environments.staging]\nkey = 'x'", "key"),
        (
            "[[services.api.smoke]]\npath = 'https://other.example/'",
            "'https://other.example/' is no path of the service",
        ),
        ("[[services.api.smoke]]\npath = '/'\nunder = 'soon'", "under: 'soon'"),
        ("[[services.api.smoke]]\npath = '/'\nunder = '0s'", "under: '0s' is what no answer can take"),
        ("[[services.api.smoke]]\npath = '/'\nstatus = 2000", "status is 2000; an answer has one from 200 to 599"),
        ("[[services.api.smoke]]\npath = '/'\nstatus = 100", "status is 100"),
        (
            "[[services.api.smoke]]\npath = '/'\nstatus = '200'",
            "Expected `int`, got `str` - at `$.services[...].smoke[0].status`",
        ),
        ("[[services.api.smoke]]\npath = '/'\nstatus = true", "Expected `int`, got `bool`"),
        ("[[services.api.smoke]]\npath = '/'\nmethod = 'FETCH'", "Invalid enum value 'FETCH'"),
        ("[[services.api.smoke]]\npath = '/'\nmethod = 'HEAD'\ncontains = 'x'", "an answer to HEAD holds nothing"),
        ("[[services.api.smoke]]\nstatus = 200", "missing required field `path`"),
        ("[[services.api.smoke]]\npath = '/'\n" * 21, "21 smoke requests; at most 20"),
        (
            "[environments.local.loadtest]\nrate = 2501",
            "rate is 2501; it is from 0 (off) to 2500, which one process can send",
        ),
        ("[environments.local.loadtest]\nrate = nan", "rate is nan"),
        ("[environments.local.loadtest]\nseconds = 'soon'", "loadtest: seconds: 'soon' is not a duration"),
        ("[environments.local.loadtest]\nseconds = '0s'", "seconds is 0s; the least is 1s"),
        (
            "[environments.local.loadtest]\nrate = 200\nseconds = '1h'",
            "200 a second for 1h are 720000 arrivals; at most 300000",
        ),
        ("[migrations]\nfolder = 'x'", "folder"),
        ("keep_backups = 'five'", "keep_backups"),
        ("keep_backups = 0", "keep_backups is 0"),
        ("target = '5 minutes'", "target: '5 minutes'"),
        ("deadline = 'soon'", "deadline: 'soon'"),
        ("backup_every = 'daily'", "backup_every: 'daily'"),
        ("minimum_free = '1'", "minimum_free: '1'"),
        ("[migrations]\nlock_timeout = '1'", "migrations.lock_timeout: '1'"),
        ("[migrations]\nstatement_timeout = 'x'", "migrations.statement_timeout: 'x'"),
        ("[environments.local]\nstore = 'gs://bucket'", "gs://bucket is neither s3://bucket nor a folder"),
        ("[environments.local]\nstore_encryption = 'aws'", "store_encryption"),
        ("[environments.local]\nstore_kms_key = 'k'", "environments.local.store_kms_key: needs store_encryption"),
        ("[environments.local]\nbackups = 'off'", "backups"),
        ("services = 3", "services"),
        ("target = ", "deploylib.toml: "),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_remedy(tmp_path: Path, text: str, said: str) -> None:
    """An unknown key, a wrong type or a wrong value: nothing is guessed and nothing is passed over."""
    with pytest.raises(SettingsError) as raised:
        settings(tmp_path, text)

    assert said in raised.value.message
    assert raised.value.remedy
    assert raised.value.exit_code == 2


def test_a_file_that_is_none_is_told_and_not_waited_for(tmp_path: Path) -> None:
    """A folder, or a pipe, in which nobody writes."""
    file = tmp_path / "deploylib.toml"
    file.mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path, environ={})
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(SettingsError, match="it is a pipe"):
        load(tmp_path, environ={})


def test_an_environment_must_be_known(tmp_path: Path) -> None:
    """Those that are known are named, and how to add one."""
    with pytest.raises(SettingsError, match="no environment 'prod'; known: local, staging") as raised:
        settings(tmp_path, STAGING, "prod")

    assert "[environments.prod]" in raised.value.remedy


@pytest.mark.parametrize("more", ["", 'store = "x"', "only_this_machine = true"], ids=["none", "store", "machine"])
def test_an_environment_that_others_deploy_to_needs_a_shared_store(tmp_path: Path, more: str) -> None:
    """A folder is refused unless it is said that only this machine deploys."""
    with pytest.raises(SettingsError, match="where every machine that deploys sees them"):
        settings(tmp_path, f"[environments.staging]\n{more}\n", "staging")

    assert str(tmp_path / "state") == settings(tmp_path, STAGING, "staging").store


@pytest.mark.parametrize("home", ["~", f"~{pwd.getpwuid(os.getuid()).pw_name}"])
def test_a_path_of_the_settings_may_begin_at_home(tmp_path: Path, home: str) -> None:
    """As in a shell: no folder is called so."""
    text = f'postgres_bin = "{home}/pg"\n[environments.local]\nstore = "{home}/x"\n[migrations]\npython = "{home}/python"\n'
    found = settings(tmp_path, text)

    at = Path(home).expanduser()
    assert (str(at / "x"), str(at / "python"), str(at / "pg")) == (found.store, found.python, found.postgres_bin)
    with pytest.raises(SettingsError, match="begins in a home folder that is not known"):
        _ = settings(tmp_path, '[environments.local]\nstore = "~nobody-is-called-so/x"\n').store


def test_the_key_comes_from_the_variable_that_the_settings_name(tmp_path: Path) -> None:
    """Without the variable, or with an empty one, the operator reads which one to set."""
    text = f'{STAGING}api_key_env = "OUR_KEY"\napi_url = "https://proxy.example/v1/"\n'

    found = find_endpoint(settings(tmp_path, text, "staging", OUR_KEY=f" {KEY}\n"))

    assert Endpoint("https://proxy.example/v1", Secret(KEY)) == found
    for environ in ({}, {"OUR_KEY": " "}):
        with pytest.raises(SettingsError, match="OUR_KEY is not set") as raised:
            find_endpoint(settings(tmp_path, text, "staging", **environ))
        assert "export OUR_KEY=" in raised.value.remedy


def test_the_api_is_renders_unless_told_otherwise(tmp_path: Path) -> None:
    """``RENDER_HOST`` is the variable of Render's own clients."""
    found = [
        find_endpoint(settings(tmp_path, STAGING, "staging", RENDER_API_KEY=KEY, **more)).api_url
        for more in ({}, {"RENDER_HOST": "https://elsewhere.example/v1/"})
    ]

    assert [RENDER_API, "https://elsewhere.example/v1"] == found


def test_the_local_render_has_written_down_where_it_is(tmp_path: Path) -> None:
    """No variable is needed; while it does not run, the remedy is to start it."""
    config = settings(tmp_path, "")
    with pytest.raises(Unreachable, match="not running") as raised:
        find_endpoint(config)
    assert raised.value.remedy == "inv local.up"

    write(tmp_path, {".localrender/endpoint.json": json.dumps({"api_url": "http://127.0.0.1:1/v1", "api_key": KEY})})
    assert Endpoint("http://127.0.0.1:1/v1", Secret(KEY)) == find_endpoint(config)


def test_local_with_an_address_is_a_platform_like_any_other(tmp_path: Path) -> None:
    """Then nothing is started here."""
    assert not settings(tmp_path, '[environments.local]\napi_url = "http://x/v1"\n').is_local


def test_a_database_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """None without one; refused when it is named and not set."""
    text = f'{STAGING}database_url_env = "OUR_DATABASE"\n'
    url = "postgresql://u:p4ss@h/d"

    assert settings(tmp_path, STAGING, "staging").database_url() is None
    assert Secret(url) == settings(tmp_path, text, "staging", OUR_DATABASE=f"{url}\n").database_url()
    with pytest.raises(SettingsError, match="OUR_DATABASE is not set"):
        settings(tmp_path, text, "staging").database_url()


def test_the_interpreter_of_the_migrations_is_relative_to_the_product(tmp_path: Path) -> None:
    """As one writes it in the file."""
    config = settings(tmp_path, '[migrations]\npython = ".venv/bin/python"\n')

    assert str(tmp_path / ".venv/bin/python") == config.python


def test_no_secret_is_in_the_representation(tmp_path: Path) -> None:
    """Neither of the settings nor of the endpoint."""
    config = settings(tmp_path, STAGING, "staging", RENDER_API_KEY=KEY, OTHER="p4ss")

    assert not [word for word in (KEY, "p4ss", "rnd_") if word in f"{config!r} {config} {find_endpoint(config)!r}"]
    assert "staging" in repr(config)


def test_what_is_not_shown_is_every_token_of_ours_and_all_that_any_settings_name(tmp_path: Path) -> None:
    """A place or a word of ours is no secret, nor is a variable that nobody named."""
    text = f'{STAGING}[environments.production]\nstore = "s3://b"\ndatabase_url_env = "PROD_URL"\n'
    environ = {
        name: f"value of {name}"
        for name in ("PROD_URL", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY")
    }
    others = {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "RENDER_SERVICE_NAME": "shop",
        "DEPLOYLIB_STORE": "s3://b",
        "EMPTY_TOKEN": "",
    }

    known = settings(tmp_path, text, "staging", **environ, **others).known_secrets

    assert sorted(environ.values()) == sorted(one.reveal() for one in known)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "staging/", "a b", "a\\nb", "\\u202e", "$(id)", "-x"])
def test_a_name_that_cannot_be_part_of_a_place_is_none(tmp_path: Path, name: str) -> None:
    """It is part of keys in the store and of what a person types: ``staging/`` would be held by the holds of ``staging``."""
    with pytest.raises(SettingsError, match="cannot be the name of an environment") as refused:
        settings(tmp_path, f'[environments."{name}"]\n', "local")
    assert "rename it in deploylib.toml" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('blueprint = "a\\u0000b"', "blueprint"),
        ('[environments.local]\nstore = "\\u0000"', "environments.local.store"),
        ('shared = ["a", "\\u0000"]', "shared"),
        ('[services."a\\u0000"]\n', "services"),
        ('"\\u0000" = 1', "a name"),
    ],
)
def test_a_nul_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    """No path and no command can have one, so that it would be an error of whatever is asked first."""
    with pytest.raises(SettingsError, match=f"deploylib.toml: {place}: holds a NUL"):
        settings(tmp_path, text)


@pytest.mark.parametrize("url", ["http://[::1", "http://a:99999/v1", "ftp://a", "api.render.com/v1", "file:///v1"])
def test_an_address_of_the_platform_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    """Where it was written, and before it is asked."""
    set_there = settings(tmp_path, f'{STAGING}api_url = "{url}"\n', "staging", RENDER_API_KEY="rnd_1")
    with pytest.raises(SettingsError, match=r"environments\.staging\.api_url: it is no address"):
        find_endpoint(set_there)
    with pytest.raises(SettingsError, match="RENDER_HOST: it is no address"):
        find_endpoint(settings(tmp_path, STAGING, "staging", RENDER_API_KEY="rnd_1", RENDER_HOST=url))


def test_the_secrets_of_smoke_requests_are_ours_alone(tmp_path: Path) -> None:
    """Their variables are inherited by nothing that runs the product's code, and their values are shown nowhere."""
    text = "[[services.api.smoke]]\npath = '/'\nsend_env = { Authorization = 'SHOP_DOOR' }"
    (tmp_path / "deploylib.toml").write_text(text)

    loaded = load(tmp_path, environ={"SHOP_DOOR": "Bearer 0123456789", "PATH": "/bin"})

    assert loaded.secrets == ("SHOP_DOOR",)
    assert Secret("Bearer 0123456789") in loaded.known_secrets
    assert loaded.secret("SHOP_DOOR") == Secret("Bearer 0123456789")
    assert loaded.secret("NOBODY") is None


@pytest.mark.parametrize(
    ("name", "environ", "told"),
    [
        ("staging", {}, "gh secret set KEY --env staging, and here export KEY=…"),
        ("staging", {"GITHUB_ACTIONS": "true"}, "gh secret set KEY --env staging"),
        ("local", {}, "export KEY=…"),
    ],
    ids=["on a laptop", "in a workflow", "local"],
)
def test_a_missing_secret_is_told_where_it_goes(tmp_path: Path, name: str, environ: dict[str, str], told: str) -> None:
    """With the line that puts it there."""
    assert settings(tmp_path, STAGING, name, **environ).explain_setting("KEY") == told
