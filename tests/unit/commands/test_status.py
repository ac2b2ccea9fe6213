"""What is live, since when, and what could be done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from deploylib.cli import text
from deploylib.commands import status
from deploylib.commands.loadtest import load_test_history
from deploylib.commands.monitor import silence_alerts
from deploylib.errors import SettingsError
from deploylib.monitoring.records import MonitorRecords
from deploylib.monitoring.states import Condition, Firing, Standing
from tests.support import fakes
from tests.support.fakes import START, FakeClock
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


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"service": "nosuch"}, "knows no service 'nosuch'"),
        ({"run": "zzzz"}, "there is no run 'zzzz'"),
        ({"since": "2026-03-02T00:00:00Z"}, "--since 2026-03-02T00:00:00Z is in the future: it is 2026-03-01T"),
        ({"since": "2026-03-02"}, "is in the future"),
        ({"since": "yesterday"}, "--since 'yesterday' is no moment and no time ago"),
        ({"since": "-5m"}, "is no moment and no time ago"),
        ({"since": "99999999999d"}, "is no moment and no time ago"),
        ({"lines": 0}, "--lines 0 is not between 1 and 1000"),
        ({"lines": 1001}, "--lines 1001 is not between 1 and 1000"),
    ],
)
def test_logs_that_nobody_can_have_meant_are_refused(product: Product, asked: dict[str, Any], why: str) -> None:
    """Before the platform is asked, with what would be one."""
    product.deploy()
    before = len(product.platform.requests)

    with pytest.raises(SettingsError, match=why):
        status.logs(product.env(), **asked)
    if "lines" not in asked:
        with pytest.raises(SettingsError, match=why):
            next(status.follow_logs(product.env(), **asked))
    assert len(product.platform.requests) == before


def test_a_run_that_is_over_is_not_followed(product: Product) -> None:
    """What its services write now is of a later one."""
    first = product.deploy()
    product.change("2")
    newest = product.deploy()

    with pytest.raises(SettingsError, match=f"run {first.run[-4:]} is over, .*: {newest.run[-4:]} has deployed since"):
        next(status.follow_logs(product.env(), run=first.run))


def test_services_of_two_regions_are_followed_one_by_one(product: Product) -> None:
    """The platform gives no logs of several regions together."""
    product.deploy()
    line = {"timestamp": "2026-03-01T12:00:00Z", "message": "hello"}

    def of_one_region(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/logs"):
            return None
        services = request.url.params.get_list("resource")
        if len(services) > 1:
            return httpx.Response(400, json={"message": "resources must be in the same region"})
        labels = [{"name": "resource", "value": services[0]}]
        return httpx.Response(200, json={"hasMore": False, "logs": [line | {"id": services[0], "labels": labels}]})

    product.platform.also = of_one_region
    env = product.env()
    vars(env)["render"] = replace(env.render, url="http://127.0.0.1:9/v1")  # where no websocket is
    lines = status.follow_logs(env)

    assert {next(lines).service, next(lines).service} == {"api", "web"}
    lines.close()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_history_of_nothing_is_refused(product: Product, limit: int) -> None:
    """It would look like an empty one."""
    with pytest.raises(SettingsError, match=f"--limit {limit} leaves nothing to show"):
        status.history(product.env(), limit=limit)
    with pytest.raises(SettingsError, match=f"--limit {limit} leaves nothing to show"):
        load_test_history(product.env(), limit=limit)


def test_what_fires_and_what_is_silent_stands_in_the_status(product: Product) -> None:
    """With since when, until when, why; where nobody watches, nothing does."""
    env = product.env()
    assert not any(line.startswith(("alerts", "silence")) for line in text.format_status(status.status(env), START))
    since = START - timedelta(minutes=12)
    firing = Firing(since=since, told_at=since, title="backend answers 503")
    standings = {"uptime/backend": Standing(condition=Condition.FIRING, looked=START, firing=firing)}
    MonitorRecords(env.store, env.name, env.clock).change(
        lambda state: msgspec.structs.replace(state, standings=standings)
    )
    silence = silence_alerts(env, reason="moving", until="2h", signals=["disk"])

    found = status.status(env)

    lines = text.format_status(found, START)[-3:]
    assert lines == [
        "alerts       critical: backend answers 503, for 12 min",
        "             the monitor has looked 0 s ago",
        f"silence      {silence.id}  until {silence.until:%Y-%m-%d %H:%M} UTC: disk (moving, by ada)",
    ]
    (alert,) = msgspec.to_builtins(found)["watch"]["alerts"]
    assert alert["since"] == "2026-03-01T11:48:00Z"
    late = text.format_status(found, START)
    assert late[-2].strip() == "the monitor has looked 0 s ago"


def test_alerts_that_cannot_be_read_are_unknown(product: Product) -> None:
    """That is not none."""
    env = product.env()
    env.store.put(f"monitor/{env.name}/states/00000001.json", [b"{"])

    assert text.format_status(status.status(env), START)[-1].startswith("alerts       unknown: ")
