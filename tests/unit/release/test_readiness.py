"""What only somebody who asks is told: the clock, the Blueprint as Render sees it, connections, alembic; and in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from deploylib.cli.text import format_report
from deploylib.commands import release
from deploylib.models import Kind
from deploylib.models.results import Report
from deploylib.release import readiness
from tests.support.extras import install_all
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform, status
from tests.support.in_memory_product import BLUEPRINT, REPO, Product
from tests.support.repository import Repository

VALIDATED = "/blueprints/validate"


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Product:
    """The product, with a store, on a machine that has every package."""
    install_all(monkeypatch)
    made = Product(repository, platform, clock)
    made.environment = {"store": "state"}
    made.commit({".gitignore": ".deploylib\nstate\n"})
    return made


def looked(product: Product) -> Report:
    """``inv check``."""
    return release.check(product.env())


def lines(report: Report) -> str:
    """What it says of the check itself."""
    return "\n".join(line for one in report.stages for line in one.lines)


def judged(product: Product, answer: object, code: int = 200) -> None:
    """The platform says so of a Blueprint."""
    product.platform.faults.append(("POST", VALIDATED, status(code, answer)))


def test_a_fault_that_render_finds_is_a_finding(product: Product) -> None:
    """With its line; the schema that we have does not know it."""
    judged(product, {"valid": False, "errors": [{"error": "the plan is gone", "path": "services[0].plan", "line": 2}]})

    report = looked(product)

    assert report.exit_code == 2
    assert "render.yaml, says Render: line 2: services[0].plan: the plan is gone" in (report.error, *report.details)
    assert report.verdict == "Not ready for staging: 1 thing to do; first: correct render.yaml"
    assert format_report(report).splitlines()[-1] == report.verdict
    assert format_report(report).splitlines()[1:3] == [f"✗ {report.error}", "  → correct render.yaml"]


@pytest.mark.parametrize("code", [403, 404, 405])
def test_a_platform_that_does_not_say_is_no_finding(product: Product, code: int) -> None:
    """It is told that it was not asked: never the same as valid."""
    judged(product, {"message": "no"}, code)

    report = looked(product)

    assert report.exit_code == 0, report.error
    assert "Render itself was not asked about render.yaml" in lines(report)
    assert report.verdict == "Ready for staging, with 1 remark; next: inv deploy --environment staging"


def test_what_is_all_in_order_ends_in_one_sentence(product: Product) -> None:
    """The next command; and nothing was written but what the platform was asked."""
    judged(product, {"valid": True})

    report = looked(product)

    assert report.verdict == "Ready for staging; next: inv deploy --environment staging"
    assert format_report(report).splitlines()[-1] == report.verdict
    assert {one.method for one in product.platform.requests if not one.url.path.endswith(VALIDATED)} == {"GET"}


@pytest.mark.parametrize(("minutes", "told"), [(-10.0, "ahead of"), (10.0, "behind"), (0.5, "")])
def test_a_clock_that_is_wrong_is_told(product: Product, minutes: float, told: str) -> None:
    """By the date that is on the platform's answers; half a minute is no matter."""

    def dated(request: httpx.Request) -> httpx.Response:
        answer = product.platform(request)
        date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
        return httpx.Response(answer.status_code, content=answer.content, headers={**answer.headers, "date": date})

    product.platform.through = dated
    report = looked(product)

    found = [one for one in (report.error, *report.details) if "the clock of this machine is" in one]
    assert [told in one for one in found] == ([True] if told else [])


def test_a_health_path_that_the_platform_does_not_have_is_told(product: Product) -> None:
    """The Blueprint was changed, and not synchronised."""
    web = "  - {type: web, name: door, runtime: go, startCommand: ./d, rootDir: door, healthCheckPath: /up}\n"
    product.commit({"render.yaml": BLUEPRINT + web, "door/a": "1"})
    product.platform.add("door", Kind.WEB, repo=REPO, serviceDetails={"url": "https://door.example"})

    assert "its health path is /up in the Blueprint and none at the platform" in lines(looked(product))


def test_an_alembic_with_a_known_fault_is_a_remark(product: Product) -> None:
    """Where the commit pins it."""
    product.commit({"api/requirements.txt": "alembic==1.19.0\n"})

    assert "api/requirements.txt has alembic 1.19.0" in lines(looked(product))


@pytest.mark.parametrize(("used", "told"), [(48, 0), (49, 1)])
def test_sessions_are_told_where_twice_as_many_have_no_room(used: int, told: int) -> None:
    """While a release switches, each service runs twice."""
    assert len(readiness.weigh_sessions(used, 97).notes) == told


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/x", True),
        ("SLACK_WEBHOOK_URL", "http://127.0.0.1:80/hook", True),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/", False),
        ("SLACK_WEBHOOK_URL", "hooks.slack.com/services/T0/B0/x", False),
        ("DEPLOYLIB_WEBHOOK_URL", "https://example.com/x?y=1", True),
        ("DEPLOYLIB_WEBHOOK_URL", "http://example.com/x", False),
    ],
)
def test_a_webhook_that_is_none_is_told_and_not_quoted(product: Product, name: str, value: str, *, good: bool) -> None:
    """By its shape alone: nobody is told anything by a look."""
    product.environ = {**product.environ, name: value}

    report = looked(product)

    found = [one for one in (report.error, *report.details) if name in one]
    assert bool(found) is not good
    assert value not in format_report(report)
