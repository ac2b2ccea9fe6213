"""What a release lacks is told at once, before it begins: packages, programs, keys, a store, and what is not committed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from deploylib.commands import release
from deploylib.models.results import Report
from deploylib.models.smoke import SmokeRequest
from deploylib.release import pipeline, prerequisites
from deploylib.settings import (
    Config,
    EnvironmentSettings,
    LoadTestSettings,
    MigrationSettings,
    ServiceSettings,
    Settings,
)
from deploylib.store import StoreRefused
from tests.support.extras import install_all
from tests.support.fakes import FakeClock, write
from tests.support.in_memory import Platform, status
from tests.support.in_memory_product import BLUEPRINT, Product
from tests.support.memory_store import MemoryStore
from tests.support.repository import Repository

ABSENT = "no-such-program"
MORE = BLUEPRINT + "  - {type: worker, name: more, runtime: go, startCommand: ./m}\n"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that are not installed; all others are, whatever the tests run in."""
    return install_all(monkeypatch)


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock, absent: set[str]) -> Product:
    """The product, on a machine that has every package."""
    return Product(repository, platform, clock)


def missing(root: Path, name: str = "production", files: tuple[str, ...] = (), **more: Any) -> list[str]:
    """What is said of all stages of an environment with a bucket."""
    chosen = more.pop("environment", {"store": "s3://deploys/shop"})
    environ = more.pop("environ", {"PATH": str(root)})
    config = Config(
        root=root,
        name=name,
        settings=Settings(**more.pop("settings", {})),
        environment=EnvironmentSettings(**chosen),
        environ=environ,
    )
    stages = [stage.name for stage in pipeline.FORWARD]
    found = prerequisites.missing(config, **{"stages": stages, "files": files, "database": True, "asked": True, **more})
    return [f"{one.text} → {one.remedy}" for one in found]


def looked(product: Product, **options: Any) -> Report:
    """``inv check``."""
    return release.check(product.env(), **options)


def told(report: Report) -> str:
    """All that it says."""
    return "\n".join((report.error, *report.details, *report.next))


def test_where_everything_is_at_hand_nothing_is_found(tmp_path: Path, absent: set[str]) -> None:
    """Nor of what the environment has no use for."""
    assert missing(tmp_path) == []
    absent |= {"slack-sdk", "psycopg", "bandit", "boto3"}
    assert missing(tmp_path, "local", environment={}, database=False) == []


def test_packages_are_told_by_who_needs_them_with_one_command_for_each(tmp_path: Path, absent: set[str]) -> None:
    """All of them at once; Slack's only where it is told, and to somebody who asks."""
    absent |= {"slack-sdk", "psycopg", "bandit", "pip-audit", "boto3"}
    environ = {"PATH": "", "SLACK_WEBHOOK_URL": "https://hooks.example/x"}

    assert missing(tmp_path, environ=environ) == [
        "the database: 1 package is not installed: psycopg[binary]>=3.2 → pip install 'psycopg[binary]>=3.2'",
        "the store s3://deploys/shop: 1 package is not installed: boto3>=1.40 → pip install 'boto3>=1.40'",
        "the scan: 2 packages are not installed: bandit>=1.9, pip-audit>=2.10 → pip install 'bandit>=1.9' 'pip-audit>=2.10'",
        "Slack: 1 package is not installed: slack-sdk>=3.36 → pip install 'slack-sdk>=3.36'",
    ]
    assert ["the store s3://deploys/shop"] == [
        line.partition(":")[0] + ":" + line.split(":")[1]
        for line in missing(tmp_path, stages=(), database=False, asked=False)
    ]


def test_the_package_of_a_load_test_is_told_where_there_is_one(tmp_path: Path, absent: set[str]) -> None:
    """To somebody who asks: a release goes on without, and says that nothing was measured."""
    absent.add("locust")
    chosen = {"store": "s3://deploys/shop", "loadtest": LoadTestSettings(rate=5)}

    assert missing(tmp_path) == missing(tmp_path, environment=chosen, asked=False) == []
    assert missing(tmp_path, environment=chosen) == [
        "the load test: 1 package is not installed: locust>=2.40 → pip install 'locust>=2.40'"
    ]


def test_programs_are_told_by_who_starts_them(tmp_path: Path, absent: set[str]) -> None:
    """Npm for the scan of a lock, the command of the tests, and another tool's migrations."""
    settings = {
        "tests": f"{ABSENT} --all",
        "migrations": MigrationSettings(command="npx prisma migrate deploy", pending="./pending.sh"),
    }
    found = "\n".join(missing(tmp_path, files=("web/package-lock.json",), settings=settings))

    for words in (
        "npm is not here: web/package-lock.json",
        f"{ABSENT} is not here",
        "npx is not here",
        "./pending.sh is not",
    ):
        assert words in found
    assert "https://nodejs.org" in found
    write(tmp_path, dict.fromkeys(("npm", "npx", ABSENT, "pending.sh"), "#!/bin/sh\n"))
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    assert missing(tmp_path, files=("web/package-lock.json",), settings=settings) == []


