"""What is live, since when, and what could be done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib.cli import text
from deploylib.commands import status
from deploylib.errors import SettingsError
from tests.support import fakes
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory import status as refused
from tests.support.in_memory_product import Product
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that was never deployed."""
    return Product(repository, platform, clock)


def test_before_the_first_deploy_nothing_is_claimed(product: Product) -> None:
    """The reason is on the screen; looking makes no store."""
    found = status.status(product.env())

    assert ((), "nothing was ever deployed from here", "", "", "") == (
        found.live, found.trouble, found.back_to, found.last, found.backup
    )  # fmt: skip
    assert not Path(product.env().config.store).exists()


def test_what_is_live_is_the_platforms_word(product: Product) -> None:
    """Not what the history remembers; and what a rollback would restore."""
    product.deploy()
    second = product.change("2")
    last = product.deploy()
    product.platform.begin("srv-web", fakes.THIRD, "live", "manual")

    found = status.status(product.env())

    assert [second, fakes.THIRD] == [one.commit for one in found.live]
    assert f"{last.run[-4:]} {second[:7]} succeeded" == found.last
    assert found.back_to.startswith((second[:7], product.first[:7]))


def test_a_platform_that_does_not_answer_leaves_what_the_ledger_knows(product: Product) -> None:
    """The trouble and its remedy are shown; what is live is not claimed."""
    product.deploy()
    product.platform.faults.append(("GET", "/srv-api/deploys", refused(401)))

    found = status.status(product.env())

    assert (found.live, found.back_to, found.known, found.exit_code) == ((), "", False, 40)
    assert "refused the API key" in found.trouble
    assert "succeeded" in found.last
    lines = text.format_status(found, product.clock.now())
    assert "rollback     unknown" in lines
    assert not any("nothing to go back to" in line for line in lines)


def test_an_environment_that_was_never_deployed_is_known_to_have_nothing(product: Product) -> None:
    """That is another thing than not to know."""
    found = status.status(product.env())

    assert (found.known, found.exit_code) == (True, 0)
    assert "rollback     nothing to go back to" in text.format_status(found, product.clock.now())


def test_a_run_is_found_by_its_end_or_is_the_last_that_deployed(product: Product) -> None:
    """One that had nothing to do has no logs; an unknown one is refused."""
    with pytest.raises(SettingsError, match="no run has deployed anything yet"):
        status.find_run(product.env())
    first = product.deploy()
    product.deploy()

    assert first.run == status.find_run(product.env()).id
    assert first.run == status.find_run(product.env(), first.run[-4:]).id
    with pytest.raises(SettingsError, match="there is no run 'zzzz'"):
        status.find_run(product.env(), "zzzz")


def test_logs_are_those_of_the_deploys_of_the_run(product: Product) -> None:
    """Of each service what the build and what the program said."""
    product.deploy()
    product.platform.logs = [{"timestamp": "2026-03-01T12:00:00Z", "message": "hello"}]

    found = status.logs(product.env(), lines=3)

    assert [log.name for log in found] == ["api build", "api app", "web build", "web app"]
    assert {"hello"} == {line.text for log in found for line in log.lines}
    assert {"3"} == {one.url.params["limit"] for one in product.platform.requests if one.url.path.endswith("/logs")}
