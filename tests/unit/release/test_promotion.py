"""Exactly what one environment has verified, and still serves, goes to another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploylib.commands import control, release
from deploylib.errors import Blocked, SettingsError
from deploylib.models.results import Report
from deploylib.settings import EnvironmentSettings
from tests.support.fakes import THIRD, FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import NAMES, REPO, WITHOUT_SCAN, FakeEnvironment, Product
from tests.support.repository import Repository
from tests.support.slack import run_slack


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that staging has verified, and that production has never seen."""
    made = Product(repository, platform, clock)
    for name in NAMES:
        platform.add(f"live-{name}", repo=REPO)
    assert made.deploy().outcome == "succeeded"
    platform.requests.clear()
    return made


def production(product: Product) -> FakeEnvironment:
    """A command on the other environment."""
    made = product.env()
    services = {name: f"live-{name}" for name in NAMES}
    environment = EnvironmentSettings(only_this_machine=True, services=services)
    config = msgspec.structs.replace(made.config, name="production", environment=environment)
    return dataclasses.replace(made, config=config)


def promote(product: Product, **options: Any) -> Report:
    """``inv promote --from staging --to production``."""
    return release.promote(production(product), source=product.env(), **{**WITHOUT_SCAN, **options})


def served(product: Product) -> list[str]:
    """What production serves."""
    return [product.platform.live(f"srv-live-{name}") for name in NAMES]


def test_each_service_gets_the_commit_that_was_verified(product: Product) -> None:
    """Not what is checked out, and not one commit for all: a release is a map."""
    second = product.change("2", "web")
    product.deploy()
    product.change("3")
    product.platform.requests.clear()

    report = promote(product)

    assert report.outcome == "succeeded", report
    assert served(product) == [product.first, second]
    assert product.asked() == ["srv-live-api/deploys", "srv-live-web/deploys"]
    assert promote(product).outcome == "nothing to do"


def test_a_promotion_is_told_as_one(product: Product) -> None:
    """Where it comes from stands beside who did it."""
    with run_slack() as slack:
        product.environ |= {"SLACK_WEBHOOK_URL": slack.webhook}
        promote(product)

    (text,) = slack.texts
    assert f'production ← {product.first[:7]} "change", promoted from staging, by ada' in text


def test_what_is_no_longer_what_was_verified_is_refused(product: Product) -> None:
    """Somebody else deployed to staging: nobody has verified that."""
    product.platform.begin("srv-web", THIRD, "live", "manual")

    with pytest.raises(Blocked, match=r"no longer serves what run .* has verified") as refused:
        promote(product)
    assert refused.value.details == (f"web: verified {product.first[:7]}, serves {THIRD[:7]}",)
    assert product.asked() == []


def test_an_environment_in_the_middle_of_a_run_is_refused(product: Product) -> None:
    """What it will serve is not known."""
    product.change("2")
    product.deploy(until="changes")

    with pytest.raises(Blocked, match="of staging is open"):
        promote(product)


def test_an_environment_that_was_never_verified_is_refused(product: Product) -> None:
    """There is nothing to bring."""
    with pytest.raises(SettingsError, match="nothing was ever deployed to 'production'"):
        release.promote(product.env(), source=production(product))
    product.change("2")
    product.platform.plans["srv-live-web"] = ["build_failed"]
    assert product.deploy_to(production(product)).exit_code == 10
    with pytest.raises(Blocked, match="production has no verified release"):
        release.promote(product.env(), source=production(product))


def test_a_refused_commit_is_not_brought_on(product: Product) -> None:
    """Staging holds it, or production does."""
    control.hold(product.env(), reason="slow", commit=product.first)
    with pytest.raises(Blocked, match=f"staging refuses {product.first[:7]}"):
        promote(product)
    control.lift(product.env())
    control.hold(production(product), reason="slow", commit=product.first)

    assert promote(product).exit_code == 31


def test_what_is_older_than_what_is_live_is_refused(product: Product) -> None:
    """That is a rollback, and is asked for by its name."""
    newer = product.change("2")
    for name in NAMES:
        product.platform.begin(f"srv-live-{name}", newer, "live")

    report = promote(product)

    assert report.exit_code == 2
    assert "which is newer than staging's" in report.error
    assert product.asked() == []


def test_a_run_is_promoted_as_it_was_verified_although_others_have_followed(product: Product) -> None:
    """A newer push is on its way to staging, or there already: production gets what the run before has proven."""
    second = product.change("2")
    run = product.deploy().run
    product.change("3")
    product.deploy(until="changes")

    report = promote(product, run=run)

    assert report.outcome == "succeeded", report
    assert served(product) == [second, second]


def test_a_run_that_found_nothing_to_do_stands_for_the_release_that_it_found(product: Product) -> None:
    """The attempt after a failed promotion finds staging as it left it."""
    run = product.deploy().run

    assert promote(product, run=run).outcome == "succeeded"
    assert served(product) == [product.first] * 2


def test_a_run_that_failed_on_staging_is_not_promoted(product: Product) -> None:
    """Nor is what it has put back promoted in its place; and a run that nobody knows is none."""
    product.change("2")
    product.platform.plans["srv-web"] = ["build_failed"]
    run = product.deploy().run

    with pytest.raises(Blocked, match="has verified nothing"):
        promote(product, run=run)
    with pytest.raises(Blocked, match="has no run"):
        promote(product, run="unheard-of")
    assert served(product) == ["", ""]


def test_a_run_of_which_staging_refuses_a_commit_by_now_is_not_promoted(product: Product) -> None:
    """It was gone back from after it had been verified."""
    product.change("2")
    run = product.deploy().run
    assert product.roll_back().exit_code == 0

    with pytest.raises(Blocked, match="staging refuses"):
        promote(product, run=run)


def test_gates_of_the_commit_that_staging_was_asked_for_count_for_what_it_found_there(
    product: Product, tmp_path: Path
) -> None:
    """A push that changes no service: the jobs beside staging have examined it, and with it what is live there."""
    product.commit({"notes": "nothing of a service"})
    product.in_ci(41)
    product.settings = {"tests": "/bin/echo passed"}
    product.environ["GITHUB_OUTPUT"] = str(tmp_path / "output")
    release.tests(product.env(), hand_over=True)
    product.environ["DEPLOYLIB_TESTS"] = (tmp_path / "output").read_text().strip().removeprefix("result=")
    del product.environ["GITHUB_OUTPUT"]
    assert product.deploy().outcome == "nothing to do"
    product.settings = {"tests": "/bin/sh -c 'exit 3'"}

    report = promote(product, run="41-1")

    assert report.outcome == "succeeded", report
    assert served(product) == [product.first] * 2
