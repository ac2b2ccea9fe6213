"""Who is asked by a load test, and to whom one is proposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploylib.commands.loadtest import load_test
from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.models import Kind, Target
from deploylib.release import under_load
from deploylib.settings import Config, EnvironmentSettings, LoadTestSettings

SITE = Target(name="site", service_id="srv-1", kind=Kind.STATIC, url="https://site.example")
API = Target(name="api", service_id="srv-2", kind=Kind.WEB, url="https://api.example")
WORKER = Target(name="worker", service_id="srv-3", kind=Kind.WORKER)


def environment(root: Path, name: str = "staging", **settings: object) -> Environment:
    """One whose product has a locustfile."""
    file = root / "loadtests/locustfile.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    loadtest = msgspec.convert(settings, LoadTestSettings)
    return Environment(Config(root=root, name=name, environment=EnvironmentSettings(loadtest=loadtest), environ={}))


def test_the_web_service_is_tested_and_any_public_one_that_is_named(tmp_path: Path) -> None:
    """A worker has no address; one that is named and is not there is an error with those that are."""
    targets = (SITE, WORKER, API)

    assert under_load.choose_target(environment(tmp_path), targets) == API
    assert under_load.choose_target(environment(tmp_path, service="site"), targets) == SITE
    assert under_load.choose_target(environment(tmp_path), (SITE, WORKER)) == SITE
    with pytest.raises(SettingsError, match="worker has no public address") as refused:
        under_load.choose_target(environment(tmp_path, service="worker"), targets)
    assert "site, api" in refused.value.remedy
    with pytest.raises(SettingsError, match="no service has a public address"):
        under_load.choose_target(environment(tmp_path), (WORKER,))


@pytest.mark.parametrize("name", ["production", "prod-eu", "Live"])
def test_nothing_is_written_to_production(name: str, tmp_path: Path) -> None:
    """It is refused before anything is sent."""
    env = environment(tmp_path, name, rate=5)
    settings = env.config.environment.loadtest

    with pytest.raises(SettingsError, match="nothing is written"):
        under_load.assess_service(env, (API,), run="r", settings=settings, write=True)


def test_a_load_test_is_proposed_to_staging_and_never_to_production(tmp_path: Path) -> None:
    """Nor where there is one already, no locustfile, or on the local Render."""
    (line,) = under_load.propose(environment(tmp_path))

    assert "[environments.staging.loadtest]" in line
    assert under_load.propose(environment(tmp_path, "production")) == ()
    assert under_load.propose(environment(tmp_path, "local")) == ()
    assert under_load.propose(environment(tmp_path, rate=5)) == ()
    assert under_load.propose(environment(tmp_path, file="elsewhere.py")) == ()


@pytest.mark.parametrize("asked", [{"rate": 5000}, {"rate": 300, "seconds": "1h"}, {"rate": -1}])
def test_more_than_can_be_sent_is_refused(asked: dict[str, Any], tmp_path: Path) -> None:
    """Before anybody is asked."""
    with pytest.raises(SettingsError, match="--rate, --seconds: loadtest: "):
        load_test(environment(tmp_path), **asked)