def test_the_secret_of_a_smoke_request_is_told_before_it_is_missed(tmp_path: Path, absent: set[str]) -> None:
    """By the request that sends it, where this command will verify; nobody who only migrates has to have it."""
    request = SmokeRequest(path="/account?all", send_env={"Authorization": "SHOP_DOOR"})
    settings = {"services": {"api": ServiceSettings(smoke=(request,))}}

    [said] = missing(tmp_path, settings=settings)
    assert said.startswith(
        "SHOP_DOOR is not set: services.api.smoke, GET /account sends it in a header → gh secret set SHOP_DOOR"
    )
    assert [] == missing(tmp_path, settings=settings, stages=["migrate"], asked=False)
    assert [] == missing(tmp_path, settings=settings, environ={"PATH": str(tmp_path), "SHOP_DOOR": "x"})


def test_a_store_that_others_do_not_see_is_one_finding_among_others(tmp_path: Path, absent: set[str]) -> None:
    """For who only looks, which goes on without one."""
    [found] = missing(tmp_path, environment={})

    assert "every machine that deploys sees them" in found
    assert missing(tmp_path, environment={}, asked=False) == []


def test_everything_that_a_release_lacks_is_told_at_once_also_of_what_is_not_committed(product: Product) -> None:
    """Store, tools, a service that is new in the folder, and the commit that is still to be made: one round."""
    product.settings = {"tests": f"{ABSENT} --all"}
    write(product.repository.root, {"render.yaml": MORE})

    report = looked(product)

    assert report.exit_code == 2
    for words in (
        "1 changed file is not committed",
        "every machine that deploys sees them",
        f"{ABSENT} is not here",
        "more: the account has no service called 'more'",
    ):
        assert words in told(report), told(report)
    assert product.asked() == []


def test_a_mistake_in_a_blueprint_that_is_being_written_is_told_before_it_is_committed(product: Product) -> None:
    """With all else."""
    product.settings = {"tests": ABSENT}
    write(product.repository.root, {"render.yaml": "services: [{type: nothing, name: a}]\n"})

    said = told(looked(product))

    assert "render.yaml" in said
    assert f"{ABSENT} is not here" in said


def test_a_root_dir_that_the_commit_does_not_have_is_told_before_a_build_fails_for_it(product: Product) -> None:
    """Unless the release is of other services alone."""
    product.commit({"render.yaml": BLUEPRINT.replace("rootDir: web", "rootDir: nowhere")})

    refused = product.deploy(skip=("scan",), reason="elsewhere")

    assert (2, []) == (refused.exit_code, product.asked())
    assert "rootDir nowhere of web is not in the commit" in refused.error
    assert product.deploy(services=("api",), skip=("scan",), reason="elsewhere").exit_code == 0


def test_a_store_that_cannot_be_opened_hides_nothing_else(product: Product) -> None:
    """The platform is asked all the same."""
    product.settings = {"tests": ABSENT}
    product.platform.add("more", repo="https://github.com/example/other")
    write(product.repository.root, {"render.yaml": MORE})
    write(product.repository.root, {".deploylib": "a file, where a folder should be"})

    report = looked(product)

    assert "more: it is built from https://github.com/example/other" in told(report)
    assert f"{ABSENT} is not here" in told(report)


class OnlyRead(MemoryStore):
    """A store that may be read, and not written."""

    def require_writable(self) -> None:
        """Refuse, as a bucket does by 403."""
        raise StoreRefused("the store refused a write: AccessDenied", remedy="check what the credentials may do")


def test_a_store_that_may_only_be_read_is_told_beside_all_else(product: Product) -> None:
    """A release would stop at its lease, after tests and scan; nothing of it is touched."""
    product.settings = {"tests": ABSENT}
    store = OnlyRead(product.clock)

    report = release.check(dataclasses.replace(product.env(), kept_in=store))

    assert (40, []) == (report.exit_code, store.keys)
    assert "refused a write" in report.error
    assert f"{ABSENT} is not here" in told(report)


def test_a_platform_that_refuses_the_key_leads_and_hides_nothing_else(product: Product) -> None:
    """What it would have said is not known: exit code 40."""
    product.settings = {"tests": ABSENT}
    product.platform.faults += [("GET", "/services", status(401)) for _ in range(9)]

    report = looked(product)

    assert report.exit_code == 40
    assert "refused the API key" in report.error
    assert f"{ABSENT} is not here" in told(report)


def test_a_release_stops_for_what_it_lacks_before_anything_is_asked_for(product: Product) -> None:
    """By the same look; what an earlier job has done, or a person leaves out, needs nothing here."""
    product.settings = {"tests": ABSENT}

    refused = product.deploy(skip=("scan",), reason="elsewhere")
    assert (2, []) == (refused.exit_code, product.asked())
    assert f"{ABSENT} is not here" in refused.error

    assert product.deploy(skip=("scan", "tests"), reason="elsewhere").exit_code == 0
