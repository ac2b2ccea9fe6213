"""There and back on an environment itself: what was live is live again, and nothing stays held."""

from __future__ import annotations

import dataclasses

import pytest

from deploylib.commands import control
from deploylib.drills import DrillResult, drill_on_site
from deploylib.errors import SettingsError
from tests.support.fakes import FakeClock, RecordingView
from tests.support.in_memory import Platform, status
from tests.support.in_memory_product import Product, released
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose second version is live."""
    made = released(repository, platform, clock)
    made.change("2")
    assert made.deploy().outcome == "succeeded"
    return made


def practise(product: Product) -> DrillResult:
    """``inv drill there-and-back``."""
    return drill_on_site(product.env(), confirm="staging")


def drilled(product: Product) -> list[tuple[object, int]]:
    """What the history keeps of each drill, and the exit code it ended with."""
    found = product.env().history.read_operations("staging", 20)
    return [
        (state.stages["drill"].data.get("passed"), state.report.exit_code if state.report else -1)
        for state in found
        if state.opened.operation == "drill"
    ]


def test_it_goes_there_and_back(product: Product) -> None:
    """Two rollbacks, each verified; the holds that they place are lifted; it is recorded as passed."""
    live = product.live()

    result = practise(product)

    assert (result.passed, result.exit_code, result.fault) == (True, 0, "")
    assert product.live() == live
    back, forth = [run for run in product.runs() if run.opened.back][::-1]
    assert {one.commit for one in back.release} == {product.first}
    assert {one.commit for one in forth.release} == set(live)
    assert product.env().holds.read() == ()
    assert drilled(product) == [(True, 0)]


def test_it_is_done_in_a_job_of_a_ci(product: Product) -> None:
    """Both rollbacks are of one CI run, and each is a run of its own."""
    live = product.live()
    product.in_ci(4711)

    result = practise(product)

    assert (result.passed, result.fault) == (True, "")
    assert product.live() == live
    assert len({run.id for run in product.runs() if run.opened.back}) == 2
    assert product.env().leases.read() is None or not product.env().leases.read().taken  # type: ignore[union-attr]


def test_what_somebody_released_meanwhile_stays(product: Product) -> None:
    """It would be gone back from otherwise, and held."""
    newest = product.change("3")

    class View(RecordingView):
        def note(self, *lines: str) -> None:
            if "held from now on" in lines[0] and product.platform.live("srv-web") != newest:
                product.platform.begin("srv-web", newest, "live", "manual")

    result = drill_on_site(dataclasses.replace(product.env(), progress=View()), confirm="staging")

    assert (result.passed, result.fault) == (False, "somebody has released meanwhile: it stays as it is now")
    assert product.platform.live("srv-web") == newest


def test_what_a_person_holds_stays_held(product: Product) -> None:
    """It lifts its own holds, and no other."""
    held = control.hold(product.env(), reason="it loses orders", commit=product.first)

    result = practise(product)

    assert not result.passed  # the only release to go back to is held
    assert "going back" in result.fault or "nothing to go back to" in result.fault
    assert product.env().holds.read() == (held,)


def test_it_is_done_only_where_it_is_meant(product: Product) -> None:
    """The name is typed again; nothing is asked of the platform before."""
    product.platform.requests.clear()
    with pytest.raises(SettingsError, match="goes back on 'staging' itself") as refused:
        drill_on_site(product.env(), confirm="production")

    assert refused.value.remedy == "inv drill there-and-back --environment staging --confirm staging"
    assert product.platform.requests == []
    assert drilled(product) == []


def test_without_a_release_before_it_is_not_passed(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """There is nothing to go back to, and that does not count as practised."""
    product = released(repository, platform, clock)

    result = practise(product)

    assert (result.passed, result.exit_code) == (False, 2)
    assert "nothing to go back to" in result.fault
    assert drilled(product) == [(False, 3)]


def test_a_platform_that_does_not_answer_is_told(product: Product) -> None:
    """With its exit code; nothing was changed."""
    live = product.live()
    product.platform.faults.extend([("GET", "/srv-api/deploys", status(503))] * 200)

    result = practise(product)

    assert not result.passed
    assert result.exit_code in {3, 40}
    assert product.live() == live
